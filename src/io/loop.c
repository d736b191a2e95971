/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include <sys/wait.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/deadline.h"
#include "base/log.h"
#include "io/loop.h"

struct loop {
	struct event_base *base;
	bool stop;
};

struct timer {
	struct event event;
	bool judges;
	struct deadline deadline; /* if it does */
	loop_fn *fn;
	void *arg;
};

struct watch {
	struct event event;
	struct event_base *base;
	watch_fn *fn;
	void *arg;
	int fd;
	int what;
};

struct loop_signal {
	struct event event;
	loop_fn *fn;
	void *arg;
};

struct child {
	int pidfd;
	struct watch *watch;
	child_fn *fn;
	void *arg;
};

/* libevent prints its warnings on stderr; ours are errors that callers handle. */
static void on_libevent_log(int severity, const char *message)
{
	log_debug("libevent: %s", message);
}

struct loop *loop_new(struct error **err)
{
	struct event_config *config;
	struct loop *loop;

	/* A peer that leaves is an EPIPE of that stream, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(on_libevent_log);

	config = event_config_new();
	if (!config) {
		error_set(err, ERR_INTERNAL, "cannot configure the event loop");
		return NULL;
	}
	event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	loop = NEW(struct loop);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!loop->base) {
		error_set(err, ERR_INTERNAL, "cannot create the event loop: no epoll");
		loop_free(&loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop **loop)
{
	if (!*loop)
		return;
	if ((*loop)->base)
		event_base_free((*loop)->base);
	free(TAKE_PTR(*loop));
}

int loop_run(struct loop *loop, struct error **err)
{
	while (!loop->stop) {
		if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
			return error_set(err, ERR_INTERNAL, "the event loop failed");
	}
	loop->stop = false;
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
	event_base_loopbreak(loop->base);
}

static void on_expired(void *arg)
{
	*(bool *)arg = true;
}

int loop_run_until(struct loop *loop, const bool *done, int64_t timeout_ms, struct error **err)
{
	bool expired = false;
	struct timer *timer = timer_new(loop, on_expired, &expired);
	int rc = 0;

	timer_set(timer, timeout_ms);
	while (rc == 0 && !*done && !expired && !loop->stop) {
		if (event_base_loop(loop->base, EVLOOP_ONCE) < 0)
			rc = error_set(err, ERR_INTERNAL, "the event loop failed");
	}
	timer_free(&timer);
	if (rc == 0 && !*done) {
		if (expired)
			rc = error_set(err, ERR_TIMEOUT, "nothing came of it within %lld ms", (long long)timeout_ms);
		else
			rc = error_set(err, ERR_CANCELLED, "the event loop was stopped");
	}
	loop->stop = false;
	return rc;
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

static void arm(struct timer *t, int64_t ms)
{
	struct timeval tv = {};

	if (ms > 0) {
		tv.tv_sec = ms / 1000;
		tv.tv_usec = (ms % 1000) * 1000;
	}
	event_add(&t->event, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	if (t->judges && deadline_put_off(&t->deadline))
		arm(t, deadline_left(&t->deadline));
	else
		t->fn(t->arg);
}

struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct timer *t = NEW(struct timer);

	t->fn = fn;
	t->arg = arg;
	event_assign(&t->event, loop->base, -1, 0, on_timer, t);
	return t;
}

void timer_set(struct timer *t, int64_t ms)
{
	t->judges = false;
	arm(t, ms);
}

void timer_set_deadline(struct timer *t, int64_t ms)
{
	t->judges = true;
	t->deadline = deadline_in(ms);
	arm(t, ms);
}

void timer_cancel(struct timer *t)
{
	event_del(&t->event);
}

bool timer_pending(const struct timer *t)
{
	return event_pending(&t->event, EV_TIMEOUT, NULL);
}

void timer_free(struct timer **t)
{
	if (!*t)
		return;
	event_del(&(*t)->event);
	free(TAKE_PTR(*t));
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	int got = 0;

	if (what & EV_TIMEOUT) { /* cannot be polled: a file is always ready */
		struct timeval now = {};

		event_add(&w->event, &now);
		got = w->what;
	}
	if (what & EV_READ)
		got |= WATCH_IN;
	if (what & EV_WRITE)
		got |= WATCH_OUT;
	w->fn(w->arg, got & w->what);
}

struct watch *watch_new(struct loop *loop, int fd, watch_fn *fn, void *arg)
{
	struct watch *w = NEW(struct watch);

	w->base = loop->base;
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	event_assign(&w->event, loop->base, -1, 0, on_watch, w);
	return w;
}

void watch_set(struct watch *w, int what)
{
	short events = EV_PERSIST;
	struct timeval now = {};

	if (what == w->what)
		return;
	event_del(&w->event);
	w->what = what;
	if (what == 0)
		return;
	if (what & WATCH_IN)
		events |= EV_READ;
	if (what & WATCH_OUT)
		events |= EV_WRITE;
	event_assign(&w->event, w->base, w->fd, events, on_watch, w);
	if (event_add(&w->event, NULL) == 0)
		return;
	/* epoll takes no regular files nor /dev/null (EPERM); those never block. */
	event_assign(&w->event, w->base, -1, 0, on_watch, w);
	event_add(&w->event, &now);
}

void watch_free(struct watch **w)
{
	if (!*w)
		return;
	event_del(&(*w)->event);
	free(TAKE_PTR(*w));
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;

	s->fn(s->arg);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
	struct loop_signal *s = NEW(struct loop_signal);

	s->fn = fn;
	s->arg = arg;
	event_assign(&s->event, loop->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s);
	event_add(&s->event, NULL);
	return s;
}

void loop_signal_free(struct loop_signal **s)
{
	if (!*s)
		return;
	event_del(&(*s)->event);
	free(TAKE_PTR(*s));
}

/* What waitpid(2) would have said. */
static int wait_status(const siginfo_t *info)
{
	switch (info->si_code) {
	case CLD_EXITED:
		return (info->si_status & 0xff) << 8;
	case CLD_DUMPED:
		return info->si_status | 0x80;
	default:
		return info->si_status;
	}
}

static void on_child(void *arg, int what)
{
	struct child *c = arg;
	siginfo_t info = {};
	int status = -1;

	if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) == 0) {
		if (info.si_pid == 0)
			return;
		status = wait_status(&info);
	}
	watch_set(c->watch, 0);
	c->fn(c->arg, status);
}

struct child *child_new(struct loop *loop, int take_pidfd, child_fn *fn, void *arg)
{
	struct child *c = NEW(struct child);

	c->pidfd = take_pidfd;
	c->fn = fn;
	c->arg = arg;
	c->watch = watch_new(loop, take_pidfd, on_child, c);
	watch_set(c->watch, WATCH_IN);
	return c;
}

void child_free(struct child **c)
{
	if (!*c)
		return;
	watch_free(&(*c)->watch);
	fd_closep(&(*c)->pidfd);
	free(TAKE_PTR(*c));
}
