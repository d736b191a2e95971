/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "config/request.h"

static void parse(const char *body, struct node_request *ret)
{
	cleanup_error struct error *err = NULL;

	if (node_request_parse(body, strlen(body), ret, &err) < 0)
		fail_msg("%s: %s", body, error_message(err));
}

static void test_all_fields(void **state)
{
	cleanup_node_request struct node_request r = {0};

	parse("{\"ram_bytes\":1073741824,\"cpus\":2,\"gpu_count\":1,\"persistent\":true,\"disk_"
	      "image\":\"x\","
	      "\"import_user\":\"octo\",\"ssh_keys\":[\"ssh-ed25519 "
	      "AAAA\"],\"userdata\":\"#!/bin/sh\\n\\techo\","
	      "\"ip\":\"192.168.137.9\",\"tags\":[\"role=a b\"],\"secrets\":[\"s1\"],"
	      "\"network\":{\"allow\":[],\"drop\":[\"1.2.3.4:5\"]},\"hostname\":\"h\","
	      "\"protected\":true,"
	      "\"pci_devices\":[\"0000:04:00.0\"],\"count\":1,\"unknown\":{\"a\":[1]}}",
	      &r);
	assert_int_equal(r.ram_bytes, 1073741824);
	assert_int_equal(r.cpus, 2);
	assert_int_equal(r.gpu_count, 1);
	assert_true(r.persistent);
	assert_string_equal(r.disk_image, "x");
	assert_string_equal(r.github_user, "octo");
	assert_string_equal(r.ssh_keys[0], "ssh-ed25519 AAAA");
	assert_string_equal(r.userdata, "#!/bin/sh\n\techo");
	assert_string_equal(r.ip, "192.168.137.9");
	assert_string_equal(r.tags[0], "role=a b");
	assert_true(r.has_secrets);
	assert_string_equal(r.secrets[0], "s1");
	assert_true(r.network.has_allow);
	assert_null(r.network.allow);
	assert_string_equal(r.network.drop[0], "1.2.3.4:5");
}

static void test_absent(void **state)
{
	static const char *const bodies[] = {"", " \n", "{}", "{\"network\":null,\"secrets\":null,\"cpus\":null}",
					     "{\"network\":{\"allow\":null}}"};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		cleanup_node_request struct node_request r = {0};

		parse(bodies[i], &r);
		assert_false(r.network.has_allow);
		assert_false(r.network.has_drop);
		assert_false(r.has_secrets);
		assert_false(r.persistent);
		assert_int_equal(r.cpus, 0);
		assert_int_equal(r.ram_bytes, 0);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *body, *message;
	} cases[] = {
		{"[]", "request body must be a JSON object, not a list"},
		{"{\"cpus\":\"2\"}", "cpus must be a whole number, not a string"},
		{"{\"cpus\":1.5}", "cpus must be a whole number, not a number that is not whole"},
		{"{\"cpus\":-1}", "cpus must be from 0 to 288, not -1"},
		{"{\"persistent\":\"true\"}", "persistent must be true or false, not a string"},
		{"{\"persistent\":1}", "persistent must be true or false, not a number"},
		{"{\"tags\":\"a\"}", "tags must be a list of strings, not a string"},
		{"{\"tags\":[1]}", "tags[0] must be a string, not a number"},
		{"{\"tags\":[\"\"]}", "tags[0] must not be empty"},
		{"{\"tags\":[\"a\\nb\"]}", "tags[0] holds a control character (byte 0x0a), which is not allowed"},
		{"{\"userdata\":5}", "userdata must be a string, not a number"},
		{"{\"network\":[]}", "network must be a JSON object, not a list"},
		{"{\"network\":{\"drop\":[\"lan\"]}}",
		 "network.drop[0]: \"lan\" is not a destination: give an IPv4 address, a CIDR such as "
		 "192.168.1.0/24, "
		 "ADDRESS:PORT, or LAN"},
		{"{\"secrets\":[\"../x\"]}", "secrets[0]: \"../x\" is not the name of a secret: use "
					     "letters, digits, \"-\", \"_\" and \".\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_error struct error *err = NULL;
		struct node_request r;

		assert_int_equal(node_request_parse(cases[i].body, strlen(cases[i].body), &r, &err), -1);
		assert_string_equal(error_message(err), cases[i].message);
		assert_int_equal(err->code, ERR_INVALID);
		assert_null(r.tags);
	}
}

static void test_broken_json(void **state)
{
	static const char *const bodies[] = {"{", "{} x", "{\"cpus\":1,\"cpus\":2}", "{'cpus':1}", "nul"};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		cleanup_error struct error *err = NULL;
		struct node_request r;

		assert_int_equal(node_request_parse(bodies[i], strlen(bodies[i]), &r, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		assert_true(str_starts(error_message(err), "the request body is not valid JSON: "));
	}
	cleanup_error struct error *err = NULL;
	cleanup_free char *big = mem_alloc(REQUEST_BODY_MAX + 1);
	struct node_request r;
	memset(big, ' ', REQUEST_BODY_MAX + 1);
	assert_int_equal(node_request_parse(big, REQUEST_BODY_MAX + 1, &r, &err), -1);
	assert_int_equal(err->code, ERR_TOO_LARGE);
}

/* JSON null as a whole is no object. */
static void test_null_body(void **state)
{
	cleanup_error struct error *err = NULL;
	struct node_request r;

	assert_int_equal(node_request_parse("null", 4, &r, &err), -1);
	assert_int_equal(err->code, ERR_INVALID);
}

static void check_against(const char *body, const struct config_group *g, const char *message)
{
	cleanup_node_request struct node_request r = {0};
	cleanup_error struct error *err = NULL;

	parse(body, &r);
	if (!message) {
		assert_int_equal(node_request_check(&r, g, &err), 0);
		return;
	}
	assert_int_equal(node_request_check(&r, g, &err), -1);
	assert_string_equal(error_message(err), message);
	assert_int_equal(err->code, ERR_INVALID);
}

static void test_group_limits(void **state)
{
	static const char text[] = "config:\n  host_groups:\n  - {name: vm, ram_mb: 512, network: {}}\n"
				   "  - {name: iso, network: {mode: isolated}}\n"
				   "  - {name: usr, network: {mode: user}}\n";
	cleanup_config struct config *cfg = NULL;

	assert_int_equal(config_parse(text, strlen(text), "f", &cfg, NULL), 0);
	const struct config_group *vm = config_group_find(cfg, "vm"), *iso = config_group_find(cfg, "iso");
	check_against("{\"cpus\":2,\"ram_bytes\":536870912,\"ip\":\"192.168.137.2/24\"}", vm, NULL);
	check_against("{\"cpus\":3}", vm, "cpus: 3 is more than the 2 of host group vm");
	check_against("{\"ram_bytes\":536870913}", vm, "ram_bytes: 536870913 is more than the 512MiB of host group vm");
	check_against("{\"ram_bytes\":106300440576}", vm, "ram_bytes: 99GiB is more than the 512MiB of host group vm");
	check_against("{\"ram_bytes\":1}", vm, "ram_bytes: 1 is less than 32 MiB, the least that a VM needs");
	check_against("{\"gpu_count\":1}", vm, "gpu_count: 1 is more than the 0 of host group vm");
	check_against("{\"network\":{\"allow\":[]}}", vm,
		      "network: allow and drop need a host group with an isolated network; that of "
		      "vm is bridge");
	check_against("{\"network\":{\"allow\":[]}}", iso, NULL);
	check_against("{\"ip\":\"192.168.137.1\"}", vm,
		      "ip: 192.168.137.1 is not a free address in the subnet of gateway 192.168.137.1/24");
	check_against("{\"ip\":\"x\"}", vm, "ip: \"x\" is not an IPv4 address such as 192.168.137.2");
	check_against("{\"ip\":\"169.254.60.2\"}", iso, NULL);
	check_against("{\"ip\":\"10.0.0.1\"}", config_group_find(cfg, "usr"),
		      "ip: VMs of group usr, whose network is user, cannot choose an address");
}

/* A client would not learn otherwise that its VM lacks it. */
static void test_what_is_not_there_yet(void **state)
{
	static const char text[] = "config:\n  host_groups:\n  - {name: vm, gpu_count: 1, network: {}}\n";
	static const char *const refused[] = {"{\"secrets\":[\"a\"]}", "{\"gpu_count\":1}", "{\"disk_image\":\"x\"}"};
	static const char *const names[] = {"secrets", "gpu_count", "disk_image"};
	cleanup_config struct config *cfg = NULL;

	assert_int_equal(config_parse(text, strlen(text), "f", &cfg, NULL), 0);
	check_against("{\"secrets\":[],\"gpu_count\":0,\"disk_image\":\"\"}", &cfg->groups[0], NULL);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		cleanup_free char *message = str_fmt("%s: not in this version yet; leave it out", names[i]);
		cleanup_node_request struct node_request r = {0};
		cleanup_error struct error *err = NULL;

		parse(refused[i], &r);
		assert_int_equal(node_request_check(&r, &cfg->groups[0], &err), -1);
		assert_int_equal(err->code, ERR_UNSUPPORTED);
		assert_string_equal(error_message(err), message);
	}
}

static void test_shutdown(void **state)
{
	cleanup_error struct error *err = NULL;
	struct shutdown_request r;
	enum shutdown_action action;

	assert_int_equal(shutdown_request_parse("", 0, &r, NULL), 0);
	assert_int_equal(r.action, SHUTDOWN_DEFAULT);
	assert_int_equal(shutdown_request_parse("{\"action\":\"reboot\"}", 19, &r, NULL), 0);
	assert_int_equal(r.action, SHUTDOWN_REBOOT);
	assert_int_equal(shutdown_request_parse("{\"action\":\"halt\"}", 17, &r, &err), -1);
	assert_string_equal(error_message(err), "action must be one of shutdown, reboot, not \"halt\"");
	assert_int_equal(shutdown_action_parse("shutdown", &action, NULL), 0);
	assert_int_equal(action, SHUTDOWN_POWEROFF);
	assert_int_equal(shutdown_action_parse("halt", &action, NULL), -1);
}

static char *change_tags(const char *body)
{
	char *const tags[] = {(char *)"name=web", (char *)"a", (char *)"b", NULL};
	cleanup_tags_request struct tags_request r = {0};
	cleanup_error struct error *err = NULL;
	cleanup_strv char **after = NULL;

	if (tags_request_parse(body, strlen(body), &r, &err) || tags_request_apply(&r, tags, &after, &err))
		return str_fmt("! %s", error_message(err));
	return strv_join(after, " ");
}

static void test_tags(void **state)
{
	static const struct {
		const char *body, *result;
	} cases[] = {
		{"{\"add\":[\"c\",\"a\",\"c\"]}", "name=web a b c"},
		{"{\"remove\":[\"a\",\"x\"]}", "name=web b"},
		{"{\"add\":[\"a\"],\"remove\":[\"a\"]}", "name=web b a"},
		{"{\"replace\":[\"z\",\"z\"]}", "name=web z"},
		{"{\"replace\":[]}", "name=web"},
		{"{\"replace\":[],\"add\":[]}", "! replace excludes add and remove"},
		{"{}", "! one of add, remove and replace is needed"},
		{"[]", "! the body must be an object with add, remove or replace"},
		{"{\"add\":[7]}", "! \"add\"[0] must be a string"},
		{"{\"add\":[\"\"]}", "! a tag has 1 to 256 bytes"},
		{"{\"remove\":[\"name=web\"]}", "! the tag name= is given when a VM is created and stays as it is"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *result = change_tags(cases[i].body);

		assert_string_equal(result, cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_broken_json),
		cmocka_unit_test(test_null_body),
		cmocka_unit_test(test_group_limits),
		cmocka_unit_test(test_what_is_not_there_yet),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
