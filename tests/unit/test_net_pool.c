/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "net/pool.h"

static char group_name[] = "vm", none[] = "";

static struct net_pool *pool(const char *gateway, const char *range, char **addresses)
{
	cleanup_free char *gw = str_dup(gateway), *r = str_dup(range);
	struct config_group g = {.name = group_name,
				 .network = {.mode = NET_BRIDGE, .gateway = gw, .range = r, .addresses = addresses}};

	return net_pool_new(&g, NULL);
}

/* What VM number `number` gets when nothing is used; "" for an error. */
static char *first(const struct net_pool *p, unsigned number)
{
	static char text[IP4_TEXT_MAX];
	uint32_t addr;

	if (net_pool_take(p, number, NULL, NULL, 0, &addr, NULL) < 0)
		return none;
	ip4_format(addr, text);
	return text;
}

/* All addresses in their order, each marked as used before the next. */
static char *drain(const struct net_pool *p)
{
	uint32_t *used = mem_alloc_array(p->count, sizeof(*used)), addr;
	cleanup_error struct error *err = NULL;
	cleanup_strv char **list = NULL;

	for (size_t n = 0; n < p->count; n++) {
		char text[IP4_TEXT_MAX];

		assert_int_equal(net_pool_take(p, 1, NULL, used, n, &addr, NULL), 0);
		used[n] = addr;
		ip4_format(addr, text);
		strv_append(&list, strrchr(text, '.'));
	}
	assert_int_equal(net_pool_take(p, 1, NULL, used, p->count, &addr, &err), -1);
	assert_int_equal(err->code, ERR_UNAVAILABLE);
	assert_non_null(strstr(error_message(err), "addresses of host group \"vm\" are in use"));
	free(used);
	return strv_join(list, "");
}

static void check_order(struct net_pool *p, const char *order)
{
	cleanup_free char *got = NULL;

	assert_non_null(p);
	got = drain(p);
	assert_string_equal(got, order);
	net_pool_free(&p);
}

static void test_order(void **state)
{
	char a[] = "10.0.0.5/29", b[] = "10.0.0.3", *list[] = {a, b, NULL};

	check_order(pool("10.0.0.1/29", NULL, NULL), ".2.3.4.5.6");
	check_order(pool("10.0.0.4/29", NULL, NULL), ".5.6.1.2.3");
	check_order(pool("10.0.0.6/29", NULL, NULL), ".1.2.3.4.5");
	check_order(pool("10.0.0.9/30", NULL, NULL), ".10");
	check_order(pool("10.0.0.1/29", "10.0.0.3-10.0.0.5", NULL), ".3.4.5");
	check_order(pool("10.0.0.4/29", "10.0.0.3-10.0.0.5", NULL), ".3.5");
	check_order(pool("10.0.0.3/29", "10.0.0.3-10.0.0.5", NULL), ".4.5");
	check_order(pool("10.0.0.5/29", "10.0.0.3-10.0.0.5", NULL), ".3.4");
	check_order(pool("10.0.0.1/29", NULL, list), ".5.3");
}

static void test_numbers(void **state)
{
	cleanup_net_pool struct net_pool *p = pool("192.168.137.1/24", NULL, NULL);
	cleanup_net_pool struct net_pool *wide = pool("10.255.255.254/8", NULL, NULL);

	assert_int_equal(p->count, 253);
	assert_string_equal(first(p, 0), "192.168.137.2");
	assert_string_equal(first(p, 1), "192.168.137.2");
	assert_string_equal(first(p, 253), "192.168.137.254");
	assert_string_equal(first(p, 254), "192.168.137.2");
	assert_string_equal(first(p, UINT32_MAX), "192.168.137.81");
	assert_int_equal(wide->count, (1 << 24) - 3);
	assert_string_equal(first(wide, 1), "10.0.0.1");
	assert_string_equal(first(wide, 256), "10.0.1.0");
}

static void test_used_and_wanted(void **state)
{
	cleanup_net_pool struct net_pool *p = pool("192.168.137.1/24", NULL, NULL);
	cleanup_error struct error *taken = NULL, *gateway = NULL, *broken = NULL;
	const uint32_t used[] = {0xc0a88902, 0xc0a88903, 0xc0a889fe, 0x01020304};
	uint32_t addr = 0;

	assert_int_equal(net_pool_take(p, 1, NULL, used, 4, &addr, NULL), 0);
	assert_int_equal(addr, 0xc0a88904);
	assert_int_equal(net_pool_take(p, 253, NULL, used, 4, &addr, NULL), 0);
	assert_int_equal(addr, 0xc0a88904); /* .254 is used, then .2 and .3 */
	assert_int_equal(net_pool_take(p, 1, "192.168.137.254/24", used, 2, &addr, NULL), 0);
	assert_int_equal(addr, 0xc0a889fe);
	assert_int_equal(net_pool_take(p, 1, "192.168.137.3", used, 4, &addr, &taken), -1);
	assert_int_equal(taken->code, ERR_CONFLICT);
	assert_int_equal(net_pool_take(p, 1, "192.168.137.1", used, 0, &addr, &gateway), -1);
	assert_int_equal(gateway->code, ERR_INVALID);
	assert_int_equal(net_pool_take(p, 1, "192.168.137.255", used, 0, &addr, NULL), -1);
	assert_int_equal(net_pool_take(p, 1, "192.168.138.2", used, 0, &addr, NULL), -1);
	assert_int_equal(net_pool_take(p, 1, "vm-1", used, 0, &addr, &broken), -1);
	assert_int_equal(broken->code, ERR_INVALID);
}

static void test_refused(void **state)
{
	char a[] = "10.0.0.1", b[] = "10.0.1.2", *own[] = {a, NULL}, *outside[] = {b, NULL};

	assert_null(pool(NULL, NULL, NULL));
	assert_null(pool("10.0.0.1/31", NULL, NULL));
	assert_null(pool("10.0.0.1/32", NULL, NULL));
	assert_null(pool("10.0.0.0/24", NULL, NULL));
	assert_null(pool("10.0.0.255/24", NULL, NULL));
	assert_null(pool("10.0.0.1/24", "10.0.0.0-10.0.0.9", NULL));
	assert_null(pool("10.0.0.1/24", "10.0.0.9-10.0.1.9", NULL));
	assert_null(pool("10.0.0.1/24", NULL, own));
	assert_null(pool("10.0.0.1/24", NULL, outside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_used_and_wanted),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
