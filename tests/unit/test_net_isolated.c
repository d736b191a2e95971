/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/str.h"
#include "golden_fixture.h"
#include "net/isolated_pool.h"
#include "net/mode.h"
#include "net/plan_isolated.h"

static char name_sandbox[] = "sandbox", lan_word[] = "LAN", other[] = "192.168.1.0/24", peer[] = "192.168.1.7:443",
	    dns[] = "8.8.8.8", dns_port[] = "8.8.8.8:53", quad[] = "1.1.1.1";

static struct in_addr in(const char *text)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return a;
}

static const char *range_of(char *name, char *range)
{
	static char text[IP4_TEXT_MAX];
	struct config_group g = {.name = name, .network = {.mode = NET_ISOLATED, .range = range}};
	struct ip4_cidr c;

	assert_int_equal(net_isolated_range(&g, &c, NULL), 0);
	ip4_format_cidr(c, text);
	return text;
}

static void test_ranges(void **state)
{
	char agents[] = "agents", explicit[] = "10.7.0.0/23";

	assert_string_equal(range_of(agents, NULL), "169.254.60.0/22");
	assert_string_equal(range_of(name_sandbox, NULL), "169.254.144.0/22");
	assert_string_equal(range_of(agents, explicit), explicit);
	for (unsigned i = 0; i < 2000; i++) { /* never a reserved one, whatever the name */
		cleanup_free char *name = str_fmt("group%u", i);
		struct ip4_cidr c;

		assert_int_equal(ip4_parse_cidr(range_of(name, NULL), &c, NULL), 0);
		assert_null(ip4_reserved(c));
		assert_int_equal(c.addr >> 16, 0xa9fe);
		assert_int_equal(c.prefix, 22);
	}
}

/* Host: a zeroconf address and route, a VPN in the middle of the range, somebody's veth. */
static struct link links[] = {
	{.index = 2, .name = "eth0"}, {.index = 3, .name = "tun0"}, {.index = 4, .name = "ve-own"}};

static char *take(const struct net_isolated_ask *ask)
{
	cleanup_error struct error *err = NULL;
	char text[IP4_TEXT_MAX];
	uint32_t a;

	if (net_isolated_take(ask, &a, &err) < 0)
		return str_fmt("%d: %s", (int)err->code, error_message(err));
	ip4_format(a, text);
	return str_dup(text);
}

static void check_take(struct net_isolated_ask ask, unsigned number, const char *wanted, const char *expected)
{
	cleanup_free char *got = NULL;

	ask.number = number;
	ask.wanted = wanted;
	got = take(&ask);
	if (!strstr(got, expected))
		fail_msg("%s, not %s", got, expected);
}

static void test_blocks(void **state)
{
	char range[] = "169.254.100.0/28";
	struct config_group g = {.name = name_sandbox, .network = {.mode = NET_ISOLATED, .range = range}};
	struct link_addr addrs[] = {{2, in("169.254.100.6"), 16}, {4, in("169.254.100.13"), 32}};
	struct link_route routes[] = {{.index = 2, .dst = in("169.254.0.0"), .prefix = 16},
				      {.index = 2, .prefix = 0},
				      {.index = 3, .dst = in("169.254.100.8"), .prefix = 30}};
	struct net_facts facts = {.links = links,
				  .nlinks = 3,
				  .addrs = addrs,
				  .naddrs = 2,
				  .routes = routes,
				  .nroutes = 3},
			 none = {0};
	uint32_t used[] = {ntohl(in("169.254.100.2").s_addr), ntohl(in("10.0.0.2").s_addr)};
	struct net_isolated_ask ask = {.group = &g, .facts = &none};

	for (unsigned n = 1; n <= 5; n++) { /* in order, and around */
		cleanup_free char *expected = str_fmt("169.254.100.%u", (n - 1) % 4 * 4 + 2);

		check_take(ask, n, NULL, expected);
	}
	check_take(ask, 0, NULL, "169.254.100.2");
	check_take(ask, 7, "169.254.100.10", "169.254.100.10");
	check_take(ask, 7, "169.254.100.10/30", "169.254.100.10");
	check_take(ask, 7, "169.254.100.9", "2: 169.254.100.9 is not an address of host group \"sandbox\"");
	check_take(ask, 7, "169.254.101.2", "2: 169.254.101.2 is not an address");
	ask.facts = &facts;
	check_take(ask, 1, NULL, "169.254.100.2");
	check_take(ask, 2, NULL, "169.254.100.2"); /* .6, .10 and .13 are taken by the host */
	check_take(
		ask, 1, "169.254.100.6",
		"7: address 169.254.100.6 of host group \"sandbox\" is in use by the address 169.254.100.6/16 of eth0");
	check_take(ask, 1, "169.254.100.10", "in use by the route 169.254.100.8/30 of tun0");
	ask.own_link = 4;
	check_take(ask, 4, NULL, "169.254.100.14"); /* what it has itself is no obstacle */
	ask.used = used;
	ask.nused = 2;
	check_take(ask, 1, NULL, "169.254.100.14");
	ask.own_link = 0;
	check_take(
		ask, 1, NULL,
		"14: all 4 blocks of four addresses in 169.254.100.0/28 of host group \"sandbox\" are in use, some of them by the address");
}

static const struct net_facts *host(void)
{
	static char alias[] = "slicer:a-1:vm";
	static struct link list[] = {{.index = 1, .name = "lo", .flags = IFF_LOOPBACK},
				     {.index = 2, .name = "eth0", .mtu = 1450},
				     {.index = 3, .name = "brvm0", .kind = "bridge", .alias = alias}};
	static struct link_addr addrs[3];
	static struct link_route routes[2];
	static struct net_facts facts = {
		.links = list, .nlinks = 3, .addrs = addrs, .naddrs = 3, .routes = routes, .nroutes = 2};

	addrs[0] = (struct link_addr){1, in("127.0.0.1"), 8};
	addrs[1] = (struct link_addr){2, in("192.168.1.5"), 24};
	addrs[2] = (struct link_addr){3, in("192.168.137.1"), 24};
	routes[0] = (struct link_route){.index = 2, .gateway = in("192.168.1.1")};
	routes[1] = (struct link_route){.index = 2, .dst = in("192.168.1.0"), .prefix = 24};
	return &facts;
}

/* In the namespace, beside the rules that let through; a tenth of a second's packets at once, 16 at least. */
static void test_rate_limits(void **state)
{
	const struct net_limits none = {0}, few = {.packets = 10}, open = {.connections = 100},
				both = {.bandwidth = 1000000, .packets = 5000, .connections = 4096};
	struct config_group g = {.name = name_sandbox, .network = {.mode = NET_ISOLATED}};
	struct net_vm vm = {.group = &g, .daemon_id = "a-1", .hostname = "sandbox-1", .number = 1, .limits = both};
	cleanup_free char *empty = net_limits_script("tap", &none), *text = net_limits_script("tap", &both),
			  *slow = net_limits_script("tap", &few), *alone = net_limits_script("tap", &open);
	cleanup_net_plan struct net_plan plan = {0};

	assert_string_equal(empty, "");
	check_golden_text("net/isolated-limits.nft", text);
	assert_non_null(strstr(slow, "iifname \"tap\" limit rate over 10/second burst 16 packets drop"));
	assert_null(strstr(slow, "bytes"));
	assert_null(strstr(slow, "connections"));
	assert_non_null(strstr(alone, "iifname \"tap\" ct state new ct count over 100 drop"));
	assert_null(strstr(alone, "rate"));
	assert_int_equal(net_plan_isolated_vm(&vm, ntohl(in("169.254.144.2").s_addr), host(), &plan, NULL), 0);
	assert_string_equal(plan.nft + strlen(plan.nft) - strlen(text), text);
}

static void test_vm(void **state)
{
	char *allow[] = {peer, dns, NULL}, *drop[] = {lan_word, other, NULL}, *servers[] = {dns, NULL};
	struct config_group g = {.name = name_sandbox, .network = {.mode = NET_ISOLATED}};
	struct net_vm vm = {.group = &g,
			    .daemon_id = "a-1",
			    .hostname = "sandbox-1",
			    .number = 1,
			    .dns = servers,
			    .allow = allow,
			    .drop = drop};
	struct net_plan plan, again;
	struct json_object *obj, *second;

	assert_int_equal(net_plan_isolated_vm(&vm, ntohl(in("169.254.144.2").s_addr), host(), &plan, NULL), 0);
	check_golden_text("net/isolated-vm.nft", plan.nft);
	obj = net_plan_to_json(&plan);
	json_object_object_del(obj, "nft");
	check_golden_json("net/isolated-vm.json", obj);
	/* From its record, and its rules anew. */
	assert_int_equal(net_plan_from_json(obj, &again, NULL), 0);
	assert_int_equal(net_plan_isolated_rules(&again, host(), NULL), 0);
	assert_string_equal(again.nft, plan.nft);
	mem_freep(&again.nft);
	second = net_plan_to_json(&again);
	json_object_object_del(obj, "notes");
	json_object_object_del(second, "notes");
	assert_true(json_object_equal(obj, second));
	js_put(&second);
	js_put(&obj);
	net_plan_clear(&again);
	net_plan_clear(&plan);
}

static char *notes(struct config_group *g, struct net_firewall *fw)
{
	struct net_facts facts = *host();
	struct net_plan plan;
	char *text;

	facts.firewall = *fw;
	assert_int_equal(net_plan_isolated_group(g, "a-1", &facts, &plan, NULL), 0);
	text = plan.notes ? strv_join(plan.notes, "\n") : str_dup("");
	net_plan_clear(&plan);
	return text;
}

static void test_group(void **state)
{
	static char chain[] = "inet filter forward";
	char *chains[] = {chain, NULL}, *servers[] = {dns, quad, NULL}, *allow[] = {dns_port, NULL},
	     *more[] = {peer, NULL};
	struct config_group g = {.name = name_sandbox, .dns_servers = servers, .network = {.mode = NET_ISOLATED}};
	struct net_firewall none = {0}, fw = {.legacy_drop = true, .firewalld = true, .others = chains};
	struct net_plan plan;
	struct json_object *obj;

	assert_int_equal(net_plan_isolated_group(&g, "a-1", host(), &plan, NULL), 0);
	check_golden_text("net/isolated.nft", plan.nft);
	net_plan_clear(&plan);
	struct net_facts facts = *host();
	facts.firewall = fw;
	assert_int_equal(net_plan_isolated_group(&g, "a-1", &facts, &plan, NULL), 0);
	obj = net_plan_to_json(&plan);
	json_object_object_del(obj, "nft");
	check_golden_json("net/isolated-firewalls.json", obj);
	js_put(&obj);
	net_plan_clear(&plan);
	/* Of DNS it speaks when it is needed, and only then. */
	g.network.allow = more;
	cleanup_free char *blocked = notes(&g, &none);
	assert_non_null(strstr(blocked, "DNS servers (8.8.8.8, 1.1.1.1) are not in it"));
	g.network.allow = allow;
	cleanup_free char *half = notes(&g, &none);
	assert_non_null(strstr(half, "DNS servers (1.1.1.1) are not in it"));
	g.network.drop = more;
	cleanup_free char *open = notes(&g, &none);
	assert_string_equal(open, "");
}

static void test_refused(void **state)
{
	char range[] = "192.168.1.128/26", wide[] = "192.168.0.0/22";
	struct config_group g = {.name = name_sandbox, .network = {.mode = NET_ISOLATED, .range = range}};
	cleanup_error struct error *err = NULL;
	struct net_plan plan;

	assert_int_equal(net_plan_isolated_group(&g, "a-1", host(), &plan, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	assert_string_equal(
		error_message(err),
		"network.range 192.168.1.128/26 is in the network of eth0 (192.168.1.5/24). Set it to another subnet, such as 169.254.100.0/22, or leave it out");
	net_plan_clear(&plan);
	g.network.range = wide; /* blocks in it that are the host's are skipped */
	assert_int_equal(net_plan_isolated_group(&g, "a-1", host(), &plan, NULL), 0);
	net_plan_clear(&plan);
}

/* The configuration's count says nothing of numbers that the API gives. */
static void test_long_names(void **state)
{
	char name[] = "thirteen-char";
	struct config_group g = {.name = name, .network = {.mode = NET_ISOLATED}};
	static const struct {
		const char *hostname;
		bool good;
	} rows[] = {{"thirteen-char-9", true}, {"thirteen-char-10", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_vm vm = {
			.group = &g, .daemon_id = "a-1", .hostname = rows[i].hostname, .number = 1, .address = ""};
		cleanup_error struct error *err = NULL;
		cleanup_free char *address = NULL;

		assert_int_equal(net_mode(NET_ISOLATED)->reserve(&vm, NULL, NULL, 0, &address, &err),
				 rows[i].good ? 0 : -1);
		if (rows[i].good)
			continue;
		assert_int_equal(err->code, ERR_CONFLICT);
		assert_string_equal(
			error_message(err),
			"host group \"thirteen-char\": thirteen-char-10 has 16 characters, and a VM's name on an isolated network may "
			"have at most 15 (it is also that of its namespace). Give the group a shorter name");
	}
}

static void test_broken_records(void **state)
{
	static const char guest[] =
		"\"guest\":{\"address\":\"169.254.60.2/30\",\"gateway\":\"169.254.60.1\",\"mac\":\"2e:31:2a:ff:7d:45\",\"mtu\":1500}";
	static const char tap[] =
		"{\"kind\":\"netns-tap\",\"name\":\"tap\",\"alias\":\"x\",\"mac\":\"2e:31:2a:ff:7d:45\",\"mtu\":1500}";
	static const char veth[] =
		"{\"kind\":\"veth\",\"name\":\"ve-1\",\"alias\":\"x\",\"altname\":\"y\",\"mac\":\"2e:31:2a:ff:7d:45\",\"peer\":\"u\",\"peer_mac\":\"2e:31:2a:ff:7d:46\",\"mtu\":1500}";
	static const char address[] =
		"\"addresses\":[{\"link\":\"ve-1\",\"address\":\"169.254.60.1/32\",\"peer\":\"169.254.60.2\"}]";
	const struct {
		const char *links[3], *rest;
		bool good;
	} records[] = {
		{{veth, tap}, "\"netns\":\"sandbox-1\"", true}, {{veth, tap}, "\"x\":1", false},
		{{veth, tap}, "\"netns\":\"../x\"", false},	{{veth, tap}, "\"netns\":\"\"", false},
		{{veth, tap}, "\"netns\":\"..\"", false},	{{tap, veth}, "\"netns\":\"sandbox-1\"", false},
		{{veth}, "\"netns\":\"sandbox-1\"", false},	{{veth, tap, tap}, "\"netns\":\"sandbox-1\"", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		cleanup_free char *text = str_fmt(
			"{\"mode\":\"isolated\",\"daemon_id\":\"a\",\"name\":\"b\",\"links\":[%s%s%s%s%s],%s,%s,%s}",
			records[i].links[0], records[i].links[1] ? "," : "",
			records[i].links[1] ? records[i].links[1] : "", records[i].links[2] ? "," : "",
			records[i].links[2] ? records[i].links[2] : "", records[i].rest, address, guest);
		cleanup_json struct json_object *obj = js_parse(text, strlen(text), NULL);
		cleanup_error struct error *err = NULL;
		cleanup_net_plan struct net_plan plan = {0};

		assert_non_null(obj);
		if ((net_plan_from_json(obj, &plan, &err) == 0) != records[i].good)
			fail_msg("%s: %s", text, error_message(err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_vm),
		cmocka_unit_test(test_rate_limits),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_broken_records),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
