/* SPDX-License-Identifier: MIT */
/* The listening side: accepting, limits, deadlines. */
#include <unistd.h>
#include <sys/socket.h>

#include "base/deadline.h"
#include "base/units.h"
#include "io/http1_server.h"

enum {
	MAX_REFUSED = 64, /* connections that are being told 503 */
};

static void start_tick(struct http1_server *s)
{
	if (timer_pending(s->tick))
		return;
	s->tick_at = clock_ms() + s->tick_ms;
	timer_set(s->tick, s->tick_ms);
}

/* We stood still, perhaps for longer than any of them may take (base/deadline.h): that time does not count. */
static void forgive(struct http1_server *s, int64_t ms)
{
	for (struct http1_conn *c = s->conns; c; c = c->next) {
		c->deadline += c->deadline ? ms : 0;
		c->stalled_since += c->stalled_since ? ms : 0;
	}
}

static void on_tick(void *arg)
{
	struct http1_server *s = arg;
	int64_t now = clock_ms();
	struct http1_conn *c, *next;

	if (now - s->tick_at > DEADLINE_LATE_MS)
		forgive(s, now - s->tick_at);
	for (c = s->conns; c; c = next) {
		next = c->next;
		http1_conn_tick(c, now);
	}
	if (s->conns)
		start_tick(s);
}

static void add_connection(void *arg, int take_fd)
{
	struct http1_server *s = arg;
	bool refused = s->nconns >= s->limits.max_connections;
	struct http1_conn *c;

	if (refused && s->nrefused >= MAX_REFUSED) {
		close(take_fd);
		return;
	}
	c = http1_conn_new(s, take_fd);
	c->refused = refused;
	if (refused) {
		s->nrefused++;
		http1_conn_reject(c, 503, "too many connections; try again later");
	} else {
		s->nconns++;
	}
	start_tick(s);
}

static void set_limits(struct http1_server *s, const struct http1_limits *given)
{
	static const struct http1_limits defaults = {
		.max_connections = 1024,
		.head_timeout_ms = 10 * 1000,
		.idle_timeout_ms = 120 * 1000,
		.write_timeout_ms = 120 * 1000,
	};
	struct http1_limits *l = &s->limits;
	int64_t least;

	*l = given ? *given : defaults;
	if (!l->max_connections)
		l->max_connections = defaults.max_connections;
	if (!l->head_timeout_ms)
		l->head_timeout_ms = defaults.head_timeout_ms;
	if (!l->idle_timeout_ms)
		l->idle_timeout_ms = defaults.idle_timeout_ms;
	if (!l->write_timeout_ms)
		l->write_timeout_ms = defaults.write_timeout_ms;
	least = l->head_timeout_ms;
	if (l->idle_timeout_ms < least)
		least = l->idle_timeout_ms;
	if (l->write_timeout_ms < least)
		least = l->write_timeout_ms;
	s->tick_ms = least / 4;
	if (s->tick_ms < 10)
		s->tick_ms = 10;
	if (s->tick_ms > 250)
		s->tick_ms = 250;
}

struct http1_server *http1_server_new(struct loop *loop, int take_listen_fd, const struct http1_limits *limits,
				      http_request_fn *request, void *arg)
{
	struct http1_server *s = NEW(struct http1_server);
	struct sockaddr_storage addr = {};
	socklen_t size = sizeof(addr);

	s->loop = loop;
	s->request = request;
	s->arg = arg;
	set_limits(s, limits);
	getsockname(take_listen_fd, (struct sockaddr *)&addr, &size);
	s->local = addr.ss_family == AF_UNIX;
	s->tick = timer_new(loop, on_tick, s);
	s->acceptor = acceptor_new(loop, take_listen_fd, add_connection, s);
	return s;
}

void http1_server_stop_listening(struct http1_server *s)
{
	struct http1_conn *c, *next;

	acceptor_free(&s->acceptor);
	for (c = s->conns; c; c = next) {
		next = c->next;
		if (c->state == HTTP1_CONN_HEAD)
			http1_conn_linger(c);
	}
}

void http1_server_free(struct http1_server **ps)
{
	struct http1_server *s = TAKE_PTR(*ps);

	if (!s)
		return;
	while (s->conns) {
		struct error *e = NULL;

		error_set(&e, ERR_CANCELLED, "the server is closing");
		http1_conn_fail(s->conns, e);
	}
	acceptor_free(&s->acceptor);
	timer_free(&s->tick);
	free(s);
}

unsigned http1_server_connections(const struct http1_server *s)
{
	return s->nconns;
}
