/* SPDX-License-Identifier: MIT */
/* The guest's event stream: NDJSON, hostile. */
#include "vm/session_impl.h"

#include <arpa/inet.h>

#include "base/json.h"
#include "base/str.h"

/* Copies a guest's string into a fact: printable ASCII only, cut to size. */
static void facts_copy(char *ret, size_t size, const char *value)
{
	size_t i = 0;

	for (; value && value[i] && i + 1 < size; i++)
		ret[i] = value[i] >= 0x20 && value[i] < 0x7f ? value[i] : '?';
	ret[i] = '\0';
}

static int events_on_ready(struct session *s, struct json_object *event, struct error **err)
{
	const char *boot_id = NULL, *user = NULL, *init = NULL;

	if (js_get_string(event, "boot_id", &boot_id, err) || js_get_string(event, "user", &user, err) ||
	    js_get_string(event, "init", &init, err))
		return -1;
	facts_copy(s->facts.boot_id, sizeof(s->facts.boot_id), boot_id);
	facts_copy(s->facts.user, sizeof(s->facts.user), user);
	s->facts.has_init = init != NULL;
	if (s->phase == SESSION_MUX)
		session_event_ready(s);
	return 0;
}

static int events_on_userdata(struct session *s, struct json_object *event, struct error **err)
{
	int64_t code = 0;

	if (js_get_i64(event, "exit_code", &code, err))
		return -1;
	if (code < -1 || code > 255)
		return error_set(err, ERR_PROTOCOL, "exit_code out of range");
	s->facts.userdata_done = true;
	s->facts.userdata_exit_code = (int)code;
	session_event_changed(s);
	return 0;
}

static int events_on_address(struct session *s, struct json_object *event, struct error **err)
{
	const char *ip = NULL;
	struct in_addr addr;

	if (js_get_string(event, "ip", &ip, err))
		return -1;
	if (!ip || inet_pton(AF_INET, ip, &addr) != 1)
		return error_set(err, ERR_PROTOCOL, "not an IPv4 address");
	inet_ntop(AF_INET, &addr, s->facts.ip, sizeof(s->facts.ip));
	session_event_changed(s);
	return 0;
}

static const struct {
	const char *type;
	int (*run)(struct session *s, struct json_object *event, struct error **err);
} event_table[] = {
	{"ready", events_on_ready},
	{"userdata", events_on_userdata},
	{"address", events_on_address},
};

/* Unknown events are of a newer agent. */
static int events_dispatch(struct session *s, const char *line, size_t n, struct error **err)
{
	cleanup_json struct json_object *event = js_parse(line, n, err);
	const char *type = NULL;

	if (!event || js_get_string(event, "event", &type, err))
		return -1;
	for (size_t i = 0; type && i < ARRAY_LEN(event_table); i++)
		if (str_eq(type, event_table[i].type))
			return event_table[i].run(s, event, err);
	return 0;
}

static void events_readable(void *arg)
{
	struct session *s = arg;
	struct http_exchange *x = s->event_exchange;
	struct evbuffer *in = s->event_input;
	size_t n;
	char *line;

	if (evbuffer_add_buffer(in, stream_input(http_exchange_stream(x))) < 0)
		abort();
	while ((line = evbuffer_readln(in, &n, EVBUFFER_EOL_LF))) {
		cleanup_free char *owned = line;
		cleanup_error struct error *error = NULL;

		if (events_dispatch(s, owned, n, &error)) {
			session_restart(s, error_message(error));
			return;
		}
	}
	if (evbuffer_get_length(in) >= SESSION_MAX_EVENT || stream_eof(http_exchange_stream(x))) {
		session_restart(s, "the event stream ended or has no lines");
		return;
	}
	stream_resume(http_exchange_stream(x));
}

static void events_closed(void *arg, const struct error *error)
{
	session_restart(arg, error ? error_message(error) : "the event stream ended");
}

static const struct stream_events event_stream_events = {
	.on_readable = events_readable,
	.on_closed = events_closed,
};

static void events_on_response(void *arg, struct http_exchange *x, const struct error *error)
{
	struct session *s = arg;

	if (error || http_exchange_response(x)->status != 200)
		session_restart(s, error ? error_message(error) : "the agent refuses the event stream");
}

void session_events_open(struct session *s)
{
	s->event_input = evbuffer_new();
	if (!s->event_input)
		abort();
	s->event_exchange = http2_client_open(s->mux, http_head_new_request("GET", "/v1/events"));
	http_exchange_on_response(s->event_exchange, events_on_response, s);
	stream_set_events(http_exchange_stream(s->event_exchange), &event_stream_events, s);
	stream_end(http_exchange_stream(s->event_exchange));
}

void session_events_close(struct session *s)
{
	http_exchange_free(&s->event_exchange);
	if (s->event_input)
		evbuffer_free(s->event_input);
	s->event_input = NULL;
}
