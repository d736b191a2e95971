/* SPDX-License-Identifier: MIT */
/* QEMU's part of vmm_ops; for src/vmm, and `slicer doctor`, which looks at its version. */
#ifndef SLICER_VMM_QEMU_H
#define SLICER_VMM_QEMU_H

#include "vmm/vmm.h"

#ifdef __aarch64__
#define QEMU_ARM64 1
#else
#define QEMU_ARM64 0
#endif
enum { QEMU_VCPUS_MAX = 255 };

int qemu_probe(enum vmm_accel wanted, struct kept *kept, struct vmm_probe *ret, struct error **err);
/* "QEMU emulator version 7.2.22 (Debian …)" → "7.2.22"; ERR_UNSUPPORTED below 7.2, where the
 * command line of qemu.c does not work. *ret is the caller's. */
int qemu_parse_version(const char *text, char **ret, struct error **err);
/* Whether this binary knows `-sandbox`; asks it once, `kept` (may be NULL) remembers. */
struct kept;
bool qemu_has_sandbox(const char *binary, struct kept *kept);

#endif
