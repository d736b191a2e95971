/* SPDX-License-Identifier: MIT */
/* The VMs that the configuration says are there: `count:` and slots. */
#include "base/log.h"
#include "base/str.h"
#include "vm/manager_impl.h"

static int services_start_one(struct manager *m, const struct config_group *g, unsigned number, struct error **err)
{
	cleanup_free char *hostname = manager_hostname(m, g->name, number);
	struct vm *vm = manager_find(m, hostname);

	if (create_is_left_alone(m, g->name, number)) {
		log_error("[%s] not started: its record cannot be read", hostname);
		return 0;
	}
	if (vm && vm->demoted) { /* what it had left by has come back */
		vm->service = true;
		vm->demoted = false;
		vm_touch(vm);
	}
	if (vm && !vm->service && !vm->stray) {
		log_error(
			"[%s] not started as a service: a VM that was added through the API has that name; delete it, and the next start of "
			"the daemon makes the service",
			hostname);
		return 0;
	}
	if (vm && vm->op)
		vm->restart = !str_eq(op_name(vm->op), "launch");
	if (vm && (vm->op || vm->state != VM_STATE_STOPPED))
		return 0;
	create_log_launch(hostname, g->ram_bytes, g->vcpu);
	if (vm) {
		vm_launch_start(vm, false);
		return 0;
	}
	vm = create_vm(m, g, number, NULL, err);
	if (!vm)
		return -1;
	vm->service = true;
	vm->persistent = g->persistent || g->nslots; /* a slot's disk is what it is about */
	vm_insert(vm);
	if (create_userdata(vm, g, NULL, err)) {
		vm_forget(vm);
		return -1;
	}
	vm_launch_start(vm, false); /* one that cannot start stays listed, and is tried again */
	return 0;
}

int manager_start_services(struct manager *m, struct error **err)
{
	const struct config *cfg = m->options->config;

	for (size_t i = 0; i < cfg->ngroups; i++) {
		for (unsigned n = 1; n <= cfg->groups[i].count; n++)
			if (services_start_one(m, &cfg->groups[i], n, err))
				return -1;
		for (size_t k = 0; k < cfg->groups[i].nslots; k++)
			if (services_start_one(m, &cfg->groups[i], cfg->groups[i].slots[k].index, err))
				return -1;
	}
	return 0;
}

int manager_start_slots(struct manager *m, const struct config *before, struct error **err)
{
	const struct config *cfg = m->options->config;

	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i], *old = config_group_find(before, g->name);

		for (size_t k = 0; k < g->nslots; k++)
			if (!config_group_slot(old, g->slots[k].name) &&
			    services_start_one(m, g, g->slots[k].index, err))
				return -1;
	}
	return 0;
}

static int service_start_missing(struct manager *m, const struct config_group *g, unsigned number, struct error **err)
{
	cleanup_free char *hostname = manager_hostname(m, g->name, number);

	if (manager_find(m, hostname) || create_is_left_alone(m, g->name, number))
		return 0;
	if (services_start_one(m, g, number, err))
		return error_wrap(err, "[%s] cannot be made", hostname);
	return 0;
}

/* What could not be made anew when it was replaced, or when it came with a new configuration, is tried again with each look. */
int services_start_missing(struct manager *m, struct error **err)
{
	const struct config *cfg = m->options->config;
	int rc = 0;

	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i];

		for (unsigned n = 1; n <= g->count; n++)
			rc = service_start_missing(m, g, n, rc ? NULL : err) ? -1 : rc;
		for (size_t k = 0; k < g->nslots; k++)
			rc = service_start_missing(m, g, g->slots[k].index, rc ? NULL : err) ? -1 : rc;
	}
	return rc;
}

void service_replace(struct vm *vm)
{
	struct manager *m = vm->manager;
	const struct config_group *g = config_group_find(m->options->config, vm->group);
	cleanup_error struct error *error = NULL;
	cleanup_free char *hostname = str_dup(vm->hostname);
	unsigned number = vm->number;

	vm_forget(vm);
	if (g && !m->stopping && services_start_one(m, g, number, &error))
		log_error("[%s] cannot be made anew: %s; trying again", hostname, error_message(error));
}
