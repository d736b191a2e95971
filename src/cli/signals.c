/* SPDX-License-Identifier: MIT */
#include "cli/signals.h"

#include <signal.h>

enum { SIGNAL_COUNT = 4 };
static const int numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct signals {
	signals_fn *fn;
	void *arg;
	struct one {
		struct signals *all;
		int signo;
		struct loop_signal *watch;
	} each[SIGNAL_COUNT];
};

static void on_signal(void *arg)
{
	struct one *one = arg;

	one->all->fn(one->all->arg, one->signo);
}

struct signals *signals_new(struct loop *loop, signals_fn *fn, void *arg)
{
	struct signals *s = NEW(struct signals);

	s->fn = fn;
	s->arg = arg;
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		s->each[i].all = s;
		s->each[i].signo = numbers[i];
		s->each[i].watch = loop_signal_new(loop, numbers[i], on_signal, &s->each[i]);
	}
	return s;
}

void signals_free(struct signals **s)
{
	if (!*s)
		return;
	for (int i = 0; i < SIGNAL_COUNT; i++)
		loop_signal_free(&(*s)->each[i].watch);
	free(*s);
	*s = NULL;
}
