/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>
#include "agent/vfork.h"

enum { GUARD = 4096 };

void *vfork_stack_new(void)
{
	char *stack = mmap(NULL, VFORK_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return NULL;
	if (mprotect(stack, GUARD, PROT_NONE) < 0) {
		munmap(stack, VFORK_STACK);
		return NULL;
	}
	return stack;
}

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

pid_t vfork_into(int cgroup, void *stack, void (*fn)(void *arg), void *arg)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)stack + GUARD,
		.stack_size = VFORK_STACK - GUARD,
		.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
	};
	long pid = clone3_call(&args, fn, arg);

	if (pid >= 0)
		return (pid_t)pid;
	errno = pid == -EINVAL || pid == -E2BIG ? ENOSYS : (int)-pid;
	return -1;
}

#else

pid_t vfork_into(int cgroup, void *stack, void (*fn)(void *arg), void *arg)
{
	errno = ENOSYS;
	return -1;
}

#endif
