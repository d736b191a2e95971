/* SPDX-License-Identifier: MIT */
#include "vm/state.h"
#include "base/str.h"

static const char *const state_names[VM_STATE_COUNT] = {
	[VM_STATE_STARTING] = "Starting", [VM_STATE_RUNNING] = "Running", [VM_STATE_PAUSED] = "Paused",
	[VM_STATE_STOPPING] = "Stopping", [VM_STATE_STOPPED] = "Stopped", [VM_STATE_DELETING] = "Deleting",
};

static const char *const request_names[VM_REQUEST_COUNT] = {
	[VM_REQUEST_AGENT] = "reached",	     [VM_REQUEST_PAUSE] = "paused",	   [VM_REQUEST_RESUME] = "resumed",
	[VM_REQUEST_SHUTDOWN] = "shut down", [VM_REQUEST_RELAUNCH] = "relaunched", [VM_REQUEST_DELETE] = "deleted",
	[VM_REQUEST_REBOOT] = "rebooted",
};

#define ALLOW(request) (1u << VM_REQUEST_##request)

static const unsigned allowed[VM_STATE_COUNT] = {
	/* An agent request while STARTING waits for the agent, as one right after launch does. */
	[VM_STATE_STARTING] = ALLOW(AGENT) | ALLOW(DELETE),
	[VM_STATE_RUNNING] = ALLOW(AGENT) | ALLOW(PAUSE) | ALLOW(SHUTDOWN) | ALLOW(REBOOT) | ALLOW(DELETE),
	[VM_STATE_PAUSED] = ALLOW(RESUME) | ALLOW(SHUTDOWN) | ALLOW(DELETE),
	[VM_STATE_STOPPING] = ALLOW(DELETE),
	[VM_STATE_STOPPED] = ALLOW(RELAUNCH) | ALLOW(DELETE),
	[VM_STATE_DELETING] = 0,
};

static const char *const advice[VM_STATE_COUNT] = {
	[VM_STATE_STARTING] = "wait until it runs", [VM_STATE_RUNNING] = "it runs already",
	[VM_STATE_PAUSED] = "resume it first",	    [VM_STATE_STOPPING] = "wait until it has stopped",
	[VM_STATE_STOPPED] = "relaunch it first",   [VM_STATE_DELETING] = "it is going away",
};

const char *vm_state_name(enum vm_state s)
{
	return (unsigned)s < VM_STATE_COUNT ? state_names[s] : "Unknown";
}

int vm_state_parse(const char *name, enum vm_state *ret, struct error **err)
{
	for (unsigned i = 0; i < VM_STATE_COUNT; i++) {
		if (str_eq(name, state_names[i])) {
			*ret = (enum vm_state)i;
			return 0;
		}
	}
	return error_set(err, ERR_INVALID, "\"%s\" is not a state of a VM", name ? name : "");
}

bool vm_state_allows(enum vm_state s, enum vm_request r)
{
	return (unsigned)s < VM_STATE_COUNT && (unsigned)r < VM_REQUEST_COUNT && (allowed[s] & (1u << r));
}

/* What to do first; where the VM is already what is asked for, there is nothing to do. */
static const char *advice_for(enum vm_state s, enum vm_request r)
{
	if (s == VM_STATE_STOPPED && r == VM_REQUEST_SHUTDOWN)
		return "it is shut down already";
	if (s == VM_STATE_PAUSED && r == VM_REQUEST_PAUSE)
		return "it is paused already";
	return advice[s];
}

int vm_state_check(const char *hostname, enum vm_state s, enum vm_request r, struct error **err)
{
	if (vm_state_allows(s, r))
		return 0;
	return error_set(err, ERR_CONFLICT, "VM \"%s\" cannot be %s while it is %s: %s", hostname, request_names[r],
			 vm_state_name(s), advice_for(s, r));
}
