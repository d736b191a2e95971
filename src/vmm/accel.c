/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <time.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/accel.h"

/* Modules that back /dev/kvm by hardware. A device that merely opens proves nothing: under kvm_pvm
 * a stock kernel hangs early in its boot. */
static const char *const hardware_modules[] = {"kvm_intel", "kvm_amd"};

const char *accel_hardware(const struct accel_host *host)
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

static int accel_ask_version(int fd)
{
	return ioctl(fd, KVM_GET_API_VERSION, 0);
}

int accel_kvm_check(const struct accel_host *host, struct error **err)
{
	cleanup_close int fd = open(host->kvm_device, O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "this host has no %s", host->kvm_device);
	if (fd < 0)
		return error_errno(err, errno, "%s cannot be opened", host->kvm_device);
	version = (host->ask_version ? host->ask_version : accel_ask_version)(fd);
	if (version < 0)
		return error_set(err, ERR_UNSUPPORTED, "%s is not KVM's device", host->kvm_device);
	if (version != KVM_API_VERSION)
		return error_set(err, ERR_UNSUPPORTED, "%s has version %d of KVM's API, not %d", host->kvm_device,
				 version, KVM_API_VERSION);
	return 0;
}

int accel_choose(const struct accel_host *host, enum vmm_accel wanted, enum vmm_accel *ret, char **ret_reason,
		 struct error **err)
{
	const char *hardware = accel_hardware(host);
	cleanup_error struct error *why = NULL;
	bool usable = wanted != VMM_ACCEL_TCG && accel_kvm_check(host, &why) == 0;

	*ret = VMM_ACCEL_TCG;
	if (wanted == VMM_ACCEL_TCG) {
		*ret_reason = str_dup("emulation, as configured");
		return 0;
	}
	if (wanted == VMM_ACCEL_KVM) {
		if (!usable)
			return error_set(err, why->code,
					 "accel is 'kvm', but %s; load the kvm module, join the "
					 "device's group, or use 'accel: tcg'",
					 error_message(why));
		*ret = VMM_ACCEL_KVM;
		*ret_reason = str_dup("KVM, as configured");
		return 0;
	}
	if (!usable)
		*ret_reason = str_fmt("emulation (slow): %s", error_message(why));
	else if (!hardware)
		*ret_reason = str_fmt("emulation (slow): %s is not backed by hardware (no "
				      "kvm_intel or kvm_amd), so a "
				      "stock kernel may hang under it; SLICER_ACCEL=kvm insists",
				      host->kvm_device);
	else
		*ret_reason = str_fmt("KVM (%s)", hardware);
	if (usable && hardware)
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

/* Over more than that a host may have been suspended meanwhile, which stops its counter or not. */
enum { TSC_LEAST_NS = 50 * 1000 * 1000, TSC_MOST_NS = 1000 * 1000 * 1000 };

struct accel_clock {
	pthread_mutex_t lock;
	struct tsc_sample begun;
	bool measured;
	uint64_t khz;
};

struct accel_clock *accel_clock_new(void)
{
	struct accel_clock *clock = NEW(struct accel_clock);

	pthread_mutex_init(&clock->lock, NULL);
	clock->begun = tsc_sample();
	return clock;
}

void accel_clock_free(struct accel_clock **clock)
{
	if (!*clock)
		return;
	pthread_mutex_destroy(&(*clock)->lock);
	mem_freep(clock);
}

static uint64_t tsc_measure(struct tsc_sample a)
{
	struct tsc_sample b;
	int64_t left;

	if (clock_ns() - a.ns > TSC_MOST_NS)
		a = tsc_sample();
	while ((left = a.ns + TSC_LEAST_NS - clock_ns()) > 0)
		nanosleep(&(struct timespec){.tv_nsec = left}, NULL);
	b = tsc_sample();
	if (b.tsc <= a.tsc)
		return 0;
	return (uint64_t)((double)(b.tsc - a.tsc) * 1e6 / (double)(b.ns - a.ns) + 0.5);
}

uint64_t accel_clock_khz(struct accel_clock *clock)
{
	uint64_t khz;

	if (!clock)
		return 0;
	pthread_mutex_lock(&clock->lock);
	if (!clock->measured)
		clock->khz = tsc_measure(clock->begun);
	clock->measured = true;
	khz = clock->khz;
	pthread_mutex_unlock(&clock->lock);
	return khz;
}
#else
struct accel_clock *accel_clock_new(void)
{
	return NULL;
}

void accel_clock_free(struct accel_clock **clock)
{
}

uint64_t accel_clock_khz(struct accel_clock *clock)
{
	return 0;
}
#endif
