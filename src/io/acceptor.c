/* SPDX-License-Identifier: MIT */
#include "io/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

enum {
	ACCEPT_BATCH = 16,
	ACCEPT_PAUSE_MS = 100,
};

struct acceptor {
	int fd;
	struct watch *watch;
	struct timer *again; /* after running out of fds */
	accept_fn *fn;
	void *arg;
	bool paused;
	bool *gone; /* set when the owner frees us in fn */
};

static void acceptor_update(struct acceptor *a)
{
	watch_set(a->watch, a->paused || timer_pending(a->again) ? 0 : WATCH_IN);
}

static void acceptor_again(void *arg)
{
	acceptor_update(arg);
}

static void acceptor_ready(void *arg, int what)
{
	struct acceptor *a = arg;
	bool gone = false;

	for (int i = 0; i < ACCEPT_BATCH && !a->paused; i++) {
		int fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			a->gone = &gone;
			a->fn(a->arg, fd);
			if (gone)
				return;
			a->gone = NULL;
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* The connection stays in the backlog: asking again at once would spin. */
			timer_set(a->again, ACCEPT_PAUSE_MS);
			acceptor_update(a);
			return;
		}
		if (errno == EAGAIN)
			return;
	}
}

struct acceptor *acceptor_new(struct loop *loop, int take_listen_fd, accept_fn *fn, void *arg)
{
	struct acceptor *a = NEW(struct acceptor);

	a->fd = take_listen_fd;
	a->fn = fn;
	a->arg = arg;
	/* Of two loops on one socket, or after a connection was taken back, accept must not block. */
	fcntl(a->fd, F_SETFL, fcntl(a->fd, F_GETFL) | O_NONBLOCK);
	a->again = timer_new(loop, acceptor_again, a);
	a->watch = watch_new(loop, a->fd, acceptor_ready, a);
	acceptor_update(a);
	return a;
}

void acceptor_pause(struct acceptor *a, bool pause)
{
	a->paused = pause;
	acceptor_update(a);
}

void acceptor_free(struct acceptor **ap)
{
	struct acceptor *a = TAKE_PTR(*ap);

	if (!a)
		return;
	if (a->gone)
		*a->gone = true;
	watch_free(&a->watch);
	timer_free(&a->again);
	fd_closep(&a->fd);
	free(a);
}
