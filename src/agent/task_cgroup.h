/* SPDX-License-Identifier: MIT */
/* Control groups of tasks, /sys/fs/cgroup/slicer/task-PID-N: what a task starts is in one and ends with it. A group that a task left
 * empty is given to the next one: the kernel takes longer to make one and to free it than to start a process. For all threads. */
#ifndef SLICER_AGENT_TASK_CGROUP_H
#define SLICER_AGENT_TASK_CGROUP_H

#include <stdbool.h>

struct cgroup_pool;
struct cgroup_pool *cgroup_pool_new(void);
void cgroup_pool_free(struct cgroup_pool **pool); /* removes the groups that are not in use; NULL-safe */

struct task_cgroup;
/* One that nobody is in, the caller's until cgroup_release(). NULL: this guest has no cgroup2, or it takes no more groups. It is
 * looked for each time, since the guest's init may mount it long after the agent started. */
struct task_cgroup *cgroup_take(struct cgroup_pool *pool);
/* Another, made anew, for one that turned out to take no process; NULL as above. */
void cgroup_replace(struct cgroup_pool *pool, struct task_cgroup **cgroup);
/* Back to the pool, or removed; one with survivors is removed once they are gone. NULL-safe. */
void cgroup_release(struct cgroup_pool *pool, struct task_cgroup **cgroup);

int cgroup_dir(const struct task_cgroup *cgroup);     /* a descriptor for CLONE_INTO_CGROUP; stays the group's */
char *cgroup_procs(const struct task_cgroup *cgroup); /* the path of its list of processes; the caller's */
bool cgroup_kill(struct task_cgroup *cgroup);	      /* SIGKILL to all in it; false: the kernel (before 5.14) cannot */

#endif
