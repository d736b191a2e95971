/* SPDX-License-Identifier: MIT */
#include "vm/network.h"

#include "base/json.h"
#include "base/str.h"
#include "net/apply.h"
#include "net/mac.h"
#include "net/pool.h"
#include "vm/manager_impl.h"

static const struct config_group *network_group(const struct vm *vm)
{
	return config_group_find(vm->manager->options->config, vm->group);
}

/* A VM whose group has left the configuration runs on with what it has. */
static enum config_net_mode network_mode(const struct vm *vm)
{
	const struct config_group *g = network_group(vm);

	return g ? g->network.mode : vm->network ? NET_BRIDGE : NET_USER;
}

static bool network_address(const struct vm *vm, uint32_t *ret)
{
	struct ip4_cidr c;

	if (!vm->ip || ip4_parse_cidr_or_addr(vm->ip, &c, NULL))
		return false;
	*ret = c.addr;
	return true;
}

static uint32_t *network_used(const struct vm *vm, size_t *ret_n)
{
	uint32_t *used = mem_alloc_array(MAX_VMS + 1, sizeof(*used));

	*ret_n = 0;
	for (const struct vm *other = vm->manager->vms; other; other = other->next)
		if (other != vm && str_eq(other->group, vm->group) && network_address(other, &used[*ret_n]))
			(*ret_n)++;
	return used;
}

static int network_take(struct vm *vm, const struct net_pool *pool, const char *wanted, struct error **err)
{
	size_t nused;
	cleanup_free uint32_t *used = network_used(vm, &nused);
	struct ip4_cidr got = {.prefix = pool->gateway.prefix};
	char text[IP4_TEXT_MAX];

	if (net_pool_take(pool, vm->number, wanted, used, nused, &got.addr, err))
		return -1;
	ip4_format_cidr(got, text);
	free(vm->ip);
	vm->ip = str_dup(text);
	return 0;
}

int vm_network_reserve(struct vm *vm, const char *wanted, struct error **err)
{
	const struct config_group *g = network_group(vm);
	cleanup_net_pool struct net_pool *pool = NULL;
	struct net_user_plan plan;

	if (network_mode(vm) == NET_BRIDGE) {
		pool = net_pool_new(g, err);
		if (!pool)
			return -1;
		if (vm->ip && !wanted && network_take(vm, pool, vm->ip, NULL) == 0)
			return 0;
		return network_take(vm, pool, wanted && wanted[0] ? wanted : NULL, err);
	}
	net_user_plan(&vm->manager->net_host, vm->dns, &plan);
	free(vm->ip);
	vm->ip = str_dup(plan.address);
	net_user_plan_clear(&plan);
	return 0;
}

static int network_plan_bridge(struct network_job *job, struct vm *vm, struct error **err)
{
	const char *daemon_id = vm->manager->options->daemon_id;
	cleanup_net_facts struct net_facts facts = {0};
	uint32_t address;

	if (vm_network_reserve(vm, NULL, err))
		return -1;
	if (!network_address(vm, &address))
		return error_set(err, ERR_INTERNAL, "VM \"%s\" has no address", vm->hostname);
	if (net_facts_read(false, &facts, err) ||
	    net_plan_vm(network_group(vm), daemon_id, vm->hostname, vm->number, address, &facts, &job->plan, err))
		return -1;
	js_put(&vm->network);
	vm->network = net_plan_to_json(&job->plan);
	return 0;
}

int network_job_plan(struct network_job *job, struct vm *vm, struct error **err)
{
	memset(job, 0, sizeof(*job));
	job->tap_fd = -1;
	job->mode = network_mode(vm);
	job->helper_uid = UID_BASE + UIDS_PER_VM * vm->uid_slot + 1;
	if (job->mode == NET_BRIDGE)
		return network_plan_bridge(job, vm, err);
	net_user_plan(&vm->manager->net_host, vm->dns, &job->user);
	return 0;
}

int network_job_recorded(struct network_job *job, const struct vm *vm, struct error **err)
{
	memset(job, 0, sizeof(*job));
	job->tap_fd = -1;
	job->mode = vm->network ? NET_BRIDGE : NET_USER;
	return vm->network ? net_plan_from_json(vm->network, &job->plan, err) : 0;
}

void network_job_clear(struct network_job *job)
{
	fd_closep(&job->tap_fd);
	net_user_plan_clear(&job->user);
	net_plan_clear(&job->plan);
}

void network_job_guest(const struct network_job *job, const char *hostname, struct json_object *config)
{
	struct json_object *nets = json_object_new_array(), *net = json_object_new_object();
	const struct net_guest *guest = &job->plan.guest;
	unsigned char mac[6];
	char text[MAC_TEXT_SIZE];
	bool bridge = job->mode == NET_BRIDGE;

	mac_from_hostname(hostname, mac);
	mac_format(mac, text);
	js_add_string(net, "mac", bridge ? guest->mac : text);
	js_add_string(net, "address", bridge ? guest->address : job->user.address);
	js_add_string(net, "gateway", bridge ? guest->gateway : job->user.gateway);
	js_add_u64(net, "mtu", bridge ? guest->mtu : job->user.mtu);
	json_object_array_add(nets, net);
	js_add(config, "network", nets);
}

static int network_up_bridge(struct network_job *job, struct vmm_net *ret, struct error **err)
{
	if (net_vm_up(&job->plan, &job->tap_fd, err))
		return error_wrap(err, "network");
	ret->kind = VMM_NET_TAP;
	ret->tap_fd = job->tap_fd;
	return 0;
}

int network_job_up(struct network_job *job, const char *hostname, struct vmm_net *ret, struct error **err)
{
	*ret = (struct vmm_net){.tap_fd = -1};
	mac_from_hostname(hostname, ret->mac);
	if (job->mode == NET_BRIDGE)
		return network_up_bridge(job, ret, err);
	ret->kind = job->user.kind == NET_USER_PASST ? VMM_NET_HELPER : VMM_NET_SLIRP;
	ret->helper_argv = job->user.helper_argv;
	/* Of its own as well: what breaks out of one does not own the other. */
	ret->helper_uid = job->helper_uid;
	ret->helper_gid = job->helper_uid;
	return 0;
}

int network_job_down(struct network_job *job, struct error **err)
{
	fd_closep(&job->tap_fd);
	if (job->mode != NET_BRIDGE)
		return 0;
	return net_vm_down(&job->plan, err) ? error_wrap(err, "network") : 0;
}

int vm_network_mend(const struct vm *vm, struct error **err)
{
	struct network_job job;
	int r = network_job_recorded(&job, vm, err);

	if (r == 0 && job.mode == NET_BRIDGE)
		r = net_vm_mend(&job.plan, err);
	network_job_clear(&job);
	return r;
}
