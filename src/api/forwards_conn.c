/* SPDX-License-Identifier: MIT */
/* One connection of a forwarded port. */
#include "api/forwards_impl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/str.h"
#include "base/units.h"

enum { REFUSAL_MAX = 4096 };

/*   waiting ──agent is there──▶ asking ──200──▶ joined      each ──failure──▶ freed, the peer is reset */
struct forwards_conn {
	struct forwards_listener *listener;
	struct forwards_conn *next, **prev;
	struct stream *local; /* until it is joined; not read before */
	struct vm_waiter *waiter;
	struct http_exchange *agent;
	struct timer *limit;
	struct splice *splice;
};

void forwards_conn_free(struct forwards_conn *c)
{
	struct forwards_listener *l = c->listener;

	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (l->nconns-- == FORWARDS_CONNECTIONS_MAX)
		acceptor_pause(l->acceptor, false);
	vm_waiter_free(&c->waiter);
	stream_free(&c->local);
	http_exchange_free(&c->agent);
	timer_free(&c->limit);
	splice_free(&c->splice);
	free(c);
}

/* Whoever connects again and again does not fill the log. */
static void conn_fail(struct forwards_conn *c, const char *why)
{
	struct forwards_listener *l = c->listener;
	int64_t now = clock_ms();

	if (!l->said_at || now - l->said_at >= FORWARDS_LOG_MS) {
		l->said_at = now;
		log_info("[%s] a connection to forward %s failed: %s", l->vm, l->spec, why);
	}
	forwards_conn_free(c);
}

static void conn_done(void *arg, const struct error *error)
{
	forwards_conn_free(arg);
}

static void conn_refused(struct forwards_conn *c, struct evbuffer *in)
{
	char text[REFUSAL_MAX];
	ssize_t n = evbuffer_remove(in, text, sizeof(text));
	cleanup_free char *why = n > 0 ? http_error_parse(text, (size_t)n) : NULL;

	conn_fail(c, why && *why ? why : "the agent refused");
}

static void conn_readable(void *arg)
{
	struct forwards_conn *c = arg;
	struct stream *s = http_exchange_stream(c->agent);

	if (!http_exchange_response(c->agent))
		return;
	if (stream_eof(s) || evbuffer_get_length(stream_input(s)) >= REFUSAL_MAX)
		conn_refused(c, stream_input(s));
	else
		stream_resume(s);
}

static void conn_agent_closed(void *arg, const struct error *error)
{
	conn_fail(arg, error ? error_message(error) : "the agent refused");
}

static const struct stream_events agent_events = {.on_readable = conn_readable, .on_closed = conn_agent_closed};

static void conn_answered(void *arg, struct http_exchange *x, const struct error *error)
{
	struct forwards_conn *c = arg;

	if (error) {
		conn_fail(c, error_message(error));
		return;
	}
	timer_cancel(c->limit);
	if (http_exchange_response(x)->status != 200) {
		conn_readable(c);
		return;
	}
	c->splice = splice_new(c->listener->forwards->loop, TAKE_PTR(c->local), http_exchange_take_stream(&c->agent),
			       conn_done, c);
}

static void conn_ready(void *arg, const struct error *error)
{
	struct forwards_conn *c = arg;
	struct vm *vm = manager_find(c->listener->forwards->manager, c->listener->vm);
	cleanup_error struct error *gone = NULL;
	struct http_head *request;

	vm_waiter_free(&c->waiter);
	if (error || !vm) {
		conn_fail(c, error ? error_message(error) : "the VM is gone");
		return;
	}
	request = http_head_new_request("GET", c->listener->target);
	request->content_length = -1;
	c->agent = session_open(vm->session, request, &gone);
	if (!c->agent) {
		conn_fail(c, error_message(gone));
		return;
	}
	timer_set_deadline(c->limit, FORWARDS_ANSWER_MS);
	http_exchange_on_response(c->agent, conn_answered, c);
	stream_set_events(http_exchange_stream(c->agent), &agent_events, c);
}

static void conn_expired(void *arg)
{
	conn_fail(arg, "the agent in the VM does not answer");
}

/* Who leaves while the VM is waited for or asked. */
static void conn_local_closed(void *arg, const struct error *error)
{
	forwards_conn_free(arg);
}

void forwards_conn_start(struct forwards_listener *l, int take_fd)
{
	static const struct stream_events local_events = {.on_closed = conn_local_closed};
	struct vm *vm = manager_find(l->forwards->manager, l->vm);
	struct forwards_conn *c = NEW(struct forwards_conn);
	int on = 1;

	setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->listener = l;
	c->next = l->conns;
	c->prev = &l->conns;
	if (c->next)
		c->next->prev = &c->next;
	l->conns = c;
	if (++l->nconns == FORWARDS_CONNECTIONS_MAX)
		acceptor_pause(l->acceptor, true);
	c->local = stream_fd_new(l->forwards->loop, take_fd, -1);
	stream_set_events(c->local, &local_events, c);
	c->limit = timer_new(l->forwards->loop, conn_expired, c);
	if (vm)
		c->waiter = vm_wait(vm, VM_WAIT_AGENT, FORWARDS_AGENT_MS, conn_ready, c);
	else
		conn_fail(c, "there is no such VM now");
}
