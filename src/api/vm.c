/* SPDX-License-Identifier: MIT */
/* One VM: describe, and the changes of its state. */
#include "api/call.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

enum {
	STOP_LIMIT_MS = 90 * 1000, /* the stop operation kills after 60 s */
	RELAUNCH_LIMIT_MS = 60 * 1000,
};

void vm_describe(struct call *call)
{
	struct vm *vm = call_vm(call);

	if (vm)
		call_reply_json(call, 200, view_describe(vm));
}

static void change_client_left(struct call *call)
{
	call_free(&call); /* what it asked for goes on */
}

static void change_done(void *arg, const struct error *error)
{
	struct call *call = arg;

	if (error)
		call_reply_error(call, error);
	else
		call_reply_text(call, 200, "OK\n");
}

/* Calls back when no record of the VM is being written. Whether the client leaves meanwhile is not watched, as little as while
 * a request has the hypervisor's answer to wait for: what it asked for is done. */
static void change_when_settled(struct call *call, vm_done_fn *then)
{
	struct vm *vm = call_vm(call);

	if (!vm)
		return;
	if (!vm_is_settling(vm)) {
		then(call, NULL);
		return;
	}
	call->waiter = vm_wait(vm, VM_WAIT_SETTLED, STOP_LIMIT_MS, then, call);
}

/* NULL: it has been answered with what went wrong. */
static struct vm *change_begin(struct call *call, const struct error *error)
{
	vm_waiter_free(&call->waiter);
	if (error) {
		call_reply_error(call, error);
		return NULL;
	}
	return call_vm(call);
}

static void change_start(struct call *call, const struct error *early, int (*start)(struct vm *vm, struct error **err),
			 enum vm_wait_for what, int64_t timeout_ms, vm_done_fn *done)
{
	struct vm *vm = change_begin(call, early);
	cleanup_error struct error *error = NULL;

	if (!vm)
		return;
	if (start(vm, &error)) {
		call_reply_error(call, error);
		return;
	}
	call->waiter = vm_wait(vm, what, timeout_ms, done, call);
	call_watch_client(call, change_client_left);
}

static void shutdown_begin(void *arg, const struct error *early)
{
	change_start(arg, early, vm_shutdown, VM_WAIT_STOPPED, STOP_LIMIT_MS, change_done);
}

static void shutdown_with_body(struct call *call, const char *body, size_t n)
{
	struct shutdown_request request = {0};
	cleanup_error struct error *error = NULL;
	const char *action;
	int r;

	if (!call_vm(call))
		return;
	action = http_query_get(call->query, "action");
	r = action && action[0] ? shutdown_action_parse(action, &request.action, &error)
				: shutdown_request_parse(body, n, &request, &error);
	/* Whatever the action: "reboot" is how existing clients ask a hypervisor to stop that only ends on a reboot. */
	if (r)
		call_reply_error(call, error);
	else
		change_when_settled(call, shutdown_begin);
}

void vm_post_shutdown(struct call *call)
{
	call_read_body(call, shutdown_with_body);
}

/* Answered when the record says so too: what is asked next finds no operation under way. */
static void pause_done(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);

	if (error || !vm) {
		change_done(call, error);
		return;
	}
	call->waiter = vm_wait(vm, VM_WAIT_SETTLED, STOP_LIMIT_MS, change_done, call);
	call_watch_client(call, change_client_left);
}

static void pause_begin(void *arg, const struct error *early)
{
	struct call *call = arg;
	struct vm *vm = change_begin(call, early);

	if (vm)
		vm_pause(vm, pause_done, call);
}

static void pause_with_body(struct call *call, const char *body, size_t n)
{
	change_when_settled(call, pause_begin);
}

void vm_post_pause(struct call *call)
{
	call_read_body(call, pause_with_body);
}

static void resume_begin(void *arg, const struct error *early)
{
	struct call *call = arg;
	struct vm *vm = change_begin(call, early);

	if (vm)
		vm_resume(vm, pause_done, call);
}

static void resume_with_body(struct call *call, const char *body, size_t n)
{
	change_when_settled(call, resume_begin);
}

void vm_post_resume(struct call *call)
{
	call_read_body(call, resume_with_body);
}

static void relaunch_done(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);

	if (error || !vm)
		call_reply_error(call, error);
	else
		call_reply_json(call, 200, view_created(vm));
}

static void relaunch_begin(void *arg, const struct error *early)
{
	change_start(arg, early, vm_relaunch, VM_WAIT_SCHEDULED, RELAUNCH_LIMIT_MS, relaunch_done);
}

static void relaunch_with_body(struct call *call, const char *body, size_t n)
{
	change_when_settled(call, relaunch_begin);
}

void vm_post_relaunch(struct call *call)
{
	call_read_body(call, relaunch_with_body);
}
