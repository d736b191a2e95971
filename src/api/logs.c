/* SPDX-License-Identifier: MIT */
/* What a VM's console has said. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/call.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

enum {
	LOG_DEFAULT_LINES = 20,
	LOG_LIMIT = 8 * 1024 * 1024, /* bytes; where the monitor rotates */
	LOG_WINDOW = 64 * 1024,	     /* of its end, doubled until the lines are in it */
};

/* Where the last `lines` lines begin; 0 lines: all. */
static const char *logs_tail(const char *text, size_t n, uint64_t lines)
{
	const char *at = text + n;

	if (lines == 0)
		return text;
	if (at > text && at[-1] == '\n')
		at--;
	while (at > text) {
		if (at[-1] == '\n' && --lines == 0)
			return at;
		at--;
	}
	return text;
}

static uint64_t logs_count(const char *text, const char *end)
{
	uint64_t lines = 0;

	for (const char *at = text; at < end; at++)
		lines += *at == '\n';
	return lines + (end > text && end[-1] != '\n');
}

/* The console's log and, before it, the one that the monitor has put aside when that was full: two parts of one text. */
struct logs {
	int fds[2];    /* older, newer; -1: there is none */
	off_t size[2]; /* of them */
};

static void logs_close(struct logs *l)
{
	fd_closep(&l->fds[0]);
	fd_closep(&l->fds[1]);
}

static int logs_open_one(const char *path, off_t *ret_size, struct error **err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	*ret_size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
	if (*ret_size < 0)
		return error_errno(err, errno, "%s", path);
	return TAKE_FD(fd);
}

/* The newer first: one that is put aside just then is met twice, which is seen; the other way round its text would be missed. In
 * the moment between the two there is only the older one. */
static int logs_open(struct logs *l, const char *path, struct error **err)
{
	cleanup_free char *aside = str_fmt("%s.1", path);
	cleanup_error struct error *error = NULL;
	struct stat older, newer;

	l->fds[1] = logs_open_one(path, &l->size[1], &error);
	if (error && error->code != ERR_NOT_FOUND)
		return error_move(err, &error);
	l->fds[0] = logs_open_one(aside, &l->size[0], NULL);
	if (l->fds[0] < 0 && l->fds[1] < 0)
		return error_move(err, &error);
	if (l->fds[0] >= 0 && l->fds[1] >= 0 && fstat(l->fds[0], &older) == 0 && fstat(l->fds[1], &newer) == 0 &&
	    older.st_dev == newer.st_dev && older.st_ino == newer.st_ino)
		fd_closep(&l->fds[0]);
	for (size_t i = 0; i < 2; i++)
		if (l->fds[i] < 0)
			l->size[i] = 0;
	return 0;
}

/* Bytes at an offset in both together; fewer than `n` only when somebody has shortened a file meanwhile. */
static ssize_t logs_pread(const struct logs *l, char *to, size_t n, off_t at, struct error **err)
{
	size_t have = 0;

	while (have < n) {
		bool old = at + (off_t)have < l->size[0];
		off_t from = at + (off_t)have - (old ? 0 : l->size[0]);
		off_t left = l->size[old ? 0 : 1] - from;
		ssize_t got =
			pread(l->fds[old ? 0 : 1], to + have, left < (off_t)(n - have) ? (size_t)left : n - have, from);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "the console's log");
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

/* The end of the text, with at least so many lines if there are; LOG_LIMIT bytes of it for 0. */
static int logs_read(const char *path, uint64_t lines, char **ret, size_t *ret_len, struct error **err)
{
	__attribute__((cleanup(logs_close))) struct logs l = {.fds = {-1, -1}};
	off_t size, window = lines ? LOG_WINDOW : LOG_LIMIT;

	if (logs_open(&l, path, err))
		return -1;
	size = l.size[0] + l.size[1];
	for (;; window *= 2) {
		off_t take = size < window ? size : window;
		cleanup_free char *text = mem_alloc((size_t)take + 1);
		ssize_t n = logs_pread(&l, text, (size_t)take, size - take, err);

		if (n < 0)
			return -1;
		if (take < size && window < LOG_LIMIT && logs_count(text, text + n) <= lines)
			continue;
		*ret_len = (size_t)n;
		*ret = TAKE_PTR(text);
		return 0;
	}
}

static void logs_reply(struct call *call, char *text, size_t n, uint64_t lines)
{
	struct json_object *obj = json_object_new_object();
	const char *tail = logs_tail(text, n, lines);
	cleanup_free char *clean = NULL;

	for (char *at = text; at < text + n; at++)
		if (*at == '\0')
			*at = ' ';
	clean = utf8_sanitize(tail);
	js_add_string(obj, "hostname", call->vm);
	js_add_u64(obj, "lines", logs_count(tail, text + n));
	js_add_string(obj, "content", clean);
	call_reply_json(call, 200, obj);
}

void vm_logs(struct call *call)
{
	struct vm *vm = call_vm(call);
	cleanup_error struct error *error = NULL;
	cleanup_free char *path = NULL, *text = NULL;
	uint64_t lines = LOG_DEFAULT_LINES;
	const char *given;
	size_t n = 0;

	if (!vm)
		return;
	given = http_query_get(call->query, "lines");
	path = vm_log_path(vm);
	if ((given && str_to_u64(given, 0, UINT32_MAX, "lines", &lines, &error)) ||
	    logs_read(path, lines, &text, &n, &error))
		call_reply_error(call, error);
	else
		logs_reply(call, text, n, lines);
}
