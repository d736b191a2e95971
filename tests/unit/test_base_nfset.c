/* SPDX-License-Identifier: MIT */
/* In a network namespace of its own, so that nothing on the host changes. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/nfset.h"
#include "base/proc.h"
#include "base/str.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include "netns_fixture.h"

static const unsigned char mac[6] = {0x02, 0x00, 0x5e, 0x10, 0x20, 0x30};

/* One for all tests, so that each finds what the one before has left unread. */
static int setup(void **state)
{
	if (enter_network_namespace() < 0)
		return -1;
	free(say("nft -f - <<'END'\n"
		 "table bridge t {\n"
		 "set names { type ifname; }\n"
		 "set macs { type ifname . ether_addr; }\n"
		 "map much { type ifname : limit; }\n"
		 "set three { type ifname . ether_addr . ipv4_addr; }\n"
		 "}\n"
		 "END\n"));
	*state = nfset_new();
	return 0;
}

static int teardown(void **state)
{
	nfset_free((struct nfset **)state);
	return 0;
}

static void fill(struct nfset_element elements[3])
{
	memset(elements, 0, 3 * sizeof(*elements));
	elements[0].set = "names";
	nfset_key_ifname(&elements[0], "fifteen-bytes-x");
	elements[1].set = "macs";
	nfset_key_ifname(&elements[1], "vmtap1");
	nfset_key_mac(&elements[1], mac);
	elements[2].set = "three";
	nfset_key_ifname(&elements[2], "vmtap1");
	nfset_key_mac(&elements[2], mac);
	nfset_key_ip4(&elements[2], (struct in_addr){htonl(0xc0000201)});
}

static void test_elements(void **state)
{
	cleanup_free char *empty = say("nft list ruleset"), *text = NULL, *again = NULL, *gone = NULL;
	struct nfset_element elements[3];

	fill(elements);
	assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "t", elements, 3, NULL), 0);
	text = say("nft list ruleset");
	assert_non_null(strstr(text, "{ \"fifteen-bytes-x\" }"));
	assert_non_null(strstr(text, "{ \"vmtap1\" . 02:00:5e:10:20:30 }"));
	assert_non_null(strstr(text, "{ \"vmtap1\" . 02:00:5e:10:20:30 . 192.0.2.1 }"));
	assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "t", elements, 3, NULL), 0);
	again = say("nft list ruleset");
	assert_string_equal(again, text);
	/* A missing one keeps no other. */
	assert_int_equal(nfset_delete(*state, NFPROTO_BRIDGE, "t", elements, 1, NULL), 0);
	assert_int_equal(nfset_delete(*state, NFPROTO_BRIDGE, "t", elements, 3, NULL), 0);
	assert_int_equal(nfset_delete(*state, NFPROTO_BRIDGE, "t", elements, 3, NULL), 0);
	gone = say("nft list ruleset");
	assert_string_equal(gone, empty);
}

/* All or none. */
static void test_missing(void **state)
{
	cleanup_free char *empty = say("nft list ruleset"), *after = NULL;
	cleanup_error struct error *table = NULL, *set = NULL, *family = NULL, *many = NULL;
	struct nfset_element elements[3];

	fill(elements);
	assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "none", elements, 3, &table), -1);
	assert_int_equal(table->code, ERR_NOT_FOUND);
	assert_int_equal(nfset_delete(*state, NFPROTO_BRIDGE, "none", elements, 3, NULL), 0);
	assert_int_equal(nfset_add(*state, NFPROTO_IPV4, "t", elements, 3, &family), -1);
	elements[2].set = "none";
	assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "t", elements, 3, &set), -1);
	assert_int_equal(set->code, ERR_NOT_FOUND);
	after = say("nft list ruleset");
	assert_string_equal(after, empty);
	assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "t", elements, 0, NULL), 0);
	assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "t", elements, NFSET_MAX_ELEMENTS + 1, &many), -1);
	assert_int_equal(many->code, ERR_INVALID);
}

/* As nft reads it; the kernel's bucket of bytes holds a second more than the burst. */
static void test_limits(void **state)
{
	static const struct nfset_limit limits[] = {
		{.name = "vmtap1/bytes", .rate = 65536, .burst = 65536, .bytes = true},
		{.name = "vmtap1/packets", .rate = 1000, .burst = 100}};
	cleanup_free char *empty = say("nft list ruleset"), *text = NULL, *held = NULL, *gone = NULL;
	struct nfset_element element = {.set = "much", .object = limits[0].name};
	cleanup_error struct error *used = NULL, *none = NULL;

	nfset_key_ifname(&element, "vmtap1");
	assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "t", &element, 1, &none), -1);
	assert_int_equal(none->code, ERR_NOT_FOUND);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(nfset_limit_add(*state, NFPROTO_BRIDGE, "t", limits, 2, NULL), 0);
		assert_int_equal(nfset_add(*state, NFPROTO_BRIDGE, "t", &element, 1, NULL), 0);
	}
	text = say("nft list ruleset");
	assert_non_null(strstr(text, "limit vmtap1/bytes {\n\t\trate over 64 kbytes/second burst 64 kbytes\n"));
	assert_non_null(strstr(text, "limit vmtap1/packets {\n\t\trate over 1000/second burst 100 packets\n"));
	assert_non_null(strstr(text, "{ \"vmtap1\" : \"vmtap1/bytes\" }"));
	assert_int_equal(nfset_limit_delete(*state, NFPROTO_BRIDGE, "t", limits, 1, &used), -1);
	held = say("nft list ruleset");
	assert_string_equal(held, text);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(nfset_delete(*state, NFPROTO_BRIDGE, "t", &element, 1, NULL), 0);
		assert_int_equal(nfset_limit_delete(*state, NFPROTO_BRIDGE, "t", limits, 2, NULL), 0);
	}
	gone = say("nft list ruleset");
	assert_string_equal(gone, empty);
}

/* Rules, and those that jump to the chain. */
static void test_chains(void **state)
{
	static const struct nfset_chain whole[] = {{NFPROTO_BRIDGE, "base", 2}, {NFPROTO_BRIDGE, "called", 3}},
					less[] = {{NFPROTO_BRIDGE, "base", 0}, {NFPROTO_BRIDGE, "called", 2}},
					more[] = {{NFPROTO_BRIDGE, "base", 2}, {NFPROTO_BRIDGE, "called", 4}},
					none[] = {{NFPROTO_BRIDGE, "missing", 0}, {NFPROTO_BRIDGE, "base", 2}},
					other[] = {{NFPROTO_BRIDGE, "base", 2}, {NFPROTO_IPV4, "base", 2}};
	cleanup_error struct error *few = NULL, *missing = NULL, *family = NULL, *flushed = NULL;

	free(say(
		"nft 'add table bridge c; add chain bridge c called; add chain bridge c base { type filter hook prerouting priority 0; };"
		"add rule bridge c called accept; add rule bridge c called drop;"
		"add rule bridge c base jump called; add rule bridge c base accept'"));
	assert_int_equal(nfset_chains_check(*state, "c", whole, 2, NULL), 0);
	assert_int_equal(nfset_chains_check(*state, "c", less, 2, NULL), 0);
	assert_int_equal(nfset_chains_check(*state, "c", more, 2, &few), -1);
	assert_int_equal(few->code, ERR_GONE);
	assert_non_null(strstr(few->message, "chain called in table c are gone"));
	assert_int_equal(nfset_chains_check(*state, "c", none, 2, &missing), -1);
	assert_int_equal(missing->code, ERR_GONE);
	assert_int_equal(nfset_chains_check(*state, "c", other, 2, &family), -1);
	assert_int_equal(family->code, ERR_GONE);
	free(say("nft flush chain bridge c base"));
	assert_int_equal(nfset_chains_check(*state, "c", whole, 2, &flushed), -1);
	assert_non_null(strstr(flushed->message, "chain base"));
	assert_int_equal(nfset_chains_check(*state, "c", less, 2, NULL), 0);
	free(say("nft delete table bridge c"));
}

enum { ROUNDS = 100 };

static void *change_often(void *sets)
{
	struct nfset_element element = {.set = "names"}, wrong[2] = {{.set = "none"}, {.set = "names"}};
	static const struct nfset_chain chain = {NFPROTO_BRIDGE, "missing", 1};
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "t%lx", (unsigned long)pthread_self() >> 12 & 0xffffff);
	nfset_key_ifname(&element, name);
	for (int i = 0; i < ROUNDS; i++) {
		cleanup_error struct error *refused = NULL, *gone = NULL;

		if (nfset_add(sets, NFPROTO_BRIDGE, "t", &element, 1, NULL) < 0 ||
		    nfset_add(sets, NFPROTO_BRIDGE, "t", wrong, 2, &refused) == 0 || refused->code != ERR_NOT_FOUND ||
		    nfset_chains_check(sets, "t", &chain, 1, &gone) == 0 || gone->code != ERR_GONE ||
		    nfset_delete(sets, NFPROTO_BRIDGE, "t", &element, 1, NULL) < 0)
			return sets;
	}
	return NULL;
}

static size_t count_sockets(void)
{
	cleanup_free char *text = say("ls -l /proc/$PPID/fd | grep -c socket:");

	return (size_t)atoi(text);
}

/* Several threads take turns; each gets the answers to what it asked, whatever was refused before, and all of it takes one socket. */
static void test_turns(void **state)
{
	cleanup_free char *before = say("nft list ruleset"), *after = NULL;
	pthread_t threads[4];
	size_t sockets = count_sockets();
	void *failed;

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, change_often, *state), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_true(sockets > 0);
	assert_int_equal(count_sockets(), sockets);
	after = say("nft list ruleset");
	assert_string_equal(after, before);
}

static bool told(int fd, const char *command)
{
	free(say(command));
	return nfset_watch_read(fd, "w");
}

/* What is added tells nothing, nor do other tables and elements. */
static void test_watch(void **state)
{
	cleanup_close int fd = nfset_watch_open(NULL);

	assert_true(fd >= 0);
	assert_false(told(
		fd,
		"nft 'add table bridge w; add chain bridge w c; add rule bridge w c drop; add set bridge w s { type ifname; }'"));
	assert_false(told(fd, "nft 'add element bridge w s { lo }; delete element bridge w s { lo }'"));
	assert_false(told(fd, "nft 'add table bridge ww; add chain bridge ww c; delete table bridge ww'"));
	assert_true(told(fd, "nft flush chain bridge w c"));
	assert_false(nfset_watch_read(fd, "w"));
	assert_true(told(fd, "nft delete chain bridge w c"));
	assert_true(told(fd, "nft delete table bridge w"));
	free(say("nft 'add table bridge w; add table bridge other'"));
	assert_true(told(fd, "nft flush ruleset"));
	assert_false(nfset_watch_read(fd, "w"));
}

/* Lengths that do not fit what there is. */
static void test_removal_cut(void **state)
{
	struct {
		struct nlmsghdr hdr;
		struct nfgenmsg head;
		struct rtattr attr;
		char name[4];
	} m = {.hdr = {.nlmsg_len = sizeof(m), .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE},
	       .attr = {.rta_len = RTA_LENGTH(2), .rta_type = NFTA_TABLE_NAME},
	       .name = "w"};

	assert_true(nfset_removal(&m, sizeof(m), "w"));
	assert_false(nfset_removal(&m, sizeof(m), "ww"));
	for (size_t n = 0; n < sizeof(m); n++)
		assert_false(nfset_removal(&m, n, "w"));
	m.attr.rta_len = RTA_LENGTH(sizeof(m.name) + 1);
	assert_false(nfset_removal(&m, sizeof(m), "w"));
	m.attr.rta_len = RTA_LENGTH(2);
	for (m.hdr.nlmsg_len = 0; m.hdr.nlmsg_len < offsetof(typeof(m), name); m.hdr.nlmsg_len++)
		assert_false(nfset_removal(&m, sizeof(m), "w"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements),    cmocka_unit_test(test_missing), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_chains),	    cmocka_unit_test(test_turns),   cmocka_unit_test(test_watch),
		cmocka_unit_test(test_removal_cut),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
