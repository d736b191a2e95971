/* SPDX-License-Identifier: MIT */
/* GET /v1/events: what the guest has to tell, as it happens (docs/protocol.md §3). */
#include <sys/queue.h>
#include <unistd.h>
#include "base/str.h"
#include "base/units.h"
#include "agent/facts.h"

enum { MAX_LISTENERS = 8, LOOK_MS = 500 };

struct listener {
	struct events *events;
	struct http_exchange *x;
	LIST_ENTRY(listener) link;
	bool greeted; /* nothing comes before that */
};

struct events {
	struct server *server;
	LIST_HEAD(, listener) listeners;
	unsigned count;
	struct timer *look;		 /* userdata's marker and the address have no other way to tell */
	struct facts_question *question; /* what it has found is still to come */
	bool userdata_told;
	char *ip; /* as last told */
};

static void listener_free(struct listener *l)
{
	LIST_REMOVE(l, link);
	if (--l->events->count == 0)
		timer_cancel(l->events->look);
	http_exchange_free(&l->x);
	free(l);
}

static void send_to(struct listener *l, struct json_object *event)
{
	cleanup_free char *text = js_to_string(event);
	struct stream *s = http_exchange_stream(l->x);

	if (stream_full(s)) /* does not read: it will ask again on a new session */
		return;
	stream_write(s, text, strlen(text));
	stream_write(s, "\n", 1);
}

void events_send(struct events *e, struct json_object *take_event)
{
	struct listener *l;

	LIST_FOREACH(l, &e->listeners, link)
	{
		if (l->greeted)
			send_to(l, take_event);
	}
	json_object_put(take_event);
}

static struct json_object *userdata_event(int exit_code)
{
	struct json_object *event = json_object_new_object();

	js_add_string(event, "event", "userdata");
	if (exit_code >= 0)
		js_add_i64(event, "exit_code", exit_code);
	return event;
}

static struct json_object *address_event(const char *ip)
{
	struct json_object *event = json_object_new_object();

	js_add_string(event, "event", "address");
	js_add_string(event, "ip", ip);
	return event;
}

static struct json_object *ready_event(struct server *s, const struct user *u)
{
	struct json_object *event = json_object_new_object();
	struct timespec up;

	clock_gettime(CLOCK_BOOTTIME, &up);
	js_add_string(event, "event", "ready");
	js_add_string(event, "agent_version", SLICER_VERSION);
	js_add_string(event, "boot_id", s->boot_id);
	js_add_i64(event, "uptime_ms", (int64_t)up.tv_sec * 1000 + up.tv_nsec / 1000000);
	js_add(event, "init", s->options->init ? json_object_new_string(s->options->init) : NULL);
	js_add_string(event, "user", u->name);
	js_add_u64(event, "uid", u->uid);
	return event;
}

/* What the others were told before. */
static void greet(struct listener *l, const struct facts *f)
{
	struct events *e = l->events;
	cleanup_json struct json_object *ready = ready_event(e->server, f->user);

	l->greeted = true;
	send_to(l, ready);
	if (e->userdata_told) {
		cleanup_json struct json_object *event = userdata_event(f->userdata_status);

		send_to(l, event);
	}
	if (e->ip) {
		cleanup_json struct json_object *event = address_event(e->ip);

		send_to(l, event);
	}
}

static void on_facts(void *arg, const struct facts *f)
{
	struct events *e = arg;
	struct listener *l;

	e->question = NULL;
	if (e->count == 0)
		return;
	timer_set(e->look, LOOK_MS);
	if (!e->userdata_told && f->userdata_ran) {
		e->userdata_told = true;
		events_send(e, userdata_event(f->userdata_status));
	}
	if (f->ip && !str_eq(f->ip, e->ip)) {
		free(e->ip);
		e->ip = str_dup(f->ip);
		events_send(e, address_event(e->ip));
	}
	LIST_FOREACH(l, &e->listeners, link)
	{
		if (!l->greeted && f->user)
			greet(l, f);
		else if (!l->greeted) /* it came after the question */
			timer_set(e->look, 0);
	}
}

static void on_look(void *arg)
{
	struct events *e = arg;
	const struct listener *l;
	bool all = false;

	if (e->question)
		return;
	LIST_FOREACH(l, &e->listeners, link)
	all = all || !l->greeted;
	e->question = facts_ask(e->server, all, on_facts, e);
}

static void on_readable(void *arg)
{
	struct listener *l = arg;
	struct stream *s = http_exchange_stream(l->x);

	evbuffer_drain(stream_input(s), evbuffer_get_length(stream_input(s)));
	stream_resume(s);
}

static void on_closed(void *arg, const struct error *error)
{
	listener_free(arg);
}

static const struct stream_events listener_events = {.on_readable = on_readable, .on_closed = on_closed};

void events_handle(struct server *s, struct http_exchange *take, const struct http_query *q)
{
	struct listener *l;
	struct http_head *head;
	cleanup_error struct error *error = NULL;

	if (s->events->count >= MAX_LISTENERS) {
		error_set(&error, ERR_UNAVAILABLE, "%d event streams are open already", MAX_LISTENERS);
		http_reply_error(&take, error);
		return;
	}
	l = NEW(struct listener);
	l->events = s->events;
	l->x = take;
	LIST_INSERT_HEAD(&s->events->listeners, l, link);
	s->events->count++;
	timer_set(s->events->look, 0);
	head = http_head_new_response(200);
	http_head_add(head, "content-type", "application/x-ndjson");
	http_exchange_respond(take, head);
	stream_set_events(http_exchange_stream(take), &listener_events, l);
}

struct events *events_new(struct server *s)
{
	struct events *e = NEW(struct events);

	e->server = s;
	e->look = timer_new(s->loop, on_look, e);
	return e;
}

void events_free(struct events **e)
{
	struct listener *l;

	if (!*e)
		return;
	while ((l = LIST_FIRST(&(*e)->listeners)))
		listener_free(l);
	timer_free(&(*e)->look);
	facts_withdraw(&(*e)->question);
	free((*e)->ip);
	free(*e);
	*e = NULL;
}
