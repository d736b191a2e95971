/* SPDX-License-Identifier: MIT */
#include <sys/socket.h>
#include <unistd.h>
#include "base/json.h"
#include "base/units.h"
#include "fakevmm.h"

static void qmp_send(struct fake_qmp *q, const char *text)
{
	size_t n = strlen(text);

	if (q->client >= 0 && send(q->client, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
		fd_closep(&q->client);
}

void qmp_accept(struct fake_qmp *q)
{
	q->client = accept4(q->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	q->have = 0;
	qmp_send(q, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": "
		    "7}, \"package\": \"fake\"}, "
		    "\"capabilities\": []}}\r\n");
}

void qmp_event(struct fake_qmp *q, const char *name, const char *data)
{
	int64_t us = clock_realtime_ns() / 1000;
	cleanup_free char *text =
		str_fmt("{\"timestamp\": {\"seconds\": %lld, \"microseconds\": %lld}, \"event\": \"%s\", "
			"\"data\": %s}\r\n",
			(long long)(us / 1000000), (long long)(us % 1000000), name, data);

	qmp_send(q, text);
}

static const struct {
	const char *name;
	enum fake_request request;
} commands[] = {
	{"qmp_capabilities", FAKE_NOTHING},
	{"query-status", FAKE_NOTHING},
	{"stop", FAKE_STOP},
	{"cont", FAKE_CONT},
	{"system_reset", FAKE_RESET},
	{"system_powerdown", FAKE_NOTHING},
	{"quit", FAKE_QUIT},
};

static char *qmp_text(struct json_object *id, const char *member, const char *value)
{
	return str_fmt("{\"%s\": %s, \"id\": %s}\r\n", member, value, id ? json_object_to_json_string(id) : "null");
}

static void qmp_answer(struct fake_qmp *q, struct json_object *id, const char *member, const char *value)
{
	cleanup_free char *text = qmp_text(id, member, value);

	qmp_send(q, text);
}

/* QEMU answers these when it has done as asked, and after the event of it. */
static bool is_late(enum fake_request request)
{
	return request == FAKE_STOP || request == FAKE_CONT;
}

void qmp_answer_late(struct fake_qmp *q)
{
	if (q->late)
		qmp_send(q, q->late);
	free(q->late);
	q->late = NULL;
}

static enum fake_request qmp_execute(struct fake_qmp *q, struct json_object *request)
{
	struct json_object *id = NULL;
	const char *name = NULL;

	json_object_object_get_ex(request, "id", &id);
	js_get_string(request, "execute", &name, NULL);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!str_eq(name, commands[i].name))
			continue;
		if (is_late(commands[i].request))
			q->late = qmp_text(id, "return", "{}");
		else if (!str_eq(name, "query-status"))
			qmp_answer(q, id, "return", "{}");
		else if (q->paused)
			qmp_answer(q, id, "return", "{\"status\": \"paused\", \"running\": false}");
		else
			qmp_answer(q, id, "return", "{\"status\": \"running\", \"running\": true}");
		return commands[i].request;
	}
	qmp_answer(q, id, "error", "{\"class\": \"CommandNotFound\", \"desc\": \"The command has not been found\"}");
	return FAKE_NOTHING;
}

bool qmp_has_line(const struct fake_qmp *q)
{
	return q->client >= 0 && memchr(q->line, '\n', q->have);
}

enum fake_request qmp_read(struct fake_qmp *q)
{
	enum fake_request request = FAKE_NOTHING;
	cleanup_json struct json_object *obj = NULL;
	char *end;

	if (!qmp_has_line(q)) {
		ssize_t n = recv(q->client, q->line + q->have, sizeof(q->line) - q->have, MSG_DONTWAIT);

		if (n <= 0) {
			fd_closep(&q->client);
			return FAKE_NOTHING;
		}
		q->have += (size_t)n;
	}
	end = memchr(q->line, '\n', q->have);
	if (!end)
		return FAKE_NOTHING;
	obj = js_parse(q->line, (size_t)(end - q->line), NULL);
	if (obj && json_object_is_type(obj, json_type_object))
		request = qmp_execute(q, obj);
	else
		fd_closep(&q->client);
	q->have -= (size_t)(end + 1 - q->line);
	memmove(q->line, end + 1, q->have);
	return request;
}
