/* SPDX-License-Identifier: MIT */
/* The QMP client against a peer that breaks the protocol: it runs the guest, so it may be the
 * guest's by now. */
#include "qmp_fixture.h"
#include "vmm/lines.h"
#include "vmm/qmp_message.h"

static void check_garbage(bool greet, const char *text, enum error_code code)
{
	struct vmm_client *c;
	struct seen s;
	int fd = greet ? open_up(&c, &s) : open_client(&c, &s);

	vmm_pause(c, on_done, &s);
	say(fd, text);
	await(&s.down);
	assert_int_equal(s.down_code, code);
	assert_true(s.answered);
	assert_int_equal(s.code, code);
	assert_false(vmm_client_is_up(c));
	/* It stays down, and says why. */
	s.answered = false;
	vmm_pause(c, on_done, &s);
	assert_false(s.answered);
	await(&s.answered);
	assert_int_equal(s.code, code);
	vmm_client_free(&c);
	close(fd);
}

static void test_garbage(void **state)
{
	static const char *const after[] = {"x\n",
					    "\n",
					    "[]\n",
					    "{}\n",
					    "{\"return\": {}, \"id\": 99}\n",
					    "{\"return\": {}, \"id\": \"1\"}\n",
					    "{\"event\": 5}\n",
					    "{\"event\": \"A\"\n",
					    "{\"error\": 1, \"id\": 1}\n",
					    "{\"return\": {}, \"id\": -1}\n",
					    GREETING,
					    "{\"return\": {}, \"return\": {}, \"id\": 1}\n",
					    "\xff\xfe\n"};
	static const char *const before[] = {"SSH-2.0-x\r\n", "{\"return\": {}}\n",
					     GREETING "{\"error\": {\"desc\": \"no\"}, \"id\": 0}\n"};

	for (size_t i = 0; i < ARRAY_LEN(after); i++)
		check_garbage(true, after[i], ERR_PROTOCOL);
	for (size_t i = 0; i < ARRAY_LEN(before); i++)
		check_garbage(false, before[i], ERR_PROTOCOL);
}

static void test_long_line(void **state)
{
	cleanup_free char *chunk = mem_alloc(65536);
	struct vmm_client *c;
	struct seen s;
	int fd = open_up(&c, &s);
	size_t sent = 0;

	memset(chunk, ' ', 65536);
	while (!s.down && sent < 3 * VMM_CLIENT_LINE_MAX) {
		ssize_t n = send(fd, chunk, 65536, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		spin(1);
	}
	assert_true(s.down);
	assert_int_equal(s.down_code, ERR_PROTOCOL);
	assert_true(sent >= VMM_CLIENT_LINE_MAX);
	vmm_client_free(&c);
	close(fd);
}

static void test_long_answer(void **state)
{
	cleanup_free char *answer = mem_alloc(VMM_CLIENT_LINE_MAX + 1);
	static const char head[] = "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": 1}";
	struct vmm_client *c;
	struct seen s;
	int fd = open_up(&c, &s);
	size_t sent = 0;

	vmm_query_status(c, on_status, &s);
	memset(answer, ' ', VMM_CLIENT_LINE_MAX);
	memcpy(answer, head, strlen(head));
	answer[VMM_CLIENT_LINE_MAX] = '\n';
	while (sent < VMM_CLIENT_LINE_MAX + 1) {
		ssize_t n = send(fd, answer + sent, VMM_CLIENT_LINE_MAX + 1 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		spin(1);
	}
	await(&s.answered);
	assert_true(s.running);
	assert_false(s.down);
	vmm_client_free(&c);
	close(fd);
}

/* However a stream of lines is cut into pieces, the lines are the same. */
static void test_lines(void **state)
{
	static const char text[] = "one\r\n\ntwo\nthree";

	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct lines l = {.max = 5};
		struct evbuffer *in = evbuffer_new();
		cleanup_free char *all = str_dup("");
		char *line;
		size_t n;

		for (size_t at = 0; at < strlen(text); at += piece) {
			size_t left = strlen(text) - at;

			evbuffer_add(in, text + at, left < piece ? left : piece);
			while (lines_next(&l, in, &line, &n, NULL) == 1) {
				char *more = str_fmt("%s[%s]", all, line);

				free(all);
				free(line);
				all = more;
			}
		}
		assert_string_equal(all, "[one][][two]");
		evbuffer_add(in, "!\n", 2); /* "three!" is over the limit */
		assert_int_equal(lines_next(&l, in, &line, &n, NULL), -1);
		lines_clear(&l);
		evbuffer_free(in);
	}
}

/* A line that comes byte by byte takes no more memory and time than another. */
static void test_lines_byte_by_byte(void **state)
{
	struct lines l = {.max = 50000};
	struct evbuffer *in = evbuffer_new();
	cleanup_free char *line = NULL;
	size_t n;

	for (size_t i = 0; i < l.max; i++) {
		evbuffer_add(in, "x", 1);
		assert_int_equal(lines_next(&l, in, &line, &n, NULL), 0);
	}
	assert_true(evbuffer_peek(l.partial, -1, NULL, NULL, 0) < 100);
	evbuffer_add(in, "\n", 1);
	assert_int_equal(lines_next(&l, in, &line, &n, NULL), 1);
	assert_int_equal(n, l.max);
	lines_clear(&l);
	evbuffer_free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
