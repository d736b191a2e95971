/* SPDX-License-Identifier: MIT */
/* In a network namespace of its own, so that nothing on the host changes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/netlink.h"
#include "base/proc.h"
#include "base/str.h"
#include "netns_fixture.h"

static struct in_addr ip(const char *text)
{
	struct in_addr addr;

	assert_int_equal(inet_pton(AF_INET, text, &addr), 1);
	return addr;
}

/* What ip(8), an independent reader, says; the caller's. */
static char *ip_show(const char *args)
{
	cleanup_free char *command = str_fmt("ip %s", args);

	return say(command);
}

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
	netlink_close(&nl);
	return 0;
}

static void test_link_index(void **state)
{
	cleanup_error struct error *absent = NULL, *longer = NULL;

	assert_int_equal(netlink_link_index(*state, "lo", NULL), 1);
	assert_int_equal(netlink_link_index(*state, "nope0", &absent), -1);
	assert_int_equal(absent->code, ERR_NOT_FOUND);
	assert_string_equal(error_message(absent), "there is no network interface nope0");
	assert_int_equal(netlink_link_index(*state, "sixteen-bytes-xx", &longer), -1);
	assert_int_equal(longer->code, ERR_INVALID);
	assert_int_equal(netlink_link_index(*state, "", NULL), -1);
}

static void test_up_and_down(void **state)
{
	cleanup_free char *up = NULL, *down = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(netlink_link_set_up(*state, 1, true, NULL), 0);
	assert_int_equal(netlink_link_set_up(*state, 1, true, NULL), 0);
	up = ip_show("link show lo");
	assert_non_null(strstr(up, ",UP"));
	assert_int_equal(netlink_link_set_up(*state, 1, false, NULL), 0);
	down = ip_show("link show lo");
	assert_null(strstr(down, ",UP"));
	assert_int_equal(netlink_link_set_up(*state, 9999, true, &err), -1);
	assert_int_equal(err->sys_errno, ENODEV);
	assert_int_equal(netlink_link_set_up(*state, 1, true, NULL), 0);
}

static void test_address_twice(void **state)
{
	cleanup_free char *text = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(netlink_addr_add(*state, 1, ip("192.0.2.1"), 24, NULL), 0);
	assert_int_equal(netlink_addr_add(*state, 1, ip("192.0.2.1"), 24, NULL), 0);
	assert_int_equal(netlink_addr_add(*state, 1, ip("198.51.100.7"), 32, NULL), 0);
	text = ip_show("-o -4 addr show lo");
	assert_non_null(strstr(text, "inet 192.0.2.1/24 brd 192.0.2.255"));
	assert_non_null(strstr(text, "inet 198.51.100.7/32"));
	assert_int_equal(netlink_addr_add(*state, 1, ip("192.0.2.1"), 33, &err), -1);
	assert_int_equal(err->code, ERR_INVALID);
	assert_int_equal(netlink_addr_add(*state, 9999, ip("192.0.2.1"), 24, NULL), -1);
}

static void test_routes(void **state)
{
	cleanup_error struct error *conflict = NULL, *unreachable = NULL, *invalid = NULL;
	cleanup_free char *text = NULL, *again = NULL;
	struct in_addr none = {0};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(netlink_route_add(*state, 1, none, 0, ip("192.0.2.254"), NULL), 0);
		assert_int_equal(netlink_route_add(*state, 1, ip("203.0.113.0"), 24, none, NULL), 0);
	}
	text = ip_show("-4 route show");
	assert_non_null(strstr(text, "default via 192.0.2.254 dev lo"));
	assert_non_null(strstr(text, "203.0.113.0/24 dev lo"));
	/* Another gateway is another route: neither success nor a silent second one. */
	assert_int_equal(netlink_route_add(*state, 1, none, 0, ip("192.0.2.253"), &conflict), -1);
	assert_int_equal(conflict->code, ERR_CONFLICT);
	assert_string_equal(error_message(conflict), "there is another route to 0.0.0.0/0 already");
	again = ip_show("-4 route show");
	assert_string_equal(again, text);
	assert_int_equal(netlink_route_add(*state, 1, ip("10.9.0.0"), 16, ip("172.31.0.1"), &unreachable), -1);
	assert_int_equal(unreachable->sys_errno, ENETUNREACH);
	assert_int_equal(netlink_route_add(*state, 1, ip("10.9.0.0"), 40, none, &invalid), -1);
	assert_int_equal(invalid->code, ERR_INVALID);
}

static void test_mac(void **state)
{
	static const unsigned char mac[6] = {0x02, 0x00, 0x5e, 0x10, 0x20, 0x30};
	cleanup_free char *added = ip_show("link add t0 type veth peer name t1"), *text = NULL;
	int index = netlink_link_index(*state, "t0", NULL);

	assert_string_equal(added, "");
	assert_true(index > 1);
	assert_int_equal(netlink_link_set_mac(*state, index, mac, NULL), 0);
	text = ip_show("link show t0");
	assert_non_null(strstr(text, "02:00:5e:10:20:30"));
	assert_int_equal(netlink_link_set_mac(*state, 9999, mac, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_index),    cmocka_unit_test(test_up_and_down),
		cmocka_unit_test(test_address_twice), cmocka_unit_test(test_routes),
		cmocka_unit_test(test_mac),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
