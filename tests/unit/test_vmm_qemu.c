/* SPDX-License-Identifier: MIT */
/* QEMU's command line for several specs against tests/golden/qemu/NAME.args, one argument per line.
 * SLICER_GOLDEN_UPDATE=1 writes them anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/fs.h"
#include "base/kept.h"
#include "base/str.h"
#include "net/user.h"
#include "vmm/qemu.h"

#define GOLDEN_DIR SLICER_SOURCE_ROOT "/tests/golden/qemu"

static const struct vmm_fds all_fds = {.memory = 13,
				       .qmp = 10,
				       .agent = 11,
				       .control = 12,
				       .console = 19,
				       .kernel = 14,
				       .initrd = 15,
				       .root = 16,
				       .data = 17,
				       .config = 18,
				       .net = 20,
				       .modules = 21};
static char binary[] = "/usr/bin/qemu-system-x86_64-microvm", binary_full[] = "/usr/bin/qemu-system-x86_64";
static const struct vmm_probe tcg = {
	.binary = binary, .binary_full = binary_full, .accel = VMM_ACCEL_TCG, .tsc_khz = 2596146};
static const struct vmm_probe kvm = {
	.binary = binary, .binary_full = binary_full, .accel = VMM_ACCEL_KVM, .tsc_khz = 2596146};

static struct vmm_spec make_spec(const struct vmm_probe *probe, enum vmm_net_kind net)
{
	return (struct vmm_spec){.name = "vm-1",
				 .probe = probe,
				 .machine = "microvm",
				 .vcpus = 1,
				 .ram_bytes = 512ULL << 20,
				 .kernel = "/k",
				 .net = {.kind = net, .mac = {0x2e, 0x31, 0x2a, 0xff, 0x7d, 0x45}}};
}

static void check_text(const char *path, const char *actual)
{
	cleanup_free char *expected = NULL;

	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(path, actual, strlen(actual), 0644, NULL), 0);
	assert_int_equal(fs_read_file(path, 64 * 1024, &expected, NULL, NULL), 0);
	assert_string_equal(actual, expected);
}

/* What its jail shows and grants; the paths are the architecture's. */
static void check_golden_jail(const char *name, const struct vmm_spec *spec)
{
	cleanup_free char *path = str_fmt("%s/%s.jail", GOLDEN_DIR, name), *text = NULL, *actual = NULL;
	cleanup_error struct error *err = NULL;
	cleanup_json struct json_object *obj = NULL;
	struct vmm_command command;

	assert_int_equal(vmm_qemu.prepare(spec, &all_fds, &command, &err), 0);
	obj = jail_spec_to_json(&command.jail);
	text = js_to_string_pretty(obj);
	actual = str_fmt("%s\n", text);
	check_text(path, actual);
	vmm_command_clear(&command);
}

static void check_golden(const char *name, const struct vmm_spec *spec, const struct vmm_fds *fds)
{
	cleanup_free char *path = str_fmt("%s/%s.args", GOLDEN_DIR, name), *actual = NULL;
	cleanup_error struct error *err = NULL;
	struct vmm_command command;

	if (vmm_qemu.prepare(spec, fds, &command, &err) < 0)
		fail_msg("%s", error_message(err));
	strv_append(&command.argv, ""); /* a line feed at the end */
	actual = strv_join(command.argv, "\n");
	assert_int_equal(command.kvm, spec->probe->accel == VMM_ACCEL_KVM);
	assert_false(command.privileged);
	check_text(path, actual);
	vmm_command_clear(&command);
}

static void test_golden_jail(void **state)
{
	struct vmm_probe elsewhere = tcg;
	struct vmm_spec spec = make_spec(&tcg, VMM_NET_HELPER);

	spec.data_disk = "/d";
	spec.disk_bytes = 16ULL << 30;
	check_golden_jail("tcg", &spec);
	spec = make_spec(&kvm, VMM_NET_TAP);
	spec.vcpus = 4;
	check_golden_jail("kvm-4cpu-no-disk", &spec);
	elsewhere.binary_full = (char *)"/opt/qemu/bin/qemu-system-x86_64";
	spec.probe = &elsewhere;
	check_golden_jail("elsewhere", &spec);
}

static void test_golden(void **state)
{
	struct vmm_spec spec = make_spec(&tcg, VMM_NET_HELPER);
	struct vmm_fds fds = all_fds;

	check_golden("tcg-passt", &spec, &fds);
	spec.vcpus = 4;
	spec.ram_bytes = 4ULL << 30;
	spec.cmdline = "slicer.debug=1 loglevel=7";
	check_golden("tcg-passt-4cpu", &spec, &fds);
	spec = make_spec(&tcg, VMM_NET_SLIRP);
	check_golden("tcg-slirp", &spec, &fds);
	spec = make_spec(&kvm, VMM_NET_HELPER);
	check_golden("kvm-passt", &spec, &fds);
	spec = make_spec(&kvm, VMM_NET_TAP);
	spec.vcpus = 4;
	check_golden("kvm-tap-4cpu", &spec, &fds);
	/* The small binary has no user network: the full one is needed under KVM, too. */
	spec = make_spec(&kvm, VMM_NET_SLIRP);
	check_golden("kvm-slirp", &spec, &fds);
	spec.disk_bandwidth = 100 << 20;
	spec.disk_operations = 500;
	check_golden("kvm-limits", &spec, &fds);
	spec = make_spec(&tcg, VMM_NET_NONE);
	spec.disk_operations = 500;
	fds.data = -1;
	check_golden("tcg-limits-no-disk", &spec, &fds);
	spec = make_spec(&tcg, VMM_NET_NONE);
	fds.initrd = fds.root = fds.data = fds.config = fds.net = fds.modules = -1;
	check_golden("tcg-bare", &spec, &fds);
	spec = make_spec(&kvm, VMM_NET_HELPER);
	spec.machine = "virt";
	check_golden("arm64-kvm-passt", &spec, &all_fds);
}

static void check_refused(const struct vmm_spec *spec, enum error_code code, const char *words)
{
	struct vmm_command command;
	cleanup_error struct error *err = NULL;

	assert_int_equal(vmm_qemu.prepare(spec, &all_fds, &command, &err), -1);
	assert_int_equal(err->code, code);
	if (!strstr(err->message, words))
		fail_msg("\"%s\" does not say \"%s\"", err->message, words);
	vmm_command_clear(&command);
}

static void test_refused(void **state)
{
	struct vmm_spec spec = make_spec(&tcg, VMM_NET_NONE);

	spec.name = "vm,id=x";
	check_refused(&spec, ERR_INVALID, "comma");
	spec = make_spec(&tcg, VMM_NET_NONE);
	spec.vcpus = 0;
	check_refused(&spec, ERR_INVALID, "vCPUs");
	spec.vcpus = 256;
	check_refused(&spec, ERR_INVALID, "255");
	spec = make_spec(&tcg, VMM_NET_NONE);
	spec.ram_bytes++;
	check_refused(&spec, ERR_INVALID, "1 MiB");
	spec.ram_bytes = 0;
	check_refused(&spec, ERR_INVALID, "1 MiB");
	spec = make_spec(&tcg, VMM_NET_NONE);
	spec.machine = "pc";
	check_refused(&spec, ERR_UNSUPPORTED, "microvm");
	spec = make_spec(&tcg, VMM_NET_NONE);
	spec.kernel = NULL;
	check_refused(&spec, ERR_INVALID, "kernel");
}

static void test_version(void **state)
{
	static const struct {
		const char *text, *version;
	} cases[] = {
		{"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", "7.2.22"},
		{"QEMU emulator version 10.0.2\n", "10.0.2"},
		{"QEMU emulator version 8.2.0-rc1", "8.2.0"},
		{"QEMU emulator version 7.1.9", NULL},
		{"QEMU emulator version 6.99", NULL},
		{"QEMU emulator version x", NULL},
		{"bash, version 7.2", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *version = NULL;
		cleanup_error struct error *err = NULL;
		int rc = qemu_parse_version(cases[i].text, &version, &err);

		assert_int_equal(rc, cases[i].version ? 0 : -1);
		if (cases[i].version)
			assert_string_equal(version, cases[i].version);
		else
			assert_int_equal(err->code, ERR_UNSUPPORTED);
	}
}

static void test_by_name(void **state)
{
	cleanup_error struct error *err = NULL, *err2 = NULL;

	unsetenv("SLICER_FAKE_VMM");
	assert_ptr_equal(vmm_by_name("qemu", NULL), &vmm_qemu);
	assert_null(vmm_by_name("xen", &err));
	assert_int_equal(err->code, ERR_INVALID);
	assert_non_null(strstr(err->message, "qemu"));
	assert_null(strstr(err->message, "fake"));
	assert_null(vmm_by_name("fake", &err2));
	setenv("SLICER_FAKE_VMM", "/x", 1);
	assert_ptr_equal(vmm_by_name("fake", NULL), &vmm_fake);
	unsetenv("SLICER_FAKE_VMM");
	assert_null(vmm_qemu.save);
	assert_false(vmm_qemu.capabilities & VMM_CAN_SAVE_STATE);
}

/* Stands for a QEMU: it fails as one without a sandbox does when it is asked for it. */
static bool script_has_sandbox(const char *path, const char *text, struct kept *kept)
{
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0755, NULL), 0);
	return qemu_has_sandbox(path, kept);
}

static void test_sandbox(void **state)
{
	cleanup_free char *dir = str_dup("/tmp/slicer-qemu.XXXXXX");
	assert_non_null(mkdtemp(dir));
	cleanup_free char *path = fs_join(dir, "qemu");
	cleanup_kept struct kept *kept = kept_load(path);
	cleanup_free char *stamp = NULL;

	assert_true(script_has_sandbox(path, "#!/bin/sh\n[ $1 = -sandbox ] && [ $2 = on ]\n", NULL));
	assert_false(script_has_sandbox(path, "#!/bin/sh\n[ $1 != -sandbox ]\n", kept));
	stamp = kept_stamp((const char *const[]){path, NULL});
	assert_string_equal(kept_get(kept, "qemu-sandbox", stamp), "no");
	kept_set(kept, "qemu-sandbox", stamp, "yes");
	assert_true(qemu_has_sandbox(path, kept));
	assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	cmocka_unit_test(test_golden_jail), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_version), cmocka_unit_test(test_sandbox),	    cmocka_unit_test(test_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
