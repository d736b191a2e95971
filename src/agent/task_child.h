/* SPDX-License-Identifier: MIT */
/* The child's side of task_start, between fork and exec. */
#ifndef SLICER_AGENT_TASK_CHILD_H
#define SLICER_AGENT_TASK_CHILD_H

#include <signal.h>
#include "agent/task.h"

/* What the child could not do, for its parent. */
struct task_failure {
	int number; /* errno */
	int step;
};

/* All that the child needs. When it shares its parent's memory, what it leaves here is the parent's; else it dies with it. */
struct task_start {
	const struct task_spec *spec;
	const char *procs;	     /* the cgroup's process list, which the child is to enter; NULL: none */
	const sigset_t *ignored;     /* signals that are ignored; NULL: not known, and others may have handlers */
	int report;		     /* pipe that takes the failure; -1: memory is shared */
	struct task_failure failure; /* number 0: none */
	char *program, **script;
};

void task_child_run(void *start) __attribute__((noreturn)); /* struct task_start */
void task_start_clear(struct task_start *s);
const char *task_failure_text(const struct task_failure *f, const struct task_spec *spec);
/* The program that `name` means with that environment; the caller's. NULL with errno set. */
char *task_find_program(const char *name, char *const *env);

#endif
