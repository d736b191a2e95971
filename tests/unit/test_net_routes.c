/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "net/routes.h"

#define GOLDEN_DIR SLICER_SOURCE_ROOT "/tests/golden/net"

static const char text[] = "config:\n"
			   "  host_groups:\n"
			   "  - name: vm\n"
			   "    network: {bridge: brvm0, gateway: 192.168.137.1/24}\n"
			   "  - name: db\n"
			   "    network: {bridge: brdb0, tap_prefix: db, gateway: 10.1.2.200/26}\n"
			   "  - name: box\n"
			   "    network: {mode: isolated}\n";

static const char slots[] = "config:\n"
			    "  host_groups:\n"
			    "  - {name: infra, slots: {slot1: {}, slot2: {}, web: {index: 7}}}\n";

static struct config *parse(const char *yaml)
{
	struct config *cfg = NULL;
	cleanup_error struct error *err = NULL;

	if (config_parse(yaml, strlen(yaml), "x.yaml", &cfg, &err) < 0)
		fail_msg("%s", error_message(err));
	return cfg;
}

static void check(const char *name, const char *yaml, const char *host, enum net_route_os os)
{
	cleanup_config struct config *cfg = parse(yaml);
	cleanup_free char *path = str_fmt("%s/route-%s.txt", GOLDEN_DIR, name), *expected = NULL;
	cleanup_free char *actual = net_route_text(cfg, host, os);

	assert_non_null(actual);
	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(path, actual, strlen(actual), 0644, NULL), 0);
	assert_int_equal(fs_read_file(path, 64 * 1024, &expected, NULL, NULL), 0);
	assert_string_equal(actual, expected);
}

static void test_texts(void **state)
{
	check("all", text, "192.168.1.11", NET_ROUTE_ALL);
	check("linux", text, "192.168.1.11", NET_ROUTE_LINUX);
	check("darwin", text, "192.168.1.11", NET_ROUTE_DARWIN);
	check("unknown", text, NULL, NET_ROUTE_LINUX);
	check("slots", slots, "192.168.1.11", NET_ROUTE_ALL);
}

static void test_nothing_to_reach(void **state)
{
	cleanup_config struct config *cfg =
		parse("config:\n  host_groups:\n  - name: a\n    network: {mode: user}\n  - name: b\n");

	assert_null(net_route_text(cfg, "192.168.1.11", NET_ROUTE_ALL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_nothing_to_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
