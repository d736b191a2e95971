/* SPDX-License-Identifier: MIT */
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "net/apply.h"
#include "net/netns.h"
#include "net/slots.h"
#include "vm/reconcile.h"
#include "vmm/cgroup.h"

bool vm_name_parse(const struct config *cfg, const char *name, char **ret_group, unsigned *ret_number)
{
	const char *dash = strrchr(name, '-');
	cleanup_free char *again = NULL;
	uint64_t number;

	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_slot *slot = config_group_slot(&cfg->groups[i], name);

		if (slot) {
			*ret_group = str_dup(cfg->groups[i].name);
			*ret_number = slot->index;
			return true;
		}
	}
	if (!dash || dash == name || str_to_u64(dash + 1, 1, INT32_MAX, "number", &number, NULL))
		return false;
	again = str_fmt("%.*s-%u", (int)(dash - name), name, (unsigned)number);
	if (!str_eq(again, name))
		return false;
	*ret_group = str_ndup(name, (size_t)(dash - name));
	*ret_number = (unsigned)number;
	return true;
}

/* Names of VMs by what they have on this host. */
struct found {
	char **run_dirs, **state_dirs, **cgroups, **taps, **bridges, **used_bridges, **spaces;
};

static void found_clear(struct found *f)
{
	strv_free(&f->run_dirs);
	strv_free(&f->state_dirs);
	strv_free(&f->cgroups);
	strv_free(&f->taps);
	strv_free(&f->bridges);
	strv_free(&f->used_bridges);
	strv_free(&f->spaces);
}

static int found_links(struct found *f, const char *daemon_id, struct error **err)
{
	struct net_item *items;
	size_t n;

	if (net_list(daemon_id, &items, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		strv_append(items[i].bridge ? &f->bridges : &f->taps, items[i].bridge ? items[i].name : items[i].owner);
		if (items[i].used)
			strv_append(&f->used_bridges, items[i].name);
	}
	net_items_free(items, n);
	return 0;
}

static int found_read(struct found *f, const struct manager_options *o, char *const *known, struct error **err)
{
	cleanup_free char *vms = fs_join(o->state_dir, "vms");

	if (fs_list_dirs(o->run_dir, &f->run_dirs, err) || fs_list_dirs(vms, &f->state_dirs, err))
		return -1;
	f->cgroups = cgroup_list(o->daemon_id);
	if (netns_strays(o->daemon_id, known, &f->spaces, err) ||
	    net_cni_attached(o->daemon_id, known, &f->spaces, err))
		return -1;
	return found_links(f, o->daemon_id, err);
}

static bool has_record_or_disk(const struct look *l, const char *name)
{
	cleanup_free char *record = str_fmt("%s/vms/%s/record.json", l->options->state_dir, name);
	cleanup_free char *disk = str_fmt("%s/vms/%s/disk.qcow2", l->options->state_dir, name);

	return fs_exists(record) || fs_exists(disk);
}

/* A name that no VM has. Of a record or a disk it may be all that is left. */
static void look_at_stranger(struct look *l, const char *name)
{
	char ***list = has_record_or_disk(l, name) ? &l->unknown : &l->strays;

	if (!strv_contains(l->known, name) && !strv_contains(*list, name))
		strv_append(list, name);
}

/* In the working directory, which is its owner's, a directory with nothing of a VM may be anybody's, unless it is called as VMs are
 * that are numbered or in the configuration. */
static void look_for_state(struct look *l, char *const *names)
{
	for (; names && *names; names++) {
		cleanup_free char *group = NULL;
		unsigned number;

		if (has_record_or_disk(l, *names) || vm_name_parse(l->options->config, *names, &group, &number))
			look_at_stranger(l, *names);
	}
}

static void look_for_strangers(struct look *l, char *const *names)
{
	for (; names && *names; names++)
		look_at_stranger(l, *names);
}

static bool look_is_alive(const struct vm_processes *p)
{
	return proc_is_alive(p->vmm_pid, p->vmm_start) && proc_is_alive(p->monitor_pid, p->monitor_start);
}

/* A bridge or table that is gone has taken the VM's part along: its group goes first, once in a look. */
static void look_mend(struct look *l, struct look_vm *vm)
{
	if (net_vm_mend(&vm->net.plan, vm->net.sets, &vm->broken) == 0 || !vm->group)
		return;
	if (!strv_contains(l->tried, vm->group->name)) {
		strv_append(&l->tried, vm->group->name);
		l->made = true;
		net_group_up(vm->group, l->options->daemon_id, NULL, NULL);
	}
	error_free(&vm->broken);
	if (net_vm_mend(&vm->net.plan, vm->net.sets, &vm->broken) == 0 && !strv_contains(l->mended, vm->group->name))
		strv_append(&l->mended, vm->group->name);
}

static void look_at_vm(struct look *l, struct look_vm *vm, const struct found *f)
{
	cleanup_free char *record = str_fmt("%s/vms/%s/record.json", l->options->state_dir, vm->hostname);

	vm->no_record = !fs_exists(record);
	if (vm->state == VM_STATE_STOPPED) {
		vm->left_over = strv_contains(f->run_dirs, vm->hostname) || strv_contains(f->cgroups, vm->hostname) ||
				strv_contains(f->taps, vm->hostname);
		return;
	}
	vm->ended = !look_is_alive(&vm->processes);
	if (vm->mend && !vm->ended)
		look_mend(l, vm);
}

/* Makes a group's bridges anew that are gone, and nothing else of it. */
static void look_for_bridges(struct look *l, const struct config_group *g, const struct found *f)
{
	for (size_t i = 0; i < net_bridged_count(g) && !l->groups; i++) {
		struct config_group part = net_bridged_part(g, i);
		struct net_bridged one;

		net_bridged_get(g, l->options->daemon_id, i, &one);
		if (strv_contains(f->bridges, one.group.network.bridge))
			continue;
		l->made = true;
		net_group_up(&part, l->options->daemon_id, NULL, &l->groups);
	}
}

/* Also what VMs that are still to come need. */
static void look_at_groups(struct look *l, const struct found *f)
{
	const struct config *cfg = l->options->config;

	l->made = l->all_groups;
	if (!l->all_groups)
		net_uplinks_up(cfg, &l->groups);
	for (size_t i = 0; i < cfg->ngroups && !l->groups; i++)
		if (l->all_groups)
			net_group_up(&cfg->groups[i], l->options->daemon_id, NULL, &l->groups);
		else
			look_for_bridges(l, &cfg->groups[i], f);
}

/* Bridges of groups and slots that have left the configuration, once the last of their VMs is gone. What is so in one look
 * only may have come while it was under way. */
static void look_at_bridges(struct look *l, const struct found *f)
{
	for (char **name = f->bridges; name && *name; name++) {
		if (strv_contains(l->bridges, *name) || strv_contains(f->used_bridges, *name))
			continue;
		if (!strv_contains(l->idle_before, *name))
			strv_append(&l->idle, *name);
		else if (net_bridge_drop(*name, l->options->daemon_id, l->groups ? NULL : &l->groups) == 0)
			strv_append(&l->dropped, *name);
	}
}

/* Of VMs of which nothing else is left: what a crash between two steps, or somebody who removed an interface, leaves. And of ranges
 * that were changed while VMs of them ran. */
static void look_at_rules(struct look *l)
{
	if (l->all_groups && !l->groups)
		net_elements_sweep(l->options->daemon_id, l->interfaces, &l->swept, &l->groups);
	if (l->all_groups && !l->groups)
		net_subnets_sweep(l->options->daemon_id, l->subnets, &l->left, &l->groups);
}

int reconcile_look(struct look *l, struct error **err)
{
	struct found f = {0};
	int r = found_read(&f, l->options, l->known, err);

	if (r == 0) {
		look_at_groups(l, &f);
		for (size_t i = 0; i < l->nvms; i++)
			look_at_vm(l, &l->vms[i], &f);
		look_at_bridges(l, &f);
		look_at_rules(l);
		net_ways_check(l->options->config, l->options->daemon_id, &l->ways);
		look_for_strangers(l, f.run_dirs);
		look_for_state(l, f.state_dirs);
		look_for_strangers(l, f.cgroups);
		look_for_strangers(l, f.taps);
		look_for_strangers(l, f.spaces);
	}
	found_clear(&f);
	return r;
}

void look_free(struct look **lp)
{
	struct look *l = TAKE_PTR(*lp);

	if (!l)
		return;
	for (size_t i = 0; i < l->nvms; i++) {
		free(l->vms[i].hostname);
		network_job_clear(&l->vms[i].net);
		error_free(&l->vms[i].broken);
	}
	free(l->vms);
	strv_free(&l->known);
	strv_free(&l->interfaces);
	strv_free(&l->swept);
	strv_free(&l->tried);
	strv_free(&l->bridges);
	strv_free(&l->subnets);
	strv_free(&l->left);
	strv_free(&l->idle_before);
	strv_free(&l->idle);
	strv_free(&l->dropped);
	strv_free(&l->mended);
	strv_free(&l->strays);
	strv_free(&l->unknown);
	error_free(&l->groups);
	error_free(&l->ways);
	free(l);
}
