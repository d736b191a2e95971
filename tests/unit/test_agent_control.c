/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/str.h"
#include "io/control.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define BOOT "01234567-89ab-cdef-0123-456789abcdef"

static int parse(const char *s, struct control_line *l)
{
	return control_parse(s, strlen(s), l, NULL);
}

static void test_parse(void **state)
{
	struct control_line l;

	assert_int_equal(parse("hello 1", &l), 0);
	assert_int_equal(l.verb, CONTROL_HELLO_HOST);
	assert_int_equal(l.protocol, 1);
	assert_int_equal(parse("hello 12 0.1.0 " NONCE " " BOOT " exec,cp", &l), 0);
	assert_int_equal(l.verb, CONTROL_HELLO_GUEST);
	assert_int_equal(l.protocol, 12);
	assert_string_equal(l.agent_version, "0.1.0");
	assert_string_equal(l.instance, NONCE);
	assert_string_equal(l.boot_id, BOOT);
	assert_true(control_has_capability(&l, "cp"));
	assert_false(control_has_capability(&l, "c"));
	assert_false(control_has_capability(&l, "exe"));
	assert_int_equal(parse("hello 1 v " NONCE " " BOOT " -", &l), 0);
	assert_string_equal(l.capabilities, "");
	assert_false(control_has_capability(&l, "-"));
	assert_int_equal(parse("reset " NONCE, &l), 0);
	assert_int_equal(l.verb, CONTROL_RESET);
	assert_string_equal(l.nonce, NONCE);
	assert_int_equal(parse("await " NONCE " later-field", &l), 0);
	assert_int_equal(l.verb, CONTROL_AWAIT);
	assert_int_equal(parse("bye reboot", &l), 0);
	assert_true(l.reboot);
	assert_int_equal(parse("bye poweroff", &l), 0);
	assert_int_equal(l.verb, CONTROL_BYE);
	assert_false(l.reboot);
	assert_int_equal(parse("", &l), 0);
	assert_int_equal(l.verb, CONTROL_UNKNOWN);
	assert_int_equal(parse("freeze now", &l), 0);
	assert_int_equal(l.verb, CONTROL_UNKNOWN);
}

static void test_parse_bad(void **state)
{
	static const char *const bad[] = {
		"hello",
		"hello ",
		"hello 0",
		"hello 1x",
		"hello 99999",
		"hello -1",
		"hello 1 v",
		"hello 1 v short",
		"hello 1 v " NONCE,
		"hello 1 v " NONCE " " BOOT,
		"hello 1 v " NONCE " nope -",
		"hello 1 v  " NONCE " " BOOT " -",
		"reset",
		"reset ",
		"reset 0123",
		"reset " NONCE "0",
		"reset 0123456789ABCDEF0123456789abcdef",
		"await x",
		"bye",
		"bye now",
		"bye rebooting",
		"tab\there",
		"high\x80",
	};
	struct control_line l;
	char longest[CONTROL_MAX_LINE];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse(bad[i], &l) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(control_parse(longest, sizeof(longest) - 1, &l, NULL), 0);
	assert_int_equal(control_parse(longest, sizeof(longest), &l, NULL), -1);
}

static void test_format(void **state)
{
	static const char *const lines[] = {"hello 1\n",
					    "hello 1 0.1.0 " NONCE " " BOOT " a,b\n",
					    "hello 1 0.1.0 " NONCE " " BOOT " -\n",
					    "reset " NONCE "\n",
					    "await " NONCE "\n",
					    "bye reboot\n",
					    "bye poweroff\n"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct control_line l;
		char *text;

		assert_int_equal(control_parse(lines[i], strlen(lines[i]) - 1, &l, NULL), 0);
		text = control_format(&l);
		assert_string_equal(text, lines[i]);
		free(text);
	}
}

/* However the bytes are cut: good lines come out, bad ones are reported and skipped. */
static void test_reader(void **state)
{
	static const char input[] = "one\n\nb\x01"
				    "ad\ntwo\n";

	for (size_t piece = 1; piece < sizeof(input); piece++) {
		struct control_reader r = {0};
		char seen[64] = "";
		size_t bads = 0;

		for (size_t at = 0; at < sizeof(input) - 1;) {
			size_t n = sizeof(input) - 1 - at < piece ? sizeof(input) - 1 - at : piece, len, used;
			const char *line;
			bool bad;

			used = control_reader_push(&r, input + at, n, &line, &len, &bad);
			assert_true(used > 0 && used <= n);
			at += used;
			bads += bad;
			if (line) {
				strncat(seen, line, len);
				strcat(seen, "|");
			}
		}
		assert_string_equal(seen, "one||two|");
		assert_int_equal(bads, 1);
	}
}

static void test_reader_long(void **state)
{
	struct control_reader r = {0};
	const char *line;
	char c = 'x';
	size_t len;
	bool bad;

	for (int i = 0; i < 100000; i++)
		control_reader_push(&r, &c, 1, &line, &len, &bad);
	control_reader_push(&r, "\n", 1, &line, &len, &bad);
	assert_true(bad);
	assert_null(line);
	assert_int_equal(control_reader_push(&r, "ok\nrest", 7, &line, &len, &bad), 3);
	assert_int_equal(len, 2);
}

/* A nonce whose beginning repeats within it, behind near misses. */
static void test_scan(void **state)
{
	static const char nonce[] = "aaaaaaaabaaaaaaaabaaaaaaaabaaaac";
	char input[200];
	int n;

	assert_int_equal(strlen(nonce), 32);
	n = snprintf(input, sizeof(input), "junk%saaaaaaaabaaaaaaaab%s\n%s", "\n", nonce, "PRI *");
	for (int piece = 1; piece <= n; piece++) {
		struct control_scan s;
		bool found = false;
		int at = 0;

		control_scan_init(&s, nonce);
		while (!found && at < n) {
			int len = n - at < piece ? n - at : piece;

			at += (int)control_scan_push(&s, input + at, (size_t)len, &found);
		}
		assert_true(found);
		assert_string_equal(input + at, "PRI *");
		assert_int_equal(s.seen, at);
	}
}

static void test_scan_not_there(void **state)
{
	struct control_scan s;
	bool found;

	control_scan_init(&s, NONCE);
	assert_int_equal(control_scan_push(&s, NONCE NONCE " ", 65, &found), 65);
	assert_false(found);
}

static void test_nonce(void **state)
{
	char a[33], b[33];

	assert_int_equal(control_new_nonce(a, NULL), 0);
	assert_int_equal(control_new_nonce(b, NULL), 0);
	assert_int_equal(strlen(a), 32);
	assert_int_equal(strspn(a, "0123456789abcdef"), 32);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	       cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_format),	       cmocka_unit_test(test_reader),
		cmocka_unit_test(test_reader_long),    cmocka_unit_test(test_scan),
		cmocka_unit_test(test_scan_not_there), cmocka_unit_test(test_nonce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
