/* SPDX-License-Identifier: MIT */
/* The QMP client against a peer that follows a script, or falls silent, or leaves. */
#include "qmp_fixture.h"

static void test_commands(void **state)
{
	struct vmm_client *c;
	struct seen s;
	int fd = open_up(&c, &s);

	assert_true(vmm_client_is_up(c));
	vmm_pause(c, on_done, &s);
	assert_false(s.answered); /* never from within the call */
	expect(fd, "{\"execute\":\"stop\",\"id\":1}\n");
	say(fd, "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": "
		"\"STOP\"}\r\n{\"return\": {}, \"id\": 1}\r\n");
	await(&s.answered);
	assert_int_equal(s.code, 0);
	assert_int_equal(s.events, 1);
	assert_int_equal(s.last_event, VMM_EVENT_STOP);
	s.answered = false;
	vmm_query_status(c, on_status, &s);
	expect(fd, "{\"execute\":\"query-status\",\"id\":2}\n");
	say(fd, "{\"return\": {\"status\": \"paused\", \"singlestep\": false, \"running\": false}, "
		"\"id\": 2}\n");
	await(&s.answered);
	assert_string_equal(s.status, "paused");
	assert_false(s.running);
	s.answered = false;
	vmm_resume(c, on_done, &s);
	expect(fd, "{\"execute\":\"cont\",\"id\":3}\n");
	say(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}, \"id\": 3}\n");
	await(&s.answered);
	assert_int_equal(s.code, ERR_CONFLICT);
	assert_non_null(strstr(s.message, "not now"));
	assert_true(vmm_client_is_up(c));
	vmm_client_free(&c);
	close(fd);
}

static void test_queued_while_connecting(void **state)
{
	struct vmm_client *c;
	struct seen s;
	int fd = open_client(&c, &s);

	vmm_stop(c, on_done, &s);
	vmm_kill(c, on_done, &s);
	spin(20);
	assert_false(s.answered);
	say(fd, GREETING);
	expect(fd, "{\"execute\":\"qmp_capabilities\",\"id\":0}\n");
	say(fd, "{\"return\": {}, \"id\": 0}\n");
	expect(fd, "{\"execute\":\"system_powerdown\",\"id\":1}\n{\"execute\":\"quit\",\"id\":2}\n");
	say(fd, "{\"return\": {}, \"id\": 2}\n{\"return\": {}, \"id\": 1}\n"); /* any order */
	spin(20);
	assert_int_equal(s.answers, 2);
	assert_int_equal(s.code, 0);
	vmm_client_free(&c);
	close(fd);
}

static void test_events(void **state)
{
	static const struct {
		const char *name;
		enum vmm_event event;
	} cases[] = {{"RESET", VMM_EVENT_RESET},
		     {"SHUTDOWN", VMM_EVENT_SHUTDOWN},
		     {"RESUME", VMM_EVENT_RESUME},
		     {"GUEST_PANICKED", VMM_EVENT_PANICKED}};
	struct vmm_client *c;
	struct seen s;
	int fd = open_up(&c, &s);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *line = str_fmt("{\"event\": \"%s\", \"data\": {\"guest\": true}}\n", cases[i].name);

		say(fd, line);
		spin(20);
		assert_int_equal(s.events, i + 1);
		assert_int_equal(s.last_event, cases[i].event);
	}
	say(fd, "{\"event\": \"VSERPORT_CHANGE\", \"data\": {}}\n");
	spin(20);
	assert_int_equal(s.events, ARRAY_LEN(cases));
	assert_false(s.down);
	vmm_client_free(&c);
	close(fd);
}

static void test_disconnect(void **state)
{
	struct vmm_client *c;
	struct seen s;
	int fd = open_up(&c, &s);

	vmm_pause(c, on_done, &s);
	spin(10);
	close(fd);
	await(&s.down);
	assert_int_equal(s.down_code, ERR_UNAVAILABLE);
	assert_int_equal(s.code, ERR_UNAVAILABLE);
	assert_int_equal(s.answers, 1);
	vmm_client_free(&c);
}

static void test_no_answer(void **state)
{
	struct vmm_client *c;
	struct seen s;
	int fd = open_up(&c, &s);
	int64_t start = clock_ms();

	vmm_pause(c, on_done, &s);
	assert_int_equal(loop_run_until(loop, &s.answered, VMM_CLIENT_DEADLINE_MS + 30000, NULL), 0);
	assert_in_range(clock_ms() - start, VMM_CLIENT_DEADLINE_MS - 50, VMM_CLIENT_DEADLINE_MS + 30000);
	assert_int_equal(s.code, ERR_TIMEOUT);
	assert_false(s.down);
	/* The late answer is nobody's; the next command works. */
	say(fd, "{\"return\": {}, \"id\": 1}\n");
	s.answered = false;
	vmm_resume(c, on_done, &s);
	spin(20);
	say(fd, "{\"return\": {}, \"id\": 2}\n");
	await(&s.answered);
	assert_int_equal(s.code, 0);
	assert_int_equal(s.answers, 2);
	vmm_client_free(&c);
	close(fd);
}

static void test_unsupported_and_cancelled(void **state)
{
	static const struct vmm_ops none = {.name = "none", .attach = qmp_attach, .pause = qmp_pause};
	struct seen s = {0};
	struct vmm_client *c = vmm_client_new(loop, &none, dir, NULL, NULL, NULL);
	int fd = accept(listener, NULL, NULL);

	assert_non_null(c);
	vmm_resume(c, on_done, &s);
	assert_false(s.answered);
	await(&s.answered);
	assert_int_equal(s.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(s.message, "none"));
	vmm_boot(c, on_done, &s);
	s.answered = false;
	await(&s.answered);
	assert_int_equal(s.code, 0);
	vmm_pause(c, on_done, &s);
	vmm_client_free(&c);
	assert_null(c);
	assert_int_equal(s.answers, 3);
	assert_int_equal(s.code, ERR_CANCELLED);
	close(fd);
}

static void test_free_in_callback(void **state)
{
	static const char *const lines[] = {"{\"event\": \"RESET\"}\n{\"event\": \"RESET\"}\n",
					    "{\"return\": {}, \"id\": 1}\n{\"event\": \"RESET\"}\n", "garbage\n"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct vmm_client *c;
		struct seen s;
		int fd = open_up(&c, &s);

		vmm_pause(c, on_done, &s);
		s.free_in_callback = &c;
		say(fd, lines[i]);
		spin(50);
		assert_null(c);
		assert_int_equal(s.answers, 1);
		close(fd);
	}
}

static void test_nobody(void **state)
{
	cleanup_error struct error *err = NULL;

	assert_null(vmm_client_new(loop, &vmm_qemu, "/nonexistent", NULL, NULL, &err));
	assert_int_equal(err->code, ERR_UNAVAILABLE);
}

/* vmm_launch()'s question; the peer hears it from the backlog. */
static void test_await(void **state)
{
	cleanup_error struct error *err = NULL;
	int64_t start = clock_ms();
	int fd;

	assert_int_equal(qmp_await_up(dir, &(struct deadline){clock_ms() + 100}, &err), -1);
	assert_int_equal(err->code, ERR_TIMEOUT);
	assert_in_range(clock_ms() - start, 95, 20000);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	error_free(&err);
	assert_int_equal(qmp_await_up("/nonexistent", &(struct deadline){clock_ms() + 100}, &err), -1);
}

/* It may be gone before it is asked for the first time: that is its end as well, and its last words are looked for. */
static void test_await_one_that_is_gone(void **state)
{
	cleanup_error struct error *err = NULL;
	cleanup_free char *gone = fs_join(dir, "gone"), *path = fs_join(gone, "qmp.sock");

	assert_int_equal(fs_mkdir_p(gone, 0700, NULL), 0);
	close(fd_listen_unix(path, 0600, NULL));
	assert_int_equal(qmp_await_up(gone, &(struct deadline){clock_ms() + 100}, &err), -1);
	assert_int_equal(err->code, ERR_IO);
	assert_non_null(strstr(err->message, "ended"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_queued_while_connecting),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_disconnect),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_unsupported_and_cancelled),
		cmocka_unit_test(test_free_in_callback),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_await),
		cmocka_unit_test(test_await_one_that_is_gone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
