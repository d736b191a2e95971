/* SPDX-License-Identifier: MIT */
/* The QMP client against a peer that follows a script, or does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/lines.h"
#include "vmm/qmp.h"
#include "vmm/qmp_message.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

static char dir[] = "/tmp/test_qmp_XXXXXX";
static struct loop *loop;
static int listener;

/* What the client reported. */
struct seen {
	bool up, down, answered, stop_on_event;
	int answers, events;
	enum vmm_event last_event;
	enum error_code code;  /* of the last answer; 0: success */
	char message[256];
	enum error_code down_code;
	char status[32];
	bool running;
	struct vmm_client **free_in_callback;
};

static int setup(void **state)
{
	cleanup_free char *path = NULL;

	if (!mkdtemp(dir))
		return -1;
	path = fs_join(dir, "qmp.sock");
	listener = fd_listen_unix(path, 0600, NULL);
	loop = loop_new(NULL);
	return listener < 0 || !loop ? -1 : 0;
}

static int teardown(void **state)
{
	close(listener);
	loop_free(&loop);
	return fs_remove_tree(dir, NULL);
}

static void on_up(void *arg)
{
	((struct seen *)arg)->up = true;
}

static void on_event(void *arg, enum vmm_event event)
{
	struct seen *s = arg;

	s->events++;
	s->last_event = event;
	if (s->free_in_callback)
		vmm_client_free(s->free_in_callback);
}

static void on_down(void *arg, const struct error *error)
{
	struct seen *s = arg;

	assert_false(s->down);
	s->down = true;
	s->down_code = error->code;
	if (s->free_in_callback)
		vmm_client_free(s->free_in_callback);
}

static void on_done(void *arg, const struct error *error)
{
	struct seen *s = arg;

	s->answered = true;
	s->answers++;
	s->code = error ? error->code : 0;
	snprintf(s->message, sizeof(s->message), "%s", error ? error->message : "");
	if (s->free_in_callback)
		vmm_client_free(s->free_in_callback);
}

static void on_status(void *arg, bool running, const char *status, const struct error *error)
{
	struct seen *s = arg;

	s->answered = true;
	s->code = error ? error->code : 0;
	s->running = running;
	snprintf(s->status, sizeof(s->status), "%s", status ? status : "");
}

static const struct vmm_client_events events = {.on_up = on_up, .on_event = on_event, .on_down = on_down};

static int open_client(struct vmm_client **ret, struct seen *s)
{
	int fd;

	*s = (struct seen){0};
	*ret = vmm_client_new(loop, &vmm_qemu, dir, &events, s, NULL);
	assert_non_null(*ret);
	fd = accept(listener, NULL, NULL);
	while (fd < 0 && errno == EAGAIN) {
		poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 1000);
		fd = accept(listener, NULL, NULL);
	}
	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void spin(int64_t ms)
{
	bool never = false;

	loop_run_until(loop, &never, ms, NULL);
}

static void await(const bool *done)
{
	assert_int_equal(loop_run_until(loop, done, 3000, NULL), 0);
}

/* What the client sent until now. */
static void expect(int fd, const char *text)
{
	char buf[512] = "";
	ssize_t n;

	spin(20);
	n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	assert_true(n >= 0);
	assert_string_equal(buf, text);
}

static int open_up(struct vmm_client **ret, struct seen *s)
{
	int fd = open_client(ret, s);

	say(fd, GREETING);
	expect(fd, "{\"execute\":\"qmp_capabilities\",\"id\":0}\n");
	say(fd, "{\"return\": {}, \"id\": 0}\r\n");
	await(&s->up);
	return fd;
}

static void test_commands(void **state)
{
	struct vmm_client *c;
	struct seen s;
	int fd = open_up(&c, &s);

	assert_true(vmm_client_is_up(c));
	vmm_pause(c, on_done, &s);
	assert_false(s.answered); /* never from within the call */
	expect(fd, "{\"execute\":\"stop\",\"id\":1}\n");
	say(fd, "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\r\n{\"return\": {}, \"id\": 1}\r\n");
	await(&s.answered);
	assert_int_equal(s.code, 0);
	assert_int_equal(s.events, 1);
	assert_int_equal(s.last_event, VMM_EVENT_STOP);
	s.answered = false;
	vmm_query_status(c, on_status, &s);
	expect(fd, "{\"execute\":\"query-status\",\"id\":2}\n");
	say(fd, "{\"return\": {\"status\": \"paused\", \"singlestep\": false, \"running\": false}, \"id\": 2}\n");
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
	static const char *const after[] = {"x\n", "\n", "[]\n", "{}\n", "{\"return\": {}, \"id\": 99}\n",
					    "{\"return\": {}, \"id\": \"1\"}\n", "{\"event\": 5}\n", "{\"event\": \"A\"\n",
					    "{\"error\": 1, \"id\": 1}\n", "{\"return\": {}, \"id\": -1}\n", GREETING,
					    "{\"return\": {}, \"return\": {}, \"id\": 1}\n", "\xff\xfe\n"};
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
	assert_int_equal(loop_run_until(loop, &s.answered, VMM_CLIENT_DEADLINE_MS + 3000, NULL), 0);
	assert_in_range(clock_ms() - start, VMM_CLIENT_DEADLINE_MS - 50, VMM_CLIENT_DEADLINE_MS + 2000);
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

	assert_int_equal(qmp_await_up(dir, clock_ms() + 100, &err), -1);
	assert_int_equal(err->code, ERR_TIMEOUT);
	assert_in_range(clock_ms() - start, 95, 2000);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	error_free(&err);
	assert_int_equal(qmp_await_up("/nonexistent", clock_ms() + 100, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_queued_while_connecting),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_disconnect),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_unsupported_and_cancelled),
		cmocka_unit_test(test_free_in_callback),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_await),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
