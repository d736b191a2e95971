/* SPDX-License-Identifier: MIT */
/* Which acceleration a host can use for guests with a stock kernel. */
#ifndef SLICER_VMM_ACCEL_H
#define SLICER_VMM_ACCEL_H

#include "vmm/vmm.h"

/* What there is to decide by. `sys_module` is /sys/module, `kvm_device` /dev/kvm; tests give
 * others. */
struct accel_host {
	const char *sys_module;
	const char *kvm_device;
	bool arm64;
	int (*ask_version)(int fd); /* KVM_GET_API_VERSION; NULL: by ioctl(2) */
};
/* "kvm_intel", "kvm_amd" or "arm64": what backs KVM by hardware; NULL: nothing. Constant. */
const char *accel_hardware(const struct accel_host *host);
/* Does the device open and speak the one stable version of KVM's API (12; Linux,
 * Documentation/virt/kvm/api.rst)?
 * ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_UNSUPPORTED; the message is a sentence for people. */
int accel_kvm_check(const struct accel_host *host, struct error **err);
/* KVM or TCG in *ret and one sentence why in *ret_reason (the caller's). Fails only when `wanted`
 * is KVM and there is no usable device. */
int accel_choose(const struct accel_host *host, enum vmm_accel wanted, enum vmm_accel *ret, char **ret_reason,
		 struct error **err);
/* Measures the frequency of the host's time stamp counter from when it is made on, so that nobody
 * has to wait who asks later than that. For any thread. */
struct accel_clock *accel_clock_new(void);	   /* NULL on other architectures than x86-64 */
void accel_clock_free(struct accel_clock **clock); /* NULL-safe */
/* In kHz; measured by the first call, which waits until 50 ms are over. 0 for NULL. */
uint64_t accel_clock_khz(struct accel_clock *clock);

#endif
