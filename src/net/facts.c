/* SPDX-License-Identifier: MIT */
#include "net/facts.h"

#include "base/fs.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "net/nft.h"

enum { MTU_DEFAULT = 1500, MTU_MIN = 576, MTU_MAX = 9000 };

/* One chain of nft's list. */
static int firewall_chain(struct json_object *chain, struct net_firewall *fw, struct error **err)
{
	const char *family = "", *table = "", *name = "", *hook = "", *policy = "";
	bool drop, ip, inet;

	if (js_get_string(chain, "family", &family, err) < 0 || js_get_string(chain, "table", &table, err) < 0 ||
	    js_get_string(chain, "name", &name, err) < 0 || js_get_string(chain, "hook", &hook, err) < 0 ||
	    js_get_string(chain, "policy", &policy, err) < 0)
		return -1;
	ip = str_eq(family, "ip");
	inet = str_eq(family, "inet");
	drop = str_eq(hook, "forward") && str_eq(policy, "drop");
	if (ip && str_eq(table, "filter") && str_eq(name, "DOCKER-USER"))
		fw->docker_user = true;
	else if (inet && str_eq(table, "firewalld"))
		fw->firewalld = true;
	else if (drop && ip && str_eq(table, "filter") && str_eq(name, "FORWARD"))
		fw->iptables_drop = true;
	else if (drop && (ip || inet))
		strv_append_fmt(&fw->others, "%s %s %s", family, table, name);
	return 0;
}

int net_firewall_parse(const char *json, struct net_firewall *ret, struct error **err)
{
	cleanup_json struct json_object *root = js_parse(json, strlen(json), err);
	struct json_object *list = NULL;

	if (!root || js_get_array(root, "nftables", &list, err) < 0)
		return error_wrap(err, "cannot read what nft lists");
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i), *chain = NULL;

		if (!json_object_is_type(item, json_type_object))
			continue;
		if (js_get_object(item, "chain", &chain, err) < 0 || (chain && firewall_chain(chain, ret, err) < 0))
			return error_wrap(err, "cannot read what nft lists");
	}
	return 0;
}

/* iptables-legacy keeps its tables elsewhere in the kernel; its program is there where it is used.
 */
static void legacy_read(struct net_firewall *ret)
{
	cleanup_free char *tables = NULL, *program = NULL;
	struct proc_result r = {0};

	if (fs_read_file("/proc/net/ip_tables_names", 4096, &tables, NULL, NULL) < 0 || !strstr(tables, "filter"))
		return;
	program = proc_find_program("iptables-legacy");
	if (!program)
		return;
	ret->legacy_drop = proc_run((char *const[]){program, (char *)"-S", (char *)"FORWARD", NULL}, NULL, 1024 * 1024,
				    NFT_TIMEOUT_MS, &r, NULL) == 0 &&
			   strstr(r.out, "-P FORWARD DROP");
	if (ret->legacy_drop)
		ret->legacy_rules = TAKE_PTR(r.out);
	proc_result_clear(&r);
}

static int firewall_read(struct net_firewall *ret, struct error **err)
{
	cleanup_free char *json = nft_read("-j list chains", err);

	if (!json || net_firewall_parse(json, ret, err) < 0)
		return -1;
	legacy_read(ret);
	return 0;
}

static int read_table(struct net_facts *f, struct netlink *nl, unsigned table, struct error **err)
{
	cleanup_free struct link_route *some = NULL;
	size_t n;

	if (links_routes_of_table(nl, table, &some, &n, err) < 0)
		return -1;
	if (n == 0)
		return 0;
	f->others = mem_realloc(f->others, (f->nothers + n) * sizeof(*some));
	memcpy(f->others + f->nothers, some, n * sizeof(*some));
	f->nothers += n;
	return 0;
}

static bool names_table(const struct link_rule *rule)
{
	return rule->action == LINK_RULE_TABLE && !links_rule_is_usual(rule);
}

/* Several rules may name one table; tables that none names lead nobody anywhere. */
static int read_rules(struct net_facts *f, struct netlink *nl, struct error **err)
{
	if (links_rules(nl, &f->rules, &f->nrules, err) < 0)
		return -1;
	for (size_t i = 0; i < f->nrules; i++) {
		bool known = false;

		for (size_t k = 0; k < i && !known; k++)
			known = names_table(&f->rules[k]) && f->rules[k].table == f->rules[i].table;
		if (names_table(&f->rules[i]) && !known && read_table(f, nl, f->rules[i].table, err) < 0)
			return -1;
	}
	return 0;
}

int net_facts_read(bool firewall, struct net_facts *ret, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);

	*ret = (struct net_facts){0};
	if (!nl || links_list(nl, &ret->links, &ret->nlinks, err) < 0 ||
	    links_addresses(nl, &ret->addrs, &ret->naddrs, err) < 0 ||
	    links_routes(nl, &ret->routes, &ret->nroutes, err) < 0 || read_rules(ret, nl, err) < 0 ||
	    (firewall && firewall_read(&ret->firewall, err) < 0)) {
		net_facts_clear(ret);
		return -1;
	}
	return 0;
}

static int facts_add_link(struct net_facts *f, struct netlink *nl, int index, struct error **err)
{
	cleanup_error struct error *why = NULL;

	if (net_facts_index(f, index))
		return 0;
	if (links_get_index(nl, index, &f->links[f->nlinks], &why) == 0)
		f->nlinks++;
	else if (why->code != ERR_NOT_FOUND) /* gone since */
		return error_move(err, &why);
	return 0;
}

/* A network, or a way out: what only leads to one machine tells nothing that its address does not.
 */
static int facts_add_links(struct net_facts *f, struct netlink *nl, struct error **err)
{
	f->links = mem_alloc_array(f->naddrs + f->nroutes + 1, sizeof(*f->links));
	for (size_t i = 0; i < f->naddrs; i++)
		if (f->addrs[i].prefix < 32 && facts_add_link(f, nl, f->addrs[i].index, err) < 0)
			return -1;
	for (size_t i = 0; i < f->nroutes; i++)
		if (f->routes[i].prefix == 0 && facts_add_link(f, nl, f->routes[i].index, err) < 0)
			return -1;
	return 0;
}

int net_facts_read_networks(struct net_facts *ret, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);

	*ret = (struct net_facts){0};
	if (!nl || links_addresses(nl, &ret->addrs, &ret->naddrs, err) < 0 ||
	    links_routes(nl, &ret->routes, &ret->nroutes, err) < 0 || facts_add_links(ret, nl, err) < 0) {
		net_facts_clear(ret);
		return -1;
	}
	return 0;
}

int net_facts_read_rules(struct net_facts *f, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);

	if (!nl || read_rules(f, nl, err) < 0)
		return -1;
	f->links = mem_realloc(f->links, (f->nlinks + f->nothers + 1) * sizeof(*f->links));
	for (size_t i = 0; i < f->nothers; i++)
		if (f->others[i].index && facts_add_link(f, nl, f->others[i].index, err) < 0)
			return -1;
	return 0;
}

void net_facts_clear(struct net_facts *f)
{
	links_free(f->links, f->nlinks);
	free(f->addrs);
	free(f->routes);
	free(f->rules);
	free(f->others);
	strv_free(&f->firewall.others);
	free(f->firewall.legacy_rules);
	*f = (struct net_facts){0};
}

const struct link *net_facts_link(const struct net_facts *f, const char *name)
{
	for (size_t i = 0; i < f->nlinks; i++)
		if (str_eq(f->links[i].name, name))
			return &f->links[i];
	return NULL;
}

const struct link *net_facts_index(const struct net_facts *f, int index)
{
	for (size_t i = 0; i < f->nlinks; i++)
		if (f->links[i].index == index)
			return &f->links[i];
	return NULL;
}

const struct link_route *net_facts_default(const struct net_facts *f)
{
	const struct link_route *best = NULL;

	for (size_t i = 0; i < f->nroutes; i++) {
		const struct link_route *r = &f->routes[i];

		if (r->prefix == 0 && net_facts_index(f, r->index) && (!best || r->metric < best->metric))
			best = r;
	}
	return best;
}

unsigned net_facts_mtu(const struct net_facts *f)
{
	const struct link_route *route = net_facts_default(f);
	unsigned mtu = route ? net_facts_index(f, route->index)->mtu : MTU_DEFAULT;

	return mtu < MTU_MIN ? MTU_MIN : mtu > MTU_MAX ? MTU_MAX : mtu;
}

struct in_addr net_facts_lan_address(const struct net_facts *f)
{
	const struct link_route *route = net_facts_default(f);

	if (route && route->source.s_addr)
		return route->source;
	for (size_t i = 0; route && i < f->naddrs; i++)
		if (f->addrs[i].index == route->index)
			return f->addrs[i].addr;
	return (struct in_addr){0};
}
