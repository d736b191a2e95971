/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/fs.h"
#include "base/str.h"
#include "net/mac.h"
#include "net/user.h"

#include "netns_fixture.h"

#define GOLDEN_DIR SLICER_SOURCE_ROOT "/tests/golden/net"

static char passt[] = "/usr/bin/passt";

static void check_golden(const char *name, const struct net_user_plan *p)
{
	cleanup_free char *path = str_fmt("%s/%s.txt", GOLDEN_DIR, name), *expected = NULL, *actual = NULL;
	cleanup_free char *helper = strv_join(p->helper_argv, " "), *dns = strv_join(p->dns, " ");

	actual = str_fmt("kind %s\nhelper %s\naddress %s\ngateway %s\ndns %s\nmtu %u\nnote %s\n",
			 p->kind == NET_USER_PASST ? "passt" : "restricted", helper, p->address, p->gateway, dns,
			 p->mtu, p->note ? p->note : "");
	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(path, actual, strlen(actual), 0644, NULL), 0);
	assert_int_equal(fs_read_file(path, 64 * 1024, &expected, NULL, NULL), 0);
	assert_string_equal(actual, expected);
}

static void check_plan(const char *name, struct net_user_host host, char *const *dns)
{
	struct net_user_plan plan;

	net_user_plan(&host, dns, &plan);
	check_golden(name, &plan);
	net_user_plan_clear(&plan);
}

static void test_golden(void **state)
{
	char *const dns[] = {(char *)"8.8.8.8", (char *)"1.1.1.1", NULL}, *const none[] = {NULL};
	struct net_user_host host = {.passt = passt, .namespaces = true, .default_route = true};

	check_plan("user-passt", host, NULL);
	check_plan("user-passt", host, none);
	check_plan("user-passt-dns", host, dns);
	host.mtu = 1400;
	check_plan("user-passt-mtu", host, dns);
	host.mtu = 0;
	host.namespaces = false;
	check_plan("user-no-namespaces", host, dns);
	host.namespaces = true;
	host.default_route = false;
	check_plan("user-no-route", host, NULL);
	host.passt = NULL;
	check_plan("user-no-passt", host, NULL);
}

static void test_routes(void **state)
{
	static const char head[] =
		"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
	cleanup_free char *with = str_fmt("%seth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", head);
	cleanup_free char *without = str_fmt("%seth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", head);
	/* Half of the internet, as VPNs set it, is no default route. */
	cleanup_free char *half = str_fmt("%stun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n", head);

	assert_true(net_user_has_default_route(with));
	assert_false(net_user_has_default_route(without));
	assert_false(net_user_has_default_route(half));
	assert_false(net_user_has_default_route(head));
	assert_false(net_user_has_default_route(""));
	assert_false(net_user_has_default_route("garbage garbage garbage"));
}

static void test_probe(void **state)
{
	struct net_user_host host;

	net_user_probe(&host);
	assert_true(!host.passt || host.passt[0] == '/');
	net_user_host_clear(&host);
	assert_null(host.passt);
}

/* A default route's interface of another MTU, in a network of our own; read without privilege. */
static void test_probe_mtu(void **state)
{
	static const struct {
		const char *command;
		unsigned mtu;
	} rows[] = {
		{"true", 0},
		{"ip link add up0 mtu 1400 type veth peer name up1 && ip addr add 192.0.2.2/24 dev up0 && ip link set up0 up",
		 0},
		{"ip route add default via 192.0.2.1 metric 20", 1400},
		{"ip link add up2 mtu 9000 type veth peer name up3 && ip addr add 198.51.100.2/24 dev up2 && ip link set up2 up",
		 1400},
		{"ip route add default via 198.51.100.1 metric 10", 9000},
	};

	assert_int_equal(enter_network_namespace(), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_user_host host;

		free(say(rows[i].command));
		net_user_probe(&host);
		assert_int_equal(host.mtu, rows[i].mtu);
		net_user_host_clear(&host);
	}
}

static void test_mac(void **state)
{
	unsigned char a[6], b[6];
	char text[MAC_TEXT_SIZE];

	mac_from_hostname("vm-1", a);
	mac_from_hostname("vm-1", b);
	assert_memory_equal(a, b, 6);
	/* sha256("slicer-mac:vm-1") begins b1 24 7a 28 5c 9a: it must not change, leases and known
	 * hosts depend on it. */
	mac_format(a, text);
	assert_string_equal(text, "b2:24:7a:28:5c:9a");
	for (int i = 0; i < 1000; i++) {
		cleanup_free char *name = str_fmt("vm-%d", i);

		mac_from_hostname(name, b);
		assert_int_equal(b[0] & 3, 2); /* locally administered, unicast */
		assert_true(i == 1 || memcmp(a, b, 6) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden), cmocka_unit_test(test_routes),	 cmocka_unit_test(test_probe),
		cmocka_unit_test(test_mac),    cmocka_unit_test(test_probe_mtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
