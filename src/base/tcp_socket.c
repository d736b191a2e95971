/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

int fd_listen_tcp(const struct sockaddr_in *addr, struct error **err)
{
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[INET_ADDRSTRLEN];
	int on = 1;

	inet_ntop(AF_INET, &addr->sin_addr, text, sizeof(text));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return error_errno(err, errno, "make a socket");
	if (!bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) && !listen(fd, SOMAXCONN))
		return TAKE_FD(fd);
	error_errno(err, errno, "cannot listen on %s:%u", text, ntohs(addr->sin_port));
	if (err && (*err)->sys_errno == EADDRINUSE)
		(*err)->code = ERR_CONFLICT;
	return -1;
}
