/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "cli/command.h"
#include "cli/endpoint.h"

static int find(const char *words, struct endpoint *ret, struct error **err)
{
	cleanup_strv char **argv = *words ? strv_split(words, ' ') : NULL;
	char *none[] = {NULL};
	cleanup_parsed struct parsed p = {.dashes = -1, .tables = {connection_options, NULL}};
	size_t pos = 0;

	assert_int_equal(options_parse(&p, argv ? argv : none, &pos, false, 0, err), 0);
	return endpoint_find(&p, NULL, ret, err);
}

static void test_sockets(void **state)
{
	static const struct {
		const char *url, *path;
	} cases[] = {
		{"unix:///run/x.sock", "/run/x.sock"},
		{"/run/slicer/x", "/run/slicer/x"},
		{"./slicer.sock", "./slicer.sock"},
		{"../a", "../a"},
		{"~/s/x.sock", "/home/u/s/x.sock"},
		{"  rel.sock ", "rel.sock"},
		{"unix://plain", "plain"},
		{"unix://~/x", "/home/u/x"},
	};

	setenv("HOME", "/home/u", 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_endpoint struct endpoint e = {0};

		assert_int_equal(endpoint_parse_url(cases[i].url, &e, NULL), 0);
		assert_string_equal(e.socket_path, cases[i].path);
		assert_null(e.host);
	}
}

static void test_http(void **state)
{
	static const struct {
		const char *url, *host;
		unsigned port;
	} cases[] = {
		{"http://127.0.0.1:8080", "127.0.0.1", 8080},
		{"http://host:8081/nodes", "host", 8081},
		{"http://host", "host", 80},
		{"host:1", "host", 1},
		{"host", "host", 8080},
		{"http://host:65535/?x#y", "host", 65535},
		{"http://host/a:b", "host", 80},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_endpoint struct endpoint e = {0};
		cleanup_error struct error *err = NULL;

		if (endpoint_parse_url(cases[i].url, &e, &err))
			fail_msg("%s: %s", cases[i].url, error_message(err));
		assert_string_equal(e.host, cases[i].host);
		assert_int_equal(e.port, cases[i].port);
		assert_null(e.socket_path);
	}
}

static void test_bad_urls(void **state)
{
	static const char *const urls[] = {
		"",	      "  ",	    "unix://",	      "https://h",  "ftp://h",	  "http://",
		"http://:80", "http://h:0", "http://h:65536", "http://h:x", "http://u@h", "http://[::1]:80",
		"::1",	      "http://a b"};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		cleanup_endpoint struct endpoint e = {0};
		cleanup_error struct error *err = NULL;

		if (!endpoint_parse_url(urls[i], &e, &err))
			fail_msg("\"%s\" was accepted", urls[i]);
		assert_int_equal(err->code, ERR_INVALID);
	}
}

static char *token_file(const char *content)
{
	char *path = str_dup("/tmp/slicer-test-token-XXXXXX");
	int fd = mkstemp(path);

	assert_int_equal(fd_write_all(fd, content, strlen(content), NULL), 0);
	close(fd);
	return path;
}

static void clear_env(void)
{
	unsetenv("SLICER_URL");
	unsetenv("SLICER_TOKEN");
	unsetenv("SLICER_TOKEN_FILE");
}

static void test_precedence(void **state)
{
	cleanup_free char *file = token_file("  from-file\n");
	cleanup_free char *option = str_fmt("--token-file %s", file);
	cleanup_endpoint struct endpoint e = {0};

	clear_env();
	assert_int_equal(find("", &e, NULL), 0);
	assert_string_equal(e.shown, "http://127.0.0.1:8080");
	endpoint_clear(&e);
	setenv("SLICER_URL", "http://env:1", 1);
	setenv("SLICER_TOKEN_FILE", file, 1);
	assert_int_equal(find("", &e, NULL), 0);
	assert_string_equal(e.shown, "http://env:1");
	assert_string_equal(e.token, "from-file");
	endpoint_clear(&e);
	setenv("SLICER_TOKEN", "from-env", 1);
	assert_int_equal(find("--url /x.sock", &e, NULL), 0);
	assert_string_equal(e.shown, "/x.sock");
	assert_string_equal(e.token, "from-env");
	assert_string_equal(e.token_from, "SLICER_TOKEN");
	endpoint_clear(&e);
	assert_int_equal(find(option, &e, NULL), 0);
	assert_string_equal(e.token, "from-file");
	endpoint_clear(&e);
	assert_int_equal(find("--token t", &e, NULL), 0);
	assert_string_equal(e.token, "t");
	endpoint_clear(&e);
	assert_int_equal(find("--token=", &e, NULL), 0);
	assert_null(e.token);
	clear_env();
	unlink(file);
}

static void test_bad_tokens(void **state)
{
	static const char *const contents[] = {"", " \n", "two words", "bell\a"};
	cleanup_error struct error *err = NULL;
	cleanup_endpoint struct endpoint e = {0};

	clear_env();
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		cleanup_free char *file = token_file(contents[i]);
		cleanup_free char *option = str_fmt("--token-file %s", file);

		assert_int_equal(find(option, &e, &err), -1);
		endpoint_clear(&e);
		error_free(&err);
		unlink(file);
	}
	assert_int_equal(find("--token-file /no/such/file", &e, &err), -1);
	assert_non_null(strstr(error_message(err), "/no/such/file"));
}

/* The token of this host's daemon is not sent to others. */
static void test_foreign_host(void **state)
{
	cleanup_endpoint struct endpoint e = {0};

	clear_env();
	assert_int_equal(find("--url http://192.0.2.1:8080", &e, NULL), 0);
	assert_null(e.token);
}

static void test_has_name(void **state)
{
	static const struct {
		const char *url;
		bool has;
	} rows[] = {{"/run/api.sock", false},
		    {"http://127.0.0.1:8080", false},
		    {"192.0.2.1", false},
		    {"localhost:9", false},
		    {"http://vm.example.org", true},
		    {"x", true},
		    {"192.0.2.1.example", true},
		    {"127.1", true}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_endpoint struct endpoint e = {0};

		assert_int_equal(endpoint_parse_url(rows[i].url, &e, NULL), 0);
		assert_int_equal(endpoint_has_name(&e), rows[i].has);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets),	     cmocka_unit_test(test_http),
		cmocka_unit_test(test_bad_urls),     cmocka_unit_test(test_has_name),
		cmocka_unit_test(test_precedence),   cmocka_unit_test(test_bad_tokens),
		cmocka_unit_test(test_foreign_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
