/* SPDX-License-Identifier: MIT */
/* What the VMs that a daemon takes over were made with, and what the configuration says by now. They keep theirs. */
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "vm/manager_impl.h"
#include "vm/network.h"

static void changed_add(char ***list, const char *what, char *take_was, char *take_now)
{
	cleanup_free char *was = take_was, *now = take_now;

	if (!str_eq(was, now))
		strv_append_fmt(list, "%s %s (now %s)", what, was, now);
}

static void changed_image(char ***list, const struct vm *vm, const struct config_group *g)
{
	const char *now = config_group_image(vm->manager->options->config, g);
	const struct manager_image *image = manager_image(vm->manager, now);

	if (!str_eq(vm->image, now))
		changed_add(list, "image", str_dup(vm->image ? vm->image : "unknown"), str_dup(now));
	else if (image && vm->image_digest && !str_eq(image->digest, vm->image_digest))
		strv_append_fmt(list, "image %s (now another build of it)", now);
}

/* The mode, and of a bridge its name and its address. */
static char *network_text(enum config_net_mode mode, const char *bridge, const char *gateway, unsigned prefix)
{
	if (mode != NET_BRIDGE)
		return str_dup(config_net_mode_name(mode));
	return str_fmt("bridge %s %.*s/%u", bridge, (int)strcspn(gateway, "/"), gateway, prefix);
}

static unsigned prefix_of(const char *address)
{
	struct ip4_cidr c;

	return address && ip4_parse_cidr_or_addr(address, &c, NULL) == 0 ? c.prefix : 0;
}

static void changed_network(char ***list, const struct vm *vm, const struct config_group *g)
{
	struct network_job job;
	const struct net_guest *guest = &job.plan.guest;

	if (network_job_recorded(&job, vm, NULL))
		return; /* said when it was read */
	if (job.planned)
		changed_add(list, "network",
			    network_text(job.plan.mode, job.plan.links[0].master, guest->gateway,
					 prefix_of(guest->address)),
			    network_text(g->network.mode, g->network.bridge,
					 g->network.gateway ? g->network.gateway : "", prefix_of(g->network.gateway)));
	network_job_clear(&job);
}

/* Less than the group's may have been asked for: what counts is what the group's was. */
static char **changed_list(const struct vm *vm, const struct config_group *g)
{
	char **list = NULL;

	changed_image(&list, vm, g);
	if (vm->group_vcpus)
		changed_add(&list, "vcpu", str_fmt("%u", vm->group_vcpus), str_fmt("%u", g->vcpu));
	if (vm->group_ram_bytes)
		changed_add(&list, "ram", size_format(vm->group_ram_bytes), size_format(g->ram_bytes));
	if (vm->disk_bytes)
		changed_add(&list, "storage_size", size_format(vm->disk_bytes), size_format(g->storage_size));
	changed_add(&list, "limits.disk_bandwidth", size_format(vm->disk_bandwidth),
		    size_format(g->limits.disk_bandwidth));
	changed_add(&list, "limits.disk_operations", str_fmt("%llu", (unsigned long long)vm->disk_operations),
		    str_fmt("%u", g->limits.disk_operations));
	changed_add(&list, "limits.network_bandwidth", size_format(vm->network_bandwidth),
		    size_format(g->limits.network_bandwidth));
	changed_add(&list, "limits.network_packets", str_fmt("%llu", (unsigned long long)vm->network_packets),
		    str_fmt("%u", g->limits.network_packets));
	changed_add(&list, "limits.network_connections", str_fmt("%llu", (unsigned long long)vm->network_connections),
		    str_fmt("%u", g->limits.network_connections));
	changed_network(&list, vm, g);
	return list;
}

static const char *changed_advice(const struct vm *vm)
{
	if (vm->service && !vm->persistent)
		return "stop the daemon and start it again to have it made anew";
	if (vm->service)
		return "to have it made anew, lower count, delete it, and raise count again";
	return "delete it and add another to change that";
}

static void changed_tell(const struct vm *vm)
{
	const struct config_group *g = config_group_find(vm->manager->options->config, vm->group);
	cleanup_strv char **list = g ? changed_list(vm, g) : NULL;
	cleanup_free char *text = list ? strv_join(list, ", ") : NULL;

	if (text)
		log_warn("[%s] keeps what it was made with, the configuration says otherwise by now: %s; %s",
			 vm->hostname, text, changed_advice(vm));
}

/* Once for all VMs of a group that is gone. */
static void changed_tell_group(struct manager *m, const struct vm *first)
{
	cleanup_strv char **names = NULL;
	cleanup_free char *text = NULL;

	for (const struct vm *vm = m->vms; vm != first; vm = vm->next)
		if (str_eq(vm->group, first->group))
			return;
	for (const struct vm *vm = first; vm; vm = vm->next)
		if (str_eq(vm->group, first->group))
			strv_append(&names, vm->hostname);
	text = strv_join(names, ", ");
	log_warn(
		"host group \"%s\" is not in the configuration any more, its VMs are still there: %s; delete what is of no use",
		first->group, text);
}

void manager_tell_changes(struct manager *m)
{
	for (const struct vm *vm = m->vms; vm; vm = vm->next) {
		if (vm->state == VM_STATE_DELETING)
			continue;
		if (config_group_find(m->options->config, vm->group))
			changed_tell(vm);
		else
			changed_tell_group(m, vm);
	}
}
