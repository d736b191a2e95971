/* SPDX-License-Identifier: MIT */
/* The guest's event stream: NDJSON, hostile. */
#include "vm/session_impl.h"

#include "base/str.h"

static void events_apply(struct session *s, const struct session_event *e)
{
	struct session_facts *f = &s->facts;

	switch (e->kind) {
	case SESSION_EVENT_READY:
		memcpy(f->boot_id, e->boot_id, sizeof(f->boot_id));
		memcpy(f->user, e->user, sizeof(f->user));
		f->has_init = e->has_init;
		if (s->phase == SESSION_MUX)
			session_event_ready(s);
		break;
	case SESSION_EVENT_USERDATA:
		f->userdata_done = true;
		f->userdata_exit_code = e->exit_code;
		session_event_changed(s);
		break;
	case SESSION_EVENT_ADDRESS:
		memcpy(f->ip, e->ip, sizeof(f->ip));
		session_event_changed(s);
		break;
	case SESSION_EVENT_UNKNOWN:
		break;
	}
}

static void events_readable(void *arg)
{
	struct session *s = arg;
	struct stream *stream = http_exchange_stream(s->event_exchange);
	cleanup_error struct error *error = NULL;
	char *line;
	size_t n;
	int rc;

	while ((rc = lines_next(&s->event_lines, stream_input(stream), &line, &n, &error)) == 1) {
		cleanup_free char *owned = line;
		struct session_event event;

		if (session_event_parse(owned, n, &event, &error)) {
			session_restart(s, error_message(error));
			return;
		}
		events_apply(s, &event);
	}
	if (rc < 0 || stream_eof(stream))
		session_restart(s, rc < 0 ? error_message(error) : "the event stream ended");
	else
		stream_resume(stream);
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
	s->event_lines = (struct lines){.max = SESSION_MAX_EVENT};
	s->event_exchange = http2_client_open(s->mux, http_head_new_request("GET", "/v1/events"));
	http_exchange_on_response(s->event_exchange, events_on_response, s);
	stream_set_events(http_exchange_stream(s->event_exchange), &event_stream_events, s);
	stream_end(http_exchange_stream(s->event_exchange));
}

void session_events_close(struct session *s)
{
	http_exchange_free(&s->event_exchange);
	lines_clear(&s->event_lines);
}
