/* SPDX-License-Identifier: MIT */
/* What runs for a request: a process in a session (and cgroup, where there is one) of its own, under a user's identity. */
#ifndef SLICER_AGENT_TASK_H
#define SLICER_AGENT_TASK_H

#include "io/loop.h"
#include "io/worker.h"
#include "agent/users.h"

enum { TASK_TABLE_SIZE = 4096, TASK_CTL_FD = 3 };

/* The running tasks' pids, in memory shared with the supervisor, which ends them when the server died. 0: free. */
struct task_table {
	pid_t pids[TASK_TABLE_SIZE];
};

struct task_spec {
	const struct user *user;
	uint32_t gid;	   /* instead of the user's; USERS_DEFAULT_ID: the user's */
	char *const *argv; /* argv[0] is looked up in env's PATH */
	char *const *env;
	const char *cwd;
	int fds[3];		/* stdin, stdout, stderr; -1: /dev/null; stay the caller's */
	bool tty;		/* fds[0] becomes the controlling terminal */
	int (*work)(void *arg); /* instead of argv: runs in the child, its result is the exit status */
	void *arg;
	int ctl_fd; /* becomes TASK_CTL_FD in the child; 0: none */
};

/* Where tasks are counted and their cgroups are. */
struct task_factory;
struct task_factory *task_factory_new(struct loop *loop, struct worker_pool *pool, struct task_table *table,
				      bool cgroups);
/* After the end of the pool. What was still beginning is told that it is cancelled. */
void task_factory_free(struct task_factory **f);
bool task_factory_is_busy(
	const struct task_factory *f); /* some task is beginning: the end of the pool may wait for it */

struct task;
/* What its owner does for a task. */
struct task_calls {
	/* In a thread, because files may be slow, or never come: works out what the task is and calls task_exec(). Touches nothing
	 * that the loop does. */
	int (*begin)(void *arg, struct task *t, struct error **err);
	/* On the loop, once: it runs; or the error (borrowed) says why not, and there is nothing to be done but task_free(). */
	void (*begun)(void *arg, const struct error *error);
	child_fn *exited; /* on the loop, once after begun() without an error; status as waitpid's */
};

struct task *task_start(struct task_factory *f, const struct task_calls *calls, void *arg);
/* For begin(). On failure of exec sys_errno tells why (ENOENT, EACCES...). */
int task_exec(struct task *t, const struct task_spec *spec, struct error **err);
bool task_is_beginning(const struct task *t); /* begun() is still to come: `arg` must stay. NULL-safe */
pid_t task_pid(const struct task *t);
void task_kill(struct task *t); /* SIGKILL to all that runs for it */
/* Does not kill at once: a process still running has 5 s to end by itself, and is reaped in the background. Not while it is
 * beginning. NULL-safe. */
void task_free(struct task **t);

/* SIGKILL to a process group and to every process of the session of that leader. */
void task_kill_session(pid_t leader);
/* For the supervisor: ends all of a dead server's tasks and empties the table. */
void task_table_kill(struct task_table *table);

#endif
