/* SPDX-License-Identifier: MIT */
#include "host/net_expect.h"

#include <arpa/inet.h>

#include "base/fs.h"
#include "base/str.h"
#include "net/apply.h"
#include "net/isolated_pool.h"
#include "net/nft.h"
#include "net/plan.h"
#include "net/policy.h"
#include "net/slots.h"

enum { RULES_OF_ADMISSION = 2 };

void net_expect_clear(struct net_expect *e)
{
	net_facts_clear(&e->facts);
	js_put(&e->findings);
	mem_freep(&e->only);
}

void net_expect_say(struct net_expect *e, const char *fix, const char *fmt, ...)
{
	struct json_object *f = json_object_new_object();
	cleanup_free char *summary = NULL;
	va_list ap;

	va_start(ap, fmt);
	summary = str_vfmt(fmt, ap);
	va_end(ap);
	js_add_string(f, "daemon", e->daemon->id);
	js_add_string(f, "summary", summary);
	js_add_string(f, "fix", fix);
	json_object_array_add(e->findings, f);
	e->nfindings++;
}

/* Who puts back what is missing. */
static const char *remedy(const struct net_expect *e)
{
	return e->daemon->life == NET_LIFE_UP ? "the daemon puts it back within half a minute; "
						"when it does not, its log says why"
					      : "slicer up of its configuration puts it back";
}

#define MISSING(e, ...) net_expect_say(e, remedy(e), __VA_ARGS__)

/* "SET TEXT" of a table of the daemon, of that family (NULL: any). */
static bool has_element(const struct net_expect *e, const char *family, const char *text)
{
	cleanup_free char *table = nft_table(e->daemon->id), *wanted = str_fmt(" %s %s", table, text);

	for (size_t i = 0; i < e->scan->nthings; i++) {
		const struct net_thing *t = &e->scan->things[i];
		size_t n = strcspn(t->name, " ");

		if (t->kind == NET_KIND_ELEMENT && str_eq(t->name + n, wanted) &&
		    (!family || (strlen(family) == n && strncmp(t->name, family, n) == 0)))
			return true;
	}
	return false;
}

static void expect_element(struct net_expect *e, const char *who, const char *family, const char *text)
{
	if (!has_element(e, family, text))
		MISSING(e, "%s: \"%s\" is missing in nftables", who, text);
}

/* A table may have lost its rules by a flush of all rules, which keeps tables and sets. */
static void expect_rules(struct net_expect *e, const char *who, const char *family)
{
	cleanup_free char *table = nft_table(e->daemon->id), *name = str_fmt("%s %s", family, table);

	for (size_t i = 0; i < e->scan->nthings; i++) {
		const struct net_thing *t = &e->scan->things[i];

		if (t->kind != NET_KIND_TABLE || !str_eq(t->name, name))
			continue;
		if (t->rules == 0)
			MISSING(e, "%s: the rules of the table %s are gone", who, name);
		return;
	}
	MISSING(e, "%s: the table %s is missing in nftables", who, name);
}

static void expect_sysctl(struct net_expect *e, const char *who, const char *entry)
{
	bool optional = *entry == '-';
	const char *value = strchr(entry, '=');
	cleanup_free char *key = str_ndup(entry + optional, (size_t)(value - entry) - optional);
	cleanup_free char *path = fs_join("/proc/sys", key), *now = NULL;
	size_t n;

	if (fs_read_file(path, 64, &now, &n, NULL) < 0) {
		if (!optional)
			MISSING(e, "%s: %s is missing", who, path);
	} else if (!str_eq(str_trim(now), value + 1)) {
		MISSING(e, "%s: %s is %s, not %s", who, key, str_trim(now), value + 1);
	}
}

static void expect_address(struct net_expect *e, const char *who, const struct link *link,
			   const struct ip4_cidr *wanted)
{
	char text[IP4_TEXT_MAX];

	for (size_t i = 0; i < e->facts.naddrs; i++) {
		const struct link_addr *a = &e->facts.addrs[i];

		if (a->index == link->index && ntohl(a->addr.s_addr) == wanted->addr && a->prefix == wanted->prefix)
			return;
	}
	ip4_format_cidr(*wanted, text);
	MISSING(e, "%s: %s has not the address %s", who, link->name, text);
}

/* The rules that let the bridge, or the range, pass a firewall that drops. */
static void expect_admission(struct net_expect *e, const char *who, const char *chain, const char *passing)
{
	cleanup_free char *place = str_fmt("ip filter %s ", chain);
	unsigned n = 0;

	for (size_t i = 0; i < e->scan->nthings; i++) {
		const struct net_thing *t = &e->scan->things[i];

		n += t->kind == NET_KIND_RULE && str_eq(t->daemon_id, e->daemon->id) && str_eq(t->alias, passing) &&
		     str_starts(t->name, place);
	}
	if (n < RULES_OF_ADMISSION)
		MISSING(e, "%s: the rules that let %s pass the chain %s of another firewall are missing", who, passing,
			chain);
}

static void expect_bridge(struct net_expect *e, const char *who, const struct net_plan *p)
{
	const char *bridge = p->links[0].name;
	const struct link *link = net_facts_link(&e->facts, bridge);
	cleanup_free char *named = str_fmt("bridges %s", bridge), *subnet = NULL;
	struct ip4_cidr net = {ip4_network(p->addresses[0].addr), p->addresses[0].addr.prefix};
	char text[IP4_TEXT_MAX];

	if (!link) {
		MISSING(e, "%s: the bridge %s is missing", who, bridge);
		return;
	}
	if (!(link->flags & IFF_UP))
		MISSING(e, "%s: the bridge %s is down", who, bridge);
	expect_address(e, who, link, &p->addresses[0].addr);
	for (char **entry = p->sysctls; entry && *entry; entry++)
		expect_sysctl(e, who, *entry);
	ip4_format_cidr(net, text);
	subnet = str_fmt("subnets %s", text);
	expect_rules(e, who, "ip");
	expect_rules(e, who, "bridge");
	expect_element(e, who, "ip", named);
	expect_element(e, who, "ip", subnet);
	expect_element(e, who, "bridge", subnet);
	if (p->admit_chain)
		expect_admission(e, who, p->admit_chain, bridge);
}

static void expect_range(struct net_expect *e, const char *who, const struct config_group *g, const struct net_plan *p)
{
	cleanup_free char *subnet = NULL;
	struct ip4_cidr range;
	char text[IP4_TEXT_MAX];

	if (net_isolated_range(g, &range, NULL) < 0) /* the plan has it as well */
		return;
	ip4_format_cidr(range, text);
	subnet = str_fmt("subnets %s", text);
	for (char **entry = p->sysctls; entry && *entry; entry++)
		expect_sysctl(e, who, *entry);
	expect_rules(e, who, "ip");
	expect_element(e, who, "ip", subnet);
	if (p->admit_chain)
		expect_admission(e, who, p->admit_chain, text);
}

/* Which the daemon cannot mend: what a rule is for, it does not know. */
static void expect_ways(struct net_expect *e, const struct config_group *g)
{
	cleanup_strv char **sentences = NULL, **remedies = NULL;

	net_policy_tell(g, &e->facts, &sentences, &remedies);
	for (size_t i = 0; sentences && sentences[i]; i++)
		net_expect_say(e, remedies[i], "%s", sentences[i]);
}

typedef int plan_fn(const struct config_group *g, const char *daemon_id, const struct net_facts *facts,
		    struct net_plan *ret, struct error **err);

/* What one plan says: with `fix` only whether it can be made. */
static void expect_plan(struct net_expect *e, const struct config_group *g, plan_fn *plan_group, const char *fix)
{
	cleanup_free char *who = str_fmt("%s \"%s\"", g->network.mode == NET_SLOTS ? "slot" : "host group", g->name);
	cleanup_net_plan struct net_plan plan = {0};
	cleanup_error struct error *why = NULL;

	if (plan_group(g, e->daemon->id, &e->facts, &plan, &why) ||
	    (g->network.mode != NET_ISOLATED && net_check_rules(g, &e->facts, &why))) {
		if (g->network.mode != NET_SLOTS) /* which says so by itself */
			error_wrap(&why, "%s", who);
		net_expect_say(e, fix ? fix : "as it says", "%s", error_message(why));
	} else if (!fix && g->network.mode == NET_ISOLATED)
		expect_range(e, who, g, &plan);
	else if (!fix)
		expect_bridge(e, who, &plan);
	expect_ways(e, g);
}

/* The modes that have none of these make nothing for a group as such. */
static void expect_plans(struct net_expect *e, const struct config_group *g, const char *fix)
{
	if (g->network.mode == NET_ISOLATED)
		expect_plan(e, g, net_plan_isolated_group, fix);
	for (size_t i = 0; i < net_bridged_count(g); i++) {
		struct net_bridged one;

		net_bridged_get(g, e->daemon->id, i, &one);
		expect_plan(e, &one.group, net_plan_group, fix);
	}
}

void net_expect_group(struct net_expect *e, const struct config_group *g)
{
	expect_plans(e, g, NULL);
}

void net_expect_room(struct net_expect *e, const struct config_group *g)
{
	expect_plans(e, g, "as it says, or slicer up cannot start");
}

static const struct net_thing *find_link(const struct net_expect *e, const char *name, const char *alias)
{
	for (size_t i = 0; i < e->scan->nthings; i++) {
		const struct net_thing *t = &e->scan->things[i];

		if (t->kind == NET_KIND_LINK && str_eq(t->name, name) && str_eq(t->alias, alias))
			return t;
	}
	return NULL;
}

/* A VM keeps the interface that it was started with: no daemon can give it another. */
static void say_lost(struct net_expect *e, const char *vm, const char *what, const char *name)
{
	cleanup_free char *fix = str_fmt(
		"the VM has no network until it is started anew: slicer vm shutdown %s, then slicer vm relaunch %s", vm,
		vm);

	net_expect_say(e, fix, "VM \"%s\": its %s %s is missing", vm, what, name);
}

/* What the daemon sets on the host's end of an isolated VM's pair (net/plan.h, NET_LINK_VETH). */
static void expect_pair(struct net_expect *e, const char *who, const char *name)
{
	cleanup_free char *forwarding = str_fmt("net/ipv4/conf/%s/forwarding=1", name);
	cleanup_free char *strict = str_fmt("net/ipv4/conf/%s/rp_filter=1", name);

	expect_sysctl(e, who, forwarding);
	expect_sysctl(e, who, strict);
}

/* Whether it is there, in whatever state. */
static bool expect_link(struct net_expect *e, const char *vm, const char *who, struct json_object *plan)
{
	const char *name = NULL, *alias = NULL, *master = NULL, *kind = NULL;
	const struct net_thing *found;
	const struct link *link, *above;

	if (js_get_string(plan, "name", &name, NULL) < 0 || js_get_string(plan, "alias", &alias, NULL) < 0 ||
	    js_get_string(plan, "master", &master, NULL) < 0 || js_get_string(plan, "kind", &kind, NULL) < 0 || !name ||
	    !alias)
		return true;
	found = find_link(e, name, alias);
	if (!found) {
		say_lost(e, vm, "interface", name);
		return false;
	}
	link = found->netns ? NULL : net_facts_link(&e->facts, name);
	if (link && !(link->flags & IFF_UP))
		MISSING(e, "%s: its interface %s is down", who, name);
	if (link && str_eq(kind, "veth"))
		expect_pair(e, who, name);
	/* A macvtap's is what it sits on, which cannot change. */
	above = link && link->master ? net_facts_index(&e->facts, link->master) : NULL;
	if (link && str_eq(kind, "tap") && master && *master && (!above || !str_eq(above->name, master)))
		MISSING(e, "%s: its interface %s is not on the bridge %s", who, name, master);
	return true;
}

static bool expect_netns(struct net_expect *e, const char *vm, const char *name)
{
	for (size_t i = 0; i < e->scan->nthings; i++) {
		const struct net_thing *t = &e->scan->things[i];

		if (t->kind == NET_KIND_NETNS && str_eq(t->name, name) && str_eq(t->daemon_id, e->daemon->id))
			return true;
	}
	say_lost(e, vm, "network namespace", name);
	return false;
}

void net_expect_vm(struct net_expect *e, const char *vm, struct json_object *plan)
{
	cleanup_free char *who = str_fmt("VM \"%s\"", vm);
	cleanup_strv char **elements = NULL;
	struct json_object *links = NULL;
	const char *netns = NULL;
	bool there = true;

	if (js_get_array(plan, "links", &links, NULL) < 0 || js_get_strv(plan, "elements", &elements, NULL, NULL) < 0 ||
	    js_get_string(plan, "netns", &netns, NULL) < 0)
		return;
	for (size_t i = 0; links && i < json_object_array_length(links); i++)
		there &= expect_link(e, vm, who, json_object_array_get_idx(links, i));
	if (netns)
		there &= expect_netns(e, vm, netns);
	/* Those of an interface that is lost come with the next. */
	for (char **text = elements; there && text && *text; text++)
		expect_element(e, who, NULL, *text);
}
