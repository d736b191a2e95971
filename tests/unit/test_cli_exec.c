/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/str.h"
#include "cli/exec_frames.h"
#include "cli/output.h"
#include "cli/shell_frames.h"

struct seen {
	char *out[2];
	int exits, code;
	char *error;
};

static void on_output(void *arg, int fd, const void *data, size_t n)
{
	struct seen *s = arg;
	cleanup_free char *piece = str_ndup(data, n);
	char *all = str_fmt("%s%s", s->out[fd - 1] ? s->out[fd - 1] : "", piece);

	free(s->out[fd - 1]);
	s->out[fd - 1] = all;
}

static void on_exit_frame(void *arg, int code, const char *error)
{
	struct seen *s = arg;

	s->exits++;
	s->code = code;
	s->error = str_dup(error);
}

static const struct exec_events events = {on_output, on_exit_frame};

static void seen_clear(struct seen *s)
{
	free(s->out[0]);
	free(s->out[1]);
	free(s->error);
	*s = (struct seen){0};
}

static int read_frames(struct seen *s, const char *text, size_t n, size_t step, struct error **err)
{
	struct exec_reader *r = exec_reader_new(&events, s);
	int rc = 0;

	for (size_t at = 0; !rc && at < n; at += step)
		rc = exec_reader_feed(r, text + at, n - at < step ? n - at : step, err);
	if (!rc)
		rc = exec_reader_finish(r, err);
	exec_reader_free(&r);
	return rc;
}

static void test_frames(void **state)
{
	static const char text[] = "{\"type\":\"started\",\"pid\":7,\"started_at\":\"x\",\"unknown\":{}}\n\n"
				   "{\"type\":\"stdout\",\"stdout\":\"aGk=\",\"encoding\":\"base64\",\"exit_code\":0}\n"
				   "{\"type\":\"stderr\",\"stderr\":\"warn\\n\",\"exit_code\":0}\n"
				   "{\"type\":\"stderr\",\"data\":\"more\",\"exit_code\":0}\n"
				   "{\"type\":\"exit\",\"exit_code\":3}\n{\"type\":\"stdout\",\"stdout\":\"late\"}\n";

	for (size_t step = 1; step < sizeof(text); step += 5) {
		struct seen s = {0};
		cleanup_error struct error *err = NULL;

		if (read_frames(&s, text, sizeof(text) - 1, step, &err))
			fail_msg("%s", error_message(err));
		assert_string_equal(s.out[0], "hi");
		assert_string_equal(s.out[1], "warn\nmore");
		assert_int_equal(s.exits, 1);
		assert_int_equal(s.code, 3);
		assert_null(s.error);
		seen_clear(&s);
	}
}

static void test_exit_codes(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *error;
	} cases[] = {
		{"{\"type\":\"exit\",\"exit_code\":137,\"signal\":\"SIGKILL\"}\n", 137, NULL},
		{"{\"type\":\"exit\",\"exit_code\":0,\"signal\":\"SIGTERM\"}\n", 143, NULL},
		{"{\"type\":\"exit\",\"exit_code\":-1,\"signal\":\"TERM\"}\n", 143, NULL},
		{"{\"type\":\"exit\",\"exit_code\":-1}\n", 255, NULL},
		{"{\"type\":\"exit\",\"exit_code\":4096}\n", 255, NULL},
		{"{\"type\":\"exit\"}\n", 0, NULL},
		{"{\"error\":\"no such file\",\"exit_code\":127}\n", 127, "no such file"},
		{"{\"type\":\"exit\",\"error\":\"bad\",\"exit_code\":0}\n", 1, "bad"},
		{"{\"stdout\":\"old\"}\n{\"exit_code\":9}\n", 9, NULL},
		{"{\"stdout\":\"old\"}\n", 0, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct seen s = {0};
		cleanup_error struct error *err = NULL;

		if (read_frames(&s, cases[i].text, strlen(cases[i].text), 1000, &err))
			fail_msg("%s: %s", cases[i].text, error_message(err));
		assert_int_equal(s.code, cases[i].code);
		assert_true(str_eq(s.error, cases[i].error));
		assert_int_equal(s.exits, 1);
		seen_clear(&s);
	}
}

static void test_hostile_frames(void **state)
{
	static const char *const texts[] = {
		"",
		"{\"type\":\"started\"}\n",
		"not json\n",
		"[]\n",
		"7\n",
		"{\"type\":1}\n",
		"{\"type\":\"exit\",\"exit_code\":\"0\"}\n",
		"{\"type\":\"exit\",\"exit_code\":0}", /* cut off: no newline */
		"{\"type\":\"stdout\",\"stdout\":\"%%%\",\"encoding\":\"base64\"}\n",
		"{\"type\":\"exit\",\"type\":\"stdout\"}\n",
		"{\"type\":\"stdout\",\"stdout\":[1]}\n",
		"{\"stdout\":\"old agent\"}\n{\"stdo",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct seen s = {0};
		cleanup_error struct error *err = NULL;

		if (!read_frames(&s, texts[i], strlen(texts[i]), 1000, &err))
			fail_msg("accepted: %s", texts[i]);
		assert_int_equal(err->code, ERR_PROTOCOL);
		assert_int_equal(s.exits, 0);
		seen_clear(&s);
	}
}

static void test_long_line(void **state)
{
	struct seen s = {0};
	cleanup_error struct error *err = NULL;
	cleanup_free char *text = mem_alloc(EXEC_FRAME_MAX + 2);

	memset(text, ' ', EXEC_FRAME_MAX + 1);
	assert_int_equal(read_frames(&s, text, EXEC_FRAME_MAX + 1, 65536, &err), -1);
	assert_int_equal(err->code, ERR_PROTOCOL);
}

static void test_shell_frames(void **state)
{
	unsigned char message[64];
	const unsigned char *payload;
	size_t n = shell_encode(message, SHELL_DATA, "abc", 3), length;

	assert_int_equal(n, 8);
	assert_memory_equal(message, "\1\0\0\0\3abc", 8);
	assert_int_equal(shell_decode(message, n, &payload, &length), SHELL_DATA);
	assert_int_equal(length, 3);
	assert_int_equal(shell_decode(message, n + 5, &payload, &length), SHELL_DATA); /* trailing bytes */
	assert_int_equal(length, 3);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(shell_decode(message, cut, &payload, &length), 0);
	assert_int_equal(shell_decode((const unsigned char *)"\1\377\377\377\377x", 6, &payload, &length), 0);
}

static void assert_filtered(const char *text, size_t n, const char *want)
{
	for (size_t step = 1; step <= n; step++) {
		cleanup_free char *out = mem_alloc(2 * n + 2);
		size_t kept = 0;
		int filter = 0;

		for (size_t at = 0; at < n; at += step)
			kept += filter_terminal(text + at, n - at < step ? n - at : step, out + kept, &filter);
		assert_int_equal(kept, strlen(want));
		assert_memory_equal(out, want, kept);
	}
}

static void test_terminal_filter(void **state)
{
#define FILTERED(text, want) assert_filtered(text, sizeof(text) - 1, want)
	FILTERED("plain\ttext\r\nline", "plain\ttext\nline");
	FILTERED("a\033[31;1mred\033[0m b", "ared b");
	FILTERED("x\033]0;title\ay\033]52;c;aGk=\033\\z", "xyz");
	FILTERED("\033(Ba\033cb\033P1$r\033\\c", "abc");
	FILTERED("un\033]ended\nnext", "un\nnext");
	FILTERED("\302\2331mc1\302\235x\ay \303\251 \302\251", "c1y \303\251 \302\251");
	FILTERED("nul\0bel\a\b\177", "nulbel");
	FILTERED("\302\033[1mx", "x");
	FILTERED("a\302\302\2331mb\302\302\302\2352;c\ad\302", "abd");
	FILTERED("a\302\302\033[m\2331mb\302\302\251", "a\2331mb\302\251");
}

static void test_long_table(void **state)
{
	static const char *const header[] = {"A", "B", "C", "D", NULL};
	struct table *t = table_new(header);
	FILE *out = fopen("/dev/null", "w");
	clock_t start;

	for (size_t i = 0; i < 4 * 40000; i++)
		table_add(t, "cell");
	start = clock();
	table_print(t, out);
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
	fclose(out);
	table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),	       cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_hostile_frames), cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_shell_frames),   cmocka_unit_test(test_terminal_filter),
		cmocka_unit_test(test_long_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
