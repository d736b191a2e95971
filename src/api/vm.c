/* SPDX-License-Identifier: MIT */
/* One VM: describe, logs, and the changes of its state. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "api/call.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

enum {
	LOG_DEFAULT_LINES = 20,
	LOG_LIMIT = 16 * 1024 * 1024, /* bytes; the monitor rotates at half of it */
	LOG_WINDOW = 64 * 1024,	      /* of its end, doubled until the lines are in it */
	STOP_LIMIT_MS = 90 * 1000,    /* the stop operation kills after 60 s */
	RELAUNCH_LIMIT_MS = 60 * 1000,
};

void vm_describe(struct call *call)
{
	struct vm *vm = call_vm(call);

	if (vm)
		call_reply_json(call, 200, view_describe(vm));
}

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

/* The end of the file, with at least so many lines if there are; the whole of it for 0. */
static int logs_read(const char *path, uint64_t lines, char **ret, size_t *ret_len, struct error **err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1, window = lines ? LOG_WINDOW : LOG_LIMIT;

	if (size < 0)
		return error_errno(err, errno, "%s", path);
	for (;; window *= 2) {
		off_t take = size < window ? size : window;
		char *text = mem_alloc((size_t)take + 1);
		ssize_t n = pread(fd, text, (size_t)take, size - take);

		if (n >= 0 && (take == size || window >= LOG_LIMIT || logs_count(text, text + n) > lines)) {
			*ret = text;
			*ret_len = (size_t)n;
			return 0;
		}
		free(text);
		if (n < 0)
			return error_errno(err, errno, "%s", path);
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

static void change_client_left(struct call *call)
{
	call_free(&call); /* what it asked for goes on */
}

static void change_done(void *arg, const struct error *error)
{
	struct call *call = arg;

	if (error)
		call_reply_error(call, error);
	else
		call_reply_text(call, 200, "OK\n");
}

/* Calls back when no record of the VM is being written. Whether the client leaves meanwhile is not watched, as little as while
 * a request has the hypervisor's answer to wait for: what it asked for is done. */
static void change_when_settled(struct call *call, vm_done_fn *then)
{
	struct vm *vm = call_vm(call);

	if (!vm)
		return;
	if (!vm_is_settling(vm)) {
		then(call, NULL);
		return;
	}
	call->waiter = vm_wait(vm, VM_WAIT_SETTLED, STOP_LIMIT_MS, then, call);
}

/* NULL: it has been answered with what went wrong. */
static struct vm *change_begin(struct call *call, const struct error *error)
{
	vm_waiter_free(&call->waiter);
	if (error) {
		call_reply_error(call, error);
		return NULL;
	}
	return call_vm(call);
}

static void change_start(struct call *call, const struct error *early, int (*start)(struct vm *vm, struct error **err),
			 enum vm_wait_for what, int64_t timeout_ms, vm_done_fn *done)
{
	struct vm *vm = change_begin(call, early);
	cleanup_error struct error *error = NULL;

	if (!vm)
		return;
	if (start(vm, &error)) {
		call_reply_error(call, error);
		return;
	}
	call->waiter = vm_wait(vm, what, timeout_ms, done, call);
	call_watch_client(call, change_client_left);
}

static void shutdown_begin(void *arg, const struct error *early)
{
	change_start(arg, early, vm_shutdown, VM_WAIT_STOPPED, STOP_LIMIT_MS, change_done);
}

static void shutdown_with_body(struct call *call, const char *body, size_t n)
{
	struct shutdown_request request = {0};
	cleanup_error struct error *error = NULL;
	const char *action;
	int r;

	if (!call_vm(call))
		return;
	action = http_query_get(call->query, "action");
	r = action && action[0] ? shutdown_action_parse(action, &request.action, &error)
				: shutdown_request_parse(body, n, &request, &error);
	/* Whatever the action: "reboot" is how existing clients ask a hypervisor to stop that only ends on a reboot. */
	if (r)
		call_reply_error(call, error);
	else
		change_when_settled(call, shutdown_begin);
}

void vm_post_shutdown(struct call *call)
{
	call_read_body(call, shutdown_with_body);
}

/* Answered when the record says so too: what is asked next finds no operation under way. */
static void pause_done(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);

	if (error || !vm) {
		change_done(call, error);
		return;
	}
	call->waiter = vm_wait(vm, VM_WAIT_SETTLED, STOP_LIMIT_MS, change_done, call);
	call_watch_client(call, change_client_left);
}

static void pause_begin(void *arg, const struct error *early)
{
	struct call *call = arg;
	struct vm *vm = change_begin(call, early);

	if (vm)
		vm_pause(vm, pause_done, call);
}

static void pause_with_body(struct call *call, const char *body, size_t n)
{
	change_when_settled(call, pause_begin);
}

void vm_post_pause(struct call *call)
{
	call_read_body(call, pause_with_body);
}

static void resume_begin(void *arg, const struct error *early)
{
	struct call *call = arg;
	struct vm *vm = change_begin(call, early);

	if (vm)
		vm_resume(vm, pause_done, call);
}

static void resume_with_body(struct call *call, const char *body, size_t n)
{
	change_when_settled(call, resume_begin);
}

void vm_post_resume(struct call *call)
{
	call_read_body(call, resume_with_body);
}

static void relaunch_done(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);

	if (error || !vm)
		call_reply_error(call, error);
	else
		call_reply_json(call, 200, view_created(vm));
}

static void relaunch_begin(void *arg, const struct error *early)
{
	change_start(arg, early, vm_relaunch, VM_WAIT_SCHEDULED, RELAUNCH_LIMIT_MS, relaunch_done);
}

static void relaunch_with_body(struct call *call, const char *body, size_t n)
{
	change_when_settled(call, relaunch_begin);
}

void vm_post_relaunch(struct call *call)
{
	call_read_body(call, relaunch_with_body);
}
