/* SPDX-License-Identifier: MIT */
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "net/mode.h"

#define USER_ADDRESS "10.0.2.15"
#define USER_GATEWAY "10.0.2.2"
#define USER_DNS "10.0.2.3"
#define USER_MTU 1500

/* Reads one of the kernel's switches; absent means that this kernel does not have it. */
static bool switch_is_zero(const char *path)
{
	cleanup_free char *text = NULL;

	return fs_read_file(path, 64, &text, NULL, NULL) == 0 && str_eq(str_trim(text), "0");
}

/* /proc/net/route: columns Iface Destination Gateway Flags … Mask in hexadecimal; the default route
 * has 0 and 0. */
bool net_user_has_default_route(const char *table)
{
	cleanup_strv char **lines = strv_split(table, '\n');

	for (char **l = lines; *l; l++) {
		char destination[9], mask[9];

		if (sscanf(*l, "%*31s %8[0-9A-Fa-f] %*s %*s %*s %*s %*s %8[0-9A-Fa-f]", destination, mask) == 2 &&
		    str_eq(destination, "00000000") && str_eq(mask, "00000000"))
			return true;
	}
	return false;
}

void net_user_probe(struct net_user_host *ret)
{
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_free char *table = NULL;

	*ret = (struct net_user_host){.passt = proc_find_program("passt")};
	ret->namespaces = !switch_is_zero("/proc/sys/kernel/unprivileged_userns_clone") &&
			  !switch_is_zero("/proc/sys/user/max_user_namespaces");
	ret->default_route = fs_read_file("/proc/net/route", 1024 * 1024, &table, NULL, NULL) == 0 &&
			     net_user_has_default_route(table);
	if (ret->default_route && net_facts_read_networks(&facts, NULL) == 0)
		ret->mtu = net_facts_mtu(&facts);
}

void net_user_host_clear(struct net_user_host *h)
{
	mem_freep(&h->passt);
	*h = (struct net_user_host){0};
}

/* Why passt cannot be used, with the remedy; NULL when it can. */
static const char *net_user_obstacle(const struct net_user_host *host)
{
	if (!host->passt)
		return "passt is not installed (apt-get install passt)";
	if (!host->namespaces)
		return "passt needs user namespaces, which are switched off (set the sysctls "
		       "kernel.unprivileged_userns_clone=1 and "
		       "user.max_user_namespaces above 0)";
	if (!host->default_route)
		return "this host has no IPv4 default route";
	return NULL;
}

/* No ports are forwarded into the guest by passt, and nothing in the guest leads to the host's
 * loopback: --no-map-gw. The address is told by the config disk, not by DHCP. */
static char **net_user_passt(const char *passt)
{
	static const char *const options[] = {
		"-f",	  "-q", "-4",	"-F",	      "@FD@",	     "-a",	  USER_ADDRESS,
		"-n",	  "24", "-g",	USER_GATEWAY, "--no-map-gw", "--no-dhcp", "--dns-forward",
		USER_DNS, "-t", "none", "-u",	      "none"};
	char **argv = NULL;

	strv_append(&argv, passt);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		strv_append(&argv, options[i]);
	return argv;
}

void net_user_plan(const struct net_user_host *host, char *const *dns, struct net_user_plan *ret)
{
	const char *obstacle = net_user_obstacle(host);

	*ret = (struct net_user_plan){
		.address = USER_ADDRESS "/24", .gateway = USER_GATEWAY, .mtu = host->mtu ? host->mtu : USER_MTU};
	if (obstacle) {
		ret->kind = NET_USER_RESTRICTED;
		ret->note = str_fmt("no network in the guest: %s; exec, cp, shell and forward work", obstacle);
		return;
	}
	ret->kind = NET_USER_PASST;
	ret->helper_argv = net_user_passt(host->passt);
	if (dns && *dns)
		ret->dns = strv_copy(dns);
	else
		strv_append(&ret->dns, USER_DNS);
}

void net_user_plan_clear(struct net_user_plan *p)
{
	strv_free(&p->helper_argv);
	strv_free(&p->dns);
	mem_freep(&p->note);
	*p = (struct net_user_plan){0};
}

/* Makes nothing; says why guests will have no network. */
static int user_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err)
{
	struct net_user_host host;
	struct net_user_plan plan;

	if (!ret_notes)
		return 0;
	net_user_probe(&host);
	net_user_plan(&host, NULL, &plan);
	if (plan.note)
		strv_append_fmt(ret_notes, "host group %s: %s", g->name, plan.note);
	net_user_plan_clear(&plan);
	net_user_host_clear(&host);
	return 0;
}

static int user_reserve(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
			struct error **err)
{
	*ret = str_dup(USER_ADDRESS "/24"); /* everybody's: no two of them ever meet */
	return 0;
}

static int user_plan(const struct net_vm *vm, struct net_plan *ret, struct error **err)
{
	unsigned char mac[6];

	*ret = (struct net_plan){.mode = NET_USER, .daemon_id = str_dup(vm->daemon_id), .name = str_dup(vm->hostname)};
	net_user_plan(vm->user_host, vm->dns, &ret->user);
	mac_from_hostname(vm->hostname, mac);
	mac_format(mac, ret->guest.mac);
	snprintf(ret->guest.address, sizeof(ret->guest.address), "%s", ret->user.address);
	snprintf(ret->guest.gateway, sizeof(ret->guest.gateway), "%s", ret->user.gateway);
	ret->guest.mtu = ret->user.mtu;
	ret->guest.dns = strv_copy(ret->user.dns);
	return 0;
}

static int user_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err)
{
	*ret = (struct net_port){.kind = p->user.kind == NET_USER_PASST ? NET_PORT_HELPER : NET_PORT_NOWHERE,
				 .tap_fd = -1,
				 .helper_argv = p->user.helper_argv};
	return 0;
}

const struct net_mode net_mode_user = {
	.mode = NET_USER,
	.group_up = user_group_up,
	.reserve = user_reserve,
	.plan = user_plan,
	.up = user_up,
};
