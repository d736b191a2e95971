/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "config/ip4.h"
#include "config/syntax.h"

static void test_addresses(void **state)
{
	static const char *const bad[] = {"",		"1.2.3",    "1.2.3.4.5", "1.2.3.256",
					  "01.2.3.4",	"1.2.3.4 ", " 1.2.3.4",	 "1.2.3.-4",
					  "1.2.3.4/24", "1..2.3",   "0x1.2.3.4", "1.2.3.99999999999"};
	char text[IP4_TEXT_MAX];
	uint32_t addr;

	assert_int_equal(ip4_parse("192.168.137.1", &addr, NULL), 0);
	assert_int_equal(addr, 0xc0a88901);
	ip4_format(addr, text);
	assert_string_equal(text, "192.168.137.1");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip4_parse(bad[i], &addr, NULL), -1);
}

static void test_cidrs(void **state)
{
	static const char *const bad[] = {"10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/08", "10.0.0.1/-1", "/8"};
	struct ip4_cidr a, b;
	char text[IP4_TEXT_MAX];

	assert_int_equal(ip4_parse_cidr("255.255.255.255/32", &a, NULL), 0);
	ip4_format_cidr(a, text);
	assert_string_equal(text, "255.255.255.255/32");
	assert_int_equal(ip4_parse_cidr("10.1.2.3/0", &a, NULL), 0);
	assert_int_equal(ip4_network(a), 0);
	assert_int_equal(ip4_broadcast(a), UINT32_MAX);
	assert_int_equal(ip4_parse_cidr("10.1.2.3/31", &b, NULL), 0);
	assert_int_equal(ip4_network(b), 0x0a010202);
	assert_int_equal(ip4_broadcast(b), 0x0a010203);
	assert_true(ip4_overlaps(a, b));
	assert_false(ip4_contains(b, 0x0a010204));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip4_parse_cidr(bad[i], &a, NULL), -1);
}

static void test_ranges(void **state)
{
	struct ip4_range r;

	assert_int_equal(ip4_parse_range("10.0.0.2-10.0.0.2", &r, NULL), 0);
	assert_int_equal(r.first, r.last);
	assert_int_equal(ip4_parse_range("10.0.0.3-10.0.0.2", &r, NULL), -1);
	assert_int_equal(ip4_parse_range("10.0.0.3-", &r, NULL), -1);
	assert_int_equal(ip4_parse_range("10.0.0.3 - 10.0.0.4", &r, NULL), -1);
}

static void test_rules(void **state)
{
	static const char *const bad[] = {"",
					  "lan",
					  "1.2.3.4:0",
					  "1.2.3.4:65536",
					  "10.0.0.0/8:80",
					  "10.0.0.1/32:80",
					  "1.2.3.4:",
					  "example.org",
					  "1.2.3.4:80/tcp",
					  "::1"};
	struct ip4_rule r;

	assert_int_equal(ip4_parse_rule("LAN", &r, NULL), 0);
	assert_true(r.lan);
	assert_int_equal(ip4_parse_rule("10.1.2.3/8", &r, NULL), 0);
	assert_int_equal(r.dest.addr, 0x0a000000);
	assert_int_equal(r.dest.prefix, 8);
	assert_int_equal(ip4_parse_rule("1.2.3.4:443", &r, NULL), 0);
	assert_int_equal(r.port, 443);
	assert_int_equal(r.dest.prefix, 32);
	assert_int_equal(ip4_parse_rule("0.0.0.0/0", &r, NULL), 0);
	assert_int_equal(r.dest.prefix, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip4_parse_rule(bad[i], &r, NULL), -1);
}

static void test_forwards(void **state)
{
	static const char *const bad[] = {"",	     "80",     "80:",	     ":80",
					  "0:80",    "80:0",   "1.2.3.4:80", "1.2.3.4:5:6.7.8.9",
					  "1:2:3:4", "80:80 ", "65536:80"};
	struct ip4_forward f;

	assert_int_equal(ip4_parse_forward("8080:80", &f, NULL), 0);
	assert_int_equal(f.host_addr, 0x7f000001);
	assert_int_equal(f.host_port, 8080);
	assert_int_equal(f.guest_port, 80);
	assert_int_equal(ip4_parse_forward("8080:10.0.0.9:80", &f, NULL), 0);
	assert_int_equal(f.guest_addr, 0x0a000009);
	assert_int_equal(ip4_parse_forward("0.0.0.0:8080:127.0.0.1:80", &f, NULL), 0);
	assert_int_equal(f.host_addr, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip4_parse_forward(bad[i], &f, NULL), -1);
}

static void test_names(void **state)
{
	cleanup_free char *max = mem_alloc(GROUP_NAME_MAX + 2);

	memset(max, 'a', GROUP_NAME_MAX);
	assert_int_equal(syntax_group_name(max, NULL), 0);
	max[GROUP_NAME_MAX] = 'a';
	assert_int_equal(syntax_group_name(max, NULL), -1);
	assert_int_equal(syntax_group_name("-a", NULL), -1);
	assert_int_equal(syntax_group_name("a_b", NULL), -1);
	assert_int_equal(syntax_group_name("a.b", NULL), -1);
	assert_int_equal(syntax_hostname("commits", NULL), -1);
	assert_int_equal(syntax_interface("..", NULL), -1);
	assert_int_equal(syntax_interface("eth0.100", NULL), 0);
	assert_int_equal(syntax_interface("a/b", NULL), -1);
	assert_int_equal(syntax_tap_prefix("fifteen-letters", NULL), -1);
	assert_int_equal(syntax_tap_prefix("fourteenletter", NULL), 0);
	assert_int_equal(syntax_bind_address("127.0.0.1:", NULL), 0);
	assert_int_equal(syntax_bind_address("127.0.0.1:80", NULL), -1);
	assert_int_equal(syntax_bind_address(":", NULL), -1);
	assert_int_equal(syntax_ssh_key("ssh-ed25519 AAAA me\n", NULL), 0);
	assert_int_equal(syntax_ssh_key("# nothing\n\n", NULL), -1);
	assert_int_equal(syntax_ssh_key("AAAA", NULL), -1);
	assert_int_equal(syntax_ssh_key("ssh-ed25519", NULL), -1);
	assert_int_equal(syntax_ssh_key("not a key", NULL), -1);
	assert_int_equal(
		syntax_ssh_key(
			"no-pty,command=\"echo x\" ecdsa-sha2-nistp256\tAAAA\nsk-ssh-ed25519@openssh.com AAAA me",
			NULL),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_cidrs),	   cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_rules),	  cmocka_unit_test(test_forwards), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
