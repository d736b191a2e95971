/* SPDX-License-Identifier: MIT */
#include "net/policy.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>

#include "base/str.h"
#include "net/isolated_pool.h"
#include "net/slots.h"

#define SOMEBODY 0xc6336401U /* 198.51.100.1 (RFC 5737): stands for any machine of the Internet */

static struct ip4_cidr cidr(struct in_addr addr, unsigned prefix)
{
	return (struct ip4_cidr){ntohl(addr.s_addr), prefix};
}

static bool holds(const struct link_rule *rule, const struct net_flow *flow)
{
	bool all = ip4_contains(cidr(rule->src, rule->src_prefix), flow->src) &&
		   ip4_contains(cidr(rule->dst, rule->dst_prefix), flow->dst) &&
		   (!*rule->iif || str_eq(rule->iif, flow->iif)) && (rule->mark & rule->mask) == 0;

	return !rule->narrow && all != rule->inverted;
}

static const struct link_route *find_route(const struct link_route *routes, size_t n, unsigned table, uint32_t dst)
{
	const struct link_route *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct link_route *r = &routes[i];

		if (r->table == table && ip4_contains(cidr(r->dst, r->prefix), dst) &&
		    (!best || r->prefix > best->prefix || (r->prefix == best->prefix && r->metric < best->metric)))
			best = r;
	}
	return best;
}

static bool main_has(const struct net_facts *f, const struct link_rule *rule, const struct net_flow *flow)
{
	const struct link_route *r;

	if (flow->own.prefix && ip4_contains(flow->own, flow->dst))
		return (int)flow->own.prefix > rule->suppressed;
	r = find_route(f->routes, f->nroutes, RT_TABLE_MAIN, flow->dst);
	return r && (int)r->prefix > rule->suppressed;
}

/* Asks one rule that holds. True: it decides. */
static bool ask(const struct net_facts *f, const struct link_rule *rule, const struct net_flow *flow,
		struct net_led *ret)
{
	const struct link_route *r;

	if (rule->action == LINK_RULE_REFUSE) {
		ret->rule = rule;
		return true;
	}
	if (rule->action != LINK_RULE_TABLE || rule->table == RT_TABLE_LOCAL)
		return false;
	if (rule->table == RT_TABLE_MAIN)
		return main_has(f, rule, flow);
	r = find_route(f->others, f->nothers, rule->table, flow->dst);
	if (!r || r->kind == LINK_ROUTE_THROW || (int)r->prefix <= rule->suppressed)
		return false;
	*ret = (struct net_led){rule, r};
	return true;
}

static bool is_there(const struct net_facts *f, unsigned priority)
{
	for (size_t i = 0; i < f->nrules; i++)
		if (f->rules[i].priority == priority)
			return true;
	return false;
}

struct net_led net_policy_follow(const struct net_facts *f, const struct net_flow *flow)
{
	struct net_led led = {0};
	unsigned from = 0; /* the priority that a rule has sent on to */

	for (size_t i = 0; i < f->nrules; i++) {
		const struct link_rule *rule = &f->rules[i];

		if (rule->priority < from || !holds(rule, flow))
			continue;
		if (rule->action == LINK_RULE_GOTO) /* to nowhere: as if it were not there */
			from = is_there(f, rule->target) ? rule->target : from;
		else if (ask(f, rule, flow, &led))
			break;
	}
	return led;
}

/* Where packets of VMs leave, and answers to them come in; "" when that is not known. */
static const char *outer_link(const struct net_facts *f, const struct net_led *out)
{
	const struct link_route *r =
		out->route && out->route->kind == LINK_ROUTE_OUT ? out->route : net_facts_default(f);
	const struct link *link = r ? net_facts_index(f, r->index) : NULL;

	return link ? link->name : "";
}

/* By which interface what VMs of a subnet send leaves; `in` is where it comes in. */
static struct net_led follow_out(const struct net_facts *f, struct ip4_cidr subnet, const char *in)
{
	return net_policy_follow(f, &(struct net_flow){ip4_network(subnet) + 2, SOMEBODY, in, {0}});
}

/* Packets to an address of a subnet, from this host and from elsewhere. */
struct inward {
	struct net_led host, others;
};

static struct inward follow_in(const struct net_facts *f, struct ip4_cidr subnet, uint32_t dst, const char *outer)
{
	return (struct inward){.host = net_policy_follow(f, &(struct net_flow){0, dst, "lo", subnet}),
			       .others = net_policy_follow(f, &(struct net_flow){SOMEBODY, dst, outer, subnet})};
}

static bool is_rival(const struct net_led *led, struct ip4_cidr subnet, int own)
{
	return led->route && led->route->kind == LINK_ROUTE_OUT && led->route->prefix >= subnet.prefix &&
	       led->route->index != own;
}

const struct link_route *net_policy_rival(const struct net_facts *f, struct ip4_cidr subnet, int own)
{
	struct net_led out = follow_out(f, subnet, "");
	const char *outer = outer_link(f, &out);

	for (size_t i = 0; i < f->nothers; i++) {
		struct ip4_cidr c = cidr(f->others[i].dst, f->others[i].prefix);
		struct inward in;

		if (c.prefix < subnet.prefix || !ip4_contains(subnet, c.addr))
			continue;
		in = follow_in(f, subnet, c.addr, outer);
		if (is_rival(&in.host, subnet, own) || is_rival(&in.others, subnet, own))
			return is_rival(&in.host, subnet, own) ? in.host.route : in.others.route;
	}
	return NULL;
}

/* ---- what is told ---- */

struct subject {
	const struct net_facts *facts;
	const char *who; /* host group "vm" */
	struct ip4_cidr subnet;
	char text[IP4_TEXT_MAX];
	const struct link *bridge; /* NULL: none */
	char ***sentences, ***remedies;
};

/* "by its table 52, whose route default leads out of wg0"; the caller's. */
static char *describe(const struct subject *s, const struct net_led *led)
{
	const struct link *link = led->route ? net_facts_index(s->facts, led->route->index) : NULL;
	char dst[IP4_TEXT_MAX] = "default";

	if (!led->route)
		return str_dup("which refuses them");
	if (led->route->prefix)
		ip4_format_cidr(cidr(led->route->dst, led->route->prefix), dst);
	if (led->route->kind == LINK_ROUTE_REFUSE)
		return str_fmt("whose table %u refuses them (route %s)", led->rule->table, dst);
	return str_fmt("whose table %u leads them out of %s (route %s)", led->rule->table,
		       link ? link->name : "another interface", dst);
}

static void remedy(const struct subject *s, const struct link_rule *rule, const char *if_wanted, const char *side,
		   const char *net)
{
	strv_append_fmt(
		s->remedies,
		"%sip rule add priority %u %s %s lookup main; and have that added by whatever makes rule %u, a VPN "
		"perhaps",
		if_wanted, rule->priority ? rule->priority - 1 : 0, side, net, rule->priority);
}

static bool is_astray(const struct subject *s, const struct net_led *led)
{
	return led->rule && !(led->route && led->route->kind == LINK_ROUTE_OUT && s->bridge &&
			      led->route->index == s->bridge->index);
}

/* The kernel asks the way back to a VM as if this host sent: where that leads elsewhere, strict reverse path filtering drops what
 * the VM sends as well. */
static bool tell_inward(const struct subject *s, uint32_t dst, const char *net, const char *outer)
{
	struct inward in = follow_in(s->facts, s->subnet, dst, outer);
	bool host = is_astray(s, &in.host);
	const struct net_led *led = host ? &in.host : &in.others;
	cleanup_free char *how = NULL;

	if (!is_astray(s, led))
		return false;
	how = describe(s, led);
	strv_append_fmt(s->sentences,
			"%s: packets to %s, where its VMs are, meet routing rule %u before the table main, %s: %s",
			s->who, net, led->rule->priority, how,
			host ? "nothing passes between them and this host or other networks"
			     : "no answers reach them from other networks");
	remedy(s, led->rule, "", "to", net);
	return true;
}

static void tell_outward(const struct subject *s, const struct net_led *out)
{
	cleanup_free char *how = NULL;

	if (!out->rule || (out->route && out->route->kind == LINK_ROUTE_OUT))
		return;
	how = describe(s, out);
	strv_append_fmt(s->sentences,
			"%s: packets of its VMs (%s) to the Internet meet routing rule %u before the table main, %s",
			s->who, s->text, out->rule->priority, how);
	remedy(s, out->rule, "when they are to get there: ", "from", s->text);
}

/* A rule may be of a part of the subnet only. */
static bool tell_parts(const struct subject *s, const char *outer)
{
	for (size_t i = 0; i < s->facts->nrules; i++) {
		struct ip4_cidr c = cidr(s->facts->rules[i].dst, s->facts->rules[i].dst_prefix);
		char net[IP4_TEXT_MAX];

		ip4_format_cidr(c, net);
		if (c.prefix > s->subnet.prefix && ip4_contains(s->subnet, c.addr) &&
		    tell_inward(s, c.addr, net, outer))
			return true;
	}
	return false;
}

static void tell(struct subject *s)
{
	struct net_led out = follow_out(s->facts, s->subnet, s->bridge ? s->bridge->name : "");
	const char *outer = outer_link(s->facts, &out);

	s->subnet.addr = ip4_network(s->subnet);
	ip4_format_cidr(s->subnet, s->text);
	if (!tell_inward(s, s->subnet.addr + 2, s->text, outer))
		tell_parts(s, outer);
	tell_outward(s, &out);
}

void net_policy_tell(const struct config_group *g, const struct net_facts *f, char ***sentences, char ***remedies)
{
	cleanup_free char *who = str_fmt("%s \"%s\"", g->network.mode == NET_SLOTS ? "slot" : "host group", g->name);
	struct subject s = {.facts = f, .who = who, .sentences = sentences, .remedies = remedies};

	if (g->network.mode == NET_ISOLATED ? net_isolated_range(g, &s.subnet, NULL) < 0
					    : (g->network.mode != NET_BRIDGE && g->network.mode != NET_SLOTS) ||
						      ip4_parse_cidr(g->network.gateway, &s.subnet, NULL) < 0)
		return;
	if (g->network.mode != NET_ISOLATED)
		s.bridge = net_facts_link(f, g->network.bridge);
	tell(&s);
}

void net_policy_tell_all(const struct config *cfg, const char *daemon_id, const struct net_facts *f, char ***sentences,
			 char ***remedies)
{
	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i];

		if (g->network.mode == NET_ISOLATED)
			net_policy_tell(g, f, sentences, remedies);
		for (size_t k = 0; k < net_bridged_count(g); k++) {
			struct net_bridged one;

			net_bridged_get(g, daemon_id, k, &one);
			net_policy_tell(&one.group, f, sentences, remedies);
		}
	}
}

void net_policy_notes(const struct config_group *g, const struct net_facts *f, char ***notes)
{
	cleanup_strv char **sentences = NULL, **remedies = NULL;

	net_policy_tell(g, f, &sentences, &remedies);
	for (size_t i = 0; sentences && sentences[i]; i++)
		strv_append_fmt(notes, "%s. Remedy: %s", sentences[i], remedies[i]);
}
