/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/monitor_client.h"

#define RECORD                                                                                                         \
	"{\"version\":1,\"vm\":\"vm-1\",\"boot_id\":\"b\",\"vmm_pid\":42,%s,\"ended_at\":\"2025-"                      \
	"11-14T13:28:34Z\","                                                                                           \
	"\"console_tail\":\"bye\",\"vmm_message\":\"oops\"%s}\n"

static char dir[] = "/tmp/test_monitor_client_XXXXXX";
static struct loop *loop;
static int listener;

struct seen {
	bool answered, down, down_had_error;
	int answers, exits;
	enum error_code code;
	struct monitor_status status;
	bool signalled;
	int exit_code;
	char signal[32];
	struct monitor_client **free_in_callback;
};

static int setup(void **state)
{
	cleanup_free char *path = NULL;

	if (!mkdtemp(dir))
		return -1;
	path = fs_join(dir, "monitor.sock");
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

static void on_exit_event(void *arg, const struct vmm_exit *e)
{
	struct seen *s = arg;

	s->exits++;
	s->signalled = e->signalled;
	s->exit_code = e->exit_code;
	snprintf(s->signal, sizeof(s->signal), "%s", e->signal ? e->signal : "");
	assert_string_equal(e->vm, "vm-1");
	assert_int_equal(e->vmm_pid, 42);
	if (s->free_in_callback)
		monitor_client_free(s->free_in_callback);
}

static void on_down(void *arg, const struct error *error)
{
	struct seen *s = arg;

	assert_false(s->down);
	s->down = true;
	s->down_had_error = error;
}

static void on_status(void *arg, const struct monitor_status *status, const struct error *error)
{
	struct seen *s = arg;

	s->answered = true;
	s->answers++;
	s->code = error ? error->code : 0;
	if (status)
		s->status = *status;
}

static void on_done(void *arg, const struct error *error)
{
	on_status(arg, NULL, error);
}

static const struct monitor_client_events events = {.on_exit = on_exit_event, .on_down = on_down};

static int open_client(struct monitor_client **ret, struct seen *s)
{
	int fd;

	*s = (struct seen){0};
	*ret = monitor_client_new(loop, dir, &events, s, NULL);
	assert_non_null(*ret);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* For that long, and for what follows from what is ready by then: a busy machine may have let all of the time pass at once. */
static void spin(int64_t ms)
{
	bool never = false;

	loop_run_until(loop, &never, ms, NULL);
	for (int i = 0; i < 20; i++)
		loop_run_until(loop, &never, 0, NULL);
}

static void test_requests(void **state)
{
	struct monitor_client *c;
	struct seen s;
	char buf[256] = "";
	int fd = open_client(&c, &s);

	monitor_client_status(c, on_status, &s);
	monitor_client_kill(c, on_done, &s);
	assert_false(s.answered);
	spin(20);
	assert_true(recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(buf, "{\"cmd\":\"status\"}\n{\"cmd\":\"kill\"}\n");
	say(fd, "{\"ok\":true,\"state\":\"running\",\"vmm_pid\":77,\"vmm_start\":123456789012}\n");
	spin(20);
	assert_int_equal(s.answers, 1);
	assert_true(s.status.running);
	assert_int_equal(s.status.vmm_pid, 77);
	assert_int_equal(s.status.vmm_start, 123456789012);
	say(fd, "{\"event\":\"something-new\"}\n{\"ok\":false,\"error\":\"no\"}\n");
	spin(20);
	assert_int_equal(s.answers, 2);
	assert_int_equal(s.code, ERR_CONFLICT);
	monitor_client_kill(c, on_done, &s);
	monitor_client_free(&c);
	assert_int_equal(s.code, ERR_CANCELLED);
	assert_int_equal(s.answers, 3);
	assert_false(s.down);
	close(fd);
}

/* One that stands still: a status can wait, a request to kill behind it has its own deadline. */
static void test_deadlines(void **state)
{
	struct monitor_client *c;
	struct seen s;
	int64_t begin;
	int fd = open_client(&c, &s);

	monitor_client_status(c, on_status, &s);
	spin(1500);
	monitor_client_kill(c, on_done, &s);
	begin = clock_ms();
	loop_run_until(loop, &s.down, 60000, NULL);
	assert_true(s.down && clock_ms() - begin >= 4900);
	assert_int_equal(s.answers, 2);
	assert_int_equal(s.code, ERR_TIMEOUT);
	monitor_client_free(&c);
	close(fd);
}

static void test_exit(void **state)
{
	cleanup_free char *killed = str_fmt(RECORD, "\"signal\":\"SIGKILL\"", ",\"event\":\"exit\"");
	cleanup_free char *ended = str_fmt(RECORD, "\"exit_code\":7", ",\"event\":\"exit\"");
	struct monitor_client *c;
	struct seen s;
	int fd = open_client(&c, &s);

	say(fd, killed);
	close(fd);
	spin(50);
	assert_int_equal(s.exits, 1);
	assert_true(s.signalled);
	assert_string_equal(s.signal, "SIGKILL");
	assert_true(s.down);
	assert_false(s.down_had_error);
	monitor_client_free(&c);
	fd = open_client(&c, &s);
	s.free_in_callback = &c;
	say(fd, ended);
	spin(50);
	assert_null(c);
	assert_int_equal(s.exit_code, 7);
	close(fd);
}

static void test_down(void **state)
{
	cleanup_free char *both = str_fmt(RECORD, "\"exit_code\":7,\"signal\":\"SIGKILL\"", ",\"event\":\"exit\"");
	cleanup_free char *neither = str_fmt(RECORD, "\"x\":7", ",\"event\":\"exit\"");
	const char *const garbage[] = {
		"", "x\n", "[]\n", "{\"ok\":true}\n", "{\"event\":7}\n", "{\"event\":\"exit\"}\n", both, neither};

	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		struct monitor_client *c;
		struct seen s;
		int fd = open_client(&c, &s);

		say(fd, garbage[i]);
		close(fd);
		spin(30);
		assert_true(s.down);
		assert_true(s.down_had_error);
		assert_int_equal(s.exits, 0);
		monitor_client_status(c, on_status, &s);
		spin(10);
		assert_true(s.answered);
		assert_int_not_equal(s.code, 0);
		monitor_client_free(&c);
	}
}

static void test_record_file(void **state)
{
	cleanup_free char *path = fs_join(dir, "exit.json"), *text = str_fmt(RECORD, "\"exit_code\":0", "");
	cleanup_error struct error *err = NULL;
	struct vmm_exit e;

	assert_int_equal(vmm_exit_read(path, &e, &err), -1);
	assert_int_equal(err->code, ERR_NOT_FOUND);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
	assert_int_equal(vmm_exit_read(path, &e, NULL), 0);
	assert_int_equal(e.exit_code, 0);
	assert_string_equal(e.vmm_message, "oops");
	assert_string_equal(e.console_tail, "bye");
	vmm_exit_clear(&e);
	assert_int_equal(fs_write_atomic(path, text, strlen(text) / 2, 0600, NULL), 0);
	assert_int_equal(vmm_exit_read(path, &e, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests), cmocka_unit_test(test_deadlines),   cmocka_unit_test(test_exit),
		cmocka_unit_test(test_down),	 cmocka_unit_test(test_record_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
