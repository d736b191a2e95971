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

/* Appends what the file holds from there on, of which at most the last CONSOLE_END bytes count. False when the file is smaller. */
static bool console_take_end(const char *path, off_t from, char *end, size_t *n)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t got;

	if (fd < 0 || size < from)
		return fd < 0;
	got = pread(fd, end + *n, CONSOLE_END, size - from > CONSOLE_END ? size - CONSOLE_END : from);
	*n += got > 0 ? (size_t)got : 0;
	return true;
}

char *console_find_last(const char *path, const char *text, off_t from)
{
	cleanup_free char *end = mem_alloc(2 * CONSOLE_END), *rotated = str_fmt("%s.1", path);
	const char *found = NULL;
	size_t n = 0, length;

	if (!console_take_end(path, from, end, &n)) { /* it was rotated since */
		console_take_end(rotated, from, end, &n);
		console_take_end(path, 0, end, &n);
	}
	for (const char *at = end; (at = memmem(at, (size_t)(end + n - at), text, strlen(text))); at++)
		found = at;
	if (!found)
		return NULL;
	for (length = 0; length < CONSOLE_LINE && found + length < end + n && !strchr("\r\n", found[length]);)
		length++; /* a NUL ends it, too */
	return str_escape(found, length);
}
