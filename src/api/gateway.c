/* SPDX-License-Identifier: MIT */
#include "api/gateway.h"
#include "api/loss.h"
#include "base/json.h"
#include "base/str.h"

enum {
	EXIT_CODE_LOST = 255, /* of a command whose end nobody saw; as ssh has it */
	FRAME_HELD_MAX = 256 * 1024,
};

struct gateway {
	struct http_exchange *client, *agent;
	struct timer *limit;
	struct loop *loop;
	struct manager *manager;
	char *vm;			/* NULL: nobody asks what became of it */
	struct loss *loss;		/* that is being found out */
	bool frames;			/* the answer is lines of JSON (exec) */
	struct evbuffer *held;		/* frames that are not whole yet */
	bool in_line;			/* and the end of one is still to come */
	bool answered;			/* the agent's head was passed on */
	bool client_ended, agent_ended; /* the end of its body was passed on */
};

static void gateway_free(struct gateway *g)
{
	http_exchange_free(&g->client);
	http_exchange_free(&g->agent);
	timer_free(&g->limit);
	loss_free(&g->loss);
	if (g->held)
		evbuffer_free(g->held);
	free(g->vm);
	free(g);
}

static void gateway_fail(struct gateway *g, const struct error *error)
{
	/* How a guest breaks off is its own affair: for the client its request failed. */
	bool broken = error->code == ERR_CANCELLED || error->code == ERR_PROTOCOL || error->code == ERR_GONE;

	if (!g->answered && g->client && broken)
		http_reply_error_status(&g->client, 500, error);
	else if (!g->answered && g->client)
		http_reply_error(&g->client, error);
	gateway_free(g);
}

/* What an exec that can not be followed to its end ends with. */
static void gateway_last_frame(struct gateway *g, const struct error *error)
{
	cleanup_json struct json_object *obj = json_object_new_object();
	cleanup_free char *text = NULL;

	js_add_string(obj, "type", "exit");
	js_add_i64(obj, "exit_code", EXIT_CODE_LOST);
	js_add_string(obj, "error", error_message(error));
	text = js_to_string(obj);
	stream_write(http_exchange_stream(g->client), text, strlen(text));
	stream_write(http_exchange_stream(g->client), "\n", 1);
	stream_end(http_exchange_stream(g->client));
}

/* Other answers than an exec's are cut off, so that they cannot be taken for complete. */
static void gateway_explained(void *arg, const struct error *error)
{
	struct gateway *g = arg;

	if (g->answered && g->frames && !g->in_line) {
		loss_free(&g->loss);
		gateway_last_frame(g, error); /* the client's end frees the rest */
	} else {
		gateway_fail(g, error);
	}
}

/* Up to the end of the last whole line. */
static size_t gateway_lines(struct evbuffer *in)
{
	int count = evbuffer_peek(in, -1, NULL, NULL, 0);
	cleanup_free struct evbuffer_iovec *pieces = mem_alloc_array((size_t)count + 1, sizeof(*pieces));
	size_t whole = evbuffer_get_length(in);

	evbuffer_peek(in, -1, NULL, pieces, count);
	while (count-- > 0) {
		const char *start = pieces[count].iov_base;
		const char *end = memrchr(start, '\n', pieces[count].iov_len);

		whole -= pieces[count].iov_len;
		if (end)
			return whole + (size_t)(end - start) + 1;
	}
	return 0;
}

/* Of frames only whole ones, so that another can follow should there be no end; unless one is too long to be held back. Taken from
 * the agent they are at once: it gets no more credit for what is left lying. */
static void gateway_move_frames(struct gateway *g, bool all)
{
	struct stream *from = http_exchange_stream(g->agent), *to = http_exchange_stream(g->client);
	size_t n, held;

	if (stream_full(to) && !all)
		return;
	buffer_move(g->held, stream_input(from), evbuffer_get_length(stream_input(from)));
	held = evbuffer_get_length(g->held);
	n = gateway_lines(g->held);
	if (held > n && (stream_eof(from) || held - n >= FRAME_HELD_MAX)) {
		n = held;
		g->in_line = true;
	} else if (n > 0) {
		g->in_line = false;
	}
	stream_write_buffer(to, g->held, n);
}

static void gateway_lost(struct gateway *g, const struct error *error)
{
	if (!g->vm || !g->client) {
		gateway_fail(g, error);
		return;
	}
	timer_free(&g->limit);
	if (g->answered && g->frames)
		gateway_move_frames(g, true);
	g->loss = loss_new(g->loop, g->manager, g->vm, error, gateway_explained, g);
	http_exchange_free(&g->agent);
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
	struct stream *from = http_exchange_stream(g->client);

	if (g->agent) {
		gateway_move(from, http_exchange_stream(g->agent), &g->client_ended);
		return;
	}
	evbuffer_drain(stream_input(from), evbuffer_get_length(stream_input(from))); /* nobody wants it any more */
	stream_resume(from);
}

static void gateway_to_client(struct gateway *g)
{
	struct stream *from;

	if (!g->answered || !g->agent)
		return;
	from = http_exchange_stream(g->agent);
	if (!g->frames || g->agent_ended) {
		gateway_move(from, http_exchange_stream(g->client), &g->agent_ended);
		return;
	}
	gateway_move_frames(g, false);
	if (!stream_eof(from))
		stream_resume(from);
	else
		gateway_move(from, http_exchange_stream(g->client), &g->agent_ended);
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
		gateway_lost(g, error);
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
	const char *type;

	if (error) {
		gateway_lost(g, error);
		return;
	}
	timer_free(&g->limit);
	from = http_exchange_response(x);
	type = http_head_get(from, "content-type");
	head = http_head_new_response(from->status);
	head->content_length = from->content_length;
	for (size_t i = 0; i < from->nfields; i++)
		if (str_eq(from->fields[i].name, "content-type") || str_starts(from->fields[i].name, "x-slicer-"))
			http_head_add(head, from->fields[i].name, from->fields[i].value);
	g->answered = true;
	g->frames = str_starts(type ? type : "", "application/x-ndjson");
	if (g->frames)
		g->held = evbuffer_new();
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
	g->loop = vm_loop(vm);
	g->manager = vm->manager;
	g->vm = str_dup(vm->hostname);
	g->agent = session_open(vm->session, take_request, &error);
	if (!g->agent) {
		gateway_fail(g, error);
		return;
	}
	if (limit_ms) {
		g->limit = timer_new(vm_loop(vm), gateway_expired, g);
		timer_set_deadline(g->limit, limit_ms);
	}
	http_exchange_on_response(g->agent, gateway_answered, g);
	stream_set_events(http_exchange_stream(g->agent), &agent_events, g);
	stream_set_events(http_exchange_stream(g->client), &client_events, g);
	gateway_to_agent(g);
}
