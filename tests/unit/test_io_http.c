/* SPDX-License-Identifier: MIT */
/* Heads, targets and validation: what both versions of HTTP share. */
#include "io_fixture.h"
#include <time.h>
#include "io/http_impl.h"

static void test_head(void **state)
{
	struct http_head *h = http_head_new_request("GET", "/");

	assert_int_equal(h->content_length, 0);
	for (int i = 0; i < 100; i++) {
		char *name = str_fmt("X-Field-%d", i);

		http_head_add(h, name, name);
		free(name);
	}
	http_head_add(h, "x-field-7", "second");
	assert_int_equal(h->nfields, 101);
	assert_string_equal(h->fields[99].name, "x-field-99");
	assert_string_equal(http_head_get(h, "x-FIELD-7"), "X-Field-7");
	assert_null(http_head_get(h, "x-field-100"));
	http_head_free(&h);
	http_head_free(&h);
	h = http_head_new_response(404);
	assert_int_equal(h->content_length, -1);
	assert_string_equal(http_reason(h->status), "Not Found");
	assert_string_equal(http_reason(299), "Unknown");
	http_head_free(&h);
}

static void test_validation(void **state)
{
	assert_true(http_is_token("GET"));
	assert_true(http_is_token("!#$%&'*+-.^_`|~09azAZ"));
	assert_false(http_is_token(""));
	assert_false(http_is_token("a b"));
	assert_false(http_is_token("a:"));
	assert_false(http_is_token("\xc3\xa9"));
	assert_true(http_is_field_value(""));
	assert_true(http_is_field_value("a \t \xc3\xa9"));
	assert_false(http_is_field_value(" a"));
	assert_false(http_is_field_value("a\t"));
	assert_false(http_is_field_value("a\r\nb"));
	assert_false(http_is_field_value("a\x7f"));
	assert_true(http_is_target("/"));
	assert_true(http_is_target("/a?b=%20"));
	assert_false(http_is_target(""));
	assert_false(http_is_target("a"));
	assert_false(http_is_target("/a b"));
	assert_false(http_is_target("/\xc3\xa9"));
}

static void test_query(void **state)
{
	struct http_query *q =
		http_query_parse("/vm/a%2fb//c%20d+e/?args=a+b&args=c%2Bd&x=&y&&=z&k%3D=v%26w&a=b=c", NULL);
	char *const *s = http_query_segments(q);
	char **all;

	assert_int_equal(strv_len(s), 4);
	assert_string_equal(s[0], "vm");
	assert_string_equal(s[1], "a/b");
	assert_string_equal(s[2], "");
	assert_string_equal(s[3], "c d+e");
	assert_string_equal(http_query_path(q), "/vm/a/b//c d+e");
	all = http_query_all(q, "args");
	assert_int_equal(strv_len(all), 2);
	assert_string_equal(all[0], "a b");
	assert_string_equal(all[1], "c+d");
	strv_free(&all);
	assert_string_equal(http_query_get(q, "args"), "a b");
	assert_string_equal(http_query_get(q, "x"), "");
	assert_string_equal(http_query_get(q, "y"), "");
	assert_string_equal(http_query_get(q, ""), "z");
	assert_string_equal(http_query_get(q, "k="), "v&w");
	assert_string_equal(http_query_get(q, "a"), "b=c");
	assert_null(http_query_get(q, "none"));
	assert_null(http_query_all(q, "none"));
	http_query_free(&q);
	q = http_query_parse("/", NULL);
	assert_int_equal(strv_len(http_query_segments(q)), 0);
	assert_non_null(http_query_segments(q));
	assert_string_equal(http_query_path(q), "/");
	http_query_free(&q);
	http_query_free(&q);
	q = http_query_parse("/?", NULL);
	assert_string_equal(http_query_path(q), "/");
	http_query_free(&q);
}

static void test_bad_query(void **state)
{
	static const char *const bad[] = {"",	    "a",      "/%",	 "/%4",	    "/%zz", "/%4z", "/%00",
					  "/a?%00", "/a?b=%", "/a?b=%f", "/a?b=%0", "?a",   "/%%41"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error *e = NULL;

		assert_null(http_query_parse(bad[i], &e));
		assert_int_equal(e->code, ERR_INVALID);
		error_free(&e);
	}
}

static void test_many_parameters(void **state)
{
	char *target = mem_alloc(2 + 2 * 1001 + 1);
	struct http_query *q;

	strcpy(target, "/?");
	for (int i = 0; i < 1000; i++)
		strcpy(target + 2 + 2 * i, "a&");
	q = http_query_parse(target, NULL);
	assert_non_null(q);
	http_query_free(&q);
	strcpy(target + 2 + 2000, "a");
	assert_null(http_query_parse(target, NULL));
	free(target);
}

static void test_many_segments(void **state)
{
	enum { SEGMENTS = HTTP_MAX_TARGET / 2 };
	cleanup_free char *target = mem_alloc(2 * SEGMENTS + 1);
	clock_t start = clock();

	for (size_t i = 0; i < SEGMENTS; i++)
		memcpy(target + 2 * i, "/a", 2);
	for (int i = 0; i < 500; i++) {
		cleanup_query struct http_query *q = http_query_parse(target, NULL);

		assert_int_equal(strv_len(http_query_segments(q)), SEGMENTS);
	}
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void test_bool(void **state)
{
	static const struct {
		const char *target;
		int rc;
		bool value;
	} cases[] = {
		{"/?k=true", 0, true},	 {"/?k=1", 0, true},   {"/?k", 0, true},      {"/?k=", 0, true},
		{"/?k=false", 0, false}, {"/?k=0", 0, false},  {"/?k=yes", -1, true}, {"/?k=TRUE", -1, true},
		{"/?k=2", -1, true},	 {"/?other", 0, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_query *q = http_query_parse(cases[i].target, NULL);
		bool value = i >= 6 || !cases[i].value;
		struct error *e = NULL;

		assert_int_equal(http_query_bool(q, "k", &value, &e), cases[i].rc);
		assert_int_equal(value, cases[i].value);
		assert_int_equal(e != NULL, cases[i].rc < 0);
		error_free(&e);
		http_query_free(&q);
	}
}

static void test_encode(void **state)
{
	char *s = http_encode("aZ09-._~ /+?&=%\xc3\xa9\n");
	char *target = str_fmt("/x?k=%s", s);
	struct http_query *q = http_query_parse(target, NULL);

	assert_string_equal(s, "aZ09-._~%20%2F%2B%3F%26%3D%25%C3%A9%0A");
	assert_string_equal(http_query_get(q, "k"), "aZ09-._~ /+?&=%\xc3\xa9\n");
	http_query_free(&q);
	free(target);
	free(s);
}

static void test_error_document(void **state)
{
	static const struct {
		const char *body, *says;
	} cases[] = {
		{"{\"error\":\"it is \\u0022off\\u0022\",\"more\":1}", "it is \"off\""},
		{"{\"error\":7}", ""},
		{"{\"error\":null}", ""},
		{"{}", ""},
		{"[\"error\"]", ""},
		{"\"error\"", ""},
		{"", NULL},
		{"Bad Gateway", NULL},
		{"{\"error\":\"cut", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = http_error_parse(cases[i].body, strlen(cases[i].body));

		assert_true(str_eq(text, cases[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_validation),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_bad_query),
		cmocka_unit_test(test_many_parameters),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_error_document),
		cmocka_unit_test(test_many_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
