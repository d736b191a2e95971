/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/jail.h"

/* It has one socket, to the monitor, and nothing else. Strict seccomp (seccomp(2)) leaves it read(2), write(2) and _exit(2); it is
 * refused where a filter is in force already, a container's or a service's: then there is one of ours on top. What is orphaned in
 * its namespace is reaped by the kernel, since it ignores SIGCHLD. It is in the monitor's other namespaces: who is not its equal
 * must not get there by /proc/1/root, and without root a VMM would be its equal, were it not undumpable (ptrace(2), access mode
 * checks). */
static void keeper_main(int monitor)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	char c = 0;

	signal(SIGCHLD, SIG_IGN);
	if (dup2(monitor, 0) < 0 || syscall(SYS_close_range, 1U, UINT_MAX, 0) < 0)
		syscall(SYS_exit, 1);
	prctl(PR_SET_NAME, "jail-keeper");
	if (syscall(SYS_read, 0, &c, 1) != 1 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &head, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) < 0 && jail_only_move_bytes() < 0) ||
	    syscall(SYS_write, 0, &c, 1) != 1)
		syscall(SYS_exit, 1);
	while (syscall(SYS_read, 0, &c, 1) < 0)
		;
	syscall(SYS_exit, 0);
}

static int keeper_clone(struct jail_keeper *k, struct error **err)
{
	cleanup_close int theirs = -1;
	int pair[2];
	long pid;

	if (fd_socketpair(pair, err) < 0)
		return -1;
	k->alive = pair[0];
	theirs = pair[1];
	pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		keeper_main(theirs);
	if (pid < 0)
		return error_errno(err, errno, "a pid namespace");
	k->pid = (pid_t)pid;
	return 0;
}

/* Its namespace can only be opened before it locks itself in, and nothing may be started in there before it has. */
static int keeper_lock_in(struct jail_keeper *k, struct error **err)
{
	cleanup_free char *path = str_fmt("/proc/%d/ns/pid", (int)k->pid);
	char c = 0;

	k->namespace = open(path, O_RDONLY | O_CLOEXEC);
	if (k->namespace < 0)
		return error_errno(err, errno, "%s", path);
	if (send(k->alive, &c, 1, MSG_NOSIGNAL) != 1 || read(k->alive, &c, 1) != 1)
		return error_set(err, ERR_INTERNAL, "process 1 of the pid namespace did not start");
	return 0;
}

int jail_keeper_start(struct jail_keeper *k, struct error **err)
{
	*k = (struct jail_keeper)JAIL_NO_KEEPER;
	if (keeper_clone(k, err) == 0 && keeper_lock_in(k, err) == 0)
		return 0;
	jail_keeper_end(k);
	return -1;
}

/* Its child has its parent, the monitor, for a parent; its own work is done then. */
static pid_t between(const struct jail_keeper *k, int answer)
{
	long pid = -1;
	int said;

	if (setns(k->namespace, CLONE_NEWPID) == 0)
		pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		return 0;
	said = pid < 0 ? -errno : (int)pid;
	_exit(write(answer, &said, sizeof(said)) == sizeof(said) ? 0 : 1);
}

/* The caller does not enter the namespace itself: from a user namespace there is no way back. */
pid_t jail_keeper_fork(struct jail_keeper *k, struct error **err)
{
	cleanup_close int ours = -1, theirs = -1;
	int fds[2], said = -EIO;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, errno, "pipe");
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid < 0)
		return error_errno(err, errno, "fork");
	if (pid == 0)
		return between(k, theirs);
	fd_closep(&theirs);
	if (read(ours, &said, sizeof(said)) != sizeof(said))
		said = -EIO;
	waitpid(pid, NULL, 0);
	fd_closep(&k->namespace);
	return said < 0 ? error_errno(err, -said, "starting in a pid namespace") : said;
}

void jail_keeper_end(struct jail_keeper *k)
{
	fd_closep(&k->alive);
	fd_closep(&k->namespace);
}
