/* SPDX-License-Identifier: MIT */
#include "cli/transfer.h"

#include "cli/signals.h"

enum { PIECE = 32 * 1024, REFUSAL_MAX = 64 * 1024 };

struct transfer {
	struct client *client;
	const struct transfer_ops *ops;
	void *arg;
	struct transfer_result *result;
	struct http_exchange *exchange;
	struct stream *stream; /* the exchange's; borrowed */
	bool all_sent, ended;
	struct error *error;
};

static void finish(struct transfer *t)
{
	t->ended = true;
	loop_stop(t->client->loop);
}

static void fail(struct transfer *t, struct error *take)
{
	if (t->error || t->ended)
		error_free(&take);
	else
		t->error = take;
	finish(t);
}

static void send_more(void *arg)
{
	struct transfer *t = arg;
	struct error *error = NULL;
	char piece[PIECE];

	while (!t->ended && !t->all_sent && t->result->status < 400 && !stream_full(t->stream)) {
		ssize_t n = t->ops->produce(t->arg, piece, sizeof(piece), &error);

		if (n < 0) {
			fail(t, error);
		} else if (n == 0) {
			t->all_sent = true;
			stream_end(t->stream);
		} else {
			stream_write(t->stream, piece, (size_t)n);
		}
	}
}

static void take_refusal(struct transfer *t)
{
	struct evbuffer *in = stream_input(t->stream);
	size_t n = evbuffer_get_length(in);
	struct error *error = NULL;

	t->result->refusal = mem_alloc(n + 1);
	evbuffer_remove(in, t->result->refusal, n);
	client_refused(t->client, t->result->status, t->result->refusal, &error);
	fail(t, error);
}

static int take_body(struct transfer *t, struct error **err)
{
	struct evbuffer *in = stream_input(t->stream);
	char piece[PIECE];
	int n;

	while ((n = evbuffer_remove(in, piece, sizeof(piece))) > 0)
		if (t->ops->consume && t->ops->consume(t->arg, piece, (size_t)n, err))
			return -1;
	return 0;
}

static void on_readable(void *arg)
{
	struct transfer *t = arg;
	struct error *error = NULL;

	if (t->ended || !t->result->status)
		return;
	if (t->result->status >= 400) {
		if (stream_eof(t->stream) || evbuffer_get_length(stream_input(t->stream)) > REFUSAL_MAX)
			take_refusal(t);
		else
			stream_resume(t->stream);
		return;
	}
	if (take_body(t, &error))
		fail(t, error);
	else if (stream_eof(t->stream))
		finish(t);
	else
		stream_resume(t->stream);
}

static void on_closed(void *arg, const struct error *why)
{
	struct transfer *t = arg;
	struct error *error = NULL;

	if (t->ended)
		return;
	if (t->result->status >= 400) {
		take_refusal(t);
	} else if (why && t->result->status) {
		t->result->broke_off = true;
		error_set(&error, why->code, "the transfer broke off: %s", error_message(why));
		fail(t, error);
	} else if (why) {
		client_unreachable(t->client, why, &error);
		fail(t, error);
	} else {
		on_readable(t);
		finish(t);
	}
}

static const struct stream_events events = {on_readable, send_more, on_closed};

static void on_response(void *arg, struct http_exchange *x, const struct error *why)
{
	struct transfer *t = arg;
	struct error *error = NULL;

	if (t->ended)
		return;
	if (why) {
		client_unreachable(t->client, why, &error);
		fail(t, error);
		return;
	}
	t->result->status = http_exchange_response(x)->status;
	if (t->result->status < 400 && t->ops->begin && t->ops->begin(t->arg, http_exchange_response(x), &error)) {
		fail(t, error);
		return;
	}
	on_readable(t);
}

static void on_signal(void *arg, int signo)
{
	struct transfer *t = arg;
	struct error *error = NULL;

	t->result->signo = signo;
	error_set(&error, ERR_CANCELLED, "interrupted");
	fail(t, error);
}

int transfer_run(struct client *c, struct http_head *take_request, const struct transfer_ops *ops, void *arg,
		 struct transfer_result *ret, struct error **err)
{
	struct transfer t = {.client = c, .ops = ops, .arg = arg, .result = ret};
	struct signals *signals = ops->consume ? signals_new(c->loop, on_signal, &t) : NULL;
	int rc;

	*ret = (struct transfer_result){0};
	t.exchange = http1_client_open(c->http, take_request);
	t.stream = http_exchange_stream(t.exchange);
	http_exchange_on_response(t.exchange, on_response, &t);
	stream_set_events(t.stream, &events, &t);
	if (ops->produce)
		send_more(&t);
	else
		stream_end(t.stream);
	rc = t.ended || !loop_run(c->loop, t.error ? NULL : &t.error) ? 0 : -1;
	http_exchange_free(&t.exchange);
	signals_free(&signals);
	if (t.error)
		return error_move(err, &t.error);
	return rc;
}
