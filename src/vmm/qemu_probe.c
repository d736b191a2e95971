/* SPDX-License-Identifier: MIT */
#include "base/kept.h"
#include "base/proc.h"
#include "base/str.h"
#include "vmm/accel.h"
#include "vmm/qemu.h"

#define QEMU_BINARY (QEMU_ARM64 ? "qemu-system-aarch64" : "qemu-system-x86_64")
#define QEMU_PACKAGE (QEMU_ARM64 ? "qemu-system-arm" : "qemu-system-x86")

int qemu_parse_version(const char *text, char **ret, struct error **err)
{
	static const char prefix[] = "QEMU emulator version ";
	unsigned major, minor;
	const char *v;

	if (!str_starts(text, prefix))
		return error_set(err, ERR_UNSUPPORTED, "'--version' does not look like QEMU's");
	v = text + strlen(prefix);
	if (sscanf(v, "%3u.%3u", &major, &minor) != 2)
		return error_set(err, ERR_UNSUPPORTED, "'--version' does not look like QEMU's");
	if (major < 7 || (major == 7 && minor < 2))
		return error_set(err, ERR_UNSUPPORTED, "QEMU %u.%u is too old: 7.2 or newer is needed", major, minor);
	*ret = str_ndup(v, strspn(v, "0123456789."));
	return 0;
}

static int qemu_ask_version(const char *binary, char **ret, struct error **err)
{
	char *const argv[] = {(char *)binary, (char *)"--version", NULL};
	struct proc_result r = {0};
	int rc = proc_run(argv, NULL, 64 * 1024, 10 * 1000, &r, err);

	if (rc == 0)
		rc = qemu_parse_version(r.out, ret, err);
	proc_result_clear(&r);
	return rc < 0 ? error_wrap(err, "%s", binary) : 0;
}

/* Starting it takes longer than all else at the start of a daemon. */
static int qemu_probe_version(const char *binary, struct kept *kept, char **ret, struct error **err)
{
	cleanup_free char *stamp = kept_stamp((const char *const[]){binary, NULL});
	const char *known = kept_get(kept, "qemu-version", stamp);

	if (known) {
		*ret = str_dup(known);
		return 0;
	}
	if (qemu_ask_version(binary, ret, err) < 0)
		return -1;
	kept_set(kept, "qemu-version", stamp, *ret);
	return 0;
}

bool qemu_has_sandbox(const char *binary, struct kept *kept)
{
	char *const argv[] = {(char *)binary, (char *)"-sandbox", (char *)"on", (char *)"--version", NULL};
	cleanup_free char *stamp = kept_stamp((const char *const[]){binary, NULL});
	const char *known = kept_get(kept, "qemu-sandbox", stamp);
	cleanup_error struct error *error = NULL;
	bool has;

	if (known)
		return str_eq(known, "yes");
	has = proc_run(argv, NULL, 64 * 1024, 10 * 1000, NULL, &error) == 0;
	kept_set(kept, "qemu-sandbox", stamp, has ? "yes" : "no");
	return has;
}

/* The smaller binary starts in half the time, but knows only KVM. Debian 12 builds it without the sandbox
 * that every VM gets. */
static void qemu_choose_binary(struct vmm_probe *p, struct kept *kept)
{
	if (p->accel == VMM_ACCEL_KVM && !QEMU_ARM64)
		p->binary = proc_find_program("qemu-system-x86_64-microvm");
	if (p->binary && !qemu_has_sandbox(p->binary, kept))
		mem_freep(&p->binary);
	if (!p->binary)
		p->binary = str_dup(p->binary_full);
}

int qemu_probe(enum vmm_accel wanted, struct kept *kept, struct vmm_probe *ret, struct error **err)
{
	const struct accel_host host = {.sys_module = "/sys/module", .kvm_device = "/dev/kvm", .arm64 = QEMU_ARM64};

	ret->binary_full = proc_find_program(QEMU_BINARY);
	if (!ret->binary_full)
		return error_set(err, ERR_NOT_FOUND, "%s is not installed: apt-get install %s", QEMU_BINARY,
				 QEMU_PACKAGE);
	if (qemu_probe_version(ret->binary_full, kept, &ret->version, err) < 0)
		return -1;
	if (accel_choose(&host, wanted, &ret->accel, &ret->reason, err) < 0)
		return -1;
	qemu_choose_binary(ret, kept);
	if (ret->accel == VMM_ACCEL_TCG)
		ret->clock = accel_clock_new();
	return 0;
}
