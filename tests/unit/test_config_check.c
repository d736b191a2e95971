/* SPDX-License-Identifier: MIT */
/* Rules that span several keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "config/config.h"

/* One entry of host_groups per line, as a flow map. */
static struct config *parse(const char *groups)
{
	cleanup_error struct error *err = NULL;
	cleanup_strv char **lines = strv_split(groups, '\n');
	cleanup_free char *joined = strv_join(lines, "\n  - ");
	cleanup_free char *text = str_fmt("config:\n  host_groups:\n  - %s\n", joined);
	struct config *cfg = NULL;

	if (config_parse(text, strlen(text), "f", &cfg, &err) < 0)
		fail_msg("%s\n%s", text, error_message(err));
	return cfg;
}

static const struct {
	const char *groups, *message;
} refused[] = {
	{"{name: vm}\n{name: vm}", "f:4:12: host_groups[1].name: the name \"vm\" is also that of "
				   "host_groups[0]; names must differ"},
	{"{name: vm, storage: image}", "f:3:25: host_groups[0].storage: storage image makes a full "
				       "disk per VM and needs its size; add storage_size: 25G"},
	{"{name: vm, storage: devmapper, storage_size: 25G}",
	 "f:3:50: host_groups[0].storage_size: devmapper takes the size from its thin pool; leave "
	 "storage_size out, or use "
	 "storage image or zfs"},
	/* names in isolated networks */
	{"{name: isolated-agents, network: {mode: isolated}}",
	 "f:3:12: host_groups[0].name: \"isolated-agents\" is too long for an isolated network: VM "
	 "names such as "
	 "isolated-agents-1 may have at most 15 characters there, which leaves 13 for the group; "
	 "agents would fit"},
	{"{name: thirteen-char, count: 10, network: {mode: isolated}}",
	 "f:3:12: host_groups[0].name: \"thirteen-char\" is too long for an isolated network: VM names "
	 "such as "
	 "thirteen-char-10 may have at most 15 characters there, which leaves 12 for the group; agents "
	 "would fit"},
	/* keys of other modes */
	{"{name: vm, network: {drop: [LAN]}}", "f:3:32: host_groups[0].network.drop: mode bridge does "
					       "not use drop; it belongs to mode isolated"},
	{"{name: vm, network: {mode: isolated, gateway: 10.0.0.1/24}}",
	 "f:3:51: host_groups[0].network.gateway: mode isolated does not use gateway; it belongs to "
	 "mode bridge or macvtap"},
	{"{name: vm, network: {mode: user, parent: eth0}}",
	 "f:3:46: host_groups[0].network.parent: mode user does not use parent; it belongs to mode "
	 "macvtap"},
	/* bridge */
	{"{name: vm, count: 2, network: {gateway: 10.0.0.1/30}}",
	 "f:3:23: host_groups[0].count: 2 VMs need more addresses than the subnet has (1); lower count "
	 "or give more"},
	{"{name: vm, network: {gateway: 10.0.0.1/24, range: 10.0.1.2-10.0.1.9}}",
	 "f:3:55: host_groups[0].network.range: 10.0.1.2-10.0.1.9 is not made of free addresses in the "
	 "subnet of gateway "
	 "10.0.0.1/24"},
	{"{name: vm, network: {gateway: 10.0.0.1/24, range: 10.0.0.0/25}}",
	 "f:3:55: host_groups[0].network.range: \"10.0.0.0/25\" is not a range of IPv4 addresses such "
	 "as "
	 "192.168.137.20-192.168.137.80"},
	{"{name: vm, count: 4, network: {gateway: 10.0.0.1/24, range: 10.0.0.2-10.0.0.4}}",
	 "f:3:23: host_groups[0].count: 4 VMs need more addresses than the range has (3); lower count "
	 "or give more"},
	{"{name: vm, network: {gateway: 10.0.0.1/24, addresses: [10.0.1.2/24]}}",
	 "f:3:59: host_groups[0].network.addresses: 10.0.1.2/24 is not a free address in the subnet of "
	 "gateway 10.0.0.1/24"},
	{"{name: vm, network: {gateway: 10.0.0.1/24, addresses: [10.0.0.1]}}",
	 "f:3:59: host_groups[0].network.addresses: 10.0.0.1 is not a free address in the subnet of "
	 "gateway 10.0.0.1/24"},
	{"{name: vm, network: {gateway: 10.0.0.1/24, addresses: [10.0.0.2/16]}}",
	 "f:3:59: host_groups[0].network.addresses: 10.0.0.2/16 has another prefix length than gateway "
	 "10.0.0.1/24"},
	{"{name: vm, network: {gateway: 10.0.0.1/24, addresses: [10.0.0.2, 10.0.0.2/24]}}",
	 "f:3:59: host_groups[0].network.addresses: 10.0.0.2/24 is there twice"},
	{"{name: vm, count: 2, network: {gateway: 10.0.0.1/24, addresses: [10.0.0.2]}}",
	 "f:3:23: host_groups[0].count: 2 VMs need more addresses than the list of addresses has (1); "
	 "lower count or give more"},
	{"{name: vm, network: {gateway: 10.0.0.1/24, range: 10.0.0.2-10.0.0.3, addresses: [10.0.0.2]}}",
	 "f:3:85: host_groups[0].network.addresses: give either range or addresses, not both"},
	{"{name: a, network: {gateway: 10.0.0.1/16}}\n{name: b, network: {gateway: 10.0.9.1/24}}",
	 "f:4:34: host_groups[1].network.gateway: the subnet overlaps that of host_groups[0] (a); give "
	 "each group its own"},
	{"{name: a, network: {bridge: br0}}\n{name: b, network: {bridge: br0, gateway: 10.0.9.1/24}}",
	 "f:4:33: host_groups[1].network.bridge: host_groups[0] has the bridge br0 too; each group "
	 "needs its own"},
	{"{name: a, network: {}}\n{name: b, network: {}}",
	 "f:4:24: host_groups[1].network.gateway: the subnet overlaps that of host_groups[0] (a); give "
	 "each group its own"},
	/* isolated */
	{"{name: vm, network: {mode: isolated, range: 169.254.100.0-169.254.103.255}}",
	 "f:3:49: host_groups[0].network.range: \"169.254.100.0-169.254.103.255\" must be a subnet with a "
	 "prefix length from 8 to 30 that begins at its network address, such as 169.254.100.0/22"},
	{"{name: vm, network: {mode: isolated, range: 169.254.100.1/22}}",
	 "f:3:49: host_groups[0].network.range: \"169.254.100.1/22\" must be a subnet with a prefix "
	 "length from 8 to 30 that "
	 "begins at its network address, such as 169.254.100.0/22"},
	{"{name: vm, network: {mode: isolated, range: 169.254.168.0/24}}",
	 "f:3:49: host_groups[0].network.range: 169.254.168.0/24 contains 169.254.168.0/22, which is "
	 "reserved for link-local "
	 "services such as cloud metadata; take another, such as 169.254.100.0/22"},
	{"{name: vm, count: 257, network: {mode: isolated}}",
	 "f:3:23: host_groups[0].count: 257 VMs need more addresses than the range, at one /30 per VM, "
	 "has (256); lower count "
	 "or give more"},
	/* macvtap */
	{"{name: vm, network: {mode: macvtap, range: 10.0.0.2-10.0.0.9}}",
	 "f:3:48: host_groups[0].network.range: without a gateway, addresses come from the LAN's DHCP "
	 "server; add gateway: "
	 "ADDRESS/LENGTH"},
	{"{name: vm, network: {mode: macvtap, gateway: 10.0.0.1/27}}",
	 "f:3:50: host_groups[0].network.gateway: 10.0.0.1/27 is a subnet of fewer than 64 addresses, of which none can be taken "
	 "unasked; say which ones the VMs may have with range: FIRST-LAST, or addresses"},
	{"{name: vm, count: 36, network: {mode: macvtap, gateway: 10.0.0.1/24}}",
	 "f:3:23: host_groups[0].count: 36 VMs need more addresses than the end of the subnet has (35); lower count or give more"},
	{"{name: vm, count: 35, network: {mode: macvtap, gateway: 10.0.0.254/24}}",
	 "f:3:23: host_groups[0].count: 35 VMs need more addresses than the end of the subnet has (34); lower count or give more"},
	/* user */
	{"{name: vm, count: 2, network: {mode: user, forwards: [\"80:80\"]}}",
	 "f:3:58: host_groups[0].network.forwards: a port of the host leads to one VM, the first of its "
	 "group, and count is 2; set count: 1, or use `slicer vm forward`"},
	{"{name: vm, count: 0, network: {mode: user, forwards: [\"80:80\"]}}",
	 "f:3:58: host_groups[0].network.forwards: a port of the host leads to one VM, the first of its "
	 "group, and count is 0; set count: 1, or use `slicer vm forward`"},
	{"{name: vm, network: {mode: user, forwards: [\"80:80\", \"0.0.0.0:80:127.0.0.1:81\"]}}",
	 "f:3:48: host_groups[0].network.forwards: host port 80 is there twice"},
	{"{name: vm, network: {mode: user, forwards: [\"8080:80\"]}}",
	 "f:3:48: host_groups[0].network.forwards: host port 8080 is where the API listens; forward another, or set api.port, or a "
	 "socket as api.bind_address"},
	{"{name: a, network: {mode: user, forwards: [\"90:80\"]}}\n{name: b, network: {mode: user, forwards: [\"90:81\"]}}",
	 "f:4:47: host_groups[1].network.forwards: host_groups[0] forwards the port of \"90:81\" too"},
	{"{name: vm, network: {mode: user, forwards: [\"80:80\", \"80:81\"]}}",
	 "f:3:48: host_groups[0].network.forwards: host port 80 is there twice"},
	/* slots */
	{"{name: s, slots: {dev: {}}}", "f:3:28: host_groups[0].slots.dev: the name does not end in a "
					"number from 1 to 255; rename it (slot6) or write dev: "
					"{index: N}"},
	{"{name: s, slots: {a1: {}, b1: {}}}", "f:3:35: host_groups[0].slots.b1: index 1, and with it "
					       "subnet 10.1.0.0/24, is also that of slot a1"},
	{"{name: s, slots: {a256: {}}}", "f:3:29: host_groups[0].slots.a256: the name does not end in "
					 "a number from 1 to 255; rename it (slot6) or write "
					 "a256: {index: N}"},
	{"{name: vm}\n{name: s, slots: {vm-1: {}}}",
	 "f:4:29: host_groups[1].slots.vm-1: \"vm-1\" is the name of a VM of another group"},
	{"{name: s, count: 1, slots: {a1: {}}}",
	 "f:3:22: host_groups[0].count: a group with slots has one VM per slot; leave count out"},
	{"{name: s, network: {}, slots: {a1: {}}}",
	 "f:3:24: host_groups[0].network: slots have their own networks (10.N.0.0/24); leave the "
	 "network section out"},
	{"{name: s, slots: {a9: {}}}\n{name: b, network: {gateway: 10.9.0.1/16}}",
	 "f:3:27: host_groups[0].slots.a9: its subnet 10.9.0.0/24 overlaps that of host_groups[1] (b)"},
	{"{name: vm, warm: 2}",
	 "f:3:22: host_groups[0].warm: only forks of a template can be kept ready; add template: true"},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		cleanup_config struct config *cfg = parse(refused[i].groups);
		cleanup_error struct error *err = NULL;

		if (config_check(cfg, &err) == 0)
			print_error("accepted: %s\n", refused[i].groups);
		assert_non_null(err);
		assert_string_equal(error_message(err), refused[i].message);
		assert_int_equal(err->code, ERR_INVALID);
	}
}

static void test_accepted(void **state)
{
	static const char *const good[] = {
		"{name: agents, count: 256, network: {mode: isolated}}",
		"{name: a, storage: zfs}",
		"{name: a, storage: zfs, storage_size: 40G}",
		"{name: vm, count: 253, network: {gateway: 10.0.0.1/24}}",
		"{name: vm, count: 3, network: {gateway: 10.0.0.3/24, range: 10.0.0.2-10.0.0.5}}",
		"{name: vm, count: 0, network: {mode: macvtap, gateway: 10.0.0.254/24, addresses: "
		"[10.0.0.9/24]}}",
		"{name: a, network: {}}\n{name: b, network: {gateway: 192.168.138.1/24}}",
		"{name: a, network: {mode: isolated, range: 10.9.0.0/30}}",
		"{name: vm, network: {mode: user, forwards: [\"80:80\", "
		"\"127.0.0.2:80:127.0.0.1:80\"]}}",
		"{name: vm}\n{name: s, slots: {slot1: {}, vm-x1: {index: 9}, vm-01: {index: 3}}}",
		"{name: vm, template: true, warm: 2}",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		cleanup_config struct config *cfg = parse(good[i]);
		cleanup_error struct error *err = NULL;

		if (config_check(cfg, &err) < 0)
			fail_msg("%s: %s", good[i], error_message(err));
	}
}

static void test_slots(void **state)
{
	cleanup_config struct config *cfg = parse("{name: s, slots: {slot6: , dev: {index: 200}, x255: {}}}");
	const struct config_group *g = &cfg->groups[0];

	assert_int_equal(g->nslots, 3);
	assert_int_equal(g->network.mode, NET_SLOTS);
	assert_int_equal(g->count, 0);
	assert_int_equal(g->vcpu, 1);
	assert_int_equal(g->ram_bytes, 1ULL << 30);
	assert_int_equal(g->storage_size, 64ULL << 30);
	assert_string_equal(g->slots[0].name, "slot6");
	assert_int_equal(g->slots[0].index, 6);
	assert_int_equal(g->slots[1].index, 200);
	assert_int_equal(g->slots[2].index, 255);
}

static void test_where(void **state)
{
	cleanup_config struct config *cfg = parse("{name: a, network: {mode: user}}\n{name: b}");
	static const struct {
		int group; /* -1: the configuration */
		const char *key, *place;
	} places[] = {
		{0, "name", "f:3:12"},	      {0, "network.mode", "f:3:31"}, {0, "network.gateway", "f:3:24"},
		{1, "name", "f:4:12"},	      {1, "image", "f:4:5"},	     {-1, "image", "f:2:3"},
		{-1, "host_groups", "f:3:3"},
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const struct config_group *g = places[i].group < 0 ? NULL : &cfg->groups[places[i].group];
		cleanup_free char *where = config_where(cfg, g, places[i].key);

		assert_string_equal(where, places[i].place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
