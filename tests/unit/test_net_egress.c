/* SPDX-License-Identifier: MIT */
/* The rules as text are compared with what the lists mean: here by looking at every entry, there by ranges that were cut
 * out of each other beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "net/egress.h"

static const struct ip4_cidr lan[] = {{0xc0a80100, 24}, {0x0a000000, 8}};
static const struct ip4_cidr never[] = {{0xa9fe0000, 16}, {0xc0a80105, 32}};
static const struct net_egress_ends ends = {"tap", "uplink", "2e:31:2a:ff:7d:45", 0xa9fe3c02};

static struct net_egress lists(char **allow, char **drop)
{
	return (struct net_egress){.allow = allow,
				   .drop = drop,
				   .lan = lan,
				   .nlan = ARRAY_LEN(lan),
				   .never = never,
				   .nnever = ARRAY_LEN(never)};
}

static uint32_t addr(const char *text)
{
	uint32_t a;

	assert_int_equal(ip4_parse(text, &a, NULL), 0);
	return a;
}

struct expectation {
	const char *allow, *drop;      /* words */
	const char *reached, *blocked; /* "A:PORT" words */
};

static const struct expectation expectations[] = {
	/* neither: open, but for what is never reached */
	{"", "", "1.1.1.1:53 192.168.1.7:80 10.1.2.3:1", "169.254.169.254:80 192.168.1.5:22 169.254.60.2:80"},
	/* only drop: the rest is allowed */
	{"", "192.168.1.0/24", "1.1.1.1:53 192.168.2.1:80 10.0.0.1:1", "192.168.1.1:80 192.168.1.255:9"},
	{"", "8.8.8.8:53", "8.8.8.8:54 8.8.4.4:53", "8.8.8.8:53"},
	{"", "8.8.8.8", "8.8.8.9:1", "8.8.8.8:53 8.8.8.8:1"},
	{"", "LAN", "1.1.1.1:53 11.0.0.1:1", "192.168.1.1:80 10.255.255.255:9"},
	{"", "0.0.0.0/0", "", "1.1.1.1:53 192.168.1.1:80 255.255.255.255:9"},
	/* only allow: the rest is blocked, DNS too */
	{"93.184.216.0/24", "", "93.184.216.34:443", "1.1.1.1:53 8.8.8.8:53 192.168.1.1:80"},
	{"93.184.216.34:443", "", "93.184.216.34:443", "93.184.216.34:80 1.1.1.1:443"},
	{"LAN", "", "192.168.1.1:80 10.9.9.9:1", "1.1.1.1:53 192.168.1.5:22"},
	{"0.0.0.0/0", "", "1.1.1.1:53", "169.254.169.254:80 192.168.1.5:80"},
	/* both: the most specific wins, what matches neither passes */
	{"0.0.0.0/0", "LAN", "1.1.1.1:53 9.9.9.9:1", "192.168.1.1:80 10.0.0.1:1"},
	{"192.168.1.7", "LAN", "192.168.1.7:80 1.1.1.1:53", "192.168.1.8:80"},
	{"192.168.1.7:443", "192.168.1.0/24", "192.168.1.7:443 1.1.1.1:53", "192.168.1.7:80"},
	{"10.0.0.0/8", "10.1.0.0/16", "10.2.0.1:1 11.0.0.1:1", "10.1.2.3:1"},
	{"10.1.2.0/24", "10.1.0.0/16", "10.1.2.3:1", "10.1.3.3:1"},
	{"10.1.2.3:80", "10.1.2.3", "10.1.2.3:80", "10.1.2.3:81"},
	{"10.1.2.3", "10.1.2.3:80", "10.1.2.3:81", "10.1.2.3:80"},
	/* a tie drops */
	{"10.1.0.0/16", "10.1.0.0/16", "10.2.0.1:1", "10.1.2.3:1"},
	{"10.1.2.3:80", "10.1.2.3:80", "10.1.2.3:81", "10.1.2.3:80"},
	{"LAN", "LAN", "1.1.1.1:1", "192.168.1.1:1"},
	/* what is never reached stays so */
	{"169.254.169.254 192.168.1.5:22", "9.9.9.9", "8.8.8.8:1", "169.254.169.254:80 192.168.1.5:22"},
};

static void check_words(const struct net_egress *e, const char *words, bool expected)
{
	cleanup_strv char **list = *words ? strv_split(words, ' ') : NULL;

	for (char **word = list; word && *word; word++) {
		char *colon = strchr(*word, ':');

		*colon = '\0';
		if (net_egress_allows(e, addr(*word), (uint16_t)atoi(colon + 1)) != expected)
			fail_msg("%s port %s is %s", *word, colon + 1, expected ? "blocked" : "reached");
	}
}

static void test_meaning(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
		const struct expectation *x = &expectations[i];
		cleanup_strv char **allow = *x->allow ? strv_split(x->allow, ' ') : NULL;
		cleanup_strv char **drop = *x->drop ? strv_split(x->drop, ' ') : NULL;
		struct net_egress e = lists(allow, drop);

		check_words(&e, x->reached, true);
		check_words(&e, x->blocked, false);
	}
}

/* ---- the script as nft would read it ---- */

/* The verdict of an address in `set never` or `map networks`: 'd', 'a', or 0 for none. Ranges must be in order and apart. */
static char look_up(const char *script, const char *name, uint32_t address)
{
	cleanup_free char *head = str_fmt("%s {\n", name);
	const char *body = strstr(script, head), *p;
	int64_t before = -1;
	char verdict = 0;

	assert_non_null(body);
	cleanup_free char *text = str_ndup(body, (size_t)(strstr(body, "\n\t}\n") - body));
	p = strstr(text, "elements = { ");
	for (p = p ? p + strlen("elements = { ") : NULL; p && *p != '}';
	     p += strcspn(p, ",}") + (p[strcspn(p, ",}")] == ',')) {
		size_t n;

		p += strspn(p, " ");
		n = strcspn(p, "- :,}");
		cleanup_free char *first = str_ndup(p, n);
		cleanup_free char *last =
			p[n] == '-' ? str_ndup(p + n + 1, strcspn(p + n + 1, " :,}")) : str_dup(first);
		cleanup_free char *item = str_ndup(p, strcspn(p, ",}"));

		if (!*first)
			break;
		assert_true((int64_t)addr(first) > before);
		before = addr(last);
		assert_true(addr(first) <= addr(last));
		if (address >= addr(first) && address <= addr(last))
			verdict = strstr(item, "accept") ? 'a' : 'd';
	}
	return verdict;
}

static char look_up_port(const char *script, uint32_t address, unsigned port)
{
	char text[IP4_TEXT_MAX];
	const char *at;

	ip4_format(address, text);
	cleanup_free char *key = str_fmt(" %s . tcp . %u : ", text, port),
			  *udp = str_fmt(" %s . udp . %u : ", text, port);
	at = strstr(script, key);
	if (!at)
		return 0;
	assert_non_null(strstr(script, udp));
	assert_null(strstr(at + 1, key));
	return str_starts(at + strlen(key), "accept") ? 'a' : 'd';
}

static bool passes(const char *script, uint32_t address, unsigned port)
{
	char verdict;

	if (look_up(script, "set never", address))
		return false;
	verdict = look_up_port(script, address, port);
	if (!verdict)
		verdict = look_up(script, "map networks", address);
	if (!verdict)
		verdict = strstr(script, "vmap @networks\n\t\taccept") ? 'a' : 'd';
	return verdict == 'a';
}

/* Few bits in play, so that much overlaps. */
static uint32_t random_address(unsigned *seed)
{
	return 0x0a000000 | (uint32_t)(rand_r(seed) & 7) << 16 | (uint32_t)(rand_r(seed) & 3) << 8 |
	       (uint32_t)(rand_r(seed) & 3);
}

static char **random_list(unsigned *seed)
{
	static const unsigned prefixes[] = {0, 8, 13, 14, 16, 22, 23, 24, 30, 31, 32};
	char **list = NULL, text[IP4_TEXT_MAX];

	for (int n = rand_r(seed) % 8; n > 0; n--) {
		struct ip4_cidr c = {random_address(seed), prefixes[(size_t)rand_r(seed) % ARRAY_LEN(prefixes)]};

		ip4_format(ip4_network(c), text);
		if (c.prefix == 32 && rand_r(seed) % 2)
			strv_append_fmt(&list, "%s:%d", text, 1 + rand_r(seed) % 2);
		else
			strv_append_fmt(&list, "%s/%u", text, c.prefix);
	}
	return list;
}

static void test_rules_are_what_the_lists_mean(void **state)
{
	unsigned seed = 4711, differ[2] = {0};

	for (int i = 0; i < 400; i++) {
		cleanup_strv char **allow = random_list(&seed), **drop = random_list(&seed);
		struct net_egress e = lists(allow, drop);
		cleanup_free char *script = NULL;

		e.nlan = 0;
		script = net_egress_script(&e, &ends, NULL);
		assert_non_null(script);
		for (int j = 0; j < 40; j++) {
			uint32_t a = j ? random_address(&seed) : 0xffffffff;
			unsigned port = 1 + (unsigned)rand_r(&seed) % 3;
			bool expected = net_egress_allows(&e, a, (uint16_t)port);

			differ[expected]++;
			if (passes(script, a, port) != expected) {
				cleanup_free char *x = allow ? strv_join(allow, " ") : NULL,
						  *y = drop ? strv_join(drop, " ") : NULL;

				fail_msg("allow %s, drop %s: %#x port %u\n%s", x ? x : "", y ? y : "", a, port, script);
			}
		}
	}
	assert_true(differ[0] > 1000 && differ[1] > 1000);
}

static void test_edges(void **state)
{
	static char all[] = "0.0.0.0/0", last[] = "255.255.255.255", first[] = "0.0.0.0", bad[] = "10.0.0.0/33";
	char *drop[] = {all, NULL}, *allow[] = {last, first, NULL}, *broken[] = {bad, NULL};
	struct net_egress e = {.allow = allow, .drop = drop};
	cleanup_free char *script = net_egress_script(&e, &ends, NULL);
	cleanup_error struct error *err = NULL;

	assert_non_null(strstr(
		script, "elements = { 0.0.0.0 : accept, 0.0.0.1-255.255.255.254 : drop, 255.255.255.255 : accept }"));
	e.drop = broken;
	assert_null(net_egress_script(&e, &ends, &err));
	assert_int_equal(err->code, ERR_INVALID);
	assert_non_null(strstr(error_message(err), "10.0.0.0/33"));
}

static void test_what_is_the_hosts(void **state)
{
	static char alias[] = "slicer:a-1:vm";
	struct link links[] = {{.index = 1, .name = "lo", .flags = IFF_LOOPBACK},
			       {.index = 2, .name = "eth0"},
			       {.index = 3, .name = "brvm0", .kind = "bridge", .alias = alias}};
	struct link_addr addrs[] = {{1, {0x0100007f}, 8}, {2, {0x0500000a}, 24}, {3, {0x0189a8c0}, 24}};
	struct net_facts facts = {.links = links, .nlinks = 3, .addrs = addrs, .naddrs = 3};
	size_t n;
	cleanup_free struct ip4_cidr *own = net_egress_lan(&facts, &n);

	assert_int_equal(n, 1); /* neither the loopback nor our own bridge */
	assert_int_equal(own[0].addr, 0x0a000000);
	assert_int_equal(own[0].prefix, 24);
	cleanup_free struct ip4_cidr *list = net_egress_never(&facts, (struct ip4_cidr){0}, &n);
	struct net_egress e = {.never = list, .nnever = n};
	assert_false(net_egress_allows(&e, addr("10.0.0.5"), 80));
	assert_true(net_egress_allows(&e, addr("10.0.0.6"), 80));
	assert_false(net_egress_allows(&e, addr("192.168.137.7"), 80)); /* a VM on the bridge */
	assert_false(net_egress_allows(&e, addr("127.0.0.2"), 80));
	assert_false(net_egress_allows(&e, addr("224.0.0.251"), 5353));
	assert_false(net_egress_allows(&e, addr("255.255.255.255"), 67));
}

/* However many VMs of its group there are, and whatever range they are in. */
static void test_rules_do_not_grow_with_vms(void **state)
{
	static char alias[] = "slicer:a-1:vm";
	struct link links[] = {{.index = 1, .name = "ve-0123456789", .alias = alias}};
	struct link_addr addrs[] = {{1, {0x0100c80a}, 32}, {1, {0x0500c80a}, 32}, {1, {0x0901c80a}, 32}};
	struct net_facts one = {.links = links, .nlinks = 1, .addrs = addrs, .naddrs = 1}, three = one;
	struct ip4_cidr range = {0x0ac80000, 21}, unknown = {0};
	struct net_egress a = {0}, b = {0}, c = {0};
	cleanup_free struct ip4_cidr *first = net_egress_never(&one, range, &a.nnever),
				     *second = (three.naddrs = 3, net_egress_never(&three, range, &b.nnever)),
				     *third = net_egress_never(&three, unknown, &c.nnever);

	a.never = first;
	b.never = second;
	c.never = third;
	cleanup_free char *few = net_egress_script(&a, &ends, NULL), *many = net_egress_script(&b, &ends, NULL),
			  *old = net_egress_script(&c, &ends, NULL);
	assert_string_equal(few, many);
	assert_non_null(strstr(few, "10.200.0.0-10.200.7.255"));
	assert_non_null(strstr(old, "10.200.1.9"));
	assert_false(net_egress_allows(&b, addr("10.200.7.9"), 80));
	assert_true(net_egress_allows(&b, addr("10.200.8.1"), 80));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_rules_are_what_the_lists_mean),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_what_is_the_hosts),
		cmocka_unit_test(test_rules_do_not_grow_with_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
