/* SPDX-License-Identifier: MIT */
#include "api/gateway.h"
#include "base/str.h"

struct gateway {
	struct http_exchange *client, *agent;
	struct timer *limit;
	bool answered;			/* the agent's head was passed on */
	bool client_ended, agent_ended; /* the end of its body was passed on */
};

static void gateway_free(struct gateway *g)
{
	http_exchange_free(&g->client);
	http_exchange_free(&g->agent);
	timer_free(&g->limit);
	free(g);
}

static void gateway_fail(struct gateway *g, const struct error *error)
{
	/* How a guest breaks off is its own affair: for the client its request failed. */
	bool broken = error->code == ERR_CANCELLED || error->code == ERR_PROTOCOL;

	if (!g->answered && g->client && broken)
		http_reply_error_status(&g->client, 500, error);
	else if (!g->answered && g->client)
		http_reply_error(&g->client, error);
	gateway_free(g);
}

/* Moves what fits. Returns whether the end was passed on. */
static bool gateway_move(struct stream *from, struct stream *to, bool *ended)
{
	struct evbuffer *in = stream_input(from);

	while (evbuffer_get_length(in) > 0 && !stream_full(to))
		stream_write_buffer(to, in, STREAM_WINDOW);
	if (!*ended && stream_eof(from) && evbuffer_get_length(in) == 0) {
		*ended = true;
		stream_end(to);
	} else if (!*ended) {
		stream_resume(from);
	}
	return *ended;
}

static void gateway_to_agent(struct gateway *g)
{
	gateway_move(http_exchange_stream(g->client), http_exchange_stream(g->agent), &g->client_ended);
}

static void gateway_to_client(struct gateway *g)
{
	if (g->answered)
		gateway_move(http_exchange_stream(g->agent), http_exchange_stream(g->client), &g->agent_ended);
}

static void gateway_client_readable(void *arg)
{
	gateway_to_agent(arg);
}

static void gateway_client_writable(void *arg)
{
	gateway_to_client(arg);
}

static void gateway_client_closed(void *arg, const struct error *error)
{
	gateway_free(arg);
}

static void gateway_agent_readable(void *arg)
{
	gateway_to_client(arg);
}

static void gateway_agent_writable(void *arg)
{
	gateway_to_agent(arg);
}

/* An agent that answered in full may not want the rest of the request; a failure before that cuts the client's answer off, so
 * that it cannot be taken for complete. */
static void gateway_agent_closed(void *arg, const struct error *error)
{
	struct gateway *g = arg;

	if (error && !g->agent_ended)
		gateway_fail(g, error);
}

static const struct stream_events client_events = {
	.on_readable = gateway_client_readable,
	.on_writable = gateway_client_writable,
	.on_closed = gateway_client_closed,
};

static const struct stream_events agent_events = {
	.on_readable = gateway_agent_readable,
	.on_writable = gateway_agent_writable,
	.on_closed = gateway_agent_closed,
};

static void gateway_answered(void *arg, struct http_exchange *x, const struct error *error)
{
	struct gateway *g = arg;
	const struct http_head *from;
	struct http_head *head;

	if (error) {
		gateway_fail(g, error);
		return;
	}
	timer_free(&g->limit);
	from = http_exchange_response(x);
	head = http_head_new_response(from->status);
	head->content_length = from->content_length;
	for (size_t i = 0; i < from->nfields; i++)
		if (str_eq(from->fields[i].name, "content-type") || str_starts(from->fields[i].name, "x-slicer-"))
			http_head_add(head, from->fields[i].name, from->fields[i].value);
	g->answered = true;
	http_exchange_respond(g->client, head);
	gateway_to_client(g);
}

static void gateway_expired(void *arg)
{
	struct gateway *g = arg;
	cleanup_error struct error *error = NULL;

	error_set(
		&error, ERR_INTERNAL,
		"the agent in the VM does not answer: its guest hangs or is overloaded; slicer vm logs shows its console, slicer vm shutdown ends it");
	gateway_fail(g, error);
}

struct http_head *gateway_request(const struct http_head *client, const char *method)
{
	/* /vm/{hostname}/rest?query: the rest is the agent's. */
	const char *vm = strchr(client->target + 1, '/');
	const char *rest = vm ? strchr(vm + 1, '/') : NULL;
	struct http_head *head = http_head_new_request(method, rest ? rest : "/");

	head->content_length = client->content_length;
	for (size_t i = 0; i < client->nfields; i++) {
		const char *name = client->fields[i].name;

		if (str_eq(name, "content-type") || str_eq(name, "accept") || str_eq(name, "last-event-id") ||
		    str_starts(name, "x-slicer-"))
			http_head_add(head, name, client->fields[i].value);
	}
	return head;
}

void gateway_join(struct http_exchange *take_client, struct http_exchange *take_agent)
{
	struct gateway *g = NEW(struct gateway);

	g->client = take_client;
	g->agent = take_agent;
	stream_set_events(http_exchange_stream(g->agent), &agent_events, g);
	stream_set_events(http_exchange_stream(g->client), &client_events, g);
	gateway_answered(g, g->agent, NULL);
}

void gateway_start(struct vm *vm, struct http_exchange *take_client, struct http_head *take_request, int64_t limit_ms)
{
	struct gateway *g = NEW(struct gateway);
	cleanup_error struct error *error = NULL;

	g->client = take_client;
	g->agent = session_open(vm->session, take_request, &error);
	if (!g->agent) {
		gateway_fail(g, error);
		return;
	}
	if (limit_ms) {
		g->limit = timer_new(vm_loop(vm), gateway_expired, g);
		timer_set(g->limit, limit_ms);
	}
	http_exchange_on_response(g->agent, gateway_answered, g);
	stream_set_events(http_exchange_stream(g->agent), &agent_events, g);
	stream_set_events(http_exchange_stream(g->client), &client_events, g);
	gateway_to_agent(g);
}
