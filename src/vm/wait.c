/* SPDX-License-Identifier: MIT */
/* Waiters: API requests that hang on something that is to become true of a VM. */
#include "base/units.h"
#include "vm/manager_impl.h"

struct vm_waiter {
	struct vm *vm; /* NULL once it was called */
	enum vm_wait_for what;
	struct timer *timer;
	vm_done_fn *fn;
	void *arg;
	struct vm_waiter *next;
};

static void waiter_unlink(struct vm_waiter *w)
{
	struct vm_waiter **at = &w->vm->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->vm = NULL;
}

static void waiter_call(struct vm_waiter *w, const struct error *error)
{
	waiter_unlink(w);
	timer_cancel(w->timer);
	w->fn(w->arg, error);
}

static void waiter_expired(void *arg)
{
	static const char *const for_what[] = {
		[VM_WAIT_SCHEDULED] = "to start",
		[VM_WAIT_AGENT] = "to be reached by its agent",
		[VM_WAIT_USERDATA] = "to finish its userdata",
		[VM_WAIT_STOPPED] = "to stop",
		[VM_WAIT_GONE] = "to be gone",
		[VM_WAIT_SETTLED] = "to settle",
		[VM_WAIT_BACK] = "to be reached by its agent again",
	};
	struct vm_waiter *w = arg;
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_TIMEOUT, "timed out waiting for VM \"%s\" %s", w->vm->hostname, for_what[w->what]);
	waiter_call(w, error);
}

/* Not before its record says so durably: a client that was told of a VM finds it after a crash, too. */
static bool waiter_is_satisfied(const struct vm *vm, enum vm_wait_for what)
{
	bool ready = vm->state == VM_STATE_RUNNING && !vm->op && !vm->vmm_gone && session_is_ready(vm->session);

	switch (what) {
	case VM_WAIT_SCHEDULED:
		return (vm->state == VM_STATE_RUNNING || vm->state == VM_STATE_PAUSED) && !vm->op;
	case VM_WAIT_AGENT:
	case VM_WAIT_BACK:
		return ready;
	case VM_WAIT_USERDATA:
		return ready && (!vm->userdata || session_facts(vm->session)->userdata_done);
	case VM_WAIT_STOPPED:
		return vm->state == VM_STATE_STOPPED && !vm->op;
	case VM_WAIT_GONE:
		return false;
	case VM_WAIT_SETTLED:
		return !vm->op && !vm->dirty;
	}
	return false;
}

/* What was to start and is on its way out will not come up any more; what could not be stopped or deleted stays. */
static bool waiter_is_hopeless(const struct vm *vm, enum vm_wait_for what)
{
	if (what == VM_WAIT_STOPPED || what == VM_WAIT_GONE)
		return vm->stuck && !vm->op;
	if (what == VM_WAIT_BACK)
		return vm->vmm_gone || (vm->state != VM_STATE_RUNNING && vm->state != VM_STATE_PAUSED);
	return what <= VM_WAIT_USERDATA &&
	       (vm->state == VM_STATE_STOPPING || vm->state == VM_STATE_STOPPED || vm->state == VM_STATE_DELETING);
}

/* Of a failed launch only what a client can act upon (somebody else has the interface, say); that a file of ours is missing
 * is not its 404. */
static enum error_code waiter_code(const struct vm *vm)
{
	switch (vm->last_error_code) {
	case ERR_CONFLICT:
	case ERR_NO_SPACE:
	case ERR_UNAVAILABLE:
		return vm->last_error_code;
	default:
		return ERR_INTERNAL;
	}
}

static void waiter_say_hopeless(const struct vm *vm, enum vm_wait_for what, struct error **err)
{
	cleanup_free char *end = what == VM_WAIT_BACK ? vm_say_end(vm) : NULL;

	if (end)
		error_set(err, ERR_GONE, "VM \"%s\" %s", vm->hostname, end);
	else
		error_set(err, waiter_code(vm), "VM \"%s\" is %s: %s", vm->hostname, vm_state_name(vm->state),
			  vm->last_error ? vm->last_error : "it was stopped meanwhile");
}

void waiters_check(struct vm *vm)
{
	struct vm_waiter *w = vm->waiters;

	while (w) {
		cleanup_error struct error *error = NULL;

		if (waiter_is_satisfied(vm, w->what)) {
			waiter_call(w, NULL);
			w = vm->waiters; /* the callee may have freed others */
		} else if (waiter_is_hopeless(vm, w->what)) {
			waiter_say_hopeless(vm, w->what, &error);
			waiter_call(w, error);
			w = vm->waiters;
		} else {
			w = w->next;
		}
	}
}

void waiters_gone(struct vm *vm, const char *why)
{
	while (vm->waiters) {
		struct vm_waiter *w = vm->waiters;
		cleanup_error struct error *error = NULL;

		if (w->what == VM_WAIT_BACK)
			waiter_say_hopeless(vm, w->what, &error);
		else if (w->what < VM_WAIT_STOPPED)
			error_set(&error, waiter_code(vm), "VM \"%s\" is gone: %s", vm->hostname,
				  why ? why : "it was deleted meanwhile");
		waiter_call(w, error);
	}
}

struct vm_waiter *vm_wait(struct vm *vm, enum vm_wait_for what, int64_t timeout_ms, vm_done_fn *fn, void *arg)
{
	struct vm_waiter *w = NEW(struct vm_waiter);

	w->vm = vm;
	w->what = what;
	w->fn = fn;
	w->arg = arg;
	w->timer = timer_new(vm->manager->loop, waiter_expired, w);
	timer_set_deadline(w->timer, timeout_ms);
	w->next = vm->waiters;
	vm->waiters = w;
	vm_changed(vm);
	return w;
}

void vm_waiter_free(struct vm_waiter **wp)
{
	struct vm_waiter *w = *wp;

	if (!w)
		return;
	*wp = NULL;
	if (w->vm)
		waiter_unlink(w);
	timer_free(&w->timer);
	free(w);
}
