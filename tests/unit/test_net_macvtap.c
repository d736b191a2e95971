/* SPDX-License-Identifier: MIT */
/* Mode macvtap: parents that can be and cannot, plans, addresses of the pool, MAC addresses. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "net/macvtap.h"
#include "net/mode.h"
#include "net/pool.h"

#define GOLDEN_DIR SLICER_SOURCE_ROOT "/tests/golden/net"
#define MACHINE "0123456789abcdef0123456789abcdef"

static char wifi[] = "wlan0", ours[] = "slicer:a-1:vm", machine[] = MACHINE, lan[] = "lan",
	    gateway_text[] = "192.168.1.1/24";
static struct link links[] = {
	{.index = 1, .name = "lo", .mtu = 65536, .flags = IFF_UP | IFF_LOOPBACK},
	{.index = 2, .name = "eth0", .mtu = 1450, .flags = IFF_UP},
	{.index = 3, .name = "eth1", .mtu = 9000, .flags = 0},
	{.index = 4, .name = "wlan0", .mtu = 1500, .flags = IFF_UP},
	{.index = 5, .name = "br0", .kind = "bridge", .mtu = 1500, .flags = IFF_UP},
	{.index = 6, .name = "eth2", .mtu = 1500, .flags = IFF_UP, .master = 5},
	{.index = 7, .name = "wg0", .kind = "wireguard", .mtu = 1420, .flags = IFF_UP | IFF_POINTOPOINT},
	{.index = 8, .name = "brvm0", .kind = "bridge", .alias = ours, .mtu = 1500, .flags = IFF_UP},
};
static char *wireless[] = {wifi, NULL};
static const struct net_macvtap_host host = {.machine_id = machine, .wireless = wireless};

static struct net_facts facts_of(struct link_route *route, int index)
{
	*route = (struct link_route){.index = index};
	return (struct net_facts){
		.links = links, .nlinks = ARRAY_LEN(links), .routes = route, .nroutes = index ? 1 : 0};
}

static struct config_group group_of(char *parent, char *gateway)
{
	return (struct config_group){.name = lan,
				     .network = {.mode = NET_MACVTAP, .parent = parent, .gateway = gateway}};
}

static void test_parents(void **state)
{
	static const struct {
		const char *parent; /* NULL: by the default route */
		int route;
		const char *chosen, *says;
		enum error_code code;
	} rows[] = {
		{NULL, 2, "eth0", NULL, 0},
		{"br0", 2, "br0", NULL, 0},
		{NULL, 5, "br0", NULL, 0},
		{NULL, 0, NULL, "possible ones: eth0, br0", ERR_NOT_FOUND},
		{"eth9", 2, NULL, "no interface eth9; possible ones: eth0, br0", ERR_NOT_FOUND},
		{"lo", 2, NULL, "loopback", ERR_INVALID},
		{"eth1", 2, NULL, "ip link set eth1 up", ERR_CONFLICT},
		{"wlan0", 2, NULL, "Wi-Fi", ERR_INVALID},
		{NULL, 4, NULL, "Set network.parent to a wired interface, or use mode bridge", ERR_INVALID},
		{"eth2", 2, NULL, "a port of br0, which takes all of its frames; set network.parent: br0", ERR_INVALID},
		{"wg0", 2, NULL, "not an Ethernet", ERR_INVALID},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *parent = str_dup(rows[i].parent);
		struct config_group g = group_of(parent, NULL);
		struct link_route route;
		struct net_facts facts = facts_of(&route, rows[i].route);
		cleanup_error struct error *error = NULL;
		const struct link *link = net_macvtap_parent(&g, &facts, &host, &error);

		if (rows[i].chosen) {
			assert_non_null(link);
			assert_string_equal(link->name, rows[i].chosen);
			continue;
		}
		assert_null(link);
		assert_int_equal(error->code, rows[i].code);
		if (!strstr(error_message(error), rows[i].says))
			fail_msg("%s: %s", rows[i].parent, error_message(error));
	}
}

static void check_golden(const char *name, struct json_object *obj)
{
	cleanup_free char *path = str_fmt("%s/%s", GOLDEN_DIR, name);
	cleanup_free char *text = js_to_string_pretty(obj), *line = str_fmt("%s\n", text), *want = NULL;

	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(path, line, strlen(line), 0644, NULL), 0);
	assert_int_equal(fs_read_file(path, 1 << 20, &want, NULL, NULL), 0);
	assert_string_equal(line, want);
}

static void plan_check(const char *golden, char *gateway, const char *address)
{
	struct config_group g = group_of(NULL, gateway);
	struct link_route route;
	struct net_facts facts = facts_of(&route, 2);
	const struct net_vm vm = {
		.group = &g, .daemon_id = "lan-c0ffee", .hostname = "lan-1", .number = 1, .address = address};
	cleanup_net_plan struct net_plan plan = {0}, again = {0};
	cleanup_json struct json_object *obj = NULL, *back = NULL;
	struct error *error = NULL;

	assert_int_equal(net_plan_macvtap_vm(&vm, &facts, &host, &plan, NULL), 0);
	assert_true(net_mode(plan.mode)->ipv6);
	assert_int_equal(plan.guest.dhcp, !*address);
	obj = net_plan_to_json(&plan);
	check_golden(golden, obj);
	if (net_plan_from_json(obj, &again, &error) < 0)
		fail_msg("%s", error_message(error));
	assert_int_equal(again.mode, NET_MACVTAP);
	back = net_plan_to_json(&again);
	assert_non_null(strstr(json_object_to_json_string(back), "\"master\": \"eth0\""));
}

static void test_plans(void **state)
{
	plan_check("macvtap-dhcp.json", NULL, "");
	plan_check("macvtap-static.json", gateway_text, "192.168.1.220/24");
}

static void test_no_machine_id(void **state)
{
	struct config_group g = group_of(NULL, NULL);
	struct link_route route;
	struct net_facts facts = facts_of(&route, 2);
	const struct net_macvtap_host none = {0};
	const struct net_vm vm = {
		.group = &g, .daemon_id = "lan-c0ffee", .hostname = "lan-1", .number = 1, .address = ""};
	cleanup_net_plan struct net_plan plan = {0};
	cleanup_error struct error *error = NULL;

	assert_int_equal(net_plan_macvtap_vm(&vm, &facts, &none, &plan, &error), -1);
	assert_non_null(strstr(error_message(error), "systemd-machine-id-setup"));
}

static void test_macs(void **state)
{
	unsigned char a[6], b[6], c[6];

	mac_from_host("lan-1", MACHINE, a);
	mac_from_host("lan-1", MACHINE, b);
	assert_memory_equal(a, b, 6);
	mac_from_host("lan-1", "f123456789abcdef0123456789abcdef", c);
	assert_memory_not_equal(a, c, 6);
	mac_from_host("lan-2", MACHINE, b);
	assert_memory_not_equal(a, b, 6);
	assert_int_equal(a[0] & 3, 2); /* locally administered, not a group */
}

/* "first-last of count", or the error. */
static char *pool_text(const char *gateway)
{
	cleanup_free char *text = str_dup(gateway);
	struct config_group g = group_of(NULL, text);
	cleanup_error struct error *error = NULL;
	cleanup_net_pool struct net_pool *pool = net_pool_new(&g, &error);
	char first[IP4_TEXT_MAX], last[IP4_TEXT_MAX];

	if (!pool)
		return str_dup(error_message(error));
	ip4_format(pool->range.first, first);
	ip4_format(pool->range.last, last);
	return str_fmt("%s-%s of %u", first, last, pool->count);
}

static void test_pool(void **state)
{
	static const struct {
		const char *gateway, *says;
	} rows[] = {
		{"192.168.1.1/24", "192.168.1.220-192.168.1.254 of 35"},
		{"192.168.1.254/24", "192.168.1.220-192.168.1.254 of 34"},
		{"10.0.0.1/16", "10.0.255.220-10.0.255.254 of 35"},
		{"10.0.0.65/26", "10.0.0.92-10.0.0.126 of 35"},
		{"10.0.0.1/27", "give a range"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *text = pool_text(rows[i].gateway);

		if (!strstr(text, rows[i].says))
			fail_msg("%s: %s", rows[i].gateway, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parents), cmocka_unit_test(test_plans), cmocka_unit_test(test_no_machine_id),
		cmocka_unit_test(test_macs),	cmocka_unit_test(test_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
