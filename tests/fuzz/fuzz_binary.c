/* SPDX-License-Identifier: MIT */
/* The headers of kernels and programs that go into images. */
#include <stdint.h>
#include <stdlib.h>

#include "image/static_elf.h"
#include "image/vmlinux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_error struct error *kernel = NULL, *program = NULL;
	struct kernel_payload payload = {0};

	if (bzimage_payload(data, size, &payload, &kernel) < 0) {
		if (!kernel)
			abort();
	} else if (payload.offset > size || payload.length > size - payload.offset || payload.size == 0) {
		abort();
	}
	if (elf_check_static(data, size, &program) < 0 && (!program || program->code != ERR_INVALID))
		abort();
	return 0;
}
