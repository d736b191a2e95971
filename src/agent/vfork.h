/* SPDX-License-Identifier: MIT */
/* A child that shares its parent's memory until it execs, as with vfork(2), and begins in a control
 * group, as with clone3(2): libc offers one or the other. No page table is copied, and no page
 * afterwards that parent and child write to. */
#ifndef SLICER_AGENT_VFORK_H
#define SLICER_AGENT_VFORK_H

#include <stddef.h>
#include <sys/types.h>

enum { VFORK_STACK = 128 * 1024 };

/* The stack that children use, with a page below it that cannot be touched. NULL: no memory. Its
 * owner's, for munmap() of VFORK_STACK bytes. One child at a time uses it: the parent stands still
 * meanwhile. */
void *vfork_stack_new(void);

/* Runs fn(arg) in a child on that stack, and returns when it has execed or ended. fn must not
 * return. What it allocates and does not free stays in the parent. The child's signals are at their
 * defaults, except those that are ignored. `cgroup` is a directory of cgroup2; -1: the parent's. -1
 * with errno: ENOSYS where this kernel (before Linux 5.7), this machine or a sanitizer does not
 * have it. The caller must have one thread. */
pid_t vfork_into(int cgroup, void *stack, void (*fn)(void *arg), void *arg);

#endif
