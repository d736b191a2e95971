/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>
#include "agent/vfork.h"

enum { CHILD_STACK = 128 * 1024 }; /* of the 8 MiB that a thread has */

/* A sanitizer keeps accounts of stacks, and knows nothing of this one. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)

/* In assembly, since the child must not return into a frame of its parent. The kernel leaves it all
 * registers but rax and rsp. */
static long clone3_call(struct clone_args *args, void (*fn)(void *), void *arg)
{
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %[arg], %%rdi\n\t"
			 "call *%[fn]\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)), [fn] "r"(fn), [arg] "r"(arg)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}

pid_t vfork_into(int cgroup, void (*fn)(void *arg), void *arg)
{
	char stack[CHILD_STACK] __attribute__((aligned(16)));
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)stack,
		.stack_size = sizeof(stack),
		.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
	};
	long pid = clone3_call(&args, fn, arg);

	if (pid >= 0)
		return (pid_t)pid;
	errno = pid == -EINVAL || pid == -E2BIG ? ENOSYS : (int)-pid;
	return -1;
}

#else

pid_t vfork_into(int cgroup, void (*fn)(void *arg), void *arg)
{
	errno = ENOSYS;
	return -1;
}

#endif
