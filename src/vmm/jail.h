/* SPDX-License-Identifier: MIT */
/* The jail of a program that a monitor starts: one module per concern.
 *
 *   monitor:  jail_user_namespace()                    once, when it is not root
 *             jail_keeper_start()                      a pid namespace with a process 1 that only waits
 *             jail_keeper_fork()
 *   child:    jail_namespaces()                        mount, ipc, uts, cgroup and mostly network
 *             jail_shut_files()                        without root: files for reading cannot be written to either
 *             jail_root()                              a root directory with only what its specification names
 *             jail_limits()
 *             …changes its user, drops its capabilities…
 *             jail_deny_syscalls()
 *             execve()
 *
 * What runs in the child returns 0, or -1 with errno: an error object would need memory that nobody frees. The order above is
 * binding: each step takes away what the one before needs. */
#ifndef SLICER_VMM_JAIL_H
#define SLICER_VMM_JAIL_H

#include <sys/types.h>
#include "vmm/jail_spec.h"

/* jail_user.c: without root, the calling process enters a user namespace in which it may make the others; its user and groups
 * are what they were. ERR_UNSUPPORTED says what this host lacks. */
int jail_user_namespace(struct error **err);

/* jail_keeper.c: process 1 of a pid namespace ignores every signal that it does not handle, an abort() of its own included: a
 * VMM in its place would not end as its exit record must tell. So one that can only wait is process 1, and the program is
 * process 2, but a child of the monitor, which learns of its end at first hand. */
struct jail_keeper {
	pid_t pid; /* a child of the caller's; 0: none */
	int alive; /* closed, also by the end of the caller: the keeper ends, and all that is in its namespace */
	int namespace;
};
#define JAIL_NO_KEEPER                                                                                                 \
	{                                                                                                              \
		.alive = -1, .namespace = -1                                                                           \
	}
int jail_keeper_start(struct jail_keeper *k, struct error **err);
/* fork(2), but the child, the caller's as ever, is in the keeper's namespace. Once. */
pid_t jail_keeper_fork(struct jail_keeper *k, struct error **err);
/* Ends it, with all that is left in its namespace. Its pid is to be reaped, with SIGCHLD as for any other child. */
void jail_keeper_end(struct jail_keeper *k);

int jail_namespaces(const struct jail_spec *s);

/* jail_files.c, after jail_namespaces(): regular files among the fds that are open for reading only cannot be opened anew for writing
 * by them any more. ESTALE: there is another file now at the path where one was. */
int jail_shut_files(const int *fds, size_t n);

/* jail_root.c. `program` is shown besides what the specification names; `uid` gets /dev/kvm as its own when `own_kvm`. */
int jail_root(const struct jail_spec *s, const char *program, uid_t uid, bool own_kvm);

/* jail_limits.c: of open files, file size, threads, locked memory. */
int jail_limits(const struct jail_spec *s);

/* jail_seccomp.c. The first is for every program, before its execve: what none of them needs. The second is for a program that
 * only moves bytes between open sockets: everything else ends it. Both need no_new_privs. */
int jail_deny_syscalls(const struct jail_spec *s);
int jail_only_move_bytes(void);

#endif
