/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "vm/manager_impl.h"

enum { CONSOLE_END = 16 * 1024, CONSOLE_LINE = 200 };

off_t console_size(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_size : 0;
}

char *console_find_last(const char *path, const char *text, off_t from)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_free char *end = mem_alloc(CONSOLE_END + 1);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0, begin = size > CONSOLE_END ? size - CONSOLE_END : 0;
	const char *found = NULL;
	ssize_t n;

	if (fd < 0 || size < 0)
		return NULL;
	if (from <= size && from > begin) /* else it was rotated meanwhile */
		begin = from;
	n = pread(fd, end, CONSOLE_END, begin);
	if (n <= 0)
		return NULL;
	for (const char *at = end; (at = memmem(at, (size_t)(end + n - at), text, strlen(text)));
	     at++) /* the last one */
		found = at;
	if (!found)
		return NULL;
	return str_escape(found, strcspn(found, "\r\n") < CONSOLE_LINE ? strcspn(found, "\r\n") : CONSOLE_LINE);
}
