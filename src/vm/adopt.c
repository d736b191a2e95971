/* SPDX-License-Identifier: MIT */
/* The start of a daemon: what the records of the last one say is compared with what exists, then finished or undone. */
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "vm/reconcile.h"

bool vm_runs(const struct vm *vm)
{
	const struct vm_processes *p = &vm->processes;

	return p->vmm_pid && proc_is_alive(p->vmm_pid, p->vmm_start) && proc_is_alive(p->monitor_pid, p->monitor_start);
}

static void adopt_status(void *arg, bool running, const char *status, const struct error *error)
{
	struct vm *vm = arg;

	if (error || vm->op)
		return;
	if (!running && str_eq(status, "paused") && vm->state == VM_STATE_RUNNING)
		vm_set_state(vm, VM_STATE_PAUSED);
	else if (running && vm->state == VM_STATE_PAUSED)
		vm_set_state(vm, VM_STATE_RUNNING);
}

static void adopt_running(struct vm *vm)
{
	bool paused = vm->state == VM_STATE_PAUSED;
	cleanup_error struct error *error = NULL;

	log_info("[%s] found running (pid %d)", vm->hostname, (int)vm->processes.vmm_pid);
	if (vm_network_mend(vm, &error))
		log_error("[%s] %s", vm->hostname, error_message(error));
	error_free(&error);
	if (vm_attach(vm, &error)) {
		vm_set_state(vm, VM_STATE_RUNNING);
		vm_ended(vm, error_message(error), false);
		return;
	}
	/* How long it has been up is not known: one that hangs is not started anew under whoever looks after it. */
	timer_cancel(vm->boot_timer);
	vm_set_state(vm, paused ? VM_STATE_PAUSED : VM_STATE_RUNNING);
	if (vm->vmm)
		vmm_query_status(vm->vmm, adopt_status, vm);
}

static void adopt_ended(struct vm *vm, bool kept)
{
	vm->vmm_gone = vm->end_unknown = true;
	if (kept)
		vm_stop_start(vm, false, true);
	else
		vm_delete_start(vm);
}

/* The table of what a record and the processes say together:
 *   operation   VMM runs   then
 *   none        yes        re-adopted
 *   none        no         it ended while nobody looked: Stopped, or removed when it is not kept
 *   none        Stopped    stays so; removed when it is not kept: its daemon got no further
 *   launch      any        kept: launched again from its first step; else removed (its client never got an answer)
 *   stop        any        stopped
 *   delete      any        deleted */
static void adopt_decide(struct vm *vm, const struct record_op *under_way)
{
	const char *op = under_way->op;
	bool kept = vm_is_kept(vm);

	if (str_eq(op, "delete") || (str_eq(op, "launch") && !kept))
		vm_delete_start(vm);
	else if (str_eq(op, "launch"))
		vm_launch_start(vm, false);
	else if (str_eq(op, "stop"))
		vm_stop_start(vm, false, true);
	else if (vm->state == VM_STATE_STOPPED && (kept || vm->demoted))
		return;
	else if (vm_runs(vm))
		adopt_running(vm);
	else
		adopt_ended(vm, kept);
}

static bool adopt_has_slot(const struct config_group *g, const char *hostname)
{
	for (size_t i = 0; i < g->nslots; i++)
		if (str_eq(g->slots[i].name, hostname))
			return true;
	return false;
}

/* Above a lowered `count:` it is a VM like others: it goes on, and may be deleted. */
static void adopt_service(struct vm *vm)
{
	const struct config_group *g = config_group_find(vm->manager->options->config, vm->group);

	if (!vm->service || (g && vm->number <= g->count) || (g && adopt_has_slot(g, vm->hostname)))
		return;
	vm->service = false;
	vm->demoted = true;
	if (g && g->nslots)
		log_warn("[%s] is not a slot any more; delete it if it is of no use", vm->hostname);
	else if (g)
		log_warn("[%s] is not a service any more (count: %u); delete it if it is of no use", vm->hostname,
			 g->count);
}

static int adopt_record(struct manager *m, const char *hostname, struct error **err)
{
	cleanup_free char *path = str_fmt("%s/vms/%s/record.json", m->options->state_dir, hostname);
	cleanup_free char *text = NULL;
	struct record_op under_way = {0};
	struct vm *vm;
	size_t n;

	if (fs_read_file(path, RECORD_LIMIT, &text, &n, err))
		return -1;
	vm = record_parse(m, text, n, &under_way, err);
	if (!vm)
		return error_wrap(err, "%s", path);
	if (str_eq(vm->hostname, hostname)) {
		vm_insert(vm);
		adopt_service(vm);
		adopt_decide(vm, &under_way);
	} else {
		error_set(err, ERR_INVALID, "%s: it is the record of \"%s\"", path, vm->hostname);
		vm_forget(vm);
		vm = NULL;
	}
	free(under_way.op);
	free(under_way.step);
	return vm ? 0 : -1;
}

/* A directory without a record is of a launch that ended before its first record was durable: nothing else was made. With a
 * disk in it, it is not. */
static void adopt_directory(struct manager *m, const char *hostname)
{
	cleanup_free char *dir = str_fmt("%s/vms/%s", m->options->state_dir, hostname);
	cleanup_free char *disk = fs_join(dir, "disk.qcow2");
	cleanup_error struct error *error = NULL;
	cleanup_free char *group = NULL;
	unsigned number;

	if (adopt_record(m, hostname, &error) == 0)
		return;
	if (error->code == ERR_NOT_FOUND && !fs_exists(disk)) {
		if (!vm_name_parse(m->options->config, hostname, &group, &number))
			return; /* its owner's: no VM is called so */
		error_free(&error);
		if (fs_remove_tree(dir, &error) == 0)
			return;
	}
	/* A record that cannot be read is kept for its owner: it may be all that is left of a disk. */
	log_error("%s; its VM is left alone", error_message(error));
	strv_append(&m->left_alone, hostname);
}

static int adopt_all(struct manager *m, struct error **err)
{
	cleanup_free char *dir = str_fmt("%s/vms", m->options->state_dir);
	cleanup_strv char **names = NULL;

	if (fs_list_dirs(dir, &names, err))
		return -1;
	for (char **name = names; name && *name; name++)
		adopt_directory(m, *name);
	return 0;
}

int manager_start(struct manager *m, struct error **err)
{
	if (adopt_all(m, err))
		return -1;
	manager_tell_changes(m);
	reconcile_start(m);
	return manager_start_services(m, err);
}
