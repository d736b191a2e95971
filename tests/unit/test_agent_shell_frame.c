/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "agent/shell_frame.h"

/* What the events of an input amount to, whatever the pieces. */
static void run(const char *input, size_t n, size_t piece, char *ret)
{
	struct shell_reader r = {0};

	*ret = '\0';
	for (size_t at = 0; at < n;) {
		struct shell_event e;
		ssize_t used = shell_reader_push(&r, input + at, n - at < piece ? n - at : piece, &e, NULL);

		if (used < 0) {
			strcat(ret, "!");
			return;
		}
		assert_true(used > 0);
		at += (size_t)used;
		if (e.type == SHELL_DATA)
			strncat(ret, e.data, e.n);
		else if (e.type == SHELL_WINDOW_SIZE)
			sprintf(ret + strlen(ret), "[%ux%u]", e.columns, e.rows);
		else if (e.type)
			sprintf(ret + strlen(ret), "<%u>", e.type);
	}
}

static void assert_events(const char *input, size_t n, const char *want)
{
	char got[256];

	for (size_t piece = 1; piece <= n; piece++) {
		run(input, n, piece, got);
		assert_string_equal(got, want);
	}
}

#define EVENTS(literal, want) assert_events(literal, sizeof(literal) - 1, want)

static void test_frames(void **state)
{
	EVENTS("\1\0\0\0\2ab\1\0\0\0\1c", "abc");
	EVENTS("\2\0\0\0\10\0\0\0\120\0\0\0\30\1\0\0\0\1x", "[80x24]x");
	EVENTS("\4\0\0\0\0\3\0\0\0\0\5\0\0\0\0", "<4><3><5>");
	EVENTS("\1\0\0\0\0\1\0\0\0\1x", "x");
}

static void test_odd(void **state)
{
	EVENTS("\2\0\0\0\4\0\0\0\120\1\0\0\0\1x", "x");		    /* a short window size */
	EVENTS("\2\0\0\0\12\0\0\0\120\0\0\0\30zz\1\0\0\0\1x", "x"); /* a long one */
	EVENTS("\2\0\0\0\10\0\1\0\0\0\0\0\30\1\0\0\0\1x", "x");	    /* 65536 columns */
	EVENTS("\11\0\0\0\3abc\0\0\0\0\0\1\0\0\0\1x", "x");	    /* unknown types */
	EVENTS("\3\0\0\0\2ab\1\0\0\0\1x", "<3>x");		    /* with a payload */
	EVENTS("\1\0\20\0\1", "!");				    /* over the limit */
	EVENTS("\1\377\377\377\377", "!");
}

static void test_header(void **state)
{
	unsigned char header[SHELL_HEADER];

	shell_frame_header(SHELL_DATA, 0x010203, header);
	assert_memory_equal(header, "\1\0\1\2\3", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
