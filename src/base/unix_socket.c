/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

/* Another process may come and go between our steps; after this many rounds it is no accident. */
#define BIND_ATTEMPTS 8

static int open_socket(const char *path, struct sockaddr_un *addr, struct error **err)
{
	size_t n = strlen(path);
	int fd;

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (!n || n >= sizeof(addr->sun_path))
		return error_set(err, ERR_INVALID, "socket path \"%s\" must have 1 to %zu bytes", path,
				 sizeof(addr->sun_path) - 1);
	memcpy(addr->sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, errno, "cannot create a Unix socket");
	return fd;
}

static int try_connect(int fd, const struct sockaddr_un *addr)
{
	int r;

	do
		r = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	while (r < 0 && errno == EINTR);
	return r;
}

int fd_connect_unix(const char *path, struct error **err)
{
	struct sockaddr_un addr;
	cleanup_close int fd = open_socket(path, &addr, err);

	if (fd < 0)
		return -1;
	if (try_connect(fd, &addr) < 0) {
		int saved = errno;

		error_errno(err, saved, "cannot connect to %s", path);
		/* Nobody listens, or its queue is full: not there for now. sys_errno tells which.
		 */
		if (err && *err && (saved == ENOENT || saved == ECONNREFUSED || saved == EAGAIN))
			(*err)->code = ERR_UNAVAILABLE;
		return -1;
	}
	return TAKE_FD(fd);
}

/* Removes a socket that nobody answers on; fails when somebody does, or when it is no socket. */
static int clear_stale(const char *path, struct error **err)
{
	struct error *probe_err = NULL;
	cleanup_close int probe = -1;
	struct stat st;
	int reason;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot stat %s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERR_CONFLICT, "%s is there already and is not a socket", path);
	probe = fd_connect_unix(path, &probe_err);
	reason = probe < 0 ? probe_err->sys_errno : 0;
	error_free(&probe_err);
	if (reason == ENOENT)
		return 0;
	if (reason != ECONNREFUSED)
		return error_set(err, ERR_CONFLICT, "another process listens on %s already", path);
	return fs_unlink(path, err);
}

int fd_listen_unix(const char *path, mode_t mode, struct error **err)
{
	struct sockaddr_un addr;
	cleanup_close int fd = open_socket(path, &addr, err);
	int attempt = 0;

	if (fd < 0)
		return -1;
	/* bind(2) gives the path the mode of the socket's own inode, less the umask: set before,
	 * the path is at no time open to more than wanted. */
	if (fchmod(fd, mode) < 0)
		return error_errno(err, errno, "cannot set the mode of socket %s", path);
	while (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno != EADDRINUSE || ++attempt > BIND_ATTEMPTS)
			return error_errno(err, errno, "cannot create socket %s", path);
		if (clear_stale(path, err) < 0)
			return -1;
	}
	if (listen(fd, SOMAXCONN) < 0 || chmod(path, mode) < 0) {
		int saved = errno;

		unlink(path);
		return error_errno(err, saved, "cannot listen on %s", path);
	}
	return TAKE_FD(fd);
}
