/* SPDX-License-Identifier: MIT */
#include "image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/child.h"

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

/* Some of libarchive's filters run a program (lrzip, lzop, grzip), so that its "all" are too many. */
void unpack_support_filters(struct archive *a)
{
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_lzma(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_lz4(a);
}

struct unpacking {
	const void *data; /* NULL: from is a file */
	size_t n;
	int from, to; /* fds */
	uint64_t limit;
};

/* In the child. */
static int unpack_raw(void *arg, struct json_object *ret, struct error **err)
{
	const struct unpacking *u = arg;
	cleanup_archive struct archive *a = archive_read_new();
	struct archive_entry *entry;
	uint64_t size = 0;

	unpack_support_filters(a);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	int r = u->data ? archive_read_open_memory(a, u->data, u->n) : archive_read_open_fd(a, u->from, CHUNK);
	if (r != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return unpack_error(a, err, "decompress");
	if (unpack_to_fd(a, u->to, u->limit, &size, err) < 0)
		return -1;
	js_add_u64(ret, "size", size);
	return 0;
}

static int run_unpacking(struct unpacking *u, uint64_t *ret_size, struct error **err)
{
	const int fds[] = {u->to, u->from};
	cleanup_json struct json_object *said = NULL;

	if (child_run(unpack_raw, u, fds, u->data ? 1 : 2, &said, err) < 0)
		return -1;
	return js_get_u64(said, "size", u->limit, ret_size, err);
}

int unpack_data(const void *data, size_t n, int fd, uint64_t limit, uint64_t *ret_size, struct error **err)
{
	struct unpacking u = {.data = data, .n = n, .from = -1, .to = fd, .limit = limit};

	return run_unpacking(&u, ret_size, err);
}

int unpack_compressed_file(const char *from, const char *to, uint64_t limit, uint64_t *ret_size, struct error **err)
{
	cleanup_close int in = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	cleanup_close int out = create_file(to, err);
	struct unpacking u = {.from = in, .to = out, .limit = limit};

	if (out < 0)
		return -1;
	if (in < 0)
		return error_errno(err, errno, "open %s", from);
	if (run_unpacking(&u, ret_size, err) < 0)
		return error_wrap(err, "%s", from);
	return 0;
}
