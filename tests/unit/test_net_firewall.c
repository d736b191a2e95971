/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "net/facts.h"

#define CHAIN(family, table, name, rest)                                                                               \
	"{\"chain\":{\"family\":\"" family "\",\"table\":\"" table "\",\"name\":\"" name "\"" rest "}}"
#define FORWARD(policy) ",\"handle\":1,\"type\":\"filter\",\"hook\":\"forward\",\"prio\":0,\"policy\":\"" policy "\""
#define LIST(chains) "{\"nftables\":[{\"metainfo\":{\"version\":\"1.0.6\"}}," chains "]}"

static struct net_firewall parse(const char *json)
{
	struct net_firewall fw = {0};

	assert_int_equal(net_firewall_parse(json, &fw, NULL), 0);
	return fw;
}

static void test_kinds(void **state)
{
	struct net_firewall fw = parse(LIST(CHAIN("ip", "filter", "FORWARD", FORWARD("accept"))));

	assert_false(fw.iptables_drop || fw.docker_user || fw.firewalld || fw.others);
	fw = parse(LIST(CHAIN("ip", "filter", "FORWARD", FORWARD("drop"))));
	assert_true(fw.iptables_drop);
	assert_false(fw.docker_user || fw.others);
	fw = parse(
		LIST(CHAIN("ip", "filter", "DOCKER-USER", "") "," CHAIN("ip", "filter", "FORWARD", FORWARD("drop"))));
	assert_true(fw.iptables_drop && fw.docker_user);
	fw = parse(LIST(CHAIN("inet", "firewalld", "filter_FORWARD", FORWARD("accept"))));
	assert_true(fw.firewalld);
	/* IPv6 and bridges are no concern of it, nor is another hook. */
	fw = parse(LIST(CHAIN("ip6", "filter", "FORWARD", FORWARD("drop")) "," CHAIN(
		"bridge", "x", "y", FORWARD("drop")) "," CHAIN("inet", "x", "in",
							       ",\"hook\":\"input\",\"policy\":\"drop\"")));
	assert_false(fw.iptables_drop || fw.others);
	fw = parse(LIST(CHAIN("inet", "filter", "forward", FORWARD("drop")) "," CHAIN("ip", "mine", "FORWARD",
										      FORWARD("drop"))));
	assert_string_equal(fw.others[0], "inet filter forward");
	assert_string_equal(fw.others[1], "ip mine FORWARD");
	assert_null(fw.others[2]);
	strv_free(&fw.others);
}

static void test_broken(void **state)
{
	static const char *const bad[] = {
		"",
		"nonsense",
		"[]",
		"{\"nftables\":7}",
		"{\"nftables\":[{\"chain\":7}]}",
		"{\"nftables\":[{\"chain\":{\"family\":1}}]}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *err = NULL;
		struct net_firewall fw = {0};

		assert_int_equal(net_firewall_parse(bad[i], &fw, &err), -1);
		assert_non_null(strstr(error_message(err), "cannot read what nft lists"));
	}
	assert_false(parse("{\"nftables\":[]}").iptables_drop);
	assert_false(parse("{\"nftables\":[1,null]}").iptables_drop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
