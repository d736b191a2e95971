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

enum {
	DESTROY_ASK_MS = 3000,
	DESTROY_KILL_MS = 20 * 1000, /* it gives its memory back: on a busy host a second for each GiB */
	DESTROY_CHILDREN_MAX = 16,
	DESTROY_PROC_MAX = 8192, /* bytes read of a file in /proc */
};

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

/* Reads its answers until it ends, which closes the connection. Returns whether it has ended. */
static bool destroy_listen(int fd, struct vmm_process *ret)
{
	struct deadline deadline = deadline_in(DESTROY_ASK_MS);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[4096], *end;
	size_t have = 0;

	while (deadline_poll(&deadline, &p, 1) > 0) {
		ssize_t n;

		n = read(fd, buf + have, sizeof(buf) - have);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		have += n > 0 ? (size_t)n : 0;
		end = memchr(buf, '\n', have);
		if (end && !ret->monitor_pid)
			destroy_learn(buf, (size_t)(end - buf), ret);
		if (end || have == sizeof(buf))
			have = 0; /* what else it says is of no interest */
	}
	return false;
}

/* The command line of a monitor: its program and the name of its VM, which the run directory has. */
static bool destroy_is_monitor(pid_t pid, const char *run_dir)
{
	cleanup_free char *path = str_fmt("/proc/%d/cmdline", (int)pid), *text = NULL;
	cleanup_free char *vm = fs_basename(run_dir), *program = NULL;
	size_t n, first;

	if (fs_read_file(path, DESTROY_PROC_MAX, &text, &n, NULL) < 0)
		return false;
	first = strlen(text) + 1;
	program = fs_basename(text);
	return str_eq(program, "slicer-monitor") && first < n && str_eq(text + first, vm);
}

/* Who it is that takes connections and does not answer. The kernel tells who called listen(2) last,
 * which a monitor does when it begins; one of a version that did not is told from others by its
 * command line. As long as the connection stands, that process has not ended: its pid was not reused
 * meanwhile. */
static void destroy_identify(int fd, const char *run_dir, struct vmm_process *ret)
{
	struct ucred peer = {0};
	socklen_t n = sizeof(peer);
	struct pollfd p = {.fd = fd};
	uint64_t start;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || peer.pid <= 0)
		return;
	start = proc_start_time(peer.pid);
	if (!start || !destroy_is_monitor(peer.pid, run_dir) || poll(&p, 1, 0) != 0)
		return;
	ret->monitor_pid = peer.pid;
	ret->monitor_start = start;
}

/* 0: it has ended, or *ret says who it is. `known`: the caller knows its pid anyway. */
static int destroy_ask_monitor(const char *run_dir, bool known, struct vmm_process *ret, struct error **err)
{
	static const char ask[] = "{\"cmd\":\"status\"}\n{\"cmd\":\"kill\"}\n";
	cleanup_free char *path = fs_join(run_dir, "monitor.sock");
	cleanup_error struct error *why = NULL;
	cleanup_close int fd = fd_connect_unix(path, &why);

	if (fd < 0 && (why->sys_errno == ENOENT || why->sys_errno == ECONNREFUSED || known))
		return 0;
	if (fd < 0)
		return error_move(err, &why);
	if (send(fd, ask, strlen(ask), MSG_NOSIGNAL) < 0 || destroy_listen(fd, ret))
		return 0;
	if (!ret->monitor_pid)
		destroy_identify(fd, run_dir, ret);
	if (ret->monitor_pid || known)
		return 0;
	return error_set(err, ERR_TIMEOUT, "somebody listens on %s and does not answer; end that process (fuser %s)",
			 path, path);
}

static int destroy_process(pid_t pid, uint64_t start, const char *what, struct error **err)
{
	cleanup_error struct error *gone = NULL;
	cleanup_close int pidfd = proc_pidfd(pid, start, &gone);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	struct deadline deadline = deadline_in(DESTROY_KILL_MS);

	if (pidfd < 0)
		return gone->code == ERR_NOT_FOUND ? 0 : error_move(err, &gone);
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return error_errno(err, errno, "cannot kill the %s (pid %d)", what, (int)pid);
	if (deadline_poll(&deadline, &p, 1) > 0)
		return 0;
	return error_set(
		err, ERR_TIMEOUT,
		"the %s (pid %d) does not end: it was killed, but waits for something that cannot be interrupted, such as a "
		"disk that does not answer; when that is over it ends by itself",
		what, (int)pid);
}

/* What a monitor has started, when only itself is known. */
struct children {
	int fds[DESTROY_CHILDREN_MAX];
	size_t n;
};

static void children_kill(pid_t monitor, struct children *ret)
{
	cleanup_free char *path = str_fmt("/proc/%d/task/%d/children", (int)monitor, (int)monitor);
	cleanup_free char *text = NULL;
	cleanup_strv char **pids = NULL;
	uint64_t pid;

	if (fs_read_file(path, DESTROY_PROC_MAX, &text, NULL, NULL) < 0)
		return; /* of a kernel that does not tell: they die with it */
	pids = strv_split(str_trim(text), ' ');
	for (char **p = pids; *p && ret->n < DESTROY_CHILDREN_MAX; p++) {
		int fd = str_to_u64(*p, 2, INT32_MAX, "pid", &pid, NULL) < 0
				 ? -1
				 : proc_pidfd((pid_t)pid, proc_start_time((pid_t)pid), NULL);

		if (fd < 0)
			continue;
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
		ret->fds[ret->n++] = fd;
	}
}

static int children_wait(struct children *c, struct error **err)
{
	struct deadline deadline = deadline_in(DESTROY_KILL_MS);
	bool left = false;

	for (size_t i = 0; i < c->n; i++) {
		struct pollfd p = {.fd = c->fds[i], .events = POLLIN};

		left = deadline_poll(&deadline, &p, 1) <= 0 || left;
		close(c->fds[i]);
	}
	return left ? error_set(err, ERR_TIMEOUT, "what a monitor has started does not end") : 0;
}

/* The VMM first: its monitor, when it is well, sees the end and writes the record of it. When it is not, its children can only
 * be waited for after its own end: a pid namespace ends when all in it are reaped. */
static int destroy_processes(const struct vmm_process *p, struct error **err)
{
	struct children c = {0};
	int rc;

	if (p->vmm_pid && destroy_process(p->vmm_pid, p->vmm_start, "VMM", err) < 0)
		return -1;
	if (!p->monitor_pid)
		return 0;
	if (!p->vmm_pid && proc_is_alive(p->monitor_pid, p->monitor_start))
		children_kill(p->monitor_pid, &c);
	rc = destroy_process(p->monitor_pid, p->monitor_start, "monitor", err);
	return children_wait(&c, rc < 0 ? NULL : err) < 0 ? -1 : rc;
}

int vmm_destroy(const char *run_dir, const struct vmm_process *process, struct error **err)
{
	struct vmm_process found = {0};

	if (destroy_ask_monitor(run_dir, process, &found, err) < 0 || destroy_processes(&found, err) < 0 ||
	    (process && destroy_processes(process, err) < 0) || cgroup_remove(run_dir, err) < 0)
		return -1;
	for (size_t i = 0; launch_sockets[i]; i++) {
		cleanup_free char *path = fs_join(run_dir, launch_sockets[i]);

		if (fs_unlink(path, err) < 0)
			return -1;
	}
	return 0;
}
