/* SPDX-License-Identifier: MIT */
/* Processes. A process is identified by pid and start time (field 22 of /proc/PID/stat, clock ticks since boot), or by a
 * pidfd: pids are reused. */
#ifndef SLICER_BASE_PROC_H
#define SLICER_BASE_PROC_H

#include "base/error.h"

struct proc_fd {
	int from; /* an open fd of the caller; stays the caller's */
	int to;	  /* its number in the child */
};

/* What to start. All fields may be zero but argv. */
struct proc_spec {
	const char *exe;	   /* path; NULL: argv[0] looked up in PATH */
	char *const *argv;	   /* NULL-terminated */
	char *const *env;	   /* NULL: the caller's environment */
	const struct proc_fd *fds; /* what the child keeps; everything else but 0–2 is closed (close_range) */
	size_t nfds;		   /* 0, 1 and 2 not named here are /dev/null, except stderr: inherited */
	const char *cwd;
	bool new_session;     /* setsid */
	bool die_with_parent; /* PR_SET_PDEATHSIG SIGKILL: when the calling *thread* ends */
};

/* Starts a program; *ret_pidfd (may be NULL) is the caller's. Returns the pid, or -1 when exec itself failed too: the
 * error then names the program (ERR_NOT_FOUND when it is not there). */
pid_t proc_spawn(const struct proc_spec *spec, int *ret_pidfd, struct error **err);

struct proc_result {
	int status; /* as waitpid gives it */
	char *out;  /* stdout, NUL-terminated */
	size_t out_len;
	char *errout; /* stderr, at most its last 4 KiB */
};
void proc_result_clear(struct proc_result *r);
/* For worker threads only: runs to the end with `input` (may be NULL) as stdin. Kills and fails with ERR_TIMEOUT after
 * timeout_ms, with ERR_TOO_LARGE beyond out_limit bytes of stdout. Exit status other than 0 is ERR_IO with the last line
 * of stderr in the message; *ret (may be NULL) is filled then too, and empty after every other failure. The program runs in
 * its own session and dies with the calling thread. */
int proc_run(char *const *argv, const char *input, size_t out_limit, int64_t timeout_ms, struct proc_result *ret,
	     struct error **err);
/* The same with that environment; NULL: the caller's. */
int proc_run_env(char *const *argv, char *const *env, const char *input, size_t out_limit, int64_t timeout_ms,
		 struct proc_result *ret, struct error **err);
/* The same in full. */
struct proc_call {
	char *const *argv, *const *env; /* env NULL: the caller's */
	const char *input;		/* NULL: none */
	const struct proc_fd *fds;	/* what the program keeps besides 0–2; they stay the caller's */
	size_t nfds;
	size_t out_limit;
	int64_t timeout_ms;
};
int proc_call(const struct proc_call *call, struct proc_result *ret, struct error **err);

uint64_t proc_start_time(pid_t pid);			       /* 0: no such process */
bool proc_is_alive(pid_t pid, uint64_t start);		       /* same pid and start time, and not a zombie */
int proc_pidfd(pid_t pid, uint64_t start, struct error **err); /* ERR_NOT_FOUND when it is not that process any more */
char *proc_find_program(const char *name);		       /* in PATH, /usr/sbin and /sbin; NULL if absent */
char *host_boot_id(struct error **err);			       /* /proc/sys/kernel/random/boot_id */

#endif
