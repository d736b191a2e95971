/* SPDX-License-Identifier: MIT */
/* The QMP client: a queue of commands with a deadline each, on one stream. */
#include <inttypes.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "io/stream.h"
#include "vmm/lines.h"
#include "vmm/qmp.h"
#include "vmm/qmp_message.h"
#include "vmm/vmm_client_impl.h"

struct qmp_command {
	struct qmp_command *next;
	uint64_t id;
	const char *name;
	bool sent;
	int64_t deadline;  /* clock_ms */
	vmm_done_fn *done; /* one of the two */
	vmm_status_fn *on_status;
	void *arg;
};

struct qmp {
	struct vmm_client base;
	struct stream *stream; /* NULL once the connection is down */
	struct lines lines;
	struct qmp_command *commands; /* oldest first */
	uint64_t last_id;
	struct timer *timer; /* the earliest deadline */
	int64_t up_deadline; /* for the greeting and the answer to qmp_capabilities; 0 once up */
	bool greeted;
	struct error *down; /* why the connection ended */
	bool *freed;	    /* set when the client is freed within a callback */
};

static void qmp_answer(struct qmp_command *cmd, struct json_object *value, const struct error *error)
{
	const char *status = NULL;
	bool running = false;

	if (cmd->on_status) {
		js_get_string(value, "status", &status, NULL);
		js_get_bool(value, "running", &running, NULL);
		cmd->on_status(cmd->arg, running, error ? NULL : status ? status : "unknown", error);
	} else {
		cmd->done(cmd->arg, error);
	}
	free(cmd);
}

/* Ends a list of commands with one error each; touches no client: a callback may free it. */
static void qmp_fail_commands(struct qmp_command *list, const struct error *why)
{
	while (list) {
		struct qmp_command *cmd = list;
		cleanup_error struct error *error = NULL;

		list = cmd->next;
		error_set(&error, why->code, "cannot ask the VMM to '%s': %s", cmd->name, why->message);
		qmp_answer(cmd, NULL, error);
	}
}

static void qmp_arm(struct qmp *q)
{
	int64_t first = q->up_deadline, left;

	for (struct qmp_command *cmd = q->commands; cmd; cmd = cmd->next) {
		if (!first || cmd->deadline < first)
			first = cmd->deadline;
	}
	if (!first) {
		timer_cancel(q->timer);
		return;
	}
	left = first - clock_ms();
	timer_set_deadline(q->timer, left > 0 ? left : 0);
}

/* The connection is of no use any more. Calls the owner; true when the client is gone. */
static bool qmp_go_down(struct qmp *q, enum error_code code, const char *why)
{
	struct qmp_command *list = TAKE_PTR(q->commands);
	cleanup_error struct error *error = NULL;
	bool freed = false, *outer = q->freed;

	stream_free(&q->stream);
	q->base.up = false;
	q->up_deadline = 0;
	timer_cancel(q->timer);
	error_set(&q->down, code, "%s", why);
	error = error_copy(q->down);
	q->freed = &freed;
	qmp_fail_commands(list, error);
	if (!freed && q->base.events && q->base.events->on_down)
		q->base.events->on_down(q->base.arg, error);
	if (!freed)
		q->freed = outer;
	else if (outer)
		*outer = true;
	return freed;
}

static void qmp_send(struct qmp *q, struct qmp_command *cmd)
{
	cleanup_free char *line = str_fmt("{\"execute\":\"%s\",\"id\":%" PRIu64 "}\n", cmd->name, cmd->id);

	stream_write(q->stream, line, strlen(line));
	cmd->sent = true;
}

static void qmp_submit(struct vmm_client *c, const char *name, vmm_done_fn *done, vmm_status_fn *on_status, void *arg)
{
	struct qmp *q = (struct qmp *)c;
	struct qmp_command *cmd = NEW(struct qmp_command), **end = &q->commands;

	*cmd = (struct qmp_command){.id = ++q->last_id,
				    .name = name,
				    .deadline = clock_ms() + VMM_CLIENT_DEADLINE_MS,
				    .done = done,
				    .on_status = on_status,
				    .arg = arg};
	/* After the end of the connection the deadline is now, and the timer gives the reason. */
	if (!q->stream)
		cmd->deadline = 0;
	while (*end)
		end = &(*end)->next;
	*end = cmd;
	if (q->base.up)
		qmp_send(q, cmd);
	if (q->stream)
		qmp_arm(q);
	else
		timer_set(q->timer, 0);
}

/* Takes the commands off whose deadline has passed. */
static struct qmp_command *qmp_take_expired(struct qmp *q, int64_t now)
{
	struct qmp_command *expired = NULL, **end = &expired, **p = &q->commands;

	while (*p) {
		struct qmp_command *cmd = *p;

		if (cmd->deadline > now) {
			p = &cmd->next;
			continue;
		}
		*p = cmd->next;
		cmd->next = NULL;
		*end = cmd;
		end = &cmd->next;
	}
	return expired;
}

static void qmp_on_timer(void *arg)
{
	struct qmp *q = arg;
	cleanup_error struct error *error = NULL;
	struct qmp_command *expired;

	if (q->up_deadline && clock_ms() >= q->up_deadline) {
		qmp_go_down(q, ERR_TIMEOUT, "its control channel did not answer");
		return;
	}
	expired = qmp_take_expired(q, clock_ms());
	if (q->down)
		error = error_copy(q->down);
	else
		error_set(&error, ERR_TIMEOUT, "it did not answer within %d ms", VMM_CLIENT_DEADLINE_MS);
	if (q->stream)
		qmp_arm(q);
	qmp_fail_commands(expired, error);
}

static bool qmp_on_event(struct qmp *q, const char *name)
{
	static const struct {
		const char *name;
		enum vmm_event event;
	} events[] = {
		{"RESET", VMM_EVENT_RESET},   {"SHUTDOWN", VMM_EVENT_SHUTDOWN},	      {"STOP", VMM_EVENT_STOP},
		{"RESUME", VMM_EVENT_RESUME}, {"GUEST_PANICKED", VMM_EVENT_PANICKED},
	};
	bool freed = false;

	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (!str_eq(name, events[i].name) || !q->base.events || !q->base.events->on_event)
			continue;
		q->freed = &freed;
		q->base.events->on_event(q->base.arg, events[i].event);
		if (!freed)
			q->freed = NULL;
		break;
	}
	return freed;
}

/* The answer to qmp_capabilities, which is command 0. */
static bool qmp_come_up(struct qmp *q)
{
	bool freed = false;

	q->base.up = true;
	q->up_deadline = 0;
	for (struct qmp_command *cmd = q->commands; cmd; cmd = cmd->next)
		qmp_send(q, cmd);
	qmp_arm(q);
	if (!q->base.events || !q->base.events->on_up)
		return false;
	q->freed = &freed;
	q->base.events->on_up(q->base.arg);
	if (!freed)
		q->freed = NULL;
	return freed;
}

static bool qmp_on_reply(struct qmp *q, const struct qmp_message *m)
{
	struct qmp_command **p = &q->commands, *cmd;
	cleanup_error struct error *error = NULL;
	bool freed = false;

	while (*p && (*p)->id != m->id)
		p = &(*p)->next;
	cmd = *p;
	if (!cmd || !cmd->sent) /* its deadline has passed */
		return m->id <= q->last_id ? false : qmp_go_down(q, ERR_PROTOCOL, "it answered what it was not asked");
	*p = cmd->next;
	qmp_arm(q);
	if (m->kind == QMP_ERROR)
		error_set(&error, ERR_CONFLICT, "the VMM refused to '%s': %s", cmd->name, m->text);
	q->freed = &freed;
	qmp_answer(cmd, m->value, error);
	if (!freed)
		q->freed = NULL;
	return freed;
}

/* True when the client is gone. */
static bool qmp_on_message(struct qmp *q, const struct qmp_message *m)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\",\"id\":0}\n";

	if (m->kind == QMP_EVENT)
		return qmp_on_event(q, m->text);
	if (!q->greeted) {
		if (m->kind != QMP_GREETING)
			return qmp_go_down(q, ERR_PROTOCOL, "it did not greet");
		q->greeted = true;
		stream_write(q->stream, hello, strlen(hello));
		return false;
	}
	if (m->kind == QMP_GREETING)
		return qmp_go_down(q, ERR_PROTOCOL, "it greeted twice");
	if (!q->base.up)
		return m->kind == QMP_RETURN && m->id == 0 ? qmp_come_up(q)
							   : qmp_go_down(q, ERR_PROTOCOL, "it refused QMP");
	return qmp_on_reply(q, m);
}

/* 1: a line was handled, 0: there is none, -1: the client or its connection is gone. */
static int qmp_next_line(struct qmp *q)
{
	cleanup_free char *line = NULL;
	cleanup_error struct error *error = NULL;
	struct qmp_message m = {0};
	size_t n;
	bool gone;
	int rc = lines_next(&q->lines, stream_input(q->stream), &line, &n, &error);

	if (rc == 0)
		return 0;
	if (rc < 0 || qmp_message_parse(line, n, &m, &error) < 0) {
		qmp_go_down(q, error->code, error->message);
		return -1;
	}
	gone = qmp_on_message(q, &m);
	qmp_message_clear(&m);
	return gone || !q->stream ? -1 : 1;
}

static void qmp_on_readable(void *arg)
{
	struct qmp *q = arg;
	int rc;

	while ((rc = qmp_next_line(q)) > 0)
		;
	if (rc < 0)
		return;
	if (stream_eof(q->stream))
		qmp_go_down(q, ERR_UNAVAILABLE, "the VMM has closed its control channel");
	else
		stream_resume(q->stream);
}

static void qmp_on_closed(void *arg, const struct error *error)
{
	struct qmp *q = arg;
	cleanup_free char *why = str_fmt("connection lost: %s", error ? error->message : "closed");

	qmp_go_down(q, ERR_UNAVAILABLE, why);
}

static void qmp_query_status(struct vmm_client *c, vmm_status_fn *done, void *arg)
{
	qmp_submit(c, "query-status", NULL, done, arg);
}

static void qmp_destroy(struct vmm_client *c)
{
	static const struct error cancelled = {.code = ERR_CANCELLED, .message = (char *)"cancelled"};
	struct qmp *q = (struct qmp *)c;
	struct qmp_command *list = TAKE_PTR(q->commands);

	if (q->freed)
		*q->freed = true;
	stream_free(&q->stream);
	timer_free(&q->timer);
	lines_clear(&q->lines);
	error_free(&q->down);
	free(q);
	qmp_fail_commands(list, &cancelled);
}

struct vmm_client *qmp_attach(struct loop *loop, const char *run_dir, struct error **err)
{
	static const struct vmm_client_impl impl = {.query_status = qmp_query_status, .destroy = qmp_destroy};
	static const struct stream_events events = {.on_readable = qmp_on_readable, .on_closed = qmp_on_closed};
	cleanup_free char *path = fs_join(run_dir, "qmp.sock");
	cleanup_error struct error *why = NULL;
	int fd = fd_connect_unix(path, &why);
	struct qmp *q;

	if (fd < 0) {
		error_set(err, ERR_UNAVAILABLE, "no VMM is there: %s", error_message(why));
		return NULL;
	}
	q = NEW(struct qmp);
	q->base.impl = &impl;
	q->lines.max = VMM_CLIENT_LINE_MAX;
	q->up_deadline = clock_ms() + QMP_GREETING_MS;
	q->timer = timer_new(loop, qmp_on_timer, q);
	q->stream = stream_fd_new(loop, fd, -1);
	stream_set_events(q->stream, &events, q);
	qmp_arm(q);
	return &q->base;
}

void qmp_pause(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	qmp_submit(c, "stop", done, NULL, arg);
}

void qmp_resume(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	qmp_submit(c, "cont", done, NULL, arg);
}

void qmp_stop(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	qmp_submit(c, "system_powerdown", done, NULL, arg);
}

void qmp_kill(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	qmp_submit(c, "quit", done, NULL, arg);
}
