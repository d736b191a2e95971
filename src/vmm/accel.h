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
};
/* KVM or TCG in *ret and one sentence why in *ret_reason (the caller's). Fails only when `wanted`
 * is KVM and there is no usable device. */
int accel_choose(const struct accel_host *host, enum vmm_accel wanted, enum vmm_accel *ret,
		 char **ret_reason, struct error **err);
/* Frequency of the host's time stamp counter in kHz, measured over 50 ms; 0 on other architectures
 * than x86-64. */
uint64_t accel_tsc_khz(void);

#endif
