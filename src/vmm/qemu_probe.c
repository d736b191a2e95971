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
		return error_set(err, ERR_UNSUPPORTED,
				 "QEMU %u.%u is too old: 7.2 or newer is needed", major, minor);
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

int qemu_probe(enum vmm_accel wanted, struct kept *kept, struct vmm_probe *ret, struct error **err)
{
	const struct accel_host host = {
	    .sys_module = "/sys/module", .kvm_device = "/dev/kvm", .arm64 = QEMU_ARM64};

	ret->binary_full = proc_find_program(QEMU_BINARY);
	if (!ret->binary_full)
		return error_set(err, ERR_NOT_FOUND, "%s is not installed: apt-get install %s",
				 QEMU_BINARY, QEMU_PACKAGE);
	if (qemu_probe_version(ret->binary_full, kept, &ret->version, err) < 0)
		return -1;
	/* Starts in half the time, where it is installed. */
	ret->binary = QEMU_ARM64 ? NULL : proc_find_program("qemu-system-x86_64-microvm");
	if (!ret->binary)
		ret->binary = str_dup(ret->binary_full);
	if (accel_choose(&host, wanted, &ret->accel, &ret->reason, err) < 0)
		return -1;
	if (ret->accel == VMM_ACCEL_TCG)
		ret->clock = accel_clock_new();
	return 0;
}
