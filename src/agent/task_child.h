/* SPDX-License-Identifier: MIT */
/* The child's side of task_start, between fork and exec. */
#ifndef SLICER_AGENT_TASK_CHILD_H
#define SLICER_AGENT_TASK_CHILD_H

#include "agent/task.h"

/* What the child could not do, sent to its parent through the report pipe. */
struct task_failure {
	int number; /* errno */
	int step;
};

/* Never returns. `procs` is the cgroup's process list, or NULL. */
void task_child_run(const struct task_spec *spec, const char *procs, int report_fd) __attribute__((noreturn));
const char *task_failure_text(const struct task_failure *f, const struct task_spec *spec);
/* The program that `name` means with that environment; the caller's. NULL with errno set. */
char *task_find_program(const char *name, char *const *env);

#endif
