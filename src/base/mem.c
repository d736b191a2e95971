/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* No stdio here: it may want memory itself. */
static void __attribute__((noreturn)) die_out_of_memory(void)
{
	static const char text[] = "fatal: out of memory\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	abort();
}

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		die_out_of_memory();
	return p;
}

void *mem_alloc_array(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		die_out_of_memory();
	return mem_alloc(total);
}

void *mem_realloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);

	if (!q)
		die_out_of_memory();
	return q;
}

void mem_freep(void *p)
{
	void *q;

	/* p is a pointer to a pointer of any type; memcpy keeps that legal. */
	memcpy(&q, p, sizeof(q));
	free(q);
	memset(p, 0, sizeof(q));
}

void mem_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void fd_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
