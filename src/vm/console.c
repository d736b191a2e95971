/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "vm/manager_impl.h"

enum { CONSOLE_END = 16 * 1024, CONSOLE_LINE = 200 };

char *console_find_last(const char *path, const char *text)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_free char *end = mem_alloc(CONSOLE_END + 1);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	const char *found = NULL;
	ssize_t n;

	if (fd < 0 || size < 0)
		return NULL;
	n = pread(fd, end, CONSOLE_END, size > CONSOLE_END ? size - CONSOLE_END : 0);
	if (n <= 0)
		return NULL;
	for (const char *at = end; (at = memmem(at, (size_t)(end + n - at), text, strlen(text)));
	     at++) /* the last one */
		found = at;
	if (!found)
		return NULL;
	return str_escape(found, strcspn(found, "\r\n") < CONSOLE_LINE ? strcspn(found, "\r\n") : CONSOLE_LINE);
}
