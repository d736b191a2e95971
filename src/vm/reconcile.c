/* SPDX-License-Identifier: MIT */
#include "vm/reconcile.h"

#include "base/log.h"
#include "base/nfset.h"
#include "base/str.h"
#include "base/units.h"
#include "config/syntax.h"
#include "net/apply.h"
#include "net/nft.h"
#include "net/slots.h"

/* Says a thing once, however often it is found; again when it has changed or was well in between. */
static void tell(char **last, const struct error *error, const char *what)
{
	const char *text = error ? error_message(error) : NULL;

	if (str_eq(*last, text))
		return;
	if (text)
		log_error("%s: %s", what, text);
	else
		log_info("%s: is as it should be again", what);
	free(*last);
	*last = str_dup(text);
}

static bool is_at_rest(const struct vm *vm)
{
	return !vm->op &&
	       (vm->state == VM_STATE_RUNNING || vm->state == VM_STATE_PAUSED || vm->state == VM_STATE_STOPPED);
}

static void look_add(struct look *l, const struct vm *vm, bool mend)
{
	struct look_vm *seen = &l->vms[l->nvms++];

	seen->hostname = str_dup(vm->hostname);
	seen->state = vm->state;
	seen->processes = vm->processes;
	seen->net.port.tap_fd = -1;
	seen->group = config_group_find(vm->manager->options->config, vm->group);
	/* What is not usable in a record was said when it was read. */
	seen->mend = mend && vm->state != VM_STATE_STOPPED && network_job_recorded(&seen->net, vm, NULL) == 0 &&
		     seen->net.planned;
}

static void look_add_interfaces(struct look *l)
{
	struct network_job job;

	for (const struct vm *vm = l->manager->vms; vm; vm = vm->next) {
		if (network_job_recorded(&job, vm, NULL) < 0)
			continue;
		for (size_t i = 0; i < job.plan.nlinks; i++)
			strv_append(&l->interfaces, job.plan.links[i].name);
		network_job_clear(&job);
	}
}

static struct look *look_new(struct manager *m)
{
	struct look *l = NEW(struct look);
	size_t n = 0, i = 0;

	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		n++;
	l->manager = m;
	l->options = m->options;
	l->all_groups = ++m->looks % RECONCILE_GROUPS == 0;
	l->vms = mem_alloc_array(n + 1, sizeof(*l->vms));
	l->known = strv_copy(m->left_alone);
	for (const struct vm *vm = m->vms; vm; vm = vm->next, i++) {
		strv_append(&l->known, vm->hostname);
		if (is_at_rest(vm))
			look_add(l, vm,
				 m->hurry || n <= RECONCILE_MENDS || (i + n - m->mend_next % n) % n < RECONCILE_MENDS);
	}
	m->mend_next += RECONCILE_MENDS;
	m->hurry = false;
	l->again = m->rules_removed;
	m->rules_removed = false;
	net_bridge_names(l->options->config, l->options->daemon_id, &l->bridges);
	net_subnet_names(l->options->config, l->options->daemon_id, &l->subnets);
	if (l->options->coming) {
		net_bridge_names(l->options->coming, l->options->daemon_id, &l->bridges);
		net_subnet_names(l->options->coming, l->options->daemon_id, &l->subnets);
	}
	l->idle_before = TAKE_PTR(m->idle_bridges);
	if (l->all_groups)
		look_add_interfaces(l);
	return l;
}

/* A VM as what is left of it names it; NULL: what is called that was never a VM's. */
static struct vm *stray_new(struct manager *m, const char *name)
{
	cleanup_free char *group = NULL;
	unsigned number;
	struct vm *vm;

	if (vm_name_parse(m->options->config, name, &group, &number))
		return vm_new(m, group, number);
	if (syntax_hostname(name, NULL) < 0)
		return NULL;
	vm = vm_new(m, name, 0); /* of a slot that is not in the configuration any more; its group nobody knows */
	free(vm->hostname);
	vm->hostname = str_dup(name);
	return vm;
}

/* It is made a VM on its way out: so its name is taken for that long, a crash in the middle is survived, and what cannot be
 * removed is listed. */
static void reconcile_stray(struct manager *m, const char *name)
{
	struct vm *vm;

	if (manager_find(m, name) || strv_contains(m->left_alone, name) || !(vm = stray_new(m, name)))
		return;
	log_warn("[%s] is no VM of this daemon any more: removing what is left of it", name);
	vm->stray = true;
	vm_insert(vm);
	vm_delete_start(vm);
}

static void reconcile_unknown(struct manager *m, const char *name)
{
	if (manager_find(m, name) || strv_contains(m->left_alone, name))
		return;
	log_warn(
		"%s/vms/%s has come from elsewhere and is left alone; the next start of the daemon takes a record over",
		m->options->state_dir, name);
	strv_append(&m->left_alone, name);
}

static void reconcile_network(struct vm *vm, const struct look_vm *seen)
{
	cleanup_free char *what = str_fmt("[%s] its network", vm->hostname);

	if (!seen->mend || seen->ended)
		return;
	network_job_mended(&seen->net, vm);
	tell(&vm->network_error, seen->broken, what);
}

/* Nobody waits for it any more; so what could not be done before is tried again. */
static void reconcile_stopped(struct vm *vm)
{
	log_warn("[%s] something of it is left: removing that", vm->hostname);
	vm->stuck = false;
	if (vm_is_kept(vm))
		vm_stop_start(vm, false, true);
	else
		vm_delete_start(vm);
}

/* Whoever shuts a service down means it; one that could not start is wanted. */
static bool is_due(const struct vm *vm)
{
	return vm->service && vm->state == VM_STATE_STOPPED && !vm->stuck && vm->launch_failures &&
	       clock_ms() >= vm->retry_at;
}

static void reconcile_vm(struct manager *m, const struct look_vm *seen)
{
	struct vm *vm = manager_find(m, seen->hostname);

	/* What changed meanwhile is for the next look. */
	if (!vm || vm->op || vm->state != seen->state || vm->processes.vmm_pid != seen->processes.vmm_pid)
		return;
	reconcile_network(vm, seen);
	if (seen->ended && vm->vmm_timer) {
		if (!timer_pending(vm->vmm_timer))
			timer_set(vm->vmm_timer, VMM_RECONNECT_MS); /* unless its monitor says more by then */
	} else if (vm->state == VM_STATE_STOPPED &&
		   (seen->left_over || (vm->stuck && (vm->restart || !vm_is_kept(vm))))) {
		reconcile_stopped(vm);
	} else if (is_due(vm)) {
		log_info("[%s] could not start before: trying again", vm->hostname);
		vm->retry_at = clock_ms() + m->look_ms; /* should it not even get to a launch */
		vm_launch_start(vm, false);
	} else if (seen->no_record) {
		log_warn("[%s] its record is gone: writing it again", vm->hostname);
		vm->dirty = true;
		vm_op_ended(vm);
	}
}

static int reconcile_work(void *arg, struct error **err)
{
	return reconcile_look(arg, err);
}

static bool rules_removed(struct manager *m)
{
	cleanup_free char *table = nft_table(m->options->daemon_id);

	return m->rules_fd >= 0 && nfset_watch_read(m->rules_fd, table);
}

static void reconcile_services(struct manager *m)
{
	cleanup_error struct error *error = NULL;

	services_start_missing(m, &error);
	tell(&m->services_error, error, "services");
}

static void reconcile_hurry(struct manager *m)
{
	m->hurry = true;
	timer_set(m->look_timer, RECONCILE_HURRY_MS);
}

/* A look that has made rules anew has removed those of before itself, or somebody else did: one more look tells, and not a third. */
static void reconcile_next(struct manager *m, const struct look *l)
{
	m->rules_removed = (rules_removed(m) || m->rules_removed) && !(l->made && l->again);
	if (m->rules_removed)
		reconcile_hurry(m);
	else
		timer_set_deadline(m->look_timer, m->look_ms);
}

static void reconcile_done(void *arg, const struct error *error)
{
	cleanup_look struct look *l = arg;
	struct manager *m = l->manager;

	m->look = NULL;
	if (m->stopping)
		return;
	for (struct vm *vm = m->vms; vm; vm = vm->next)
		vm_watch_monitor(vm);
	tell(&m->look_error, error, "reconciliation");
	m->idle_bridges = TAKE_PTR(l->idle);
	if (!error) {
		tell(&m->groups_error, l->groups, "network");
		tell(&m->ways_error, l->ways, "routing");
		for (size_t i = 0; i < l->nvms; i++)
			reconcile_vm(m, &l->vms[i]);
		for (char **name = l->mended; name && *name; name++)
			log_warn(
				"network of host group \"%s\": something else had removed its bridge or rules; they are back",
				*name);
		for (char **name = l->swept; name && *name; name++)
			log_warn("interface %s is gone and no VM of this daemon has it: its rules are removed", *name);
		for (char **name = l->left; name && *name; name++)
			log_info(
				"subnet %s is of no group of the configuration any more, and nobody used it: its rules are removed",
				*name);
		for (char **name = l->dropped; name && *name; name++)
			log_info(
				"bridge %s is of no group of the configuration any more, and nobody used it: it is removed",
				*name);
		for (char **name = l->strays; name && *name; name++)
			reconcile_stray(m, *name);
		for (char **name = l->unknown; name && *name; name++)
			reconcile_unknown(m, *name);
	}
	reconcile_services(m);
	reconcile_next(m, l);
}

static void reconcile_begin(void *arg)
{
	struct manager *m = arg;

	if (m->stopping)
		return;
	m->look = look_new(m);
	worker_submit(m->pool, reconcile_work, reconcile_done, m->look);
}

/* A reload of a firewall may flush everybody's rules, and VMs run on without. */
static void reconcile_rules_changed(void *arg, int what)
{
	struct manager *m = arg;

	if (!rules_removed(m) || m->hurry || m->stopping)
		return;
	if (m->look)
		m->rules_removed = true;
	else
		reconcile_hurry(m);
}

/* Without it they are found by the next look. */
static void reconcile_watch_rules(struct manager *m)
{
	m->rules_fd = nfset_watch_open(NULL);
	if (m->rules_fd < 0)
		return;
	m->rules_watch = watch_new(m->loop, m->rules_fd, reconcile_rules_changed, m);
	watch_set(m->rules_watch, WATCH_IN);
}

void reconcile_start(struct manager *m)
{
	const char *given = getenv("SLICER_RECONCILE_MS");
	uint64_t ms;

	if (!given || str_to_u64(given, 0, INT32_MAX, "SLICER_RECONCILE_MS", &ms, NULL))
		ms = RECONCILE_MS;
	m->look_ms = (int64_t)ms;
	m->look_timer = timer_new(m->loop, reconcile_begin, m);
	if (!ms)
		return;
	timer_set_deadline(m->look_timer, m->look_ms);
	reconcile_watch_rules(m);
}

void reconcile_stop(struct manager *m)
{
	timer_free(&m->look_timer);
	watch_free(&m->rules_watch);
	fd_closep(&m->rules_fd);
	look_free(&m->look);
	strv_free(&m->idle_bridges);
	mem_freep(&m->look_error);
	mem_freep(&m->groups_error);
	mem_freep(&m->ways_error);
	mem_freep(&m->services_error);
}
