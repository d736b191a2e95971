/* SPDX-License-Identifier: MIT */
/* Every form of `vm forward`'s specifications. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/vm_forward_spec.h"

static void test_forms(void **state)
{
	static const struct {
		const char *text, *listen, *upstream; /* listen "CWD/x": in the working directory */
	} rows[] = {
		{"127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1:9000"},
		{"  127.0.0.1:9000\n", "127.0.0.1:9000", "127.0.0.1:9000"},
		{"9001:127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9000"},
		{"0:127.0.0.1:9000", "127.0.0.1:0", "127.0.0.1:9000"},
		{"9001:localhost:9000", "127.0.0.1:9001", "localhost:9000"},
		{"0.0.0.0:9000:127.0.0.1:9000", "0.0.0.0:9000", "127.0.0.1:9000"},
		{"127.0.0.1:9000:db:5432", "127.0.0.1:9000", "db:5432"},
		{"8080:80", "127.0.0.1:8080", "127.0.0.1:80"},
		{"9000:/var/run/docker.sock", "0.0.0.0:9000", "unix:/var/run/docker.sock"},
		{"127.0.0.1:9000:/var/run/docker.sock", "127.0.0.1:9000", "unix:/var/run/docker.sock"},
		{"/tmp/d.sock:/var/run/docker.sock", "/tmp/d.sock", "unix:/var/run/docker.sock"},
		{"./d.sock:/var/run/docker.sock", "CWD/d.sock", "unix:/var/run/docker.sock"},
		{"run/d.sock:/x", "CWD/run/d.sock", "unix:/x"},
		{"/tmp/a:b.sock:/x", "/tmp/a:b.sock", "unix:/x"},
		{"/tmp/d.sock:127.0.0.1:80", "/tmp/d.sock", "127.0.0.1:80"},
		{"65535:127.0.0.1:65535", "127.0.0.1:65535", "127.0.0.1:65535"},
	};
	cleanup_free char *cwd = getcwd(NULL, 0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct forward_spec spec;
		struct error *error = NULL;
		cleanup_free char *want = str_starts(rows[i].listen, "CWD") ? str_fmt("%s%s", cwd, rows[i].listen + 3)
									    : str_dup(rows[i].listen);
		cleanup_free char *listen = NULL;

		if (forward_spec_parse(rows[i].text, &spec, &error))
			fail_msg("\"%s\": %s", rows[i].text, error_message(error));
		listen = forward_spec_listen_text(&spec);
		assert_string_equal(listen, want);
		assert_string_equal(spec.upstream, rows[i].upstream);
		forward_spec_clear(&spec);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "empty"},
		{" \t", "empty"},
		{"80", "colon"},
		{"localhost", "colon"},
		{"1:2:3:4:5", "too many"},
		{"::1:80", "port"},
		{"[::1]:80:x:1", "port"},
		{"a:b:c", "port"},
		{"127.0.0.1:http", "port"},
		{"70000:127.0.0.1:80", "port"},
		{"80:127.0.0.1:70000", "port"},
		{"-1:127.0.0.1:80", "port"},
		{"80:127.0.0.1:0", "port"},
		{"80:127.0.0.1:", "port"},
		{":127.0.0.1:80", "port"},
		{"80::80", "address"},
		{"x:80:127.0.0.1:80", "address"},
		{"80:db:5432", "address to listen on"},
		{"80:run/x.sock", "port"},
		{"/tmp/x:run/x.sock", "begin with"},
		{"/tmp/:/x", "no path"},
		{"x:/y", "port"},
		{"70000:/x", "port"},
		{"300.0.0.1:80:/x", "address"},
	};
	char long_text[FORWARD_SPEC_MAX + 2];
	struct forward_spec spec;
	struct error *error = NULL;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!forward_spec_parse(rows[i].text, &spec, &error))
			fail_msg("\"%s\" was taken", rows[i].text);
		assert_int_equal(error->code, ERR_INVALID);
		if (!strstr(error_message(error), rows[i].says))
			fail_msg("\"%s\": %s", rows[i].text, error_message(error));
		assert_null(spec.upstream);
		assert_null(spec.listen_path);
		error_free(&error);
	}
	memset(long_text, '1', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	assert_int_equal(forward_spec_parse(long_text, &spec, &error), -1);
	error_free(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_errors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
