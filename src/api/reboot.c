/* SPDX-License-Identifier: MIT */
/* POST /vm/{vm}/reboot: the guest reboots itself; its VM, disk, address and connections to the host stay. */
#include "api/call.h"
#include "base/str.h"
#include "io/http.h"
#include "io/loop.h"

enum {
	REBOOT_AGENT_MS = 30 * 1000, /* for a VM that is still booting */
	REBOOT_ANSWER_MS = 4500,     /* a hung guest is told within 5 s */
};

static void reboot_fail(struct call *call, enum error_code code, const char *why)
{
	cleanup_error struct error *error = NULL;

	error_set(&error, code, "VM \"%s\" was not rebooted: %s", call->vm, why);
	call_reply_error(call, error);
}

/* The answer says that the guest begins to; its new agent's hello that it did. */
static void reboot_answered(void *arg, struct http_exchange *x, const struct error *error)
{
	struct call *call = arg;
	cleanup_free char *why = NULL;

	if (!error && http_exchange_response(x)->status == 200) {
		call_reply_text(call, 200, "OK\n");
		return;
	}
	why = error ? str_dup(error_message(error))
		    : str_fmt("its agent refused (status %d)", http_exchange_response(x)->status);
	reboot_fail(call, error ? ERR_UNAVAILABLE : ERR_PROTOCOL, why);
}

static void reboot_expired(void *arg)
{
	reboot_fail(arg, ERR_INTERNAL, "its agent does not answer");
}

static void reboot_client_left(struct call *call)
{
	call_free(&call); /* what it asked for goes on */
}

static void reboot_send(struct call *call, struct vm *vm)
{
	static const char body[] = "{\"action\":\"reboot\"}";
	struct http_head *head = http_head_new_request("POST", "/shutdown");
	cleanup_error struct error *error = NULL;

	http_head_add(head, "content-type", "application/json");
	head->content_length = sizeof(body) - 1;
	call->agent = session_open(vm->session, head, &error);
	if (!call->agent) {
		call_reply_error(call, error);
		return;
	}
	call->timer = timer_new(call->api->loop, reboot_expired, call);
	timer_set_deadline(call->timer, REBOOT_ANSWER_MS);
	http_exchange_on_response(call->agent, reboot_answered, call);
	stream_write(http_exchange_stream(call->agent), body, sizeof(body) - 1);
	stream_end(http_exchange_stream(call->agent));
}

static void reboot_agent_there(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);
	cleanup_error struct error *not_now = NULL;

	vm_waiter_free(&call->waiter);
	if (error && error->code == ERR_TIMEOUT)
		reboot_fail(call, ERR_UNAVAILABLE, error_message(error));
	else if (error || !vm)
		call_reply_error(call, error);
	else if (vm_state_check(vm->hostname, vm->state, VM_REQUEST_REBOOT, &not_now))
		call_reply_error(call, not_now);
	else
		reboot_send(call, vm);
}

static void reboot_with_body(struct call *call, const char *body, size_t n)
{
	struct vm *vm = call_vm(call);
	cleanup_error struct error *error = NULL;

	if (!vm)
		return;
	if (vm_state_check(vm->hostname, vm->state, VM_REQUEST_REBOOT, &error)) {
		call_reply_error(call, error);
		return;
	}
	call->waiter = vm_wait(vm, VM_WAIT_AGENT, REBOOT_AGENT_MS, reboot_agent_there, call);
	call_watch_client(call, reboot_client_left);
}

void vm_post_reboot(struct call *call)
{
	call_read_body(call, reboot_with_body);
}
