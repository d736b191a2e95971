/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "vmm/vmm_client_impl.h"

struct vmm_refusal {
	struct vmm_refusal *next;
	vmm_done_fn *done;
	void *arg;
	struct error *error;
};

const char *vmm_event_name(enum vmm_event event)
{
	static const char *const names[] = {
		[VMM_EVENT_RESET] = "reset",   [VMM_EVENT_SHUTDOWN] = "shutdown", [VMM_EVENT_STOP] = "stop",
		[VMM_EVENT_RESUME] = "resume", [VMM_EVENT_PANICKED] = "panicked",
	};

	return names[event];
}

/* The list is taken off first: a callback may refuse more, or free the client. */
static void vmm_refusals_deliver(struct vmm_refusal *list)
{
	while (list) {
		struct vmm_refusal *r = list;

		list = r->next;
		r->done(r->arg, r->error);
		error_free(&r->error);
		free(r);
	}
}

static void vmm_client_on_refuse(void *arg)
{
	struct vmm_client *c = arg;

	vmm_refusals_deliver(TAKE_PTR(c->refusals));
}

void vmm_client_refuse(struct vmm_client *c, vmm_done_fn *done, void *arg, struct error *take)
{
	struct vmm_refusal *r = NEW(struct vmm_refusal), **end = &c->refusals;

	*r = (struct vmm_refusal){.done = done, .arg = arg, .error = take};
	while (*end)
		end = &(*end)->next;
	*end = r;
	timer_set(c->refuse, 0);
}

struct vmm_client *vmm_client_new(struct loop *loop, const struct vmm_ops *ops, const char *run_dir,
				  const struct vmm_client_events *events, void *arg, struct error **err)
{
	struct vmm_client *c = ops->attach(loop, run_dir, err);

	if (!c)
		return NULL;
	c->ops = ops;
	c->loop = loop;
	c->events = events;
	c->arg = arg;
	c->refuse = timer_new(loop, vmm_client_on_refuse, c);
	return c;
}

void vmm_client_free(struct vmm_client **cp)
{
	struct vmm_client *c = TAKE_PTR(*cp);
	struct vmm_refusal *list;

	if (!c)
		return;
	list = TAKE_PTR(c->refusals);
	timer_free(&c->refuse);
	c->impl->destroy(c);
	vmm_refusals_deliver(list);
}

bool vmm_client_is_up(const struct vmm_client *c)
{
	return c->up;
}

static void vmm_command(struct vmm_client *c, void (*op)(struct vmm_client *, vmm_done_fn *, void *), const char *what,
			vmm_done_fn *done, void *arg)
{
	struct error *error = NULL;

	if (op) {
		op(c, done, arg);
		return;
	}
	error_set(&error, ERR_UNSUPPORTED, "hypervisor %s cannot %s a VM", c->ops->name, what);
	vmm_client_refuse(c, done, arg, error);
}

void vmm_boot(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	if (c->ops->boot)
		c->ops->boot(c, done, arg);
	else
		vmm_client_refuse(c, done, arg, NULL); /* it runs already */
}

void vmm_pause(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	vmm_command(c, c->ops->pause, "pause", done, arg);
}

void vmm_resume(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	vmm_command(c, c->ops->resume, "resume", done, arg);
}

void vmm_stop(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	vmm_command(c, c->ops->stop, "stop", done, arg);
}

void vmm_kill(struct vmm_client *c, vmm_done_fn *done, void *arg)
{
	vmm_command(c, c->ops->kill, "kill", done, arg);
}

void vmm_query_status(struct vmm_client *c, vmm_status_fn *done, void *arg)
{
	c->impl->query_status(c, done, arg);
}
