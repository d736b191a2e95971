/* SPDX-License-Identifier: MIT */
/* The headers of kernels and programs that go into images, and what is compressed in them. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/kernel_file.h"
#include "image/static_elf.h"
#include "image/unpack.h"
#include "image/vmlinux.h"

enum { UNPACKED_MAX = 256 * 1024 };

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

static struct archive *open_compressed(const uint8_t *data, size_t size)
{
	struct archive *a = archive_read_new();

	unpack_support_filters(a);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	archive_read_open_memory(a, data, size);
	return a;
}

/* However little it is that says so, never more than the limit is written. */
static void try_unpack(const uint8_t *data, size_t size, uint64_t limit)
{
	cleanup_archive struct archive *a = open_compressed(data, size);
	cleanup_close int fd = memfd_create("unpacked", MFD_CLOEXEC);
	cleanup_error struct error *err = NULL;
	struct archive_entry *entry;
	uint64_t n = 0;
	off_t written;
	int r;

	if (archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return;
	r = unpack_to_fd(a, fd, limit, &n, &err);
	written = lseek(fd, 0, SEEK_CUR);
	if (written < 0 || (uint64_t)written > limit || (r < 0) != (err != NULL))
		abort();
	if (r == 0 && (uint64_t)written != n)
		abort();
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
	} else {
		try_unpack(data + payload.offset, payload.length,
			   payload.size < UNPACKED_MAX ? payload.size : UNPACKED_MAX);
	}
	try_unpack(data, size, UNPACKED_MAX);
	if (elf_check_static(data, size, &program) < 0 && (!program || program->code != ERR_INVALID))
		abort();
	return fuzz_kernel(data, size);
}
