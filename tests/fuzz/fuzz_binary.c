/* SPDX-License-Identifier: MIT */
/* The headers of kernels and programs that go into images. */
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "image/kernel_file.h"
#include "image/static_elf.h"
#include "image/vmlinux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fuzz_kernel(const uint8_t *data, size_t size)
{
	cleanup_error struct error *err = NULL, *release_error = NULL;
	cleanup_free char *release = kernel_file_release(data, size, &release_error);

	if (!release == !release_error || (release && (strchr(release, '/') || strlen(release) > 64)))
		abort();
	if (kernel_file_check(data, size, &err) < 0 && !err)
		abort();
	kernel_file_check_builtin(data, size, NULL);
	return 0;
}

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
	return fuzz_kernel(data, size);
}
