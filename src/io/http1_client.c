/* SPDX-License-Identifier: MIT */
/* The client: exchanges and the kept connection. */
#include <errno.h>

#include "base/fs.h"
#include "base/str.h"
#include "io/http1_client.h"

static struct http1_call *of_stream(struct stream *s)
{
	return (struct http1_call *)s;
}

static void call_resume(struct stream *s)
{
	struct http1_call *c = of_stream(s);

	if (c->link && c->link->io)
		http1_link_input(c->link);
}

static void call_flush(struct stream *s)
{
	struct http1_call *c = of_stream(s);

	if (c->link && c->link->io)
		http1_link_output(c->link);
}

static void unlink_call(struct http1_call *c)
{
	if (!c->client)
		return;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->client = NULL;
}

static void call_destroy(struct stream *s)
{
	struct http1_call *c = of_stream(s);

	unlink_call(c);
	if (c->link)
		http1_link_free(c->link);
	http_exchange_clear(&c->x);
	free(c);
}

static const struct stream_ops call_stream_ops = {
	.resume = call_resume,
	.flush = call_flush,
	.destroy = call_destroy,
};

static const struct http_exchange_ops call_ops = {};

void http1_call_fail(struct http1_call *c, struct error *take)
{
	struct http1_link *l = TAKE_PTR(c->link);

	if (l)
		http1_link_free(l);
	http_exchange_did_fail(&c->x, take);
}

/* For failures within a call of the owner. */
static void fail_later(struct http1_call *c, struct error *take)
{
	c->x.stream.busy++;
	http1_call_fail(c, take);
	c->x.stream.busy--;
}

static void dial(struct http1_call *c)
{
	c->link = http1_link_new(c->client, c);
	if (c->link->last_error)
		fail_later(c, TAKE_PTR(c->link->last_error));
}

static void init_encoder(struct http1_call *c)
{
	int64_t n = c->x.request->content_length;

	c->encoder = (struct http1_encoder){
		.kind = n < 0	? HTTP1_BODY_CHUNKED
			: n > 0 ? HTTP1_BODY_LENGTH
				: HTTP1_BODY_NONE,
		.left = n > 0 ? (uint64_t)n : 0,
		.done = n == 0,
	};
}

bool http1_call_retry(struct http1_call *c)
{
	static const char *const idempotent[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
	bool may = false;

	for (size_t i = 0; i < ARRAY_LEN(idempotent); i++)
		may |= str_eq(c->x.request->method, idempotent[i]);
	if (!may || c->retried || c->body_begun || !c->client)
		return false;
	c->retried = true;
	init_encoder(c);
	http1_link_free(TAKE_PTR(c->link));
	dial(c);
	return true;
}

static bool is_valid(const struct http_head *h, struct error **err)
{
	if (!http_is_token(h->method) || !http_is_target(h->target)) {
		error_set(err, ERR_INVALID, "bad HTTP request: method '%s', target '%s'", h->method, h->target);
		return false;
	}
	return true;
}

struct http_exchange *http1_client_open(struct http1_client *client, struct http_head *take_request)
{
	struct http1_call *c = NEW(struct http1_call);
	struct error *e = NULL;

	http_exchange_init(&c->x, client->loop, &call_stream_ops, &call_ops, take_request);
	c->client = client;
	c->next = client->calls;
	c->prev = &client->calls;
	if (c->next)
		c->next->prev = &c->next;
	client->calls = c;
	init_encoder(c);
	c->x.stream.end_requested = c->x.stream.end_sent = c->encoder.done;
	if (!is_valid(take_request, &e)) {
		fail_later(c, e);
	} else if (client->idle) {
		c->link = TAKE_PTR(client->idle);
		c->link->call = c;
		c->link->reused = true;
		c->x.stream.busy++;
		http1_link_start(c->link);
		c->x.stream.busy--;
	} else {
		dial(c);
	}
	return &c->x;
}

struct http1_client *http1_client_alloc(struct loop *loop, const struct http1_dialer *dialer, const char *name)
{
	struct http1_client *client = NEW(struct http1_client);

	client->loop = loop;
	client->dialer = dialer;
	client->name = str_dup(name);
	client->fd = -1;
	return client;
}

void http1_client_free(struct http1_client **pclient)
{
	struct http1_client *client = TAKE_PTR(*pclient);

	if (!client)
		return;
	while (client->calls) {
		struct http1_call *c = client->calls;
		struct error *e = NULL;

		unlink_call(c);
		error_set(&e, ERR_CANCELLED, "the HTTP client was closed");
		fail_later(c, e);
	}
	if (client->idle)
		http1_link_free(client->idle);
	if (client->dialer->free)
		client->dialer->free(client);
	fd_closep(&client->fd);
	free(client->name);
	free(client->authority);
	free(client->host);
	free(client);
}

static int dial_unix(struct http1_client *client, unsigned attempt, struct error **err)
{
	struct error *e = NULL;
	int fd;

	if (attempt > 0)
		return -1;
	fd = fd_connect_unix(client->name, &e);
	if (fd < 0) {
		e->code = ERR_UNAVAILABLE;
		error_move(err, &e);
	}
	return fd;
}

struct http1_client *http1_client_new_unix(struct loop *loop, const char *path)
{
	static const struct http1_dialer dialer = {.dial = dial_unix};
	struct http1_client *client = http1_client_alloc(loop, &dialer, path);

	client->authority = str_dup("localhost");
	return client;
}

static int dial_fd(struct http1_client *client, unsigned attempt, struct error **err)
{
	if (attempt > 0)
		return -1;
	if (client->fd < 0)
		return error_set(err, ERR_UNAVAILABLE, "the connection is in use or closed");
	return TAKE_FD(client->fd);
}

struct http1_client *http1_client_new_fd(struct loop *loop, int take_connected_fd)
{
	static const struct http1_dialer dialer = {.dial = dial_fd};
	struct http1_client *client = http1_client_alloc(loop, &dialer, "the given connection");

	client->authority = str_dup("localhost");
	client->fd = take_connected_fd;
	return client;
}

struct stream *http1_client_upgraded(struct http_exchange **px)
{
	struct http1_call *c = (struct http1_call *)TAKE_PTR(*px);
	struct stream *io = NULL;

	if (c->link && c->x.response && c->x.response->status == 101) {
		io = TAKE_PTR(c->link->io);
		stream_set_events(io, NULL, NULL);
	}
	call_destroy(&c->x.stream);
	return io;
}
