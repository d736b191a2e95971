/* SPDX-License-Identifier: MIT */
/* The uncompressed kernel, which every hypervisor starts faster than the compressed one. */
#ifndef SLICER_IMAGE_VMLINUX_H
#define SLICER_IMAGE_VMLINUX_H

#include "base/error.h"

struct kernel_payload {
	size_t offset; /* of the compressed kernel in the file */
	size_t length;
	uint32_t size; /* uncompressed */
};
/* The payload of a bzImage (Linux's Documentation/arch/x86/boot.rst, protocol 2.08 or newer). */
int bzimage_payload(const void *data, size_t n, struct kernel_payload *ret, struct error **err);
/* Writes the ELF kernel of a bzImage to `to`; an ELF kernel or an arm64 Image is copied. */
int vmlinux_extract(const char *vmlinuz, const char *to, struct error **err);

#endif
