/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "cli/vm_forward.h"
#include "cli/ws_open.h"
#include "io/ws.h"

enum { HANDSHAKE_MS = 45 * 1000 }; /* a guest that still boots is waited for 30 s, then dials for 10 */

struct forward_conn {
	struct forward *forward;
	struct forward_conn *next, **prev;
	struct stream *local; /* until it is joined */
	struct ws_open *open;
	struct timer *limit; /* of opening */
	struct splice *splice;
};

void forward_conn_free(struct forward_conn *c)
{
	struct forward *f = c->forward;

	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	f->nconns--;
	stream_free(&c->local);
	ws_open_free(&c->open);
	splice_free(&c->splice);
	timer_free(&c->limit);
	free(c);
	forward_update(f);
}

static void conn_fail(struct forward_conn *c, const struct error *error)
{
	fprintf(stderr, "slicer: a connection was not forwarded: %s\n", error_message(error));
	forward_conn_free(c);
}

/* How it ended is its two ends' affair, unless the VM went. */
static void conn_done(void *arg, const struct error *error)
{
	if (error && error->code == ERR_UNAVAILABLE && !error->sys_errno)
		fprintf(stderr, "slicer: a connection broke off: %s\n", error_message(error));
	forward_conn_free(arg);
}

static void conn_opened(void *arg, struct stream *take_raw, int status, const struct error *error)
{
	struct forward_conn *c = arg;
	struct loop *loop = c->forward->client->loop;

	if (error) {
		conn_fail(c, error);
		return;
	}
	timer_cancel(c->limit);
	c->splice = splice_new(loop, TAKE_PTR(c->local), ws_stream_new(loop, take_raw, true), conn_done, c);
	splice_end_together(c->splice);
}

static void conn_expired(void *arg)
{
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_TIMEOUT, "the daemon did not answer in time");
	conn_fail(arg, error);
}

static void conn_request(struct forward_conn *c, const char *upstream)
{
	struct client *client = c->forward->client;
	cleanup_free char *target = target_new("/vm/%s/forward", c->forward->vm);
	struct http_head *head = client_head(client, "GET", target);

	http_head_add(head, "x-inlets-client-id", c->forward->vm);
	http_head_add(head, "x-inlets-mode", "local");
	http_head_add(head, "x-inlets-upstream", upstream);
	c->open = ws_open_new(client, head, conn_opened, c);
}

void forward_conn_start(struct forward *f, const char *upstream, int take_fd)
{
	struct forward_conn *c = NEW(struct forward_conn);
	int on = 1;

	setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on Unix sockets */
	c->forward = f;
	c->next = f->conns;
	c->prev = &f->conns;
	if (c->next)
		c->next->prev = &c->next;
	f->conns = c;
	f->nconns++;
	c->local = stream_fd_new(f->client->loop, take_fd, -1); /* nothing is read before somebody takes it */
	c->limit = timer_new(f->client->loop, conn_expired, c);
	timer_set(c->limit, HANDSHAKE_MS);
	conn_request(c, upstream);
	forward_update(f);
}
