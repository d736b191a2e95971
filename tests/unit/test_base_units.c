/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/units.h"

#define S INT64_C(1000000000)

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{"0", 0},
		{"0s", 0},
		{"1h30m", 5400 * S},
		{"1.5s", 3 * S / 2},
		{"500ms", S / 2},
		{"2m0s", 120 * S},
		{"1us", 1000},
		{"1\xc2\xb5s", 1000},
		{"1\xce\xbcs", 1000},
		{"7ns", 7},
		{".5s", S / 2},
		{"1.s", S},
		{"30m1h", 5400 * S},
		{"1s1s", 2 * S},
		{"0.1ns", 0},
		{"1.0000000000000000000000001s", S},
		{"9223372036854775807ns", INT64_MAX},
		{"2562047h47m16.854775807s", INT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		int64_t ns = -1;

		assert_int_equal(duration_parse(good[i].text, &ns, NULL), 0);
		assert_true(ns == good[i].ns);
	}
}

static void test_durations_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1",
		"00",
		"s",
		".",
		".s",
		"-1s",
		"+1s",
		"1 s",
		" 1s",
		"1s ",
		"1S",
		"1d",
		"1h30",
		"1..5s",
		"1.5.5s",
		"1s-1s",
		"1e3s",
		"9223372036854775808ns",
		"2562047h47m16.854775808s",
		"99999999999999999999s",
		"3000000h",
		"1\xb5s",
		"0x1s",
		"1s\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *err = NULL;
		int64_t ns = 42;

		assert_int_equal(duration_parse(bad[i], &ns, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		assert_true(ns == 42);
	}
}

static void test_duration_format(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{1, "1ns"},
		{1100, "1.1\xc2\xb5s"},
		{S / 2, "500ms"},
		{3 * S / 2, "1.5s"},
		{413 * S, "6m53s"},
		{120 * S, "2m0s"},
		{3600 * S, "1h0m0s"},
		{-S, "-1s"},
		{S + 1, "1.000000001s"},
		{INT64_MAX, "2562047h47m16.854775807s"},
		{INT64_MIN, "-2562047h47m16.854775808s"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = duration_format(cases[i].ns);

		assert_string_equal(text, cases[i].text);
	}
}

static void test_times(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"2025-11-14T13:28:34.218182826Z", "2025-11-14T13:28:34.218182826Z"},
		{"2025-11-14T13:28:34+01:00", "2025-11-14T12:28:34.000000000Z"},
		{"2025-11-14t13:28:34.5-00:30", "2025-11-14T13:58:34.500000000Z"},
		{"2024-02-29T23:59:59.1234567891z", "2024-02-29T23:59:59.123456789Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000000Z"},
		{"1969-12-31T23:59:59.75Z", "1969-12-31T23:59:59.750000000Z"},
		{"1700-03-01T00:00:00Z", "1700-03-01T00:00:00.000000000Z"},
		{"2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000000000Z"},
		{"2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775807Z"},
	};
	int64_t ns;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = NULL;

		assert_int_equal(time_parse_rfc3339(cases[i].in, &ns, NULL), 0);
		text = time_rfc3339(ns);
		assert_string_equal(text, cases[i].out);
	}
	assert_int_equal(time_parse_rfc3339("1970-01-01T00:00:01Z", &ns, NULL), 0);
	assert_true(ns == S);
}

static void test_times_agree_with_libc(void **state)
{
	for (int64_t t = -9000000000; t < 9000000000; t += 86399 * 97) {
		cleanup_free char *text = time_rfc3339(t * S);
		time_t libc_t = (time_t)t;
		char expected[64];
		struct tm tm;
		int64_t back;

		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000000Z", gmtime_r(&libc_t, &tm));
		assert_string_equal(text, expected);
		assert_int_equal(time_parse_rfc3339(text, &back, NULL), 0);
		assert_true(back == t * S);
	}
}

static void test_times_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"2025-11-14",
		"2025-11-14T13:28:34",
		"2025-11-14 13:28:34Z",
		"2025-13-01T00:00:00Z",
		"2025-00-01T00:00:00Z",
		"2025-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2025-04-31T00:00:00Z",
		"2025-01-00T00:00:00Z",
		"2025-01-01T24:00:00Z",
		"2025-01-01T00:60:00Z",
		"2025-01-01T00:00:60Z",
		"2025-01-01T00:00:00.Z",
		"2025-01-01T00:00:00+0100",
		"2025-01-01T00:00:00+24:00",
		"2025-01-01T00:00:00Zx",
		"25-01-01T00:00:00Z",
		"9999-01-01T00:00:00Z",
		"0001-01-01T00:00:00Z",
		"2262-04-11T23:47:16.854775808Z",
		"-025-01-01T00:00:00Z",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *err = NULL;
		int64_t ns = 42;

		assert_int_equal(time_parse_rfc3339(bad[i], &ns, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		assert_true(ns == 42);
	}
}

static void test_extreme_times_print(void **state)
{
	cleanup_free char *first = time_rfc3339(INT64_MIN), *last = time_rfc3339(INT64_MAX);

	assert_string_equal(first, "1677-09-21T00:12:43.145224192Z");
	assert_string_equal(last, "2262-04-11T23:47:16.854775807Z");
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"1024", 1024},
		{"512M", UINT64_C(512) << 20},
		{"25G", UINT64_C(25) << 30},
		{"64GiB", UINT64_C(64) << 30},
		{"1KB", 1024},
		{"1T", UINT64_C(1) << 40},
		{"7B", 7},
		{"1.5G", UINT64_C(3) << 29},
		{"2g", UINT64_C(2) << 30},
		{"18446744073709551615", UINT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		uint64_t bytes = 1;

		assert_int_equal(size_parse(good[i].text, &bytes, NULL), 0);
		assert_true(bytes == good[i].bytes);
	}
}

static void test_sizes_refused(void **state)
{
	static const char *const bad[] = {"",	  "G",	  "-1",	  "+1",	   " 1",	"1 G",
					  "1.5",  "1.5B", ".5G",  "1GiBB", "1iB",	"1Gi",
					  "1GB ", "1P",	  "0x10", "1e3",   "16777216T", "18446744073709551616",
					  "1..5G"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *err = NULL;
		uint64_t bytes = 42;

		assert_int_equal(size_parse(bad[i], &bytes, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		assert_true(bytes == 42);
	}
}

static void test_size_format(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0B"},
		{1023, "1023B"},
		{1024, "1KiB"},
		{UINT64_C(512) << 20, "512MiB"},
		{UINT64_C(4) << 30, "4GiB"},
		{UINT64_C(3) << 29, "1.5GiB"},
		{(UINT64_C(1) << 20) - 1, "1MiB"},
		{(UINT64_C(1) << 30) - 1, "1GiB"},
		{UINT64_C(1000) << 20, "1000MiB"},
		{UINT64_MAX, "16777216TiB"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = size_format(cases[i].bytes);

		assert_string_equal(text, cases[i].text);
	}
}

static void test_clocks(void **state)
{
	int64_t a = clock_ns(), b = clock_ns();

	assert_true(a > 0 && b >= a);
	assert_true(clock_ms() - b / 1000000 < 60000);
	assert_true(clock_realtime_ns() > INT64_C(1700000000) * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_durations_refused),
		cmocka_unit_test(test_duration_format),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_times_agree_with_libc),
		cmocka_unit_test(test_times_refused),
		cmocka_unit_test(test_extreme_times_print),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sizes_refused),
		cmocka_unit_test(test_size_format),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
