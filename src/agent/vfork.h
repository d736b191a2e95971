/* SPDX-License-Identifier: MIT */
/* A child that shares its parent's memory until it execs, as with vfork(2), and begins in a control
 * group, as with clone3(2): libc offers one or the other. No page table is copied, and no page
 * afterwards that parent and child write to. */
#ifndef SLICER_AGENT_VFORK_H
#define SLICER_AGENT_VFORK_H

#include <sys/types.h>

/* Runs fn(arg) in a child on a part of the calling thread's stack, and returns when it has execed or ended: until then the calling
 * thread stands still, and no other. fn must not return. What it allocates and does not free stays in the parent. The child's
 * signals are at their defaults, except those that are ignored. `cgroup` is a directory of cgroup2; -1: the parent's. -1 with errno:
 * ENOSYS where this kernel (before Linux 5.7), this machine or a sanitizer does not have it.
 *
 * To libc the child is still the thread that called: it must not use what reaches for the other threads (setuid(3) and its like; the
 * system calls do not). */
pid_t vfork_into(int cgroup, void (*fn)(void *arg), void *arg);

#endif
