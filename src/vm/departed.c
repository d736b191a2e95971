/* SPDX-License-Identifier: MIT */
/* What became of a VM, in words: for who had a connection to it that broke off, and for who asks after it when it is gone. */
#include "base/str.h"
#include "vm/manager_impl.h"

static const char *departed_how(const struct vm *vm)
{
	switch (vm->state) {
	case VM_STATE_STARTING:
		return "was started anew";
	case VM_STATE_STOPPING:
	case VM_STATE_STOPPED:
		return "was shut down";
	case VM_STATE_DELETING:
		return "was deleted";
	default:
		return NULL;
	}
}

char *vm_say_end(const struct vm *vm)
{
	if (vm->vmm_gone)
		return str_fmt("has ended: %s", vm->end_why ? vm->end_why : "nothing is known of how");
	return str_dup(departed_how(vm));
}

void departed_add(const struct vm *vm)
{
	struct manager *m = vm->manager;
	struct departed *one = &m->departed[m->ndeparted % DEPARTED_MAX];
	bool failed = !vm->vmm_gone && vm->launch_failures && vm->last_error;
	char *how = failed ? str_fmt("could not be started: %s", vm->last_error) : vm_say_end(vm);

	if (!how || manager_find(m, vm->hostname)) { /* it never was one, or its place is taken */
		free(how);
		return;
	}
	free(one->hostname);
	free(one->how);
	one->hostname = str_dup(vm->hostname);
	one->how = how;
	m->ndeparted++;
}

const char *manager_departed(const struct manager *m, const char *hostname)
{
	size_t n = m->ndeparted < DEPARTED_MAX ? m->ndeparted : DEPARTED_MAX;

	for (size_t i = 1; i <= n; i++) {
		const struct departed *one = &m->departed[(m->ndeparted - i) % DEPARTED_MAX];

		if (str_eq(one->hostname, hostname))
			return one->how;
	}
	return NULL;
}

void departed_clear(struct manager *m)
{
	for (size_t i = 0; i < DEPARTED_MAX; i++) {
		free(m->departed[i].hostname);
		free(m->departed[i].how);
	}
}
