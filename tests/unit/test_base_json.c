/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <time.h>

#include "base/json.h"
#include "base/str.h"
#include "base/units.h"

static struct json_object *parse(const char *text)
{
	struct error *err = NULL;
	struct json_object *obj = js_parse(text, strlen(text), &err);

	if (!obj)
		print_error("%s: %s\n", text, error_message(err));
	assert_non_null(obj);
	assert_null(err);
	return obj;
}

static void check_refused(const char *text, size_t n, const char *message)
{
	cleanup_error struct error *err = NULL;
	struct json_object *obj = js_parse(text, n, &err);

	if (obj)
		print_error("accepted: %s\n", text);
	assert_null(obj);
	assert_int_equal(err->code, ERR_INVALID);
	if (message)
		assert_string_equal(error_message(err), message);
}

static void test_accepts(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		" \t\r\n{ } \n",
		"0",
		"-0",
		"123",
		"-1.5e+3",
		"1E40",
		"true",
		"false",
		"\"\"",
		"[null]",
		"{\"\":1}",
		"[[],[{}]]",
		"{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
		"\"\x7f\xf0\x9f\x98\x80\"",
		"[18446744073709551615,-9223372036854775808]",
		"{\"a\":1,\"A\":2,\"a \":3,\"aa\":4}",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		cleanup_json struct json_object *obj = parse(good[i]);

		assert_non_null(obj);
	}
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"}",
		"[",
		"]",
		"{]",
		"[1,]",
		"{\"a\":1,}",
		"{,}",
		"[,]",
		"[1 2]",
		"{\"a\" 1}",
		"{\"a\"}",
		"{'a':1}",
		"{\"a\":'b'}",
		"{a:1}",
		"{1:1}",
		"// c\n1",
		"[1/**/]",
		"NaN",
		"Infinity",
		"-Infinity",
		"nan",
		"+1",
		"01",
		"-01",
		"-",
		".5",
		"1.",
		"1.e3",
		"1e",
		"1e+",
		"0x10",
		"1_000",
		"1e999",
		"-1e999",
		"18446744073709551616",
		"-9223372036854775809",
		"1 1",
		"{} x",
		"{}{}",
		"truE",
		"True",
		"nul",
		"nulll",
		"null",
		"\"",
		"\"a",
		"\"\\",
		"\"\\x41\"",
		"\"\\'\"",
		"\"\\u12\"",
		"\"\\u12g4\"",
		"\"\\u0000\"",
		"\"\\ud800\"",
		"\"\\ud800\\u0041\"",
		"\"\\udc00\"",
		"\"\\ud800\\ud800\"",
		"\"\t\"",
		"\"\n\"",
		"\"\x80\"",
		"\"\xc0\xaf\"",
		"\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"",
		"\"\xc3",
		"\"\xc3\"",
		"\xef\xbb\xbf{}",
		"{\"a\":1,\"a\":1}",
		"{\"a\":1,\"\\u0061\":2}",
		"{\"\":1,\"\":2}",
		"[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]",
		"\xa0 1",
		"\v1",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_refused(bad[i], strlen(bad[i]), NULL);
	check_refused("\"a\0b\"", 5, NULL);
	check_refused("{}\0", 3, NULL);
	check_refused("1\0", 2, NULL);
	check_refused("{}x", 2 + 1, "invalid JSON at line 1, column 3: text behind the value");
}

static void test_only_n_bytes_are_read(void **state)
{
	cleanup_json struct json_object *obj = js_parse("123456", 3, NULL);
	char *exact = mem_alloc(4); /* no terminator: the sanitizers watch */
	cleanup_json struct json_object *word = NULL;

	assert_int_equal(json_object_get_int64(obj), 123);
	memcpy(exact, "true", 4);
	word = js_parse(exact, 4, NULL);
	assert_true(json_object_get_boolean(word));
	assert_null(js_parse(exact, 3, NULL));
	free(exact);
}

static void test_positions(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"{\n  \"a\": 1,\n  \"b\": x\n}", "invalid JSON at line 3, column 8: expected a value"},
		{"{\"a\":1,\n \"b\":2,\n \"a\":3}", "invalid JSON at line 3, column 2: duplicate key"},
		{"{\"b\":1,\"b\":2,\"a\":3,\"a\":4}", "invalid JSON at line 1, column 8: duplicate key"},
		{"[\"\xc3\xa9\xc3\xa9\", '", "invalid JSON at line 1, column 8: expected a value"},
		{"{'a':1}", "invalid JSON at line 1, column 2: expected a key in double quotes"},
		{"[1", "invalid JSON at line 1, column 3: unexpected end of text"},
		{"[\n1e999]", "invalid JSON at line 2, column 1: number out of range"},
		{"", "invalid JSON at line 1, column 1: unexpected end of text"},
		{"\"\\ud800x\"", "invalid JSON at line 1, column 2: unpaired surrogate"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_refused(cases[i].text, strlen(cases[i].text), cases[i].message);
}

static char *nested(size_t depth, char open, char close)
{
	char *text = mem_alloc(2 * depth + 1);

	memset(text, open, depth);
	memset(text + depth, close, depth);
	return text;
}

static void test_depth(void **state)
{
	cleanup_free char *fits = nested(32, '[', ']'), *deep = nested(33, '[', ']'),
			  *hostile = nested(500000, '[', ']');
	cleanup_json struct json_object *obj = parse(fits);

	assert_non_null(obj);
	check_refused(deep, strlen(deep), "invalid JSON at line 1, column 33: nested too deeply");
	check_refused(hostile, strlen(hostile), "invalid JSON at line 1, column 33: nested too deeply");
}

static void test_many_keys_take_no_quadratic_time(void **state)
{
	cleanup_free char *text = NULL;
	cleanup_json struct json_object *obj = NULL;
	size_t size, n = 100000;
	FILE *f = open_memstream(&text, &size);
	int64_t start;

	fputc('{', f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s\"k%zu\":%zu", i ? "," : "", i, i);
	fputc('}', f);
	fclose(f);
	start = clock_ms();
	obj = parse(text);
	assert_int_equal(json_object_object_length(obj), n);
	assert_true(clock_ms() - start < 10000);
}

static void test_many_strings_take_no_quadratic_time(void **state)
{
	cleanup_free char *text = NULL;
	cleanup_json struct json_object *obj = NULL;
	cleanup_strv char **list = NULL;
	size_t size, n = 262144;
	FILE *f = open_memstream(&text, &size);
	bool present = false;
	clock_t start;

	fputs("{\"l\":[", f);
	for (size_t i = 0; i < n; i++)
		fputs(i ? ",\"\"" : "\"\"", f);
	fputs("]}", f);
	fclose(f);
	obj = parse(text);
	start = clock();
	assert_int_equal(js_get_strv(obj, "l", &list, &present, NULL), 0);
	assert_true(present);
	assert_int_equal(strv_len(list), n);
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void test_numbers(void **state)
{
	cleanup_json struct json_object *obj =
		parse("{\"max\":18446744073709551615,\"big\":9223372036854775808,\"neg\":-1,"
		      "\"min\":-9223372036854775808,\"real\":1.0,\"text\":\"5\",\"null\":null,\"i\":"
		      "9223372036854775807}");
	uint64_t u = 7;
	int64_t i = 7;

	assert_int_equal(js_get_u64(obj, "max", UINT64_MAX, &u, NULL), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(js_get_u64(obj, "max", UINT64_MAX - 1, &u, NULL), -1);
	assert_int_equal(js_get_u64(obj, "big", UINT64_MAX, &u, NULL), 0);
	assert_true(u == UINT64_C(1) << 63);
	assert_int_equal(js_get_u64(obj, "neg", UINT64_MAX, &u, NULL), -1);
	assert_int_equal(js_get_u64(obj, "real", UINT64_MAX, &u, NULL), -1);
	assert_int_equal(js_get_u64(obj, "text", UINT64_MAX, &u, NULL), -1);
	assert_int_equal(js_get_u64(obj, "null", 1, &u, NULL), 0);
	assert_int_equal(js_get_u64(obj, "absent", 1, &u, NULL), 0);
	assert_true(u == UINT64_C(1) << 63);
	assert_int_equal(js_get_i64(obj, "min", &i, NULL), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(js_get_i64(obj, "i", &i, NULL), 0);
	assert_true(i == INT64_MAX);
	assert_int_equal(js_get_i64(obj, "big", &i, NULL), -1);
	assert_int_equal(js_get_i64(obj, "real", &i, NULL), -1);
	assert_true(i == INT64_MAX);
}

static void test_readers(void **state)
{
	cleanup_json struct json_object *obj =
		parse("{\"s\":\"x\",\"b\":true,\"l\":[\"a\",\"\"],\"o\":{},\"m\":[\"a\",1],\"n\":[null]"
		      ",\"e\":[]}");
	cleanup_json struct json_object *number = parse("1");
	cleanup_error struct error *err = NULL, *not_object = NULL;
	cleanup_strv char **list = NULL;
	struct json_object *sub = NULL;
	const char *s = NULL;
	bool b = false, present = true;

	assert_int_equal(js_get_string(obj, "s", &s, NULL), 0);
	assert_string_equal(s, "x");
	assert_int_equal(js_get_string(obj, "b", &s, &err), -1);
	assert_string_equal(error_message(err), "\"b\" must be a string");
	assert_int_equal(js_get_bool(obj, "b", &b, NULL), 0);
	assert_true(b);
	assert_int_equal(js_get_bool(obj, "s", &b, NULL), -1);
	assert_int_equal(js_get_object(obj, "o", &sub, NULL), 0);
	assert_non_null(sub);
	assert_int_equal(js_get_array(obj, "o", &sub, NULL), -1);
	assert_int_equal(js_get_array(obj, "l", &sub, NULL), 0);
	assert_int_equal(json_object_array_length(sub), 2);
	assert_int_equal(js_get_string(number, "s", &s, &not_object), -1);
	assert_int_equal(not_object->code, ERR_INVALID);
	assert_int_equal(js_get_strv(obj, "m", &list, NULL, NULL), -1);
	assert_int_equal(js_get_strv(obj, "n", &list, NULL, NULL), -1);
	assert_null(list);
	assert_int_equal(js_get_strv(obj, "absent", &list, &present, NULL), 0);
	assert_false(present);
	assert_null(list);
	assert_int_equal(js_get_strv(obj, "e", &list, &present, NULL), 0);
	assert_true(present);
	assert_null(list);
	assert_int_equal(js_get_strv(obj, "l", &list, &present, NULL), 0);
	assert_int_equal(strv_len(list), 2);
}

static void test_writers_round_trip(void **state)
{
	cleanup_json struct json_object *obj = json_object_new_object(), *back = NULL;
	cleanup_free char *text = NULL, *pretty = NULL;
	char *list[] = {(char *)"a/b", NULL};

	js_add_string(obj, "s", "/\"\n\xff");
	js_add_string(obj, "none", NULL);
	js_add_u64(obj, "u", UINT64_MAX);
	js_add_i64(obj, "i", INT64_MIN);
	js_add_bool(obj, "b", false);
	js_add_strv(obj, "l", list);
	js_add_strv(obj, "e", NULL);
	js_add(obj, "o", json_object_new_object());
	text = js_to_string(obj);
	assert_string_equal(text, "{\"s\":\"/\\\"\\n\xef\xbf\xbd\",\"u\":18446744073709551615,"
				  "\"i\":-9223372036854775808,\"b\":false,\"l\":[\"a/b\"],\"e\":[],\"o\":{}}");
	back = parse(text);
	assert_true(json_object_equal(obj, back));
	pretty = js_to_string_pretty(obj);
	assert_non_null(strchr(pretty, '\n'));
}

/* js_escape is to write what json-c writes. */
static void check_escaped(const char *data, size_t n)
{
	cleanup_json struct json_object *obj = json_object_new_string_len(data, (int)n);
	cleanup_free char *theirs = js_to_string(obj), *ours = mem_alloc(JS_ESCAPED_MAX(n) + 3);
	char *end = stpcpy(ours, "\"");

	end = js_escape(end, data, n);
	strcpy(end, "\"");
	assert_string_equal(ours, theirs);
}

static void test_escape(void **state)
{
	static const char mixed[] = "a/\"\\\b\f\n\r\t\x01\x1f\x7f\0z\xc3\xa9\xf0\x9f\x98\x80";

	for (unsigned c = 0; c < 0x80; c++)
		check_escaped(&(char){(char)c}, 1);
	check_escaped(mixed, sizeof(mixed) - 1);
	check_escaped("", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_only_n_bytes_are_read),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_many_keys_take_no_quadratic_time),
		cmocka_unit_test(test_many_strings_take_no_quadratic_time),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_writers_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
