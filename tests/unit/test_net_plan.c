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
#include "net/mode.h"
#include "net/slots.h"

static char alias_own[] = "slicer:a-1:vm", alias_other[] = "slicer:b-2:web";
static char chain[] = "inet filter forward", *chains[] = {chain, NULL};
static char name_vm[] = "vm", bridge_name[] = "brvm0", prefix_vm[] = "vmtap", gateway_text[] = "192.168.137.1/24";

static const struct config_group group = {
	.name = name_vm,
	.network = {.mode = NET_BRIDGE, .bridge = bridge_name, .tap_prefix = prefix_vm, .gateway = gateway_text},
};

/* A server: one uplink, a second network, Docker's bridge. */
static struct link links[] = {
	{.index = 1, .name = "lo", .mtu = 65536, .flags = IFF_UP | IFF_LOOPBACK},
	{.index = 2, .name = "eth0", .mtu = 1450, .flags = IFF_UP},
	{.index = 3, .name = "eth1", .mtu = 9000, .flags = IFF_UP},
	{.index = 4, .name = "docker0", .kind = "bridge", .mtu = 1500, .flags = IFF_UP},
	{.index = 5, .name = "brweb0", .kind = "bridge", .alias = alias_other, .mtu = 1500, .flags = IFF_UP},
	{.index = 6, .name = "wlan0", .mtu = 1500},
};

static struct in_addr ip(const char *text)
{
	struct in_addr addr;

	assert_int_equal(inet_pton(AF_INET, text, &addr), 1);
	return addr;
}

static void routes_fill(struct link_route routes[5])
{
	memset(routes, 0, 5 * sizeof(*routes));
	routes[0] = (struct link_route){.index = 3, .metric = 200, .gateway = ip("10.20.0.1")};
	routes[1] = (struct link_route){.index = 2, .metric = 100, .gateway = ip("10.99.0.1")};
	routes[2] = (struct link_route){.index = 2, .dst = ip("10.99.0.0"), .prefix = 24};
	routes[3] = (struct link_route){.index = 5, .dst = ip("172.20.0.0"), .prefix = 24};
	routes[4] = (struct link_route){.index = 3, .dst = ip("192.168.0.0"), .prefix = 16};
}

/* A script is a file of its own, the same for all plans of the group. */
static void check_golden_script(const char *name, const char *script, const struct net_plan *p)
{
	cleanup_json struct json_object *obj = net_plan_to_json(p);
	cleanup_free char *file = str_fmt("net/%s.json", name);

	json_object_object_del(obj, "nft");
	check_golden_json(file, obj);
	if (p->nft)
		check_golden_text(script, p->nft);
}

static void check_golden(const char *name, const struct net_plan *p)
{
	check_golden_script(name, "net/bridge.nft", p);
}

static int plan_vm(const struct config_group *g, const char *hostname, unsigned number, uint32_t address,
		   const struct net_facts *facts, struct net_plan *ret)
{
	struct net_vm vm = {.group = g, .daemon_id = "a-1", .hostname = hostname, .number = number};

	return net_plan_bridge_vm(&vm, address, facts, ret, NULL);
}

static void check_group(const char *name, const struct net_facts *facts)
{
	cleanup_net_plan struct net_plan plan = {0};

	assert_int_equal(net_plan_group(&group, "a-1", facts, &plan, NULL), 0);
	check_golden(name, &plan);
}

static void test_groups(void **state)
{
	struct link_route routes[5];
	struct link_addr addr = {.index = 2, .addr = ip("10.99.0.2"), .prefix = 24};
	struct net_facts facts = {.links = links,
				  .nlinks = ARRAY_LEN(links),
				  .routes = routes,
				  .nroutes = ARRAY_LEN(routes),
				  .addrs = &addr,
				  .naddrs = 1};

	routes_fill(routes);
	check_group("bridge", &facts);
	facts.firewall = (struct net_firewall){.iptables_drop = true, .docker_user = true};
	check_group("bridge-docker", &facts);
	facts.firewall = (struct net_firewall){.iptables_drop = true};
	check_group("bridge-ufw", &facts);
	facts.firewall = (struct net_firewall){.legacy_drop = true, .firewalld = true, .others = chains};
	check_group("bridge-firewalls", &facts);
	check_group("bridge-offline", &(struct net_facts){.links = links, .nlinks = 1});
}

static void test_vms(void **state)
{
	struct link own = {.index = 9, .name = "brvm0", .kind = "bridge", .alias = alias_own, .mtu = 1400};
	struct net_facts facts = {.links = &own, .nlinks = 1}, nothing = {0};
	struct net_plan plan;

	assert_int_equal(plan_vm(&group, "vm-1", 1, 0xc0a88902, &facts, &plan), 0);
	check_golden("bridge-vm", &plan);
	net_plan_clear(&plan);
	/* vmtap1000000000 has 15 characters, one more does not fit. */
	assert_int_equal(plan_vm(&group, "x", 1000000000, 1, &nothing, &plan), 0);
	assert_string_equal(plan.links[0].name, "vmtap1000000000");
	assert_int_equal(plan.guest.mtu, 1500);
	net_plan_clear(&plan);
	assert_int_equal(plan_vm(&group, "vm-web", 0, 0xc0a88903, &facts, &plan), 0);
	check_golden("bridge-vm-hashed", &plan);
	net_plan_clear(&plan);
}

/* A slot's bridge and its VM; one of a long name has hashed ones. */
static void test_slots(void **state)
{
	char group_name[] = "infra", short_name[] = "slot1", long_name[] = "a-machine-with-a-name";
	struct config_slot slots[] = {{.name = short_name, .index = 1}, {.name = long_name, .index = 7}};
	const struct config_group g = {
		.name = group_name, .slots = slots, .nslots = ARRAY_LEN(slots), .network = {.mode = NET_SLOTS}};
	static const char *const files[][2] = {{"slots", "slots-vm"}, {"slots-hashed", "slots-vm-hashed"}};
	struct link_route routes[5];
	struct net_facts facts = {
		.links = links, .nlinks = ARRAY_LEN(links), .routes = routes, .nroutes = ARRAY_LEN(routes)};

	routes_fill(routes);
	for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
		struct net_vm vm = {.group = &g, .daemon_id = "a-1", .hostname = slots[i].name, .number = 3};
		cleanup_free char *script = str_fmt("net/%s.nft", files[i][0]);
		cleanup_net_plan struct net_plan bridge = {0}, plan = {0};
		struct net_bridged slot;

		net_bridged_get(&g, "a-1", i, &slot);
		assert_int_equal(net_plan_group(&slot.group, "a-1", &facts, &bridge, NULL), 0);
		check_golden_script(files[i][0], script, &bridge);
		assert_int_equal(net_plan_slots_vm(&vm, &facts, &plan, NULL), 0);
		check_golden(files[i][1], &plan);
	}
}

static void test_no_slot(void **state)
{
	struct net_vm vm = {.group = &group, .daemon_id = "a-1", .hostname = "slot9"};
	cleanup_error struct error *err = NULL;
	struct net_facts none = {0};
	struct net_plan plan;

	assert_int_equal(net_plan_slots_vm(&vm, &none, &plan, &err), -1);
	assert_int_equal(err->code, ERR_NOT_FOUND);
}

/* What is known before the plugins run. */
static void test_cni(void **state)
{
	char network[] = "slicer", server[] = "192.0.2.53", *const dns[] = {server, NULL};
	const struct config_group g = {.name = name_vm, .network_name = network};
	const struct net_vm vm = {
		.group = &g, .daemon_id = "a-1", .hostname = "vm-1", .number = 1, .address = "", .dns = dns};
	cleanup_net_plan struct net_plan plan = {0};

	assert_int_equal(net_mode(NET_CNI)->plan(&vm, &plan, NULL), 0);
	assert_string_equal(plan.network, network);
	check_golden("cni-vm", &plan);
}

static void test_names(void **state)
{
	char a[IFNAMSIZ], b[IFNAMSIZ], c[IFNAMSIZ], *id = NULL, *name = NULL;
	static const char *const foreign[] = {NULL,	   "",		"slicer:",    "slicer:x",
					      "slicer::x", "slicer:x:", "docker:a:b", "xslicer:a:b"};
	struct config_group wide = group;
	struct net_facts none = {0};
	struct net_plan plan;
	char prefix[] = "fourteen-chars";

	net_hashed_name("vt-", "a-1", "vm-1", a);
	net_hashed_name("vt-", "a-2", "vm-1", b);
	net_hashed_name("vt-", "a-1", "vm-2", c);
	assert_int_equal(strlen(a), 13);
	assert_true(strcmp(a, b) != 0 && strcmp(a, c) != 0 && strcmp(b, c) != 0);
	wide.network.tap_prefix = prefix;
	assert_int_equal(plan_vm(&wide, "vm-9", 9, 1, &none, &plan), 0);
	assert_string_equal(plan.links[0].name, "fourteen-chars9");
	net_plan_clear(&plan);
	assert_int_equal(plan_vm(&wide, "vm-1", 10, 1, &none, &plan), 0);
	assert_string_equal(plan.links[0].name, a);
	net_plan_clear(&plan);
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		assert_false(net_alias_parse(foreign[i], &id, &name));
	assert_true(net_alias_parse("slicer:my-vms-1a2b3c:vm-1", &id, &name));
	assert_string_equal(id, "my-vms-1a2b3c");
	assert_string_equal(name, "vm-1");
	free(id);
	free(name);
}

/* Refused with these words; NULL: not. */
static void check_conflict(const struct net_facts *facts, const char *words)
{
	cleanup_net_plan struct net_plan plan = {0};
	cleanup_error struct error *err = NULL;
	int r = net_plan_group(&group, "a-1", facts, &plan, &err);

	if (!words) {
		assert_int_equal(r, 0);
		return;
	}
	assert_int_equal(r, -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	if (!strstr(error_message(err), words))
		fail_msg("%s", error_message(err));
}

static void test_whose_bridge(void **state)
{
	struct link l = {.index = 9, .name = "brvm0", .kind = "bridge"};
	struct net_facts facts = {.links = &l, .nlinks = 1};

	check_conflict(&facts, "there is an interface brvm0, a bridge that slicer did not make");
	l.alias = alias_other;
	check_conflict(&facts, "brvm0, which belongs to web of the slicer daemon b-2");
	l.alias = alias_own;
	check_conflict(&facts, NULL);
	strcpy(l.kind, "veth");
	check_conflict(&facts, "there is an interface brvm0");
	l.kind[0] = '\0';
	l.alias = NULL;
	check_conflict(&facts, "there is an interface brvm0. Set network.bridge");
}

static void test_whose_subnet(void **state)
{
	static const struct {
		const char *addr;
		unsigned prefix;
		bool address, route; /* an obstacle as such */
	} cases[] = {
		{"192.168.137.0", 24, true, true},   {"192.168.137.128", 25, true, true},
		{"192.168.137.1", 32, true, true},   {"192.168.136.0", 23, true, false},
		{"192.168.0.0", 16, true, false},    {"128.0.0.0", 1, true, false},
		{"192.168.138.0", 24, false, false}, {"0.0.0.0", 0, true, false},
	};
	struct link l[] = {{.index = 2, .name = "eth0"},
			   {.index = 9, .name = "brvm0", .kind = "bridge", .alias = alias_own}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct link_addr a = {.index = 2, .addr = ip(cases[i].addr), .prefix = cases[i].prefix};
		struct link_route r = {.index = 2, .dst = a.addr, .prefix = a.prefix};

		for (size_t n = 1; n <= 2; n++) { /* without and with our bridge */
			struct net_facts by_addr = {.links = l, .nlinks = n, .addrs = &a, .naddrs = 1};
			struct net_facts by_route = {.links = l, .nlinks = n, .routes = &r, .nroutes = 1};

			a.index = r.index = 2;
			check_conflict(&by_addr, cases[i].address ? "overlaps the address" : NULL);
			check_conflict(&by_route, cases[i].route ? "overlaps the route" : NULL);
			a.index = r.index = 9;
			if (n == 2) {
				check_conflict(&by_addr, NULL);
				check_conflict(&by_route, NULL);
			}
		}
	}
}

static void test_other_modes(void **state)
{
	struct config_group g = group;
	struct net_facts none = {0};
	struct net_plan plan;

	for (enum config_net_mode m = NET_CNI; m <= NET_SLOTS; m++) {
		cleanup_error struct error *err = NULL;

		g.network.mode = m;
		if (m == NET_BRIDGE || m == NET_SLOTS) /* whose slots are bridges */
			continue;
		assert_int_equal(net_plan_group(&g, "a-1", &none, &plan, &err), -1);
		assert_int_equal(err->code, ERR_UNSUPPORTED);
		assert_int_equal(plan_vm(&g, "vm-1", 1, 1, &none, &plan), -1);
	}
}

static void test_record(void **state)
{
	struct net_facts none = {0};
	struct net_plan plan, again;
	struct json_object *obj, *other;

	assert_int_equal(plan_vm(&group, "vm-1", 1, 0xc0a88902, &none, &plan), 0);
	plan.limits = (struct net_limits){.bandwidth = UINT64_C(16) << 30, .packets = 10};
	obj = net_plan_to_json(&plan);
	assert_int_equal(net_plan_from_json(obj, &again, NULL), 0);
	other = net_plan_to_json(&again);
	assert_true(json_object_equal(obj, other));
	assert_memory_equal(plan.elements, again.elements, offsetof(struct nfset_element, set));
	js_put(&other);
	net_plan_clear(&again);
	net_plan_clear(&plan);
	js_put(&obj);
}

/* One of a version that knew bridges only has no mode; one of a mode that needs nothing of the host has no links. */
static void test_record_modes(void **state)
{
	struct net_user_host host = {0};
	struct net_vm vm = {.daemon_id = "a-1", .hostname = "vm-1", .user_host = &host};
	struct net_plan plan, again;
	struct json_object *obj;

	assert_int_equal(net_mode(NET_USER)->plan(&vm, &plan, NULL), 0);
	obj = net_plan_to_json(&plan);
	assert_int_equal(net_plan_from_json(obj, &again, NULL), 0);
	assert_int_equal(again.mode, NET_USER);
	assert_string_equal(again.guest.address, "10.0.2.15/24");
	js_put(&obj);
	net_plan_clear(&again);
	net_plan_clear(&plan);
	assert_int_equal(plan_vm(&group, "vm-1", 1, 0xc0a88902, &(struct net_facts){0}, &plan), 0);
	obj = net_plan_to_json(&plan);
	json_object_object_del(obj, "mode");
	assert_int_equal(net_plan_from_json(obj, &again, NULL), 0);
	assert_int_equal(again.mode, NET_BRIDGE);
	js_put(&obj);
	net_plan_clear(&again);
	net_plan_clear(&plan);
}

static void test_broken_record(void **state)
{
	static const char *const bad[] = {
		"{\"mode\":\"tunnel\"}",
		"{\"mode\":\"user\"}",
		"{}",
		"{\"daemon_id\":\"a\",\"name\":\"b\"}",
		"{\"daemon_id\":\"a\",\"name\":\"b\",\"links\":[],\"guest\":{}}",
		"{\"daemon_id\":\"a\",\"name\":\"b\",\"links\":[7],\"guest\":{}}",
		"{\"daemon_id\":\"a\",\"name\":\"b\",\"links\":[{\"kind\":\"bridge\"}],\"guest\":{}}",
		"{\"daemon_id\":\"a\",\"name\":\"b\",\"links\":[{\"kind\":\"tap\",\"name\":"
		"\"sixteen-bytes-xx\"}],\"guest\":{}}",
		"{\"daemon_id\":\"a\",\"name\":\"b\",\"links\":[{\"kind\":\"tap\",\"name\":\"t\","
		"\"master\":\"br\",\"alias\":\"x\",\"altname\":\"y\",\"mtu\":1500}],\"guest\":{"
		"\"address\":\"10.0.0.2/"
		"24\",\"gateway\":\"10.0.0.1\",\"mac\":\"2e:31:2a:ff:7d\",\"mtu\":1}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *err = NULL;
		struct json_object *obj = js_parse(bad[i], strlen(bad[i]), NULL);
		struct net_plan plan;

		assert_non_null(obj);
		assert_int_equal(net_plan_from_json(obj, &plan, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		js_put(&obj);
	}
}

static void test_mac(void **state)
{
	static const char *const bad[] = {"",
					  "2e:31:2a:ff:7d",
					  "2e:31:2a:ff:7d:4",
					  "2e:31:2a:ff:7d:4g",
					  "2e-31-2a-ff-7d-45",
					  "2e:31:2a:ff:7d:45:"};
	unsigned char mac[6];
	char text[MAC_TEXT_SIZE];

	assert_int_equal(mac_parse("2e:31:2a:ff:7d:45", mac), 0);
	mac_format(mac, text);
	assert_string_equal(text, "2e:31:2a:ff:7d:45");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(mac_parse(bad[i], mac), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),	     cmocka_unit_test(test_vms),
		cmocka_unit_test(test_slots),	     cmocka_unit_test(test_no_slot),
		cmocka_unit_test(test_cni),	     cmocka_unit_test(test_names),
		cmocka_unit_test(test_whose_bridge), cmocka_unit_test(test_whose_subnet),
		cmocka_unit_test(test_other_modes),  cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_modes), cmocka_unit_test(test_broken_record),
		cmocka_unit_test(test_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
