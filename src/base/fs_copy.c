/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fs_temp.h"
#include "base/str.h"

#define COPY_CHUNK ((size_t)256 * 1024)

static int write_at(int fd, const char *p, size_t n, off_t at)
{
	while (n) {
		ssize_t done = pwrite(fd, p, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		p += done;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

static int copy_range(int from, int to, off_t at, off_t end, char *chunk)
{
	while (at < end) {
		size_t want = end - at < (off_t)COPY_CHUNK ? (size_t)(end - at) : COPY_CHUNK;
		ssize_t got = pread(from, chunk, want, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break; /* the file shrank meanwhile */
		if (write_at(to, chunk, (size_t)got, at) < 0)
			return -1;
		at += got;
	}
	return 0;
}

/* Copies data only; holes stay holes. -1 with errno. */
static int copy_sparse(int from, int to, off_t size)
{
	cleanup_free char *chunk = mem_alloc(COPY_CHUNK);
	off_t at = 0;

	if (ftruncate(to, size) < 0)
		return -1;
	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return 0; /* only a hole is left */
		if (data < 0 && errno == EINVAL)
			return copy_range(from, to, at, size, chunk); /* a file system that cannot tell */
		if (data < 0)
			return -1;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -1;
		if (hole > size)
			hole = size;
		if (copy_range(from, to, data, hole, chunk) < 0)
			return -1;
		at = hole;
	}
	return 0;
}

int fs_copy_fd(int from, const char *to, mode_t mode, struct error **err)
{
	cleanup_fs_temp struct fs_temp t = FS_TEMP_EMPTY;
	struct stat st;

	if (fstat(from, &st) < 0)
		return error_errno(err, errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERR_INVALID, "it is not a regular file");
	if (fs_temp_open(&t, to, mode, err) < 0)
		return -1;
	if (ioctl(t.fd, FICLONE, from) < 0 && copy_sparse(from, t.fd, st.st_size) < 0)
		return error_errno(err, errno, "copy to %s", to);
	return fs_temp_commit(&t, to, err);
}

int fs_copy_file(const char *from, const char *to, mode_t mode, struct error **err)
{
	cleanup_close int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", from);
	return fs_copy_fd(fd, to, mode, err) < 0 ? error_wrap(err, "cannot copy %s", from) : 0;
}
