/* SPDX-License-Identifier: MIT */
#include "image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

#define CHUNK (128 * 1024)

int unpack_error(struct archive *a, struct error **err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cleanup_free char *what = str_vfmt(fmt, ap);
	va_end(ap);
	if (archive_errno(a) == ENOSPC)
		return error_errno(err, ENOSPC, "%s", what);
	const char *reason = archive_error_string(a);
	return error_set(err, ERR_IO, "%s: %s", what, reason ? reason : "unknown reason");
}

void unpack_closep(struct archive **a)
{
	if (*a)
		archive_free(*a);
	*a = NULL;
}

int unpack_to_fd(struct archive *a, int fd, uint64_t limit, uint64_t *ret_size, struct error **err)
{
	cleanup_free char *chunk = mem_alloc(CHUNK);
	uint64_t size = 0;

	for (;;) {
		la_ssize_t n = archive_read_data(a, chunk, CHUNK);
		if (n < 0)
			return unpack_error(a, err, "unpack");
		if (n == 0)
			break;
		size += (uint64_t)n;
		if (size > limit)
			return error_set(err, ERR_TOO_LARGE, "unpacked it is larger than %llu bytes",
					 (unsigned long long)limit);
		if (fd_write_all(fd, chunk, (size_t)n, err) < 0)
			return -1;
	}
	if (ret_size)
		*ret_size = size;
	return 0;
}

static int create_file(const char *path, struct error **err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 ? error_errno(err, errno, "create %s", path) : fd;
}

int unpack_to_file(struct archive *a, const char *path, uint64_t limit, struct error **err)
{
	cleanup_free char *dir = fs_dirname(path);

	if (fs_mkdir_p(dir, 0755, err) < 0)
		return -1;
	cleanup_close int fd = create_file(path, err);
	if (fd < 0)
		return -1;
	if (unpack_to_fd(a, fd, limit, NULL, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

static struct archive *new_raw_reader(void)
{
	struct archive *a = archive_read_new();

	archive_read_support_filter_all(a);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	return a;
}

static int unpack_raw(struct archive *a, int fd, uint64_t limit, uint64_t *ret_size, struct error **err)
{
	struct archive_entry *entry;

	if (archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return unpack_error(a, err, "decompress");
	return unpack_to_fd(a, fd, limit, ret_size, err);
}

int unpack_data(const void *data, size_t n, int fd, uint64_t limit, uint64_t *ret_size, struct error **err)
{
	cleanup_archive struct archive *a = new_raw_reader();

	if (archive_read_open_memory(a, data, n) != ARCHIVE_OK)
		return unpack_error(a, err, "decompress");
	return unpack_raw(a, fd, limit, ret_size, err);
}

int unpack_compressed_file(const char *from, const char *to, uint64_t limit, struct error **err)
{
	cleanup_archive struct archive *a = new_raw_reader();
	cleanup_close int fd = create_file(to, err);

	if (fd < 0)
		return -1;
	if (archive_read_open_filename(a, from, CHUNK) != ARCHIVE_OK)
		return unpack_error(a, err, "open %s", from);
	if (unpack_raw(a, fd, limit, NULL, err) < 0)
		return error_wrap(err, "%s", from);
	return 0;
}
