/* SPDX-License-Identifier: MIT */
/* The config disk, and the requests of cp. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include "agent/config.h"
#include "agent/cp.h"
#include "base/str.h"

static void test_config(void **state)
{
	static const char text[] =
		"{\"version\":1,\"hostname\":\"vm-1\",\"group\":\"vm\",\"machine_id\":\"0123456789abcdef0123456789abcdef\","
		"\"root\":{\"lower\":\"l\",\"upper\":\"u\"},\"network\":[{\"mac\":\"2e:00:00:00:00:0f\",\"address\":\"10.0.2.15/24\","
		"\"gateway\":\"10.0.2.2\",\"mtu\":1400},{\"dhcp\":true}],\"dns\":[\"8.8.8.8\",\"fd00::1\"],\"ssh_keys\":[\"k\"],"
		"\"userdata\":\"#!/bin/sh\\n\",\"new_member\":[1]}\0\0\0\0";
	struct guest_config *c = guest_config_parse(text, sizeof(text), NULL);

	assert_non_null(c);
	assert_string_equal(c->hostname, "vm-1");
	assert_string_equal(c->lower, "l");
	assert_string_equal(c->upper, "u");
	assert_int_equal(c->nnetworks, 2);
	assert_int_equal(c->networks[0].mac[5], 0x0f);
	assert_int_equal(c->networks[0].prefix, 24);
	assert_int_equal(c->networks[0].mtu, 1400);
	assert_int_equal(c->networks[0].gateway.s_addr, inet_addr("10.0.2.2"));
	assert_true(c->networks[1].dhcp && !c->networks[1].has_mac);
	assert_int_equal(strv_len(c->dns), 2);
	assert_string_equal(c->userdata, "#!/bin/sh\n");
	guest_config_free(&c);
}

static void test_config_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"version\":2}",
		"{\"version\":1,\"hostname\":\"a b\"}",
		"{\"version\":1,\"hostname\":\"\"}",
		"{\"version\":1,\"hostname\":\"-x\"}",
		"{\"version\":1,\"hostname\":7}",
		"{\"version\":1,\"machine_id\":\"x\"}",
		"{\"version\":1,\"network\":[{}]}",
		"{\"version\":1,\"network\":[7]}",
		"{\"version\":1,\"network\":[{\"address\":\"10.0.2.15\"}]}",
		"{\"version\":1,\"network\":[{\"address\":\"1.2.3.4/33\"}]}",
		"{\"version\":1,\"network\":[{\"dhcp\":true,\"mac\":\"2e:00:00:00:00\"}]}",
		"{\"version\":1,\"network\":[{\"dhcp\":true,\"mac\":\"2e:00:00:00:00:01:02\"}]}",
		"{\"version\":1,\"network\":[{\"dhcp\":true,\"gateway\":\"x\"}]}",
		"{\"version\":1,\"network\":[{\"dhcp\":true,\"mtu\":10}]}",
		"{\"version\":1,\"dns\":[\"a\"]}",
		"{\"version\":1,\"ssh_keys\":[\"a\\nb\"]}",
		"{\"version\":1} x",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct guest_config *c = guest_config_parse(bad[i], strlen(bad[i]), NULL);

		if (c)
			fail_msg("accepted: %s", bad[i]);
	}
}

static int parse(const char *method, const char *target, struct cp_request *r, struct error **err)
{
	struct http_head *head = http_head_new_request(method, target);
	struct http_query *q = http_query_parse(target, NULL);
	int rc;

	http_head_add(head, "x-slicer-unpacked-size", "77");
	rc = cp_request_parse(head, q, r, err);
	http_query_free(&q);
	http_head_free(&head);
	return rc;
}

static void test_cp_request(void **state)
{
	cleanup_cp_request struct cp_request r = {0};

	assert_int_equal(parse("POST",
			       "/cp?path=~/x&mode=cp-v1-tar&copy_semantics=cp-v1&source_name=src&source_type=directory"
			       "&copy_contents=true&exclude=a&exclude=b/**&uid=1000&permissions=600",
			       &r, NULL),
			 0);
	assert_true(r.upload && r.v1 && r.contents && r.source_directory);
	assert_int_equal(r.mode, CP_TAR);
	assert_int_equal(r.permissions, 0600);
	assert_int_equal(r.unpacked_size, 77);
	assert_int_equal(strv_len(r.exclude), 2);
	assert_string_equal(r.source_name, "src");
	cp_request_clear(&r);
	assert_int_equal(parse("GET", "/cp?path=/x", &r, NULL), 0);
	assert_int_equal(r.mode, CP_BINARY);
	assert_false(r.v1 || r.upload || r.has_permissions);
	cp_request_clear(&r);
	assert_int_equal(parse("GET", "/cp?path=/x&mode=cp-v1-recursive&copy_semantics=cp-v1", &r, NULL), 0);
	assert_int_equal(r.mode, CP_RECURSIVE);
}

static void assert_refused(const char *method, const char *target, const char *text)
{
	struct cp_request r;
	struct error *error = NULL;

	if (parse(method, target, &r, &error) == 0)
		fail_msg("accepted: %s", target);
	assert_int_equal(error->code, ERR_INVALID);
	assert_non_null(strstr(error_message(error), text));
	error_free(&error);
}

static void test_cp_request_bad(void **state)
{
	assert_refused("GET", "/cp", "path is required");
	assert_refused("GET", "/cp?path=x&mode=zip", "invalid mode: zip");
	assert_refused("POST", "/cp?path=x&mode=cp-v1-recursive", "invalid mode: cp-v1-recursive");
	assert_refused("POST", "/cp?path=x&permissions=8", "permissions");
	assert_refused("POST", "/cp?path=x&permissions=100000", "permissions");
	assert_refused("POST", "/cp?path=x&mode=cp-v1-binary", "source_type");
	assert_refused("POST", "/cp?path=x&mode=cp-v1-binary&source_type=directory", "copied as binary");
	assert_refused("POST", "/cp?path=x&mode=cp-v1-binary&source_type=file&source_name=a/b", "source_name");
	assert_refused("POST", "/cp?path=x&mode=cp-v1-binary&source_type=file&source_name=..", "source_name");
	assert_refused("POST", "/cp?path=x&mode=cp-v1-binary&source_type=file&copy_contents=true", "copy_contents");
	assert_refused("GET", "/cp?path=x&copy_semantics=v9", "copy_semantics");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_bad),
		cmocka_unit_test(test_cp_request),
		cmocka_unit_test(test_cp_request_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
