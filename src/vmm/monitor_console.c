/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "base/utf8.h"
#include "vmm/monitor_console.h"

enum { CONSOLE_RETRY_MS = 1000 };

void tail_add(struct tail *t, const char *data, size_t n)
{
	if (n >= sizeof(t->bytes)) {
		data += n - sizeof(t->bytes);
		n = sizeof(t->bytes);
	}
	if (t->n + n > sizeof(t->bytes)) {
		size_t drop = t->n + n - sizeof(t->bytes);

		memmove(t->bytes, t->bytes + drop, t->n - drop);
		t->n -= drop;
	}
	memcpy(t->bytes + t->n, data, n);
	t->n += n;
}

char *tail_text(const struct tail *t)
{
	cleanup_free char *copy = mem_alloc(t->n + 1);
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (t->bytes[i])
			copy[n++] = t->bytes[i];
	}
	return utf8_sanitize(copy);
}

void console_init(struct console *c, int take_pipe, const char *path, uint64_t limit)
{
	*c = (struct console){.pipe = take_pipe, .path = path, .limit = limit, .file = -1};
}

/* O_NOFOLLOW and the check for a regular file: whoever may write to the log directory must not turn
 * the log into a write to somewhere else, or into a pipe that blocks. */
static bool console_open(struct console *c)
{
	struct stat st;

	if (c->file >= 0)
		return true;
	if (clock_ms() < c->retry)
		return false;
	c->file = open(c->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	if (c->file >= 0 && fstat(c->file, &st) == 0 && S_ISREG(st.st_mode) && fchmod(c->file, 0640) == 0) {
		c->size = (uint64_t)st.st_size;
		return true;
	}
	fd_closep(&c->file);
	c->retry = clock_ms() + CONSOLE_RETRY_MS;
	return false;
}

/* False when it cannot be rotated: then nothing is written, so that the bound holds. */
static bool console_rotate(struct console *c)
{
	cleanup_free char *old = str_fmt("%s.1", c->path);

	fd_closep(&c->file);
	if (rename(c->path, old) < 0 && errno != ENOENT) {
		c->retry = clock_ms() + CONSOLE_RETRY_MS;
		return false;
	}
	return true;
}

void console_write(struct console *c, const char *data, size_t n)
{
	while (n) {
		size_t part;
		ssize_t done;

		if (!console_open(c))
			return;
		if (c->size >= c->limit) {
			if (!console_rotate(c))
				return;
			continue;
		}
		part = c->limit - c->size < n ? (size_t)(c->limit - c->size) : n;
		done = write(c->file, data, part);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) { /* a full disk, most of the time */
			fd_closep(&c->file);
			c->retry = clock_ms() + CONSOLE_RETRY_MS;
			return;
		}
		c->size += (size_t)done;
		data += done;
		n -= (size_t)done;
	}
}

bool console_read(struct console *c)
{
	char buf[CONSOLE_CHUNK];
	ssize_t n;

	if (c->pipe < 0)
		return false;
	n = read(c->pipe, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		fd_closep(&c->pipe);
		return false;
	}
	tail_add(&c->tail, buf, (size_t)n);
	console_write(c, buf, (size_t)n);
	return true;
}

void console_clear(struct console *c)
{
	fd_closep(&c->pipe);
	fd_closep(&c->file);
}
