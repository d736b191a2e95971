/* SPDX-License-Identifier: MIT */
#include "api/loss.h"

#include "base/str.h"

enum { LOSS_MS = 6000 }; /* for an end to be known, which takes up to 4 s, or its agent to be there again */

struct loss {
	struct manager *manager;
	char *vm;
	struct error *why;
	bool apart; /* the agent is there: it was this exchange only */
	struct vm_waiter *waiter;
	struct timer *timer; /* where there is nothing to wait for */
	loss_fn *fn;
	void *arg;
};

static void loss_tell(struct loss *l, const char *what)
{
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_GONE, "%s", what);
	l->fn(l->arg, error);
}

static void loss_gone(void *arg)
{
	struct loss *l = arg;
	const char *how = manager_departed(l->manager, l->vm);
	cleanup_free char *what = str_fmt("VM \"%s\" %s", l->vm, how ? how : "is gone");

	loss_tell(l, what);
}

static void loss_known(void *arg, const struct error *error)
{
	struct loss *l = arg;
	cleanup_free char *what = NULL;

	if (l->apart && !error) {
		l->fn(l->arg, l->why);
		return;
	}
	if (error && error->code != ERR_TIMEOUT)
		what = str_dup(error_message(error));
	else
		what = str_fmt("the connection to the agent in VM \"%s\" was lost: %s", l->vm, error_message(l->why));
	loss_tell(l, what);
}

struct loss *loss_new(struct loop *loop, struct manager *m, const char *vm_name, const struct error *why, loss_fn *fn,
		      void *arg)
{
	struct loss *l = NEW(struct loss);
	struct vm *vm = manager_find(m, vm_name);

	l->manager = m;
	l->vm = str_dup(vm_name);
	l->why = error_copy(why);
	l->fn = fn;
	l->arg = arg;
	if (vm) {
		l->apart = session_is_ready(vm->session);
		l->waiter = vm_wait(vm, VM_WAIT_BACK, LOSS_MS, loss_known, l);
	} else {
		l->timer = timer_new(loop, loss_gone, l);
		timer_set(l->timer, 0);
	}
	return l;
}

void loss_free(struct loss **lp)
{
	struct loss *l = TAKE_PTR(*lp);

	if (!l)
		return;
	vm_waiter_free(&l->waiter);
	timer_free(&l->timer);
	error_free(&l->why);
	free(l->vm);
	free(l);
}
