/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/str.h"

enum { LOCK_POLL_US = 5000 };

static int change_flags(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return -1;
	return fcntl(fd, set, on ? flags | flag : flags & ~flag);
}

int fd_set_nonblock(int fd, bool on, struct error **err)
{
	if (change_flags(fd, F_GETFL, F_SETFL, O_NONBLOCK, on) < 0)
		return error_errno(err, errno, "cannot set flags of fd %d", fd);
	return 0;
}

int fd_set_cloexec(int fd, bool on, struct error **err)
{
	if (change_flags(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on) < 0)
		return error_errno(err, errno, "cannot set flags of fd %d", fd);
	return 0;
}

int fd_lock(int fd, int how, int timeout_ms, struct error **err)
{
	struct deadline deadline = deadline_in(timeout_ms);

	while (flock(fd, how | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_errno(err, errno, "flock");
		if (deadline_over(&deadline))
			return error_set(err, ERR_TIMEOUT, "another process has held the lock for %d s",
					 timeout_ms / 1000);
		usleep(LOCK_POLL_US);
	}
	return 0;
}

int fd_write_all(int fd, const void *data, size_t n, struct error **err)
{
	const char *p = data;

	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return error_errno(err, errno, "cannot write");
		}
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int fd_read_all(int fd, size_t limit, char **ret, size_t *ret_len, struct error **err)
{
	cleanup_free char *data = mem_alloc(1);
	size_t used = 0, room = 0;

	for (;;) {
		ssize_t got;

		if (used == room) {
			/* One byte more than the limit tells "exactly full" from "too large". */
			room = room ? room * 2 : 4096;
			if (room > limit && limit < SIZE_MAX - 1)
				room = limit + 1;
			data = mem_realloc(data, room + 1);
		}
		got = read(fd, data + used, room - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "cannot read");
		if (got == 0)
			break;
		used += (size_t)got;
		if (used > limit)
			return error_set(err, ERR_TOO_LARGE, "larger than the limit of %zu bytes", limit);
	}
	data[used] = '\0';
	*ret = TAKE_PTR(data);
	if (ret_len)
		*ret_len = used;
	return 0;
}

/* F_SEAL_EXEC and such are left out: the guest agent runs on kernels that do not know them. */
static int seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

int fd_memfile(const char *name, const void *data, size_t n, bool sealed, struct error **err)
{
	cleanup_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return error_errno(err, errno, "cannot create memory file %s", name);
	if (fd_write_all(fd, data, n, err) < 0)
		return error_wrap(err, "memory file %s", name);
	if (lseek(fd, 0, SEEK_SET) < 0 || (sealed && seal(fd) < 0))
		return error_errno(err, errno, "cannot seal memory file %s", name);
	return TAKE_FD(fd);
}

int fd_guest_memory(const char *name, uint64_t size, struct error **err)
{
	cleanup_close int fd = -1;

	if (!size || size > INT64_MAX)
		return error_set(err, ERR_INVALID, "guest memory of %llu bytes is not possible",
				 (unsigned long long)size);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_errno(err, errno, "cannot create guest memory %s", name);
	if (ftruncate(fd, (off_t)size) < 0 || seal(fd) < 0)
		return error_errno(err, errno, "cannot size and seal guest memory %s", name);
	return TAKE_FD(fd);
}

int fd_socketpair(int ret[2], struct error **err)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(err, errno, "cannot create a socket pair");
	ret[0] = fds[0];
	ret[1] = fds[1];
	return 0;
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int fd_close_others(int *keep, size_t n)
{
	unsigned from = 3;

	qsort(keep, n, sizeof(*keep), compare_fds);
	for (size_t i = 0; i < n; i++) {
		unsigned fd = (unsigned)keep[i];

		if (fd > from && syscall(SYS_close_range, from, fd - 1, 0) < 0)
			return -1;
		if (fd >= from)
			from = fd + 1;
	}
	return (int)syscall(SYS_close_range, from, UINT_MAX, 0);
}

int fd_fill_stdio(struct error **err)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest that is free: this one. For reading only, so that nobody takes a lost output for a written one. */
		int opened = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (opened != fd)
			return error_errno(err, errno, "cannot open /dev/null in place of a standard file");
		if (fd_set_cloexec(fd, false, err) < 0)
			return -1;
	}
	return 0;
}

size_t fd_count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	if (!dir)
		return 0;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n - 1; /* without the directory itself */
}
