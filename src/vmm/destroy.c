/* SPDX-License-Identifier: MIT */
/* Ending what is left of a VM. The monitor is asked first, so that it writes its exit record. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/cgroup.h"
#include "vmm/launch_fds.h"

enum { DESTROY_ASK_MS = 3000, DESTROY_KILL_MS = 2000 };

/* The answer to `status`: who they are, also when the caller does not know. */
static void destroy_learn(const char *line, size_t n, struct vmm_process *ret)
{
	cleanup_json struct json_object *obj = js_parse(line, n, NULL);
	uint64_t monitor = 0, vmm = 0;

	if (!obj || !json_object_is_type(obj, json_type_object) ||
	    js_get_u64(obj, "monitor_pid", INT32_MAX, &monitor, NULL) < 0 ||
	    js_get_u64(obj, "monitor_start", INT64_MAX, &ret->monitor_start, NULL) < 0 ||
	    js_get_u64(obj, "vmm_pid", INT32_MAX, &vmm, NULL) < 0 ||
	    js_get_u64(obj, "vmm_start", INT64_MAX, &ret->vmm_start, NULL) < 0)
		return;
	ret->monitor_pid = (pid_t)monitor;
	ret->vmm_pid = (pid_t)vmm;
}

/* The monitor's end closes the connection. */
static void destroy_ask_monitor(const char *run_dir, struct vmm_process *ret)
{
	static const char ask[] = "{\"cmd\":\"status\"}\n{\"cmd\":\"kill\"}\n";
	cleanup_free char *path = fs_join(run_dir, "monitor.sock");
	cleanup_close int fd = fd_connect_unix(path, NULL);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t deadline = clock_ms() + DESTROY_ASK_MS, left;
	char buf[4096], *end;
	size_t have = 0;

	if (fd < 0 || send(fd, ask, strlen(ask), MSG_NOSIGNAL) < 0)
		return;
	while ((left = deadline - clock_ms()) > 0) {
		ssize_t n;

		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(fd, buf + have, sizeof(buf) - have);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return;
		have += n > 0 ? (size_t)n : 0;
		end = memchr(buf, '\n', have);
		if (end && !ret->monitor_pid)
			destroy_learn(buf, (size_t)(end - buf), ret);
		if (end || have == sizeof(buf))
			have = 0; /* what else it says is of no interest */
	}
}

static int destroy_process(pid_t pid, uint64_t start, const char *what, struct error **err)
{
	cleanup_error struct error *gone = NULL;
	cleanup_close int pidfd = proc_pidfd(pid, start, &gone);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0)
		return gone->code == ERR_NOT_FOUND ? 0 : error_move(err, &gone);
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return error_errno(err, errno, "cannot kill the %s (pid %d)", what, (int)pid);
	if (poll(&p, 1, DESTROY_KILL_MS) > 0)
		return 0;
	return error_set(err, ERR_TIMEOUT, "the %s (pid %d) does not end", what, (int)pid);
}

static int destroy_processes(const struct vmm_process *p, struct error **err)
{
	if (p->vmm_pid && destroy_process(p->vmm_pid, p->vmm_start, "VMM", err) < 0)
		return -1;
	return p->monitor_pid ? destroy_process(p->monitor_pid, p->monitor_start, "monitor", err)
			      : 0;
}

int vmm_destroy(const char *run_dir, const struct vmm_process *process, struct error **err)
{
	struct vmm_process found = {0};

	destroy_ask_monitor(run_dir, &found);
	if (destroy_processes(&found, err) < 0 || (process && destroy_processes(process, err) < 0) ||
	    cgroup_remove(run_dir, err) < 0)
		return -1;
	for (size_t i = 0; launch_sockets[i]; i++) {
		cleanup_free char *path = fs_join(run_dir, launch_sockets[i]);

		if (fs_unlink(path, err) < 0)
			return -1;
	}
	return 0;
}
