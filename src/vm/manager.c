/* SPDX-License-Identifier: MIT */
#include <search.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/nfset.h"
#include "base/proc.h"
#include "base/str.h"
#include "vm/reconcile.h"

static void manager_wake(void *arg)
{
	struct manager *m = arg;

	/* What waiters' callbacks do to VMs takes an operation: none is forgotten from within. */
	for (struct vm *vm = m->vms; vm; vm = vm->next)
		waiters_check(vm);
	manager_check_stopped(m);
}

struct manager *manager_new(struct loop *loop, struct worker_pool *pool, const struct manager_options *options,
			    struct error **err)
{
	struct manager *m = NEW(struct manager);

	m->loop = loop;
	m->pool = pool;
	m->options = options;
	m->rules_fd = -1;
	m->boot_id = host_boot_id(err);
	if (!m->boot_id) {
		free(m);
		return NULL;
	}
	m->sets = nfset_new();
	net_user_probe(&m->net_host);
	m->wake = timer_new(loop, manager_wake, m);
	return m;
}

void manager_free(struct manager **mp)
{
	struct manager *m = *mp;

	if (!m)
		return;
	*mp = NULL;
	while (m->vms) {
		op_abandon(&m->vms->op);
		vm_forget(m->vms);
	}
	timer_free(&m->wake);
	reconcile_stop(m);
	nfset_free(&m->sets);
	strv_free(&m->left_alone);
	strv_free(&m->told_of_host);
	departed_clear(m);
	net_user_host_clear(&m->net_host);
	free(m->boot_id);
	free(m);
}

const struct config *manager_config(const struct manager *m)
{
	return m->options->config;
}

struct vm *manager_vms(const struct manager *m)
{
	return m->vms;
}

static int manager_compare(const void *a, const void *b)
{
	return strcmp(((const struct vm *)a)->hostname, ((const struct vm *)b)->hostname);
}

struct vm *manager_find(const struct manager *m, const char *hostname)
{
	const struct vm key = {.hostname = (char *)(uintptr_t)hostname};
	struct vm **found = hostname ? tfind(&key, &m->by_name, manager_compare) : NULL;

	return found ? *found : NULL;
}

uint64_t manager_revision(const struct manager *m)
{
	return m->revision;
}

unsigned manager_count(const struct manager *m, const char *group)
{
	unsigned n = 0;

	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		n += str_eq(vm->group, group);
	return n;
}

const struct manager_image *manager_image(const struct manager *m, const char *name)
{
	for (size_t i = 0; i < m->options->nimages; i++)
		if (str_eq(m->options->images[i].name, name))
			return &m->options->images[i];
	return NULL;
}

char *vm_state_path(const struct vm *vm, const char *file)
{
	return str_fmt("%s/vms/%s%s%s", vm->manager->options->state_dir, vm->hostname, file ? "/" : "",
		       file ? file : "");
}

char *vm_run_path(const struct vm *vm, const char *file)
{
	return str_fmt("%s/%s%s%s", vm->manager->options->run_dir, vm->hostname, file ? "/" : "", file ? file : "");
}

char *vm_log_path(const struct vm *vm)
{
	return str_fmt("%s/%s.txt", vm->manager->options->log_dir, vm->hostname);
}

struct loop *vm_loop(const struct vm *vm)
{
	return vm->manager->loop;
}

char *manager_hostname(const struct manager *m, const char *group, unsigned number)
{
	const struct config_group *g = m->options ? config_group_find(m->options->config, group) : NULL;

	for (size_t i = 0; g && i < g->nslots; i++)
		if (g->slots[i].index == number)
			return str_dup(g->slots[i].name);
	return str_fmt("%s-%u", group, number);
}

struct vm *vm_new(struct manager *m, const char *group, unsigned number)
{
	struct vm *vm = NEW(struct vm);

	vm->manager = m;
	vm->group = str_dup(group);
	vm->number = number;
	vm->hostname = manager_hostname(m, group, number);
	return vm;
}

void vm_insert(struct vm *vm)
{
	struct vm **at = &vm->manager->vms;

	while (*at)
		at = &(*at)->next;
	*at = vm;
	if (!tsearch(vm, &vm->manager->by_name, manager_compare))
		abort();
	vm_touch(vm);
}

static void vm_unlink(struct vm *vm)
{
	for (struct vm **at = &vm->manager->vms; *at; at = &(*at)->next) {
		if (*at == vm) {
			*at = vm->next;
			tdelete(vm, &vm->manager->by_name, manager_compare);
			return;
		}
	}
}

void vm_forget(struct vm *vm)
{
	struct manager *m = vm->manager;

	vm_unlink(vm);
	vm_touch(vm);
	departed_add(vm);
	waiters_gone(vm, vm->last_error);
	vm_detach(vm);
	free(vm->hostname);
	free(vm->group);
	free(vm->ip);
	free(vm->ip_asked);
	strv_free(&vm->tags);
	strv_free(&vm->ssh_keys);
	strv_free(&vm->dns);
	strv_free(&vm->allow);
	strv_free(&vm->drop);
	js_put(&vm->network);
	free(vm->userdata);
	free(vm->image);
	free(vm->image_digest);
	free(vm->machine_id);
	free(vm->last_error);
	free(vm->end_why);
	free(vm->shown);
	free(vm->network_error);
	free(vm->monitor_error);
	free(vm);
	if (m->wake)
		timer_set(m->wake, 0);
}

void vm_set_state(struct vm *vm, enum vm_state state)
{
	vm->state = state;
	session_set_paused(vm->session, state == VM_STATE_PAUSED);
	vm_changed(vm);
}

void vm_touch(struct vm *vm)
{
	vm->manager->revision++;
	mem_freep(&vm->shown);
}

void vm_show(struct vm *vm, char *take)
{
	free(vm->shown);
	vm->shown = take;
}

const char *vm_shown(const struct vm *vm)
{
	return vm->shown;
}

void vm_changed(struct vm *vm)
{
	vm_touch(vm);
	timer_set(vm->manager->wake, 0);
}

bool vm_is_kept(const struct vm *vm)
{
	return vm->persistent || (vm->service && !vm->manager->stopping);
}

void vm_note_error(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	free(vm->last_error);
	va_start(ap, fmt);
	vm->last_error = str_vfmt(fmt, ap);
	vm->last_error_code = 0;
	va_end(ap);
	vm_touch(vm);
}

/* While the daemon stops, each VM is on its way to Stopped or gone; what has come to rest elsewhere is sent on. */
void manager_check_stopped(struct manager *m)
{
	bool busy = false;

	if (!m->stopping || !m->stopped)
		return;
	for (struct vm *vm = m->vms; vm; vm = vm->next) {
		if (!vm->op && !vm->stuck && !(vm->state == VM_STATE_STOPPED && vm_is_kept(vm)))
			vm_op_ended(vm);
		busy = busy || vm->op;
	}
	if (!busy) {
		loop_fn *stopped = m->stopped;

		m->stopped = NULL;
		stopped(m->stopped_arg);
	}
}

void manager_stop(struct manager *m, bool graceful, loop_fn *done, void *arg)
{
	m->stopping = true;
	m->graceful = graceful;
	m->stopped = done;
	m->stopped_arg = arg;
	for (struct vm *vm = m->vms; vm; vm = vm->next) {
		struct error *error = NULL;

		if (vm->op && !graceful && str_eq(op_name(vm->op), "stop")) {
			op_continue(vm->op, NULL); /* its wait ends in killing the VMM */
		} else if (vm->op && str_eq(op_name(vm->op), "launch")) {
			error_set(&error, ERR_UNAVAILABLE, "the daemon is stopping");
			op_cancel(vm->op, error);
		}
	}
	timer_set(m->wake, 0);
}
