/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "net/policy.h"

enum { LOCAL = 255, MAIN = 254, DEFAULT = 253, RULES = 8, ROUTES = 4 };

static char name_vm[] = "vm", bridge_name[] = "brvm0", gateway_text[] = "192.168.137.1/24",
	    range_text[] = "169.254.60.0/22";
static const struct config_group bridged = {
	.name = name_vm, .network = {.mode = NET_BRIDGE, .bridge = bridge_name, .gateway = gateway_text}};
static const struct config_group isolated = {.name = name_vm, .network = {.mode = NET_ISOLATED, .range = range_text}};
static const struct ip4_cidr subnet = {0xc0a88901, 24};

static struct link links[] = {
	{.index = 2, .name = "eth0", .flags = IFF_UP},
	{.index = 3, .name = "brvm0", .kind = "bridge", .flags = IFF_UP},
	{.index = 4, .name = "wg0", .flags = IFF_UP},
};
static struct link_route uplink[] = {{.index = 2, .table = MAIN}};

/* The rules of every host, with these before main, and what their tables have. */
struct host {
	struct link_rule rules[RULES];
	struct link_route others[ROUTES];
	struct net_facts facts;
};

static struct link_rule lookup(unsigned priority, unsigned table)
{
	return (struct link_rule){.priority = priority, .table = table, .suppressed = -1};
}

static struct link_route route(unsigned table, const char *to, int index)
{
	struct link_route r = {.table = table, .index = index};
	struct ip4_cidr c;

	assert_int_equal(ip4_parse_cidr(to, &c, NULL), 0);
	r.dst.s_addr = htonl(c.addr);
	r.prefix = c.prefix;
	return r;
}

static void host_init(struct host *h)
{
	*h = (struct host){.facts = {.links = links, .nlinks = ARRAY_LEN(links), .routes = uplink, .nroutes = 1}};
	h->facts.rules = h->rules;
	h->facts.others = h->others;
	h->rules[h->facts.nrules++] = lookup(0, LOCAL);
}

static struct link_rule *add_rule(struct host *h, struct link_rule rule)
{
	h->rules[h->facts.nrules] = rule;
	return &h->rules[h->facts.nrules++];
}

static void add_route(struct host *h, struct link_route r)
{
	h->others[h->facts.nothers++] = r;
}

static void host_end(struct host *h)
{
	add_rule(h, lookup(32766, MAIN));
	add_rule(h, lookup(32767, DEFAULT));
}

/* All that is told of a group, sentences with their remedies; "" when that is nothing. */
static char *told(const struct host *h, const struct config_group *g)
{
	cleanup_strv char **notes = NULL;

	net_policy_notes(g, &h->facts, &notes);
	return notes ? strv_join(notes, "\n") : str_dup("");
}

static void check_told(const struct host *h, const struct config_group *g, const char *wanted)
{
	cleanup_free char *text = told(h, g);

	if (wanted[0] == '*')
		assert_non_null(strstr(text, wanted + 1));
	else
		assert_string_equal(text, wanted);
}

/* As a VPN leads all the world: an exit node of Tailscale, with and without the LAN. */
static void test_a_default_route_before_main(void **state)
{
	struct host h;

	host_init(&h);
	add_rule(&h, lookup(5270, 52));
	add_route(&h, route(52, "0.0.0.0/0", 4));
	host_end(&h);
	check_told(
		&h, &bridged,
		"host group \"vm\": packets to 192.168.137.0/24, where its VMs are, meet routing rule 5270 before the "
		"table main, whose table 52 leads them out of wg0 (route default): nothing passes between them and this "
		"host or other networks. Remedy: ip rule add priority 5269 to 192.168.137.0/24 lookup main; and have that "
		"added by whatever makes rule 5270, a VPN perhaps");
	check_told(&h, &isolated, "*ip rule add priority 5269 to 169.254.60.0/22 lookup main");
	h.rules[1].priority = 40000; /* behind main, as it were */
	h.rules[2] = h.rules[1];
	h.rules[1] = lookup(32766, MAIN);
	check_told(&h, &bridged, "");
}

static void test_what_keeps_it_off(void **state)
{
	struct link_route thrown = route(52, "192.168.0.0/16", 0);
	struct host h;

	thrown.kind = LINK_ROUTE_THROW;
	host_init(&h);
	add_rule(&h, lookup(5270, 52));
	add_route(&h, route(52, "0.0.0.0/0", 4));
	add_route(&h, thrown);
	host_end(&h);
	check_told(&h, &bridged, "");
	check_told(&h, &isolated, "*169.254.60.0/22");
	h.others[1] = route(52, "192.168.137.0/24", 3); /* out of the bridge, which is where they are to go */
	check_told(&h, &bridged, "");
	/* The remedy itself. */
	h.facts.nothers = 1;
	check_told(&h, &bridged, "*Remedy");
	h.rules[4] = h.rules[3], h.rules[3] = h.rules[2], h.rules[2] = h.rules[1];
	h.facts.nrules++;
	h.rules[1] = lookup(5269, MAIN);
	h.rules[1].dst.s_addr = htonl(0xc0a88900);
	h.rules[1].dst_prefix = 24;
	check_told(&h, &bridged, "");
}

/* What wg-quick makes: main first, without its default route, then its own table for what it has not sent itself. */
static void test_wg_quick(void **state)
{
	struct host h;

	host_init(&h);
	add_rule(&h, lookup(32764, MAIN))->suppressed = 0;
	*add_rule(&h, lookup(32765, 51820)) = (struct link_rule){.priority = 32765,
								 .table = 51820,
								 .mark = 0xca6c,
								 .mask = 0xffffffff,
								 .inverted = true,
								 .suppressed = -1};
	add_route(&h, route(51820, "0.0.0.0/0", 4));
	host_end(&h);
	check_told(&h, &bridged, "");
	h.rules[1].suppressed = 24;
	check_told(&h, &bridged, "*meet routing rule 32765 ");
	h.rules[2].inverted = false; /* for its own packets only */
	check_told(&h, &bridged, "");
}

static void test_rules_for_some(void **state)
{
	struct link_rule rule = lookup(100, 52);
	struct host h;

	host_init(&h);
	add_rule(&h, rule);
	add_route(&h, route(52, "0.0.0.0/0", 4));
	host_end(&h);
	h.rules[1].narrow = true;
	check_told(&h, &bridged, "");
	h.rules[1] = rule;
	h.rules[1].src = (struct in_addr){htonl(0x0a630002)}, h.rules[1].src_prefix = 32; /* a second uplink's */
	check_told(&h, &bridged, "");
	h.rules[1] = rule;
	h.rules[1].dst = (struct in_addr){htonl(0xc0a88980)}, h.rules[1].dst_prefix = 25;
	check_told(&h, &bridged, "*packets to 192.168.137.128/25, where its VMs are");
	h.rules[1] = rule;
	snprintf(h.rules[1].iif, IFNAMSIZ, "eth0");
	check_told(&h, &bridged, "*no answers reach them from other networks. Remedy: ip rule add priority 99 to");
	snprintf(h.rules[1].iif, IFNAMSIZ, "lo");
	check_told(&h, &bridged, "*nothing passes between them");
	snprintf(h.rules[1].iif, IFNAMSIZ, "eth1");
	check_told(&h, &bridged, "");
	/* The VMs by the VPN, the host not: the answers come in there, and find the way. */
	snprintf(h.rules[1].iif, IFNAMSIZ, "brvm0");
	check_told(&h, &bridged, "");
	h.rules[1] = (struct link_rule){.action = LINK_RULE_GOTO, .priority = 100, .target = 32766, .suppressed = -1};
	h.rules[4] = h.rules[3], h.rules[3] = h.rules[2];
	h.rules[2] = lookup(200, 52);
	h.facts.nrules++;
	check_told(&h, &bridged, "");
	h.rules[1].target = 32000; /* which is no rule's */
	check_told(&h, &bridged, "*routing rule 200");
	h.rules[1].target = 200;
	check_told(&h, &bridged, "*routing rule 200");
}

static void test_what_is_refused(void **state)
{
	struct host h;

	host_init(&h);
	snprintf(add_rule(&h, lookup(100, 52))->iif, IFNAMSIZ, "brvm0");
	add_route(&h, route(52, "0.0.0.0/0", 0));
	h.others[0].kind = LINK_ROUTE_REFUSE;
	host_end(&h);
	check_told(
		&h, &bridged,
		"host group \"vm\": packets of its VMs (192.168.137.0/24) to the Internet meet routing rule 100 before "
		"the table main, whose table 52 refuses them (route default). Remedy: when they are to get there: ip rule "
		"add priority 99 from 192.168.137.0/24 lookup main; and have that added by whatever makes rule 100, a VPN "
		"perhaps");
	h.rules[1] = (struct link_rule){.action = LINK_RULE_REFUSE, .priority = 0, .suppressed = -1};
	check_told(&h, &isolated, "*before the table main, which refuses them: nothing passes");
	check_told(&h, &isolated, "*ip rule add priority 0 to");
}

/* However narrow, and where it takes packets only. */
static void test_rivals(void **state)
{
	const struct link_route *r;
	struct host h;

	host_init(&h);
	add_rule(&h, lookup(100, 52));
	add_route(&h, route(52, "0.0.0.0/0", 4));
	host_end(&h);
	assert_null(net_policy_rival(&h.facts, subnet, 3));
	add_route(&h, route(52, "192.168.137.77/32", 4));
	r = net_policy_rival(&h.facts, (struct ip4_cidr){0xc0a80001, 16}, -1);
	assert_ptr_equal(r, &h.others[1]);
	assert_ptr_equal(net_policy_rival(&h.facts, subnet, 3), r);
	assert_null(net_policy_rival(&h.facts, subnet, 4));
	h.others[1].table = 53; /* which no rule names */
	assert_null(net_policy_rival(&h.facts, subnet, 3));
	h.rules[2].table = 53; /* behind main; the subnet's own route is in that */
	h.rules[1].table = MAIN;
	assert_null(net_policy_rival(&h.facts, subnet, -1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_default_route_before_main),
		cmocka_unit_test(test_what_keeps_it_off),
		cmocka_unit_test(test_wg_quick),
		cmocka_unit_test(test_rules_for_some),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_rivals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
