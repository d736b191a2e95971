/* SPDX-License-Identifier: MIT */
/* What the configuration refuses, and the exact words for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "config/config.h"

#define GROUP "config:\n  host_groups:\n  - name: vm\n"

static void check_message(const char *text, size_t n, const char *expected)
{
	cleanup_config struct config *cfg = NULL;
	cleanup_error struct error *err = NULL;

	if (config_parse(text, n, "f", &cfg, &err) == 0)
		print_error("accepted: %s\n", text);
	assert_null(cfg);
	assert_non_null(err);
	assert_string_equal(error_message(err), expected);
	assert_int_equal(err->code, ERR_INVALID);
}

static struct config *parse(const char *text)
{
	cleanup_error struct error *err = NULL;
	struct config *cfg = NULL;

	if (config_parse(text, strlen(text), "f", &cfg, &err) < 0)
		fail_msg("%s", error_message(err));
	return cfg;
}

static const struct {
	const char *text, *message;
} refused[] = {
	/* the document */
	{"", "f:1:1: the file is empty; it needs a \"config:\" key"},
	{"# nothing\n", "f:2:1: the file is empty; it needs a \"config:\" key"},
	{"[]\n", "f:1:1: the file must be a map with the key \"config\", not a list"},
	{"config:\n", "f:1:8: config must be a map, not null"},
	{"{}\n", "f:1:1: the file needs the key \"config\""},
	{"config: {host_groups: [{name: vm}]}\nextra: 1\n",
	 "f:2:1: unknown key \"extra\" at the top of the file; everything belongs below \"config:\""},
	{"config: {host_groups: [{name: vm}]}\n---\nconfig: {}\n",
	 "f:2:1: a second YAML document begins here; only one per file is allowed"},
	{"config: {host_groups: [{name: vm}\n",
	 "f:2:1: YAML syntax: while parsing a flow sequence, did not find expected ',' or ']'"},
	{"config:\n\thost_groups: []\n", "f:2:1: YAML syntax: a tab in the indentation; use spaces"},
	{"config:\n  host_groups:\n  - name: vm\n  \tcount: 1\n",
	 "f:4:3: YAML syntax: a tab in the indentation; use spaces"},
	{"config: @x\n", "f:1:9: YAML syntax: while scanning for the next token, found "
			 "character that cannot start any token"},
	/* what YAML could do, and we do not */
	{"config: &c {host_groups: []}\n", "f:1:9: anchors (&c) are not supported; write the value out"},
	{"config:\n  host_groups: *g\n", "f:2:16: aliases (*g) are not supported; write the value out"},
	{"config: {*k : 1}\n", "f:1:10: aliases (*k) are not supported; write the value out"},
	{"config: !!map {}\n", "f:1:9: tags (tag:yaml.org,2002:map) are not supported; leave the tag out"},
	{"config: {image: !x y}\n", "f:1:17: tags (!x) are not supported; leave the tag out"},
	{"config: {[a]: b}\n", "f:1:10: a key must be a single word, not a list or a map"},
	{"config: {image: \"a\\0b\"}\n", "f:1:17: a NUL byte is not allowed in a value"},
	/* keys */
	{GROUP "    count: 1\n    count: 2\n", "f:5:5: duplicate key \"count\"; it is also on line 4"},
	{GROUP "    vcpus: 2\n", "f:4:5: unknown key \"vcpus\" in host_groups[0]; did you mean \"vcpu\"?"},
	{GROUP "    ram: 2\n", "f:4:5: unknown key \"ram\" in host_groups[0]; did you mean \"ram_gb\"?"},
	{GROUP "    storage-size: 2G\n",
	 "f:4:5: unknown key \"storage-size\" in host_groups[0]; did you mean \"storage_size\"?"},
	{GROUP "    network: {gatway: 10.0.0.1/8}\n",
	 "f:4:15: unknown key \"gatway\" in host_groups[0].network; did you mean \"gateway\"?"},
	{GROUP "  hostgroups: []\n", "f:4:3: unknown key \"hostgroups\" in config; did you mean \"host_groups\"?"},
	{GROUP "  ssh: {zzzzzz: 1}\n", "f:4:9: unknown key \"zzzzzz\" in ssh; known keys are port, bind_address"},
	{"config: {image: micro}\n", "f:1:9: config needs the key \"host_groups\""},
	{"config: {host_groups: [{count: 1}]}\n", "f:1:24: host_groups[0] needs the key \"name\""},
	{"config: {host_groups: []}\n", "f:1:23: host_groups must not be empty"},
	/* two ways to say it */
	{GROUP "    ram_gb: 2\n    ram_mb: 512\n",
	 "f:5:5: host_groups[0]: ram_gb and ram_mb say the same thing; give only one of them"},
	{GROUP "    ram_bytes: 4294967296\n    ram_gb: 4\n",
	 "f:5:5: host_groups[0]: ram_bytes and ram_gb say the same thing; give only one of them"},
	{GROUP "    userdata: x\n    userdata_file: y\n",
	 "f:5:5: host_groups[0]: userdata and userdata_file say the same thing; give only one of them"},
	/* types */
	{GROUP "    count: three\n", "f:4:12: host_groups[0].count must be a whole number, not a string"},
	{GROUP "    count: \"3\"\n", "f:4:12: host_groups[0].count must be a whole number, not a quoted string"},
	{GROUP "    count: 1.5\n",
	 "f:4:12: host_groups[0].count must be a whole number, not a number that is not whole"},
	{GROUP "    count: 010\n", "f:4:12: host_groups[0].count: write the number 010 without leading zeros"},
	{GROUP "    count: [1]\n", "f:4:12: host_groups[0].count must be a whole number, not a list"},
	{GROUP "    persistent: 1\n", "f:4:17: host_groups[0].persistent must be true or false, not a number"},
	{GROUP "    persistent: \"true\"\n",
	 "f:4:17: host_groups[0].persistent must be true or false, not a quoted string"},
	{GROUP "    network: bridge\n", "f:4:14: host_groups[0].network must be a map, not a string"},
	{GROUP "    dns_servers: 1.1.1.1\n",
	 "f:4:18: host_groups[0].dns_servers must be a list of strings, not a string"},
	{GROUP "    dns_servers: [~]\n", "f:4:19: host_groups[0].dns_servers[0] must be a string, not null"},
	{GROUP "    image: {a: b}\n", "f:4:12: host_groups[0].image must be a string, not a map"},
	{GROUP "    storage: []\n",
	 "f:4:14: host_groups[0].storage must be one of overlay, image, devmapper, zfs, not a list"},
	{GROUP "    slots: [slot1]\n", "f:4:12: host_groups[0].slots must be a map, not a list"},
	{GROUP "    slots: {slot1: 3}\n", "f:4:20: host_groups[0].slots.slot1 must be a map, not a number"},
	/* ranges */
	{GROUP "    vcpu: 0\n", "f:4:11: host_groups[0].vcpu must be from 1 to 288, not 0"},
	{GROUP "    count: -1\n", "f:4:12: host_groups[0].count must be from 0 to 10000, not -1"},
	{GROUP "    count: 99999999999999999999999\n",
	 "f:4:12: host_groups[0].count must be from 0 to 10000, not 99999999999999999999999"},
	{GROUP "    ram_mb: 31\n", "f:4:13: host_groups[0].ram_mb must be from 32 to 16777216, not 31"},
	{GROUP "    storage_size: 1M\n", "f:4:19: host_groups[0].storage_size must be from 64MiB to 64TiB, not 1M"},
	{GROUP "    storage_size: big\n",
	 "f:4:19: host_groups[0].storage_size: \"big\" is not a size such as 25G or 512M"},
	{GROUP "  api: {port: 65536}\n", "f:4:15: api.port must be from 1 to 65535, not 65536"},
	{GROUP "  hypervisor: xen\n",
	 "f:4:15: hypervisor must be one of qemu, firecracker, cloud-hypervisor, not \"xen\""},
	{GROUP "    network: {mode: slots}\n", "f:4:21: host_groups[0].network.mode must be one of "
					       "bridge, isolated, macvtap, user, not \"slots\""},
	{GROUP "    dns_servers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]\n",
	 "f:4:18: host_groups[0].dns_servers has 4 entries; at most 3 are allowed"},
	/* forms */
	{"config: {host_groups: [{name: VM}]}\n",
	 "f:1:31: host_groups[0].name: \"VM\" is not a DNS label: use lower-case letters, digits and, "
	 "inside, \"-\""},
	{"config: {host_groups: [{name: \"\"}]}\n", "f:1:31: host_groups[0].name must not be empty"},
	{"config: {host_groups: [{name: vm-}]}\n",
	 "f:1:31: host_groups[0].name: \"vm-\" is not a DNS label: use lower-case letters, digits and, "
	 "inside, \"-\""},
	{GROUP "    network: {bridge: a-very-long-bridge}\n",
	 "f:4:23: host_groups[0].network.bridge: \"a-very-long-bridge\" is longer than 15 characters, "
	 "the limit of Linux "
	 "for network interfaces"},
	{GROUP "    network: {gateway: 192.168.137.0/24}\n",
	 "f:4:24: host_groups[0].network.gateway: \"192.168.137.0/24\" is the network or broadcast "
	 "address of its subnet; "
	 "give the gateway's own, usually the one that ends in .1"},
	{GROUP "    slots: {commits: {index: 1}}\n", "f:4:13: host_groups[0].slots: \"commits\" cannot "
						     "be a hostname: the API uses that word itself"},
	{GROUP "  image: \"two words\"\n", "f:4:10: image: \"two words\" is not an image: give a name "
					   "such as micro or an OCI reference such as "
					   "ghcr.io/OWNER/NAME:TAG"},
	{GROUP "  image: \"a\\nb\"\n", "f:4:10: image holds a control character (byte 0x0a), which is not allowed"},
	{GROUP "  ssh_keys: [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]\n",
	 "f:4:14: ssh_keys[0]: this is a private key; give the public one, from the .pub file"},
	{GROUP "  pci: {vm-1: [\"04:00.8\"]}\n",
	 "f:4:16: pci.vm-1[0]: \"04:00.8\" is not a PCI address such as 0000:04:00.0"},
	{GROUP "  api: {bind_address: example.org}\n",
	 "f:4:23: api.bind_address: \"example.org\" is neither an IPv4 address such as 127.0.0.1 nor "
	 "the path of a Unix "
	 "socket such as ./slicer.sock"},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		check_message(refused[i].text, strlen(refused[i].text), refused[i].message);
}

static void test_nul_byte(void **state)
{
	static const char text[] = "config:\0 {}";
	cleanup_config struct config *cfg = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(config_parse(text, sizeof(text) - 1, "f", &cfg, &err), -1);
	assert_string_equal(error_message(err),
			    "f:1:8: control characters are not allowed; the file must be UTF-8 text");
}

static void test_limits(void **state)
{
	cleanup_config struct config *cfg = NULL;
	cleanup_error struct error *err = NULL;
	cleanup_free char *big = mem_alloc(CONFIG_FILE_MAX + 2);

	memset(big, '#', CONFIG_FILE_MAX + 1);
	assert_int_equal(config_parse(big, CONFIG_FILE_MAX + 1, "f", &cfg, &err), -1);
	assert_int_equal(err->code, ERR_TOO_LARGE);

	check_message("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 35, "f:1:17: nested deeper than 16 levels");
	cleanup_free char *list = mem_alloc(40000);
	strcpy(list, "config: [");
	for (size_t n = strlen(list); n < 39000; n += 2)
		memcpy(list + n, "1,", 2);
	check_message(list, strlen(list), "f:1:32778: a list of more than 16384 entries");
}

/* As many as configuration.md says. */
static void test_longest_list(void **state)
{
	cleanup_config struct config *cfg = NULL;
	cleanup_free char *text = mem_alloc(16384 * 10 + 100);
	char *end = stpcpy(text, "config: {host_groups: [{name: vm, network: {mode: isolated, allow: [");

	for (size_t i = 0; i < 16384; i++)
		end = stpcpy(end, "10.0.0.1,");
	end = stpcpy(end, "]}}]}");
	assert_int_equal(config_parse(text, (size_t)(end - text), "f", &cfg, NULL), 0);
	assert_int_equal(strv_len(cfg->groups[0].network.allow), 16384);
}

static void test_missing_file(void **state)
{
	cleanup_config struct config *cfg = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(config_load_file("/nonexistent/slicer.yaml", &cfg, &err), -1);
	assert_int_equal(err->code, ERR_NOT_FOUND);
	assert_non_null(strstr(error_message(err), "/nonexistent/slicer.yaml"));
}

static void test_defaults(void **state)
{
	cleanup_config struct config *cfg = parse(GROUP);
	const struct config_group *g = &cfg->groups[0];

	assert_int_equal(cfg->hypervisor, HYPERVISOR_QEMU);
	assert_true(cfg->graceful_shutdown);
	assert_true(cfg->api.enabled);
	assert_true(cfg->api.auth.enabled);
	assert_int_equal(cfg->api.port, 8080);
	assert_string_equal(cfg->api.bind_address, "127.0.0.1");
	assert_null(config_api_socket(cfg));
	assert_int_equal(g->count, 1);
	assert_int_equal(g->vcpu, 2);
	assert_int_equal(g->ram_bytes, 4ULL << 30);
	assert_int_equal(g->storage_size, 16ULL << 30);
	assert_int_equal(strv_len(g->dns_servers), 2);
	assert_int_equal(g->network.mode, NET_CNI);
	assert_string_equal(config_group_image(cfg, g), "debian");
	assert_string_equal(g->network_name, "slicer");
	assert_ptr_equal(config_group_find(cfg, "vm"), g);
	assert_null(config_group_find(cfg, "v"));
}

static void test_sockets(void **state)
{
	static const char *const paths[] = {"/run/slicer/x.sock", "./slicer.sock", "../s", "api.sock"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		cleanup_free char *text = str_fmt(GROUP "  api: {bind_address: %s}\n", paths[i]);
		cleanup_config struct config *cfg = parse(text);

		assert_string_equal(config_api_socket(cfg), paths[i]);
		assert_false(cfg->api.auth.enabled);
	}
	cleanup_config struct config *cfg = parse(GROUP "  api: {socket: x, auth: {enabled: true}}\n");
	assert_string_equal(config_api_socket(cfg), "x");
	assert_true(cfg->api.auth.enabled);
}

static void test_fake_needs_environment(void **state)
{
	static const char text[] = GROUP "  hypervisor: fake\n";

	unsetenv("SLICER_FAKE_VMM");
	check_message(text, strlen(text),
		      "f:4:15: hypervisor must be one of qemu, firecracker, cloud-hypervisor, not \"fake\"");
	setenv("SLICER_FAKE_VMM", "/usr/bin/fake", 1);
	cleanup_config struct config *cfg = parse(text);
	unsetenv("SLICER_FAKE_VMM");
	assert_int_equal(cfg->hypervisor, HYPERVISOR_FAKE);
}

/* null is the same as leaving the key out, and words that YAML would take for something else stay
 * words in texts. */
static void test_loose_ends(void **state)
{
	cleanup_config struct config *cfg =
		parse("config:\n  image:\n  host_groups:\n  - name: no\n    count: ~\n    network: "
		      "{allow: , drop: []}\n"
		      "  - {name: 007, network: }\n");

	assert_null(cfg->image);
	assert_string_equal(cfg->groups[0].name, "no");
	assert_int_equal(cfg->groups[0].count, 1);
	assert_false(cfg->groups[0].network.has_allow);
	assert_true(cfg->groups[0].network.has_drop);
	assert_string_equal(cfg->groups[1].name, "007");
	assert_int_equal(cfg->groups[1].network.mode, NET_CNI);
}

static void test_encodings(void **state)
{
	static const char latin1[] = GROUP "    userdata: \"\xff\"\n";
	cleanup_config struct config *bom = parse("\xef\xbb\xbf" GROUP);
	cleanup_config struct config *crlf = parse("config:\r\n  host_groups:\r\n  - name: vm\r\n  "
						   "  userdata: |\r\n      a\r\n      b\r\n");
	cleanup_config struct config *utf8 = parse(GROUP "    userdata: \"\xc3\xa9\"\n");

	assert_string_equal(bom->groups[0].name, "vm");
	assert_string_equal(crlf->groups[0].userdata, "a\nb\n");
	assert_string_equal(utf8->groups[0].userdata, "\xc3\xa9");
	check_message(latin1, sizeof(latin1) - 1, "f:4:16: invalid leading UTF-8 octet; the file must be UTF-8 text");
}

static void test_default_names(void **state)
{
	cleanup_free char *b1 = config_default_bridge("vm"), *t1 = config_default_tap_prefix("vm");
	cleanup_free char *b2 = config_default_bridge("a-very-long-group-name-1"),
			  *b3 = config_default_bridge("a-very-long-group-name-2"),
			  *t2 = config_default_tap_prefix("a-very-long-group-name-1");

	assert_string_equal(b1, "brvm0");
	assert_string_equal(t1, "vmtap");
	assert_int_equal(strlen(b2), 15);
	assert_true(strlen(t2) <= 12);
	assert_string_not_equal(b2, b3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_longest_list),
		cmocka_unit_test(test_missing_file),  cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_sockets),	      cmocka_unit_test(test_fake_needs_environment),
		cmocka_unit_test(test_loose_ends),    cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_default_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
