/* SPDX-License-Identifier: MIT */
/* In a network namespace of its own, so that nothing on the host changes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/links.h"
#include "base/proc.h"
#include "base/str.h"
#include "netns_fixture.h"

static const unsigned char mac[6] = {0x02, 0x00, 0x5e, 0x10, 0x20, 0x30};

static int setup(void **state)
{
	if (enter_network_namespace() < 0)
		return -1;
	*state = netlink_open(NULL);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct netlink *nl = *state;

	netlink_close(&nl);
	return 0;
}

/* The link of that name; its alias is the caller's. */
static struct link find(struct netlink *nl, const char *name)
{
	struct link *list, found = {0};
	size_t n;

	assert_int_equal(links_list(nl, &list, &n, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		if (!str_eq(list[i].name, name))
			continue;
		found = list[i];
		list[i].alias = NULL;
	}
	links_free(list, n);
	return found;
}

static void test_bridge(void **state)
{
	cleanup_error struct error *err = NULL, *name = NULL;
	cleanup_free char *text = NULL;
	struct link bridge;

	assert_int_equal(links_bridge_create(*state, "br0", mac, NULL), 0);
	assert_int_equal(links_bridge_create(*state, "br0", mac, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	assert_int_equal(links_bridge_create(*state, "sixteen-bytes-xx", mac, &name), -1);
	assert_int_equal(name->code, ERR_INVALID);
	bridge = find(*state, "br0");
	assert_string_equal(bridge.kind, "bridge");
	assert_null(bridge.alias);
	assert_false(bridge.flags & IFF_UP);
	text = say("ip -d link show br0");
	assert_non_null(strstr(text, "forward_delay 0 "));
	assert_non_null(strstr(text, "stp_state 0 "));
	assert_non_null(strstr(text, "mcast_snooping 0 "));
	assert_non_null(strstr(text, "02:00:5e:10:20:30"));
	assert_int_equal(links_delete(*state, bridge.index, NULL), 0);
	assert_int_equal(links_delete(*state, bridge.index, NULL), 0);
	assert_int_equal(find(*state, "br0").index, 0);
}

static void test_tap(void **state)
{
	cleanup_error struct error *err = NULL;
	cleanup_close int fd = links_tap_create("tap0", (uid_t)-1, NULL);
	cleanup_free char *text = NULL;
	int header = 0;

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(ioctl(fd, TUNGETVNETHDRSZ, &header), 0);
	assert_int_equal(header, 12);
	assert_int_equal(links_tap_create("tap0", (uid_t)-1, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	assert_int_equal(links_tap_create("", (uid_t)-1, NULL), -1);
	text = say("ip -d link show tap0");
	assert_non_null(strstr(text, "tun type tap pi off vnet_hdr on persist off"));
	assert_string_equal(find(*state, "tap0").kind, "tun");
	fd_closep(&fd);
	assert_int_equal(find(*state, "tap0").index, 0);
	fd = links_tap_create("tap0", 4711, NULL);
	free(text);
	text = say("ip -d link show tap0");
	assert_non_null(strstr(text, "user 4711"));
}

static void test_changes(void **state)
{
	cleanup_close int fd = links_tap_create("tap1", (uid_t)-1, NULL);
	cleanup_free char *longest = mem_alloc(257), *text = NULL;
	cleanup_error struct error *err = NULL;
	struct link tap, bridge;

	assert_int_equal(links_bridge_create(*state, "br1", mac, NULL), 0);
	bridge = find(*state, "br1");
	assert_true(fd >= 0);
	tap = find(*state, "tap1");
	assert_int_equal(links_set_master(*state, tap.index, bridge.index, NULL), 0);
	assert_int_equal(links_set_mtu(*state, tap.index, 1400, NULL), 0);
	memset(longest, 'x', 255);
	assert_int_equal(links_set_alias(*state, tap.index, longest, NULL), 0);
	assert_int_equal(links_add_altname(*state, tap.index, "the-tap-of-vm-1", NULL), 0);
	assert_int_equal(links_add_altname(*state, tap.index, "the-tap-of-vm-1", NULL), 0);
	assert_int_equal(links_rename(*state, tap.index, "tap2", NULL), 0);
	tap = find(*state, "tap2");
	assert_int_equal(tap.master, bridge.index);
	assert_int_equal(tap.mtu, 1400);
	assert_string_equal(tap.alias, longest);
	text = say("ip link show the-tap-of-vm-1");
	assert_non_null(strstr(text, "tap2"));
	longest[255] = 'x';
	assert_int_equal(links_set_alias(*state, tap.index, longest, &err), -1);
	assert_int_equal(err->code, ERR_INVALID);
	assert_int_equal(links_add_altname(*state, tap.index, longest, NULL), -1);
	assert_int_equal(links_set_master(*state, tap.index, 9999, NULL), -1);
	assert_int_equal(links_set_mtu(*state, 9999, 1500, NULL), -1);
	assert_int_equal(links_delete(*state, bridge.index, NULL), 0);
	free(tap.alias);
}

static void test_addresses_and_routes(void **state)
{
	struct in_addr a = {htonl(0xc0000201)}; /* 192.0.2.1 */
	struct link_route *routes;
	struct link_addr *addrs;
	struct link bridge;
	size_t n;

	free(say("ip link set lo up"));
	assert_int_equal(links_bridge_create(*state, "br2", mac, NULL), 0);
	bridge = find(*state, "br2");
	assert_int_equal(netlink_addr_add(*state, bridge.index, a, 24, NULL), 0);
	assert_int_equal(netlink_link_set_up(*state, bridge.index, true, NULL), 0);
	free(say("ip route add default metric 77 nexthop via 192.0.2.8 dev br2 nexthop via 192.0.2.9 "
		 "dev br2; ip route add blackhole 10.0.0.0/8; ip route add 10.1.0.0/16 dev br2 "
		 "table 7"));
	assert_int_equal(links_addresses(*state, &addrs, &n, NULL), 0);
	assert_int_equal(n, 2); /* lo's is the first */
	assert_int_equal(addrs[1].index, bridge.index);
	assert_int_equal(addrs[1].addr.s_addr, a.s_addr);
	assert_int_equal(addrs[1].prefix, 24);
	free(addrs);
	assert_int_equal(links_routes(*state, &routes, &n, NULL), 0);
	assert_int_equal(n, 2); /* other tables and kinds do not count */
	assert_int_equal(routes[0].prefix, 0);
	assert_int_equal(routes[0].metric, 77);
	assert_int_equal(routes[0].index, bridge.index);
	assert_int_equal(ntohl(routes[0].gateway.s_addr), 0xc0000208);
	assert_int_equal(ntohl(routes[1].dst.s_addr), 0xc0000200);
	assert_int_equal(routes[1].prefix, 24);
	assert_int_equal(routes[1].source.s_addr, a.s_addr);
	free(routes);
	assert_int_equal(links_address_delete(*state, bridge.index, a, 24, NULL), 0);
	assert_int_equal(links_address_delete(*state, bridge.index, a, 24, NULL), 0);
	assert_int_equal(links_addresses(*state, &addrs, &n, NULL), 0);
	assert_int_equal(n, 1);
	free(addrs);
	assert_int_equal(links_delete(*state, bridge.index, NULL), 0);
}

/* More than one datagram holds. */
static void test_many(void **state)
{
	struct link *list;
	size_t n;

	for (int i = 0; i < 300; i++) {
		cleanup_free char *name = str_fmt("many%d", i);

		assert_int_equal(links_bridge_create(*state, name, mac, NULL), 0);
	}
	assert_int_equal(links_list(*state, &list, &n, NULL), 0);
	assert_int_equal(n, 301);
	for (size_t i = 1; i < n; i++)
		assert_int_equal(links_delete(*state, list[i].index, NULL), 0);
	links_free(list, n);
}

/* What it sets, and nothing else of the interface or of others. */
static void test_ipv4(void **state)
{
	cleanup_close int tap = links_tap_create("tap4", (uid_t)-1, NULL);
	int index = tap < 0 ? -1 : netlink_link_index(*state, "tap4", NULL);
	const char *ask = "cd /proc/sys/net/ipv4; cat conf/tap4/forwarding conf/tap4/rp_filter neigh/tap4/proxy_delay";
	const char *rest =
		"cd /proc/sys/net/ipv4; cat conf/tap4/accept_local conf/all/* conf/lo/* neigh/lo/proxy_delay";
	cleanup_free char *others = NULL, *after = NULL, *after_others = NULL;

	free(say("echo 0 | tee /proc/sys/net/ipv4/conf/tap4/forwarding /proc/sys/net/ipv4/conf/tap4/rp_filter"));
	others = say(rest);
	assert_int_equal(links_ipv4_set(*state, index, LINKS_IPV4_STRICT, NULL), 0);
	assert_int_equal(links_ipv4_set(*state, index, LINKS_IPV4_FORWARD, NULL), 0);
	assert_int_equal(links_proxy_delay_set(*state, index, 0, NULL), 0);
	after = say(ask);
	assert_string_equal(after, "1\n1\n0\n");
	after_others = say(rest);
	assert_string_equal(after_others, others);
	assert_int_equal(links_ipv4_set(*state, 4711, LINKS_IPV4_STRICT, NULL), -1);
	assert_int_equal(links_proxy_delay_set(*state, 4711, 0, NULL), -1);
}

static unsigned matched(struct netlink *nl, const char *address, int *ret_index)
{
	struct link_route route = {0};
	struct in_addr to;

	assert_int_equal(inet_pton(AF_INET, address, &to), 1);
	if (!links_route_match(nl, to, &route, NULL))
		return 99;
	*ret_index = route.index;
	return route.prefix;
}

/* The narrowest, those to this host's own addresses among them; what is refused leads nowhere. */
static void test_match(void **state)
{
	cleanup_close int tap = links_tap_create("tap5", (uid_t)-1, NULL);
	int index = tap < 0 ? -1 : netlink_link_index(*state, "tap5", NULL), found = 0;

	free(say(
		"ip link set tap5 up; ip addr add 198.51.100.1 peer 198.51.100.2/32 dev tap5; ip route add 203.0.113.0/24 dev tap5;"
		"ip route add 203.0.113.64/26 dev tap5; ip route add unreachable 203.0.113.128/25"));
	assert_int_equal(matched(*state, "198.51.100.1", &found), 32);
	assert_int_equal(matched(*state, "198.51.100.2", &found), 32);
	assert_int_equal(found, index);
	assert_int_equal(matched(*state, "198.51.100.3", &found), 99);
	assert_int_equal(matched(*state, "203.0.113.1", &found), 24);
	assert_int_equal(matched(*state, "203.0.113.65", &found), 26);
	assert_int_equal(matched(*state, "203.0.113.129", &found), 99);
}

static size_t unusual(struct netlink *nl, struct link_rule *ret)
{
	struct link_rule *rules = NULL;
	size_t n = 0, found = 0;

	assert_int_equal(links_rules(nl, &rules, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		if (!links_rule_is_usual(&rules[i]))
			ret[found++] = rules[i];
	free(rules);
	return found;
}

/* Those that every host has, and one more of those tables, are usual; a table may have a number beyond a byte. */
static void test_rules(void **state)
{
	struct link_rule rules[8];

	assert_int_equal(unusual(*state, rules), 0);
	free(say("ip rule add priority 100 from 192.0.2.1 lookup main;"
		 "ip rule add priority 101 to 192.0.2.0/24 unreachable; ip rule add priority 102 lookup 51820;"
		 "ip rule add priority 103 not fwmark 7/0xff iif eth7 lookup 52 suppress_prefixlength 8;"
		 "ip rule add priority 104 ipproto tcp goto 32766; ip rule add priority 105 oif eth7 lookup 52"));
	assert_int_equal(unusual(*state, rules), 5);
	assert_true(rules[0].action == LINK_RULE_REFUSE && rules[0].dst_prefix == 24 && rules[0].priority == 101);
	assert_int_equal(ntohl(rules[0].dst.s_addr), 0xc0000200);
	assert_true(rules[1].table == 51820 && rules[1].suppressed == -1 && !rules[1].narrow && !rules[1].inverted);
	assert_true(rules[2].inverted && rules[2].mark == 7 && rules[2].mask == 0xff && rules[2].suppressed == 8);
	assert_string_equal(rules[2].iif, "eth7");
	assert_true(rules[3].action == LINK_RULE_GOTO && rules[3].target == 32766 && rules[3].narrow);
	assert_true(rules[4].narrow);
	free(say("for p in 100 101 102 103 104 105; do ip rule del priority $p; done"));
	assert_int_equal(unusual(*state, rules), 0);
}

static struct link_route only_route(struct netlink *nl, unsigned table)
{
	cleanup_free struct link_route *routes = NULL;
	size_t n = 0;

	assert_int_equal(links_routes_of_table(nl, table, &routes, &n, NULL), 0);
	assert_int_equal(n, 1);
	return routes[0];
}

static void test_routes_of_other_tables(void **state)
{
	cleanup_free struct link_route *routes = NULL;
	struct link_route r;
	size_t n = 7;

	free(say("ip route add unreachable 203.0.113.0/24; ip route add throw 203.0.113.0/24 table 52;"
		 "ip route add unreachable default metric 9 table 51820"));
	r = only_route(*state, 52);
	assert_true(r.table == 52 && r.kind == LINK_ROUTE_THROW && r.prefix == 24);
	r = only_route(*state, 51820);
	assert_true(r.table == 51820 && r.kind == LINK_ROUTE_REFUSE && r.metric == 9 && r.prefix == 0);
	assert_int_equal(links_routes_of_table(*state, 4711, &routes, &n, NULL), 0);
	assert_int_equal(n, 0);
	free(say("ip route flush table 52; ip route flush table 51820; ip route del unreachable 203.0.113.0/24"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bridge),
		cmocka_unit_test(test_tap),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_addresses_and_routes),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_routes_of_other_tables),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
