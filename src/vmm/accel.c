/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/accel.h"

/* Modules that back /dev/kvm by hardware. A device that merely opens proves nothing: under kvm_pvm
 * a stock kernel hangs early in its boot. */
static const char *const hardware_modules[] = {"kvm_intel", "kvm_amd"};

static const char *accel_hardware(const struct accel_host *host)
{
	if (host->arm64)
		return "arm64";
	for (size_t i = 0; i < ARRAY_LEN(hardware_modules); i++) {
		cleanup_free char *path = fs_join(host->sys_module, hardware_modules[i]);

		if (fs_exists(path))
			return hardware_modules[i];
	}
	return NULL;
}

static int accel_open_errno(const struct accel_host *host)
{
	cleanup_close int fd = open(host->kvm_device, O_RDWR | O_CLOEXEC);

	return fd < 0 ? errno : 0;
}

int accel_choose(const struct accel_host *host, enum vmm_accel wanted, enum vmm_accel *ret,
		 char **ret_reason, struct error **err)
{
	const char *hardware = accel_hardware(host);
	int open_errno = wanted == VMM_ACCEL_TCG ? 0 : accel_open_errno(host);

	*ret = VMM_ACCEL_TCG;
	if (wanted == VMM_ACCEL_TCG) {
		*ret_reason = str_dup("emulation, as configured");
		return 0;
	}
	if (wanted == VMM_ACCEL_KVM) {
		if (open_errno)
			return error_errno(err, open_errno,
					   "accel is 'kvm', but %s cannot be opened; load the kvm "
					   "module, join the "
					   "device's group, or use 'accel: tcg'",
					   host->kvm_device);
		*ret = VMM_ACCEL_KVM;
		*ret_reason = str_dup("KVM, as configured");
		return 0;
	}
	if (open_errno == ENOENT)
		*ret_reason = str_fmt("emulation (slow): this host has no %s", host->kvm_device);
	else if (open_errno)
		*ret_reason = str_fmt("emulation (slow): %s cannot be opened: %s", host->kvm_device,
				      strerror(open_errno));
	else if (!hardware)
		*ret_reason = str_fmt("emulation (slow): %s is not backed by hardware (no "
				      "kvm_intel or kvm_amd), so a "
				      "stock kernel may hang under it; SLICER_ACCEL=kvm insists",
				      host->kvm_device);
	else
		*ret_reason = str_fmt("KVM (%s)", hardware);
	if (!open_errno && hardware)
		*ret = VMM_ACCEL_KVM;
	return 0;
}

#if defined(__x86_64__)
struct tsc_sample {
	uint64_t tsc;
	int64_t ns;
};

/* The clock between two readings of the counter; of many tries the tightest, because a scheduler
 * may sit in between. */
static struct tsc_sample tsc_sample(void)
{
	struct tsc_sample best = {0};
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < 32; i++) {
		uint64_t a = __builtin_ia32_rdtsc();
		int64_t ns = clock_ns();
		uint64_t b = __builtin_ia32_rdtsc();

		if (b - a < width) {
			width = b - a;
			best = (struct tsc_sample){.tsc = a + (b - a) / 2, .ns = ns};
		}
	}
	return best;
}

uint64_t accel_tsc_khz(void)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	struct tsc_sample a = tsc_sample(), b;

	nanosleep(&pause, NULL);
	b = tsc_sample();
	if (b.ns <= a.ns || b.tsc <= a.tsc)
		return 0;
	return (uint64_t)((double)(b.tsc - a.tsc) * 1e6 / (double)(b.ns - a.ns) + 0.5);
}
#else
uint64_t accel_tsc_khz(void)
{
	return 0;
}
#endif
