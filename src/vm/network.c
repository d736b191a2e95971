/* SPDX-License-Identifier: MIT */
#include "vm/network.h"

#include "base/json.h"
#include "base/str.h"
#include "net/apply.h"
#include "vm/manager_impl.h"

/* A VM whose group has left the configuration runs on with what it has; without a plan in its record it is of a version that
 * kept none of the mode `user`. */
static enum config_net_mode network_mode(const struct vm *vm, const struct config_group *group)
{
	struct net_plan plan;
	enum config_net_mode mode = NET_USER;

	if (group)
		return group->network.mode;
	if (vm->network && net_plan_from_json(vm->network, &plan, NULL) == 0) {
		mode = plan.mode;
		net_plan_clear(&plan);
	}
	return mode;
}

/* Whom a mode's operations serve, and the mode. */
static const struct net_mode *network_vm(const struct vm *vm, struct net_vm *ret, struct error **err)
{
	const struct manager *m = vm->manager;
	const struct config_group *group = config_group_find(m->options->config, vm->group);
	enum config_net_mode number = network_mode(vm, group);
	const struct net_mode *mode = net_mode(number);

	*ret = (struct net_vm){
		.group = group,
		.daemon_id = m->options->daemon_id,
		.hostname = vm->hostname,
		.number = vm->number,
		.address = vm->ip ? vm->ip : "",
		.asked = vm->ip_asked,
		.dns = vm->dns,
		.dns_given = group && config_group_dns_given(group),
		.allow = vm->override_allow ? vm->allow
			 : group	    ? group->network.allow
					    : NULL,
		.drop = vm->override_drop ? vm->drop
			: group		  ? group->network.drop
					  : NULL,
		.limits = {.bandwidth = vm->network_bandwidth,
			   .packets = (uint32_t)vm->network_packets,
			   .connections = (uint32_t)vm->network_connections},
		.user_host = &m->net_host,
	};
	if (!mode)
		error_set(err, ERR_UNSUPPORTED, "network mode \"%s\" is not in this version yet",
			  config_net_mode_name(number));
	else if (!group && mode->needs_group)
		error_set(err, ERR_NOT_FOUND, "host group \"%s\" is not in the configuration any more", vm->group);
	else
		return mode;
	return NULL;
}

/* Addresses of the daemon's other VMs; groups may share a range. */
static uint32_t *network_used(const struct vm *vm, size_t *ret_n)
{
	uint32_t *used = mem_alloc_array(MAX_VMS + 1, sizeof(*used));
	struct ip4_cidr c;

	*ret_n = 0;
	for (const struct vm *other = vm->manager->vms; other; other = other->next)
		if (other != vm && other->ip && ip4_parse_cidr_or_addr(other->ip, &c, NULL) == 0)
			used[(*ret_n)++] = c.addr;
	return used;
}

static int network_reserve(struct vm *vm, const char *wanted, struct net_facts *networks, struct error **err)
{
	struct net_vm self;
	const struct net_mode *mode = network_vm(vm, &self, err);
	size_t nused;
	cleanup_free uint32_t *used = network_used(vm, &nused);
	char *address = NULL;

	self.networks = networks;
	if (!mode || mode->reserve(&self, wanted && wanted[0] ? wanted : NULL, used, nused, &address, err))
		return -1;
	free(vm->ip);
	vm->ip = address;
	vm_touch(vm);
	return 0;
}

int vm_network_reserve(struct vm *vm, const char *wanted, struct error **err)
{
	if (network_reserve(vm, wanted, NULL, err))
		return -1;
	if (wanted && *wanted && !vm->ip_asked)
		vm->ip_asked = str_dup(wanted);
	return 0;
}

/* For the record; a script is made anew from the rest whenever it is needed. */
static void network_keep(struct vm *vm, const struct net_plan *plan)
{
	js_put(&vm->network);
	vm->network = net_plan_to_json(plan);
	json_object_object_del(vm->network, "nft");
}

int network_job_plan(struct network_job *job, struct vm *vm, struct error **err)
{
	cleanup_net_facts struct net_facts networks = {0};
	struct net_vm self;
	const struct net_mode *mode;

	*job = (struct network_job){.port.tap_fd = -1,
				    .sets = vm->manager->sets,
				    .helper_uid = vm->manager->options->uid_base + UIDS_PER_VM * vm->uid_slot + 1};
	if (network_reserve(vm, NULL, &networks, err))
		return -1;
	mode = network_vm(vm, &self, err);
	self.networks = &networks;
	if (!mode || mode->plan(&self, &job->plan, err))
		return -1;
	job->planned = true;
	job->group = self.group;
	network_keep(vm, &job->plan);
	vm_touch(vm); /* its MAC address is shown */
	return 0;
}

int network_job_recorded(struct network_job *job, const struct vm *vm, struct error **err)
{
	*job = (struct network_job){.port.tap_fd = -1, .sets = vm->manager->sets};
	if (!vm->network)
		return 0;
	if (net_plan_from_json(vm->network, &job->plan, err))
		return -1;
	job->planned = true;
	return 0;
}

void network_job_clear(struct network_job *job)
{
	fd_closep(&job->port.tap_fd);
	net_plan_clear(&job->plan);
}

void network_job_guest(const struct network_job *job, struct json_object *config)
{
	struct json_object *nets = json_object_new_array(), *net = json_object_new_object();
	const struct net_guest *guest = &job->plan.guest;

	js_add_string(net, "mac", guest->mac);
	if (guest->dhcp) {
		js_add_bool(net, "dhcp", true);
		js_add_bool(net, "dhcp_dns", guest->net_dns);
	}
	if (*guest->address)
		js_add_string(net, "address", guest->address);
	if (*guest->gateway)
		js_add_string(net, "gateway", guest->gateway);
	js_add_u64(net, "mtu", guest->mtu);
	if (net_mode(job->plan.mode)->ipv6)
		js_add_bool(net, "ipv6", true);
	if (guest->routes)
		js_add_strv(net, "routes", guest->routes);
	json_object_array_add(nets, net);
	js_add(config, "network", nets);
	js_add_strv(config, "dns", guest->dns);
}

/* What the group needs may have gone since it was made, with a flush of all rules perhaps: then that comes first. */
static int network_make(struct network_job *job, struct error **err)
{
	cleanup_error struct error *why = NULL;

	if (net_vm_up(&job->plan, job->sets, &job->port, &why) == 0)
		return 0;
	if (why->code != ERR_GONE || !job->group)
		return error_move(err, &why);
	if (net_group_up(job->group, job->plan.daemon_id, NULL, err))
		return -1;
	return net_vm_up(&job->plan, job->sets, &job->port, err);
}

int network_job_up(struct network_job *job, struct vmm_net *ret, struct error **err)
{
	static const enum vmm_net_kind kinds[] = {
		[NET_PORT_TAP] = VMM_NET_TAP, [NET_PORT_HELPER] = VMM_NET_HELPER, [NET_PORT_NOWHERE] = VMM_NET_SLIRP};

	if (network_make(job, err))
		return -1;
	*ret = (struct vmm_net){
		.kind = kinds[job->port.kind],
		.tap_fd = job->port.tap_fd,
		.helper_argv = job->port.helper_argv,
		/* Of its own as well: what breaks out of one does not own the other. */
		.helper_uid = job->helper_uid,
		.helper_gid = job->helper_uid,
	};
	return mac_parse(job->plan.guest.mac, ret->mac) ? error_set(err, ERR_INTERNAL, "the plan has no MAC address")
							: 0;
}

void network_job_finish(const struct network_job *job, struct vm *vm)
{
	const char *address = job->plan.guest.address;

	if (job->plan.mode != NET_CNI)
		return;
	free(vm->ip);
	vm->ip = str_dup(address);
	network_keep(vm, &job->plan);
	vm_touch(vm);
}

int network_job_down(struct network_job *job, struct error **err)
{
	fd_closep(&job->port.tap_fd);
	return job->planned ? net_vm_down(&job->plan, job->sets, err) : 0;
}

const char *vm_mac(const struct vm *vm)
{
	struct json_object *guest = NULL;
	const char *mac = NULL;

	if (vm->network && js_get_object(vm->network, "guest", &guest, NULL) == 0 && guest)
		js_get_string(guest, "mac", &mac, NULL);
	return mac;
}

bool vm_has_ipv6(const struct vm *vm)
{
	const struct config_group *group = config_group_find(vm->manager->options->config, vm->group);
	const struct net_mode *mode = net_mode(network_mode(vm, group));

	return mode && mode->ipv6;
}

void network_job_mended(const struct network_job *job, struct vm *vm)
{
	const char *before = NULL;

	if (!vm->network || js_get_string(vm->network, "rules", &before, NULL) || str_eq(before, job->plan.rules))
		return;
	network_keep(vm, &job->plan);
}

int vm_network_mend(struct vm *vm, struct error **err)
{
	struct network_job job;
	int r = network_job_recorded(&job, vm, err);

	if (r == 0 && job.planned) {
		mem_freep(&job.plan.rules); /* whatever the record says of them */
		r = net_vm_mend(&job.plan, job.sets, err);
		network_job_mended(&job, vm);
	}
	network_job_clear(&job);
	return r;
}
