/* SPDX-License-Identifier: MIT */
/* GET /forward: one connection to a socket in the guest, its bytes as the bodies of request and response. */
#include "agent/forward_dial.h"
#include "agent/server.h"

struct forward {
	struct server *server;
	struct http_exchange *x; /* until the connection is there */
	struct dial *dial;
	struct splice *splice;
	bool half_close;
};

static void forward_free(struct forward *f)
{
	dial_free(&f->dial);
	splice_free(&f->splice);
	http_exchange_free(&f->x);
	free(f);
}

static void forward_done(void *arg, const struct error *error)
{
	forward_free(arg);
}

/* For the host it is a gateway's failure: what is refused here is a peer of the agent's. */
static void forward_refuse(struct forward *f, const struct error *error)
{
	http_reply_error_status(&f->x, error->code == ERR_TIMEOUT ? 504 : 502, error);
	forward_free(f);
}

static void forward_dialled(void *arg, int take_fd, const struct error *error)
{
	struct forward *f = arg;
	struct loop *loop = f->server->loop;
	struct http_head *head;

	if (error) {
		forward_refuse(f, error);
		return;
	}
	head = http_head_new_response(200);
	http_head_add(head, "content-type", "application/octet-stream");
	http_exchange_respond(f->x, head);
	f->splice =
		splice_new(loop, http_exchange_take_stream(&f->x), stream_fd_new(loop, take_fd, -1), forward_done, f);
	if (!f->half_close)
		splice_end_together(f->splice);
}

static void forward_closed(void *arg, const struct error *error)
{
	forward_free(arg);
}

static int forward_parse(struct forward *f, const struct http_query *q, struct upstream *ret, struct error **err)
{
	const char *upstream = http_query_get(q, "upstream");

	if (!upstream)
		return error_set(err, ERR_INVALID, "upstream: missing");
	if (http_query_bool(q, "half_close", &f->half_close, err) < 0)
		return -1;
	return upstream_parse(upstream, ret, err);
}

void forward_handle(struct server *server, struct http_exchange *take, const struct http_query *q)
{
	static const struct stream_events dialling_events = {.on_closed = forward_closed};
	struct forward *f = NEW(struct forward);
	struct upstream upstream = {0};
	cleanup_error struct error *error = NULL;

	f->server = server;
	f->x = take;
	if (forward_parse(f, q, &upstream, &error) < 0) {
		http_reply_error(&f->x, error);
		forward_free(f);
		return;
	}
	stream_set_events(http_exchange_stream(f->x), &dialling_events, f);
	f->dial = dial_new(server->loop, server->tasks, &upstream, forward_dialled, f);
	upstream_clear(&upstream);
}
