/* SPDX-License-Identifier: MIT */
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"
#include "io/stream.h"
#include "vmm/exit_record.h"
#include "vmm/lines.h"
#include "vmm/monitor_client.h"

enum { MONITOR_LINE_MAX = 64 * 1024, MONITOR_DEADLINE_MS = 5000 };

/* A monitor answers in order; the oldest request is the one that is answered. */
struct monitor_request {
	struct monitor_request *next;
	int64_t deadline;	      /* INT64_MAX: none */
	monitor_status_fn *on_status; /* one of the two */
	vmm_done_fn *done;
	void *arg;
};

struct monitor_client {
	struct stream *stream; /* NULL once the connection is down */
	struct lines lines;
	struct monitor_request *requests;
	struct timer *timer;
	const struct monitor_client_events *events;
	void *arg;
	bool exited; /* the exit event was seen */
	struct error *down;
	bool *freed; /* set when the client is freed within a callback */
};

static void monitor_answer(struct monitor_request *r, const struct monitor_status *status, const struct error *error)
{
	if (r->on_status)
		r->on_status(r->arg, error ? NULL : status, error);
	else
		r->done(r->arg, error);
	free(r);
}

static void monitor_fail_requests(struct monitor_request *list, const struct error *error)
{
	while (list) {
		struct monitor_request *r = list;

		list = r->next;
		monitor_answer(r, NULL, error);
	}
}

/* An answer that does not come makes every later one ambiguous: the connection ends with it. True:
 * the client is gone. */
static bool monitor_go_down(struct monitor_client *c, enum error_code code, const char *why)
{
	struct monitor_request *list = TAKE_PTR(c->requests);
	cleanup_error struct error *error = NULL;
	bool exited = c->exited, freed = false;

	stream_free(&c->stream);
	timer_cancel(c->timer);
	error_set(&c->down, code, "monitor: %s", why);
	error = error_copy(c->down);
	c->freed = &freed;
	monitor_fail_requests(list, error);
	if (!freed && c->events->on_down)
		c->events->on_down(c->arg, exited ? NULL : error);
	if (!freed)
		c->freed = NULL;
	return freed;
}

static void monitor_on_timer(void *arg)
{
	struct monitor_client *c = arg;
	struct monitor_request *list;
	cleanup_error struct error *error = NULL;

	if (c->stream) {
		monitor_go_down(c, ERR_TIMEOUT, "it did not answer");
		return;
	}
	list = TAKE_PTR(c->requests);
	error = error_copy(c->down);
	monitor_fail_requests(list, error);
}

static bool monitor_on_exit(struct monitor_client *c, struct json_object *obj)
{
	struct vmm_exit record = {0};
	cleanup_error struct error *error = NULL;
	bool freed = false;

	if (vmm_exit_parse(obj, &record, &error) < 0)
		return monitor_go_down(c, ERR_PROTOCOL, error->message);
	c->exited = true;
	c->freed = &freed;
	if (c->events->on_exit)
		c->events->on_exit(c->arg, &record);
	if (!freed)
		c->freed = NULL;
	vmm_exit_clear(&record);
	return freed;
}

static int monitor_read_answer(struct json_object *obj, struct monitor_status *status, const char **refused,
			       struct error **err)
{
	const char *state = "", *why = "no reason given";
	uint64_t pid = 0;
	bool ok = false;

	if (js_get_bool(obj, "ok", &ok, err) < 0 || js_get_string(obj, "error", &why, err) < 0 ||
	    js_get_string(obj, "state", &state, err) < 0 || js_get_u64(obj, "vmm_pid", INT32_MAX, &pid, err) < 0 ||
	    js_get_u64(obj, "vmm_start", INT64_MAX, &status->vmm_start, err) < 0)
		return -1;
	status->running = str_eq(state, "running");
	status->vmm_pid = (pid_t)pid;
	*refused = ok ? NULL : why;
	return 0;
}

static void monitor_arm(struct monitor_client *c)
{
	int64_t deadline = INT64_MAX, left;

	for (const struct monitor_request *r = c->requests; r; r = r->next)
		deadline = r->deadline < deadline ? r->deadline : deadline;
	if (deadline == INT64_MAX) {
		timer_cancel(c->timer);
		return;
	}
	left = deadline - clock_ms();
	timer_set_deadline(c->timer, left > 0 ? left : 0);
}

static bool monitor_on_answer(struct monitor_client *c, struct json_object *obj)
{
	struct monitor_request *r = c->requests;
	struct monitor_status status = {0};
	cleanup_error struct error *error = NULL;
	const char *refused = NULL;
	bool freed = false;

	if (!r)
		return monitor_go_down(c, ERR_PROTOCOL, "it answered what it was not asked");
	if (monitor_read_answer(obj, &status, &refused, &error) < 0)
		return monitor_go_down(c, ERR_PROTOCOL, error->message);
	if (refused)
		error_set(&error, ERR_CONFLICT, "the monitor refused: %s", refused);
	c->requests = r->next;
	monitor_arm(c);
	c->freed = &freed;
	monitor_answer(r, &status, error);
	if (!freed)
		c->freed = NULL;
	return freed;
}

/* 1: a line was handled, 0: there is none, -1: the client or its connection is gone. */
static int monitor_next_line(struct monitor_client *c)
{
	cleanup_free char *line = NULL;
	cleanup_error struct error *error = NULL;
	cleanup_json struct json_object *obj = NULL;
	const char *event = NULL;
	size_t n;
	bool gone;
	int rc = lines_next(&c->lines, stream_input(c->stream), &line, &n, &error);

	if (rc == 0)
		return 0;
	if (rc > 0)
		obj = js_parse(line, n, &error);
	if (!obj || !json_object_is_type(obj, json_type_object) || js_get_string(obj, "event", &event, &error) < 0) {
		monitor_go_down(c, ERR_PROTOCOL, error ? error->message : "it sent what is not an object");
		return -1;
	}
	if (!event)
		gone = monitor_on_answer(c, obj);
	else if (str_eq(event, "exit"))
		gone = monitor_on_exit(c, obj);
	else
		gone = false; /* a newer monitor's */
	return gone || !c->stream ? -1 : 1;
}

static void monitor_on_readable(void *arg)
{
	struct monitor_client *c = arg;
	int rc;

	while ((rc = monitor_next_line(c)) > 0)
		;
	if (rc < 0)
		return;
	if (stream_eof(c->stream))
		monitor_go_down(c, ERR_UNAVAILABLE, "it has ended");
	else
		stream_resume(c->stream);
}

static void monitor_on_closed(void *arg, const struct error *error)
{
	monitor_go_down(arg, ERR_UNAVAILABLE, error ? error->message : "it has ended");
}

struct monitor_client *monitor_client_new(struct loop *loop, const char *run_dir,
					  const struct monitor_client_events *events, void *arg, struct error **err)
{
	static const struct stream_events stream_events = {.on_readable = monitor_on_readable,
							   .on_closed = monitor_on_closed};
	cleanup_free char *path = fs_join(run_dir, "monitor.sock");
	cleanup_error struct error *why = NULL;
	int fd = fd_connect_unix(path, &why);
	struct monitor_client *c;

	if (fd < 0) {
		error_set(err, ERR_UNAVAILABLE, "no monitor is there: %s", error_message(why));
		return NULL;
	}
	c = NEW(struct monitor_client);
	c->events = events;
	c->arg = arg;
	c->lines.max = MONITOR_LINE_MAX;
	c->timer = timer_new(loop, monitor_on_timer, c);
	c->stream = stream_fd_new(loop, fd, -1);
	stream_set_events(c->stream, &stream_events, c);
	return c;
}

void monitor_client_free(struct monitor_client **cp)
{
	static const struct error cancelled = {.code = ERR_CANCELLED, .message = (char *)"cancelled"};
	struct monitor_client *c = TAKE_PTR(*cp);
	struct monitor_request *list;

	if (!c)
		return;
	if (c->freed)
		*c->freed = true;
	list = TAKE_PTR(c->requests);
	stream_free(&c->stream);
	timer_free(&c->timer);
	lines_clear(&c->lines);
	error_free(&c->down);
	free(c);
	monitor_fail_requests(list, &cancelled);
}

static void monitor_submit(struct monitor_client *c, const char *line, struct monitor_request request)
{
	struct monitor_request *r = NEW(struct monitor_request), **end = &c->requests;

	*r = request;
	while (*end)
		end = &(*end)->next;
	*end = r;
	if (c->stream) {
		stream_write(c->stream, line, strlen(line));
		monitor_arm(c);
	} else {
		timer_set(c->timer, 0);
	}
}

void monitor_client_status(struct monitor_client *c, monitor_status_fn *done, void *arg)
{
	monitor_submit(c, "{\"cmd\":\"status\"}\n",
		       (struct monitor_request){.deadline = INT64_MAX, .on_status = done, .arg = arg});
}

void monitor_client_kill(struct monitor_client *c, vmm_done_fn *done, void *arg)
{
	monitor_submit(
		c, "{\"cmd\":\"kill\"}\n",
		(struct monitor_request){.deadline = clock_ms() + MONITOR_DEADLINE_MS, .done = done, .arg = arg});
}
