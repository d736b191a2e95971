/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/utf8.h"

static void test_compare(void **state)
{
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq("a", NULL));
	assert_false(str_eq(NULL, "a"));
	assert_true(str_eq("a", "a"));
	assert_true(str_starts("abc", ""));
	assert_true(str_starts("abc", "ab"));
	assert_false(str_starts("a", "ab"));
	assert_true(str_ends("abc", "bc"));
	assert_true(str_ends("abc", ""));
	assert_false(str_ends("c", "bc"));
}

static void test_dup(void **state)
{
	cleanup_free char *cut = str_ndup("abcdef", 3), *whole = str_ndup("ab", 99), *fmt = str_fmt("%s-%d", "x", 7);

	assert_null(str_dup(NULL));
	assert_string_equal(cut, "abc");
	assert_string_equal(whole, "ab");
	assert_string_equal(fmt, "x-7");
}

static void test_trim(void **state)
{
	char both[] = " \t\r\n a b \n", blank[] = " \t ", none[] = "", utf8[] = " \xc3\xa9 ";

	assert_string_equal(str_trim(both), "a b");
	assert_string_equal(str_trim(blank), "");
	assert_string_equal(str_trim(none), "");
	assert_string_equal(str_trim(utf8), "\xc3\xa9");
}

static void test_to_u64_accepts(void **state)
{
	uint64_t v = 7;

	assert_int_equal(str_to_u64("0", 0, 10, "n", &v, NULL), 0);
	assert_true(v == 0);
	assert_int_equal(str_to_u64("18446744073709551615", 0, UINT64_MAX, "n", &v, NULL), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(str_to_u64("007", 1, 7, "n", &v, NULL), 0);
	assert_true(v == 7);
}

static void test_to_u64_refuses(void **state)
{
	static const char *const bad[] = {"",
					  " 1",
					  "1 ",
					  "+1",
					  "-1",
					  "0x1",
					  "1.0",
					  "1e3",
					  "18446744073709551616",
					  "99999999999999999999999",
					  "1\n",
					  "\xd9\xa1"};
	uint64_t v = 42;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *err = NULL;

		assert_int_equal(str_to_u64(bad[i], 0, UINT64_MAX, "n", &v, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
	}
	assert_true(v == 42);
}

static void test_to_u64_range_and_message(void **state)
{
	cleanup_error struct error *err = NULL;
	uint64_t v;

	assert_int_equal(str_to_u64("0", 1, 64, "cpus", &v, NULL), -1);
	assert_int_equal(str_to_u64("65\x1b[31m", 1, 64, "cpus", &v, &err), -1);
	assert_string_equal(error_message(err), "cpus: \"65\\x1b[31m\" is not a whole number from 1 to 64");
}

static void check_escape(const char *in, size_t n, const char *expected)
{
	cleanup_free char *out = str_escape(in, n);

	assert_string_equal(out, expected);
}

static void test_escape(void **state)
{
	check_escape("", 0, "");
	check_escape("a\0b", 3, "a\\x00b");
	check_escape("a\nb\x1b\x7f", 5, "a\\x0ab\\x1b\\x7f");
	check_escape("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	check_escape("\xc2\x9b", 2, "\\xc2\\x9b");	    /* C1 control: CSI */
	check_escape("\xff\xc3", 2, "\\xff\\xc3");	    /* invalid, cut off */
	check_escape("\xc0\xaf", 2, "\\xc0\\xaf");	    /* overlong */
	check_escape("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* surrogate */
	check_escape("\xc3\xbc", 1, "\\xc3");		    /* nothing behind n is read */
}

static void test_utf8(void **state)
{
	uint32_t c = 0;
	char bytes[4];
	cleanup_free char *clean = utf8_sanitize("a\xff\xc3\xbc\xe2\x82");

	assert_int_equal(utf8_char("\xf0\x9f\x98\x80", 4, &c), 4);
	assert_int_equal(c, 0x1f600);
	assert_int_equal(utf8_put(c, bytes), 4);
	assert_memory_equal(bytes, "\xf0\x9f\x98\x80", 4);
	assert_int_equal(utf8_char("\xf4\x90\x80\x80", 4, NULL), 0); /* above U+10FFFF */
	assert_int_equal(utf8_char("\xf8\x88\x80\x80\x80", 5, NULL), 0);
	assert_int_equal(utf8_char("\x80", 1, NULL), 0);
	assert_string_equal(clean, "a\xef\xbf\xbd\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_strv_build(void **state)
{
	cleanup_strv char **list = NULL, **copy = NULL;
	char *exact[] = {(char *)"p", (char *)"q", NULL};

	assert_int_equal(strv_len(NULL), 0);
	for (int i = 0; i < 100; i++)
		strv_append_fmt(&list, "%d", i);
	assert_int_equal(strv_len(list), 100);
	assert_string_equal(list[99], "99");
	assert_null(list[100]);
	assert_true(strv_contains(list, "42"));
	assert_false(strv_contains(list, "100"));
	assert_false(strv_contains(NULL, "x"));
	copy = strv_copy(exact);
	strv_append(&copy, "r");
	strv_append(&copy, NULL); /* nothing to append */
	assert_int_equal(strv_len(copy), 3);
	assert_null(strv_copy(NULL));
}

static void check_split(const char *in, size_t n, const char *joined)
{
	cleanup_strv char **parts = strv_split(in, ',');
	cleanup_free char *text = strv_join(parts, "|");

	assert_int_equal(strv_len(parts), n);
	assert_string_equal(text, joined);
}

static void test_strv_split_join(void **state)
{
	cleanup_free char *empty = strv_join(NULL, ", ");

	check_split("", 1, "");
	check_split("a", 1, "a");
	check_split("a,b", 2, "a|b");
	check_split(",a,,b,", 5, "|a||b|");
	assert_string_equal(empty, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),	       cmocka_unit_test(test_dup),
		cmocka_unit_test(test_trim),	       cmocka_unit_test(test_to_u64_accepts),
		cmocka_unit_test(test_to_u64_refuses), cmocka_unit_test(test_to_u64_range_and_message),
		cmocka_unit_test(test_escape),	       cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_strv_build),     cmocka_unit_test(test_strv_split_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
