/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/str.h"
#include "agent/cp.h"
#include "agent/task.h"

void cp_send_reply(const struct cp_reply *reply)
{
	while (send(TASK_CTL_FD, reply, sizeof(*reply), MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

bool cp_committed(void)
{
	char word = 0;

	while (recv(TASK_CTL_FD, &word, 1, 0) < 0 && errno == EINTR)
		;
	return word == CP_COMMIT;
}

int cp_worker(void *request)
{
	const struct cp_request *r = request;
	cleanup_error struct error *error = NULL;
	struct cp_reply reply = {0};

	prctl(PR_SET_NAME, "slicer-cp");
	/* A parent that is gone shows as EPIPE, so that a temporary file is removed. */
	signal(SIGPIPE, SIG_IGN);
	if ((r->upload ? cp_put(r, &error) : cp_get(r, &error)) == 0) {
		if (r->upload)
			cp_send_reply(&reply);
		return 0;
	}
	reply.code = error->code;
	reply.sys_errno = error->sys_errno;
	snprintf(reply.message, sizeof(reply.message), "%s", error_message(error));
	cp_send_reply(&reply);
	return 1;
}
