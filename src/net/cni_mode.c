/* SPDX-License-Identifier: MIT */
/* Mode CNI: a network namespace per VM, into which plugins put an interface; the VM takes that interface's place. What its
 * addresses are is known once the plugins have run. */
#include <arpa/inet.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/links.h"
#include "base/str.h"
#include "net/apply_impl.h"
#include "net/cni.h"
#include "net/cni_default.h"
#include "net/netns.h"

#define CNI_IFNAME "eth0"
#define CNI_TAP "tap0"
enum { CNI_MTU = 1500 };

/* ---- the group ---- */

/* Podman's and others' lists have such, and work without: nobody asks them for a published port here. */
static void note_capabilities(const struct cni_list *l, char ***ret_notes)
{
	for (size_t i = 0; i < l->nplugins; i++) {
		struct json_object *capabilities = NULL;

		if (js_get_object(l->plugins[i].config, "capabilities", &capabilities, NULL) < 0 || !capabilities)
			continue;
		json_object_object_foreach(capabilities, name, wanted) if (json_object_get_boolean(wanted) &&
									   !str_eq(name, "mac") && !str_eq(name, "ips"))
			strv_append_fmt(
				ret_notes,
				"CNI network \"%s\": plugin %s can be given \"%.64s\" by a runtime; slicer gives it none",
				l->name, l->plugins[i].type, name);
	}
}

static int cni_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err)
{
	cleanup_cni_list struct cni_list list = {0};

	if (cni_write_default(CNI_CONFIG_DIR, g->network_name, err) < 0 ||
	    cni_list_find(CNI_CONFIG_DIR, g->network_name, &list, err) < 0 || cni_list_probe(&list, err) < 0)
		return -1;
	if (ret_notes)
		note_capabilities(&list, ret_notes);
	return 0;
}

/* ---- a VM ---- */

/* The pool is the plugins'; whether the address is free in it is for them to say. */
static int check_asked(const struct net_vm *vm, const char *asked, const uint32_t *used, size_t nused,
		       struct error **err)
{
	cleanup_cni_list struct cni_list list = {0};
	struct ip4_cidr c;

	if (ip4_parse_cidr_or_addr(asked, &c, err) < 0 ||
	    cni_list_find(CNI_CONFIG_DIR, vm->group->network_name, &list, err) < 0)
		return -1;
	if (!cni_list_can(&list, "ips"))
		return error_set(
			err, ERR_INVALID,
			"host group \"%s\" has its addresses from CNI network \"%s\", where one cannot be asked for: "
			"none of its plugins has \"capabilities\": {\"ips\": true}",
			vm->group->name, list.name);
	for (size_t i = 0; i < nused; i++)
		if (used[i] == c.addr)
			return error_set(err, ERR_CONFLICT, "address %s of host group \"%s\" is in use", asked,
					 vm->group->name);
	return 0;
}

static int cni_reserve(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
		       struct error **err)
{
	const char *asked = wanted ? wanted : vm->asked;

	if (asked && check_asked(vm, asked, used, nused, err) < 0)
		return -1;
	*ret = str_dup(asked ? asked : "");
	return 0;
}

static int cni_plan(const struct net_vm *vm, struct net_plan *ret, struct error **err)
{
	unsigned char mac[6];
	struct net_plan_link *link;

	*ret = (struct net_plan){.mode = NET_CNI,
				 .daemon_id = str_dup(vm->daemon_id),
				 .name = str_dup(vm->hostname),
				 .netns = str_dup(vm->hostname),
				 .network = str_dup(vm->group->network_name),
				 .asked = str_dup(vm->asked)};
	link = net_plan_add_link(ret, NET_LINK_NETNS_TAP, CNI_TAP);
	link->mtu = CNI_MTU;
	net_derived_mac("cni", vm->daemon_id, vm->hostname, link->mac);
	link->has_mac = true;
	mac_from_hostname(vm->hostname, mac); /* unless the plugins say another */
	mac_format(mac, ret->guest.mac);
	ret->guest.mtu = CNI_MTU;
	ret->guest.dns = strv_copy(vm->dns);
	ret->guest.net_dns = !vm->dns_given;
	return 0;
}

static int cni_from_record(struct net_plan *p, struct error **err)
{
	if (!p->netns || p->nlinks != 1 || p->links[0].kind != NET_LINK_NETNS_TAP)
		return error_set(err, ERR_INVALID, "a network namespace and its tap are missing");
	return 0;
}

struct attachment {
	char *container, *netns;
	struct cni_attach cni; /* borrows from the others */
};

static void attachment_init(struct attachment *a, const char *daemon_id, const char *vm)
{
	a->container = str_fmt("slicer-%s-%s", daemon_id, vm);
	for (char *c = a->container; *c; c++) /* a daemon's id is named after a file */
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
			*c = '_';
	a->netns = str_fmt(NETNS_DIR "/%s", vm);
	a->cni = (struct cni_attach){
		.container = a->container, .netns = a->netns, .ifname = CNI_IFNAME, .cache_dir = CNI_CACHE_DIR};
}

static void attachment_clear(struct attachment *a)
{
	free(a->container);
	free(a->netns);
}

static int guest_routes(const struct cni_result *r, struct net_guest *guest)
{
	for (size_t i = 0; i < r->nroutes; i++) {
		char to[IP4_TEXT_MAX];

		ip4_format_cidr(r->routes[i].to, to);
		strv_append_fmt(&guest->routes, "%s%s%s", to, r->routes[i].via[0] ? " " : "", r->routes[i].via);
	}
	return 0;
}

/* Where the plugins have taken the route to the subnet away (ptp does), its machines are behind the gateway. */
static void guest_fill(const struct cni_result *r, bool connected, struct net_guest *guest)
{
	snprintf(guest->address, sizeof(guest->address), "%s", r->address);
	if (!connected)
		snprintf(guest->address, sizeof(guest->address), "%.*s/32", (int)strcspn(r->address, "/"), r->address);
	snprintf(guest->gateway, sizeof(guest->gateway), "%s", r->gateway);
	if (r->mac[0])
		snprintf(guest->mac, sizeof(guest->mac), "%s", r->mac);
	if (r->mtu)
		guest->mtu = r->mtu;
	if (r->dns && guest->net_dns) {
		strv_free(&guest->dns);
		guest->dns = strv_copy(r->dns);
	}
	guest_routes(r, guest);
}

/* A list may declare the capability of a plugin that does not have it. */
static int check_given(const char *asked, const char *given, struct error **err)
{
	struct ip4_cidr a, g;

	if (!asked || (ip4_parse_cidr_or_addr(asked, &a, NULL) == 0 && ip4_parse_cidr_or_addr(given, &g, NULL) == 0 &&
		       a.addr == g.addr))
		return 0;
	return error_set(err, ERR_UNAVAILABLE, "the CNI plugins gave address %s, and %s was asked for", given, asked);
}

static bool has_address(const struct link_addr *list, size_t n, int index, uint32_t address)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].index == index && ntohl(list[i].addr.s_addr) == address)
			return true;
	return false;
}

/* Isolated VMs, of any daemon, do not reach what is behind interfaces of that group (net/nft.h). It is for those on which this host
 * is the VMs' gateway: on others they are machines of a network that is not slicer's, the LAN perhaps, and it leads elsewhere. */
static int mark_links(const struct cni_result *r, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_free struct link_addr *addresses = NULL;
	uint32_t gateway;
	size_t n;

	if (!nl || links_addresses(nl, &addresses, &n, err) < 0)
		return -1;
	if (ip4_parse(r->gateway, &gateway, NULL) < 0)
		return 0;
	for (char *const *name = r->links; name && *name; name++) {
		int index = (int)if_nametoindex(*name);

		if (index > 0 && has_address(addresses, n, index, gateway) &&
		    links_set_group(nl, index, NET_GROUP_BRIDGE, err) < 0)
			return error_wrap(err, "interface %s of the CNI plugins", *name);
	}
	return 0;
}

static int attach_vm(struct net_plan *p, struct json_object *answer, struct net_port *ret, struct error **err)
{
	struct cni_result result;
	struct netns_attached attached;

	if (cni_result_parse(answer, CNI_IFNAME, &result, err) < 0)
		return -1;
	if (check_given(p->asked, result.address, err) < 0 || mark_links(&result, err) < 0 ||
	    netns_attach(p, CNI_IFNAME, &attached, err) < 0) {
		cni_result_clear(&result);
		return -1;
	}
	if (!result.mtu)
		result.mtu = attached.mtu;
	guest_fill(&result, attached.connected, &p->guest);
	cni_result_clear(&result);
	*ret = (struct net_port){.kind = NET_PORT_TAP, .tap_fd = attached.tap_fd};
	return 0;
}

/* Plugins look on their interface for the addresses that they made rules for (`bridge` and `ptp`: for their translation), and leave
 * those rules where the namespace is gone, which takes no more than that somebody has unmounted its name; or the interface, which they
 * remove before their rules, so that being killed in between is enough. */
static int stand_in(const struct attachment *a, const char *daemon_id, const char *vm, struct error **err)
{
	cleanup_strv char **addresses = NULL;
	cleanup_free char *alias = net_alias(daemon_id, vm), *joined = NULL;
	int added = cni_added(&a->cni, &addresses, err);

	if (added <= 0 || !addresses || (netns_is_mounted(vm) && !cni_del_begun(&a->cni)))
		return added < 0 ? -1 : 0;
	joined = strv_join(addresses, ",");
	return netns_stand_in(vm, alias, CNI_IFNAME, joined, err);
}

int net_cni_forget(const char *daemon_id, const char *vm, struct error **err)
{
	struct attachment a;
	int r;

	attachment_init(&a, daemon_id, vm);
	r = stand_in(&a, daemon_id, vm, err) < 0 ? -1 : cni_del(&a.cni, err);
	attachment_clear(&a);
	return r;
}

/* The file of an attachment names the VM's namespace, too. */
static bool is_attachment_of(const char *path, const char *vm)
{
	cleanup_json struct json_object *doc = js_parse_file(path, CNI_CACHE_MAX, NULL);
	cleanup_free char *wanted = str_fmt(NETNS_DIR "/%s", vm);
	const char *netns = NULL;

	return doc && js_get_string(doc, "netns", &netns, NULL) == 0 && str_eq(netns, wanted);
}

int net_cni_attached(const char *daemon_id, char *const *known, char ***ret_vms, struct error **err)
{
	cleanup_strv char **files = NULL;
	struct attachment a;
	size_t head;

	if (fs_list_files(CNI_CACHE_DIR, &files, err) < 0)
		return -1;
	attachment_init(&a, daemon_id, "");
	head = strlen(a.container);
	for (char **file = files; file && *file; file++) {
		cleanup_free char *path = fs_join(CNI_CACHE_DIR, *file);
		cleanup_free char *vm = NULL;

		if (!str_starts(*file, a.container) || !str_ends(*file + head, "-" CNI_IFNAME ".json"))
			continue;
		vm = str_ndup(*file + head, strlen(*file) - head - strlen("-" CNI_IFNAME ".json"));
		if (!strv_contains(known, vm) && is_attachment_of(path, vm))
			strv_append(ret_vms, vm);
	}
	attachment_clear(&a);
	return 0;
}

char *net_cni_cache_file(const char *daemon_id, const char *vm)
{
	struct attachment a;
	char *path;

	attachment_init(&a, daemon_id, vm);
	path = cni_cache_path(&a.cni);
	attachment_clear(&a);
	return path;
}

static int cni_down(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_error struct error *why = NULL, *space = NULL;

	net_cni_forget(p->daemon_id, p->name, &why);
	/* The namespace goes even so: the interfaces in it with it. What plugins have elsewhere is tried again by the next DEL. */
	if (netns_down(p->netns, p->links[0].alias, &space) < 0 && space->code != ERR_CONFLICT && !why)
		return error_move(err, &space);
	return why ? error_move(err, &why) : 0;
}

/* CHECK comes before the VM takes the interface over: afterwards it is not as the plugins left it. */
static int cni_run(struct net_plan *p, struct net_port *ret, struct error **err)
{
	cleanup_cni_list struct cni_list list = {0};
	cleanup_json struct json_object *answer = NULL;
	struct attachment a;
	int r;

	if (cni_list_find(CNI_CONFIG_DIR, p->network, &list, err) < 0 ||
	    netns_create(p->netns, p->links[0].alias, err) < 0)
		return -1;
	attachment_init(&a, p->daemon_id, p->name);
	a.cni.mac = p->guest.mac;
	a.cni.ip = p->asked;
	r = cni_add(&list, &a.cni, &answer, err);
	if (r == 0)
		r = cni_check(&a.cni, err);
	attachment_clear(&a);
	return r < 0 ? -1 : attach_vm(p, answer, ret, err);
}

static int cni_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err)
{
	/* What a launch that a crash interrupted has left. */
	if (cni_down(p, sets, err) < 0)
		return -1;
	if (cni_run(p, ret, err) == 0)
		return 0;
	cni_down(p, sets, NULL);
	return -1;
}

/* What plugins made cannot be made again below a VM that runs: ADD is once. */
static int cni_mend(struct net_plan *p, struct nfset *sets, struct error **err)
{
	if (netns_is_mounted(p->netns))
		return 0;
	return error_set(
		err, ERR_NOT_FOUND,
		"its network namespace " NETNS_DIR
		"/%s has lost its name: the VM keeps its network, and what its CNI plugins made goes with the VM",
		p->netns);
}

const struct net_mode net_mode_cni = {
	.mode = NET_CNI,
	.needs_root = true,
	.needs_group = true,
	.group_up = cni_group_up,
	.reserve = cni_reserve,
	.plan = cni_plan,
	.from_record = cni_from_record,
	.up = cni_up,
	.mend = cni_mend,
	.down = cni_down,
};
