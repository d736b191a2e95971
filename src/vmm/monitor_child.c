/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/jail.h"
#include "vmm/monitor_child.h"
#include "vmm/monitor_kvm.h"

#define ROOT_STEP "its root directory"

/* What the child says through the pipe when it cannot start the program. */
struct child_failure {
	int errnum;
	char step[32];
};

static void child_fail(int report, const char *step)
{
	struct child_failure f = {.errnum = errno};

	snprintf(f.step, sizeof(f.step), "%s", step);
	if (write(report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

static void child_set_fds(const struct monitor_program *p, int message_fd, int report)
{
	int keep[MONITOR_FDS_MAX + 1];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(message_fd, 1) < 0 || dup2(message_fd, 2) < 0)
		child_fail(report, "standard streams");
	memcpy(keep, p->fds, p->nfds * sizeof(keep[0]));
	keep[p->nfds] = report;
	fd_close_others(keep, p->nfds + 1);
	for (size_t i = 0; i < p->nfds; i++) {
		if (fcntl(p->fds[i], F_SETFD, 0) < 0)
			child_fail(report, "its open files");
	}
}

/* The bounding set must go while CAP_SETPCAP is there; the rest goes with the uid, and explicitly
 * should the uid stay 0. */
static void child_drop_rights(const struct monitor_program *p, const gid_t *groups, size_t ngroups, int report)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (getuid() == 0) {
		for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
			;
		if (setgroups(ngroups, groups) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
		    setresuid(p->uid, p->uid, p->uid) < 0)
			child_fail(report, "changing its user");
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &head, none) < 0)
		child_fail(report, "dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(report, "no_new_privs");
}

static void child_set_limits(int report)
{
	const struct rlimit no_core = {0, 0};
	sigset_t none;

	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
		child_fail(report, "limits");
	umask(077);
}

static void child_enter_jail(const struct monitor_program *p, bool own_kvm, int report)
{
	if (jail_namespaces(&p->jail) < 0)
		child_fail(report, "its namespaces");
	if (getuid() != 0 && jail_shut_files(p->fds, p->nfds) < 0)
		child_fail(report, "its read-only files");
	if (jail_root(&p->jail, p->argv[0], p->uid, own_kvm) < 0)
		child_fail(report, ROOT_STEP);
	if (jail_limits(&p->jail) < 0)
		child_fail(report, "limits");
}

static void child_run(const struct monitor_program *p, int message_fd, int report, pid_t parent)
{
	char *const no_env[] = {NULL};
	gid_t groups[MONITOR_GROUPS_MAX + 1];
	size_t ngroups = p->ngroups;
	bool own_kvm = false;
	int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* The monitor's own score must not protect the VMM. */
	if (oom >= 0 && write(oom, "0", 1) < 0)
		child_fail(report, "its OOM score");
	memcpy(groups, p->groups, ngroups * sizeof(groups[0]));
	if (p->kvm && getuid() == 0 && monitor_kvm_allow(p->uid, groups, &ngroups, p->jailed ? &own_kvm : NULL) < 0)
		child_fail(report, "access to /dev/kvm");
	child_set_limits(report);
	child_set_fds(p, message_fd, report);
	if (p->jailed)
		child_enter_jail(p, own_kvm, report);
	if (!p->privileged)
		child_drop_rights(p, groups, ngroups, report);
	/* After the change of user, which clears it. The parent may have died before. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		child_fail(report, "binding to its monitor");
	/* In a pid namespace the parent has no pid; there the keeper's end does it. */
	if (!p->jailed && getppid() != parent)
		_exit(127);
	if (p->jailed && jail_deny_syscalls(&p->jail) < 0)
		child_fail(report, "its system call filter");
	execve(p->argv[0], p->argv, p->env ? p->env : no_env);
	child_fail(report, "execve");
}

static int child_await_exec(int report, const char *program, struct error **err)
{
	struct child_failure f;
	ssize_t n;

	do
		n = read(report, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof(f))
		return error_set(err, ERR_INTERNAL, "%s did not start", program);
	f.step[sizeof(f.step) - 1] = '\0';
	if (f.errnum == ENOSYS && str_eq(f.step, ROOT_STEP))
		return error_set(err, ERR_UNSUPPORTED,
				 "cannot start %s: " ROOT_STEP
				 " needs mount_setattr(2), which Linux has from 5.12 on; a "
				 "container's filter of system calls may hide it",
				 program);
	return error_errno(err, f.errnum, "cannot start %s: %s", program, f.step);
}

/* Into its pid namespace, when there is one. */
static pid_t child_fork(struct jail_keeper *k, struct error **err)
{
	pid_t pid;

	if (k->pid > 0)
		return jail_keeper_fork(k, err);
	pid = fork();
	return pid < 0 ? error_errno(err, errno, "fork") : pid;
}

static pid_t child_start(const struct monitor_program *p, int message_fd, struct jail_keeper *k, struct error **err)
{
	pid_t pid, parent = getpid();
	int report[2];
	cleanup_close int theirs = -1, ours = -1;

	if (pipe2(report, O_CLOEXEC) < 0)
		return error_errno(err, errno, "pipe");
	ours = report[0];
	theirs = report[1];
	pid = child_fork(k, err);
	if (pid < 0)
		return -1;
	if (pid == 0)
		child_run(p, message_fd, theirs, parent);
	fd_closep(&theirs);
	return child_await_exec(ours, p->argv[0], err) < 0 ? -1 : pid;
}

pid_t monitor_child_start(const struct monitor_program *p, int message_fd, struct jail_keeper *ret_keeper,
			  struct error **err)
{
	pid_t pid;

	*ret_keeper = (struct jail_keeper)JAIL_NO_KEEPER;
	if (p->jailed && jail_keeper_start(ret_keeper, err) < 0)
		return error_wrap(err, "cannot start %s", p->argv[0]);
	pid = child_start(p, message_fd, ret_keeper, err);
	if (pid < 0)
		jail_keeper_end(ret_keeper);
	return pid;
}
