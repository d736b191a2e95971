/* SPDX-License-Identifier: MIT */
/* What the agent answers: exec, cp, shell, forward, health. The daemon only looks whether the VM can be asked. */
#include "api/call.h"
#include "api/forward.h"
#include "api/gateway.h"
#include "api/shell.h"
#include "base/str.h"
#include "io/ws.h"

enum {
	AGENT_WAIT_MS = 30 * 1000, /* for a VM that is still booting */
	HEALTH_LIMIT_MS = 4500,	   /* a hung guest is told within 5 s */
};

static void agent_pass_now(struct call *call, struct vm *vm)
{
	const struct http_head *request = http_exchange_request(call->x);

	gateway_start(vm, TAKE_PTR(call->x), gateway_request(request, request->method), 0);
	call_free(&call);
}

/* Nothing was begun that a timeout undid: the agent is just not there. */
static void agent_refuse(struct call *call, const struct error *error)
{
	cleanup_error struct error *absent = NULL;

	if (!error || error->code != ERR_TIMEOUT) {
		call_reply_error(call, error);
		return;
	}
	error_set(&absent, ERR_UNAVAILABLE, "%s", error_message(error));
	call_reply_error(call, absent);
}

static void agent_waited(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);

	vm_waiter_free(&call->waiter);
	if (error || !vm)
		agent_refuse(call, error);
	else
		agent_pass_now(call, vm);
}

static void agent_upgrade_ready(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);
	void (*start)(struct vm * vm, struct http_exchange * take_client) = call->upgrade;

	vm_waiter_free(&call->waiter);
	if (error || !vm) {
		agent_refuse(call, error);
		return;
	}
	start(vm, TAKE_PTR(call->x));
	call_free(&call);
}

static void agent_client_left(struct call *call)
{
	call_free(&call);
}

/* Calls `then` when the agent is there; has answered already when it returns -1. */
static int agent_await(struct call *call, struct vm *vm, vm_done_fn *then)
{
	cleanup_error struct error *error = NULL;

	if (vm_state_check(vm->hostname, vm->state, VM_REQUEST_AGENT, &error)) {
		call_reply_error(call, error);
		return -1;
	}
	call->waiter = vm_wait(vm, VM_WAIT_AGENT, AGENT_WAIT_MS, then, call);
	call_watch_end(call, agent_client_left);
	return 0;
}

void agent_pass(struct call *call)
{
	struct vm *vm = call_vm(call);

	if (vm && vm->state == VM_STATE_RUNNING && session_is_ready(vm->session))
		agent_pass_now(call, vm);
	else if (vm)
		agent_await(call, vm, agent_waited);
}

/* A WebSocket of the client's, begun by `start` when the agent is there. */
static void agent_upgrade(struct call *call, void (*start)(struct vm *vm, struct http_exchange *take_client))
{
	struct vm *vm = call_vm(call);
	cleanup_error struct error *error = NULL;
	struct http_head *accept;

	if (!vm)
		return;
	accept = ws_accept_head(http_exchange_request(call->x), &error);
	if (!accept) {
		http_reply_error_status(&call->x, ws_refusal_status(http_exchange_request(call->x)), error);
		call_free(&call);
		return;
	}
	http_head_free(&accept);
	call->upgrade = start;
	agent_await(call, vm, agent_upgrade_ready);
}

void agent_shell(struct call *call)
{
	agent_upgrade(call, shell_start);
}

void agent_forward(struct call *call)
{
	agent_upgrade(call, forward_start);
}

void vm_health(struct call *call)
{
	struct vm *vm = call_vm(call);
	cleanup_error struct error *error = NULL;
	const struct http_head *request;

	if (!vm)
		return;
	request = http_exchange_request(call->x);
	if (vm->state != VM_STATE_RUNNING || !session_is_ready(vm->session)) {
		error_set(&error, ERR_INTERNAL, "the agent in VM \"%s\" is not reachable: the VM is %s%s", vm->hostname,
			  vm_state_name(vm->state), vm->state == VM_STATE_RUNNING ? ", its agent not connected" : "");
		call_reply_error(call, error);
		return;
	}
	gateway_start(vm, TAKE_PTR(call->x), gateway_request(request, request->method), HEALTH_LIMIT_MS);
	call_free(&call);
}
