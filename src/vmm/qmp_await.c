/* SPDX-License-Identifier: MIT */
/* Is QEMU through with its start? For worker threads. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/qmp.h"
#include "vmm/qmp_message.h"

#define ENDED "it ended while starting"

enum { QMP_AWAIT_MAX = 16 * 1024 };

/* One read before the deadline; 0 at the end of the connection. */
static ssize_t qmp_read_until(int fd, char *buf, size_t n, struct deadline *deadline, struct error **err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		ssize_t got;

		if (deadline_poll(deadline, &p, 1) <= 0)
			return error_set(err, ERR_TIMEOUT, "its control channel did not answer in time");
		got = read(fd, buf, n);
		if (got >= 0)
			return got;
		if (errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return error_errno(err, errno, "reading its control channel");
	}
}

/* Replies and events until `replies` commands have been answered, a line at a time. */
static int qmp_read_replies(int fd, int replies, struct deadline *deadline, struct error **err)
{
	char buf[QMP_AWAIT_MAX];
	size_t have = 0;

	while (replies) {
		char *end = memchr(buf, '\n', have);
		struct qmp_message m;
		ssize_t n;

		if (end) {
			if (qmp_message_parse(buf, (size_t)(end - buf), &m, err) < 0)
				return -1;
			replies -= m.kind == QMP_GREETING || m.kind == QMP_RETURN;
			if (m.kind == QMP_ERROR)
				error_set(err, ERR_PROTOCOL, "it refused QMP: %s", m.text);
			n = m.kind == QMP_ERROR ? -1 : 0;
			qmp_message_clear(&m);
			if (n < 0)
				return -1;
			have -= (size_t)(end + 1 - buf);
			memmove(buf, end + 1, have);
			continue;
		}
		if (have == sizeof(buf))
			return error_set(err, ERR_PROTOCOL, "it did not greet");
		n = qmp_read_until(fd, buf + have, sizeof(buf) - have, deadline, err);
		if (n < 0)
			return -1;
		if (n == 0)
			return error_set(err, ERR_IO, ENDED);
		have += (size_t)n;
	}
	return 0;
}

/* The greeting proves nothing: a thread of its own sends it before the machine is made. Commands
 * are answered after that. */
int qmp_await_up(const char *run_dir, struct deadline *deadline, struct error **err)
{
	static const char ask[] = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n";
	cleanup_free char *path = fs_join(run_dir, "qmp.sock");
	cleanup_error struct error *why = NULL;
	cleanup_close int fd = fd_connect_unix(path, &why);

	/* It was listened on before the VMM began: who refuses is gone. */
	if (fd < 0 && why->sys_errno == ECONNREFUSED)
		return error_set(err, ERR_IO, ENDED);
	if (fd < 0)
		return error_move(err, &why);
	/* A VMM that is gone already is found out by reading. */
	if (send(fd, ask, strlen(ask), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		return error_errno(err, errno, "its control channel");
	return qmp_read_replies(fd, 3, deadline, err);
}
