/* SPDX-License-Identifier: MIT */
/* Supervisor and server as real processes: a server that dies, a reboot, a shutdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent_host.h"
#include "agent/supervisor.h"
#include "base/fs.h"
#include "base/str.h"

struct fixture {
	struct loop *loop;
	struct agent_host host;
	pid_t supervisor;
};

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	f->loop = loop_new(NULL);
	agent_host_listen(&f->host, f->loop);
	f->supervisor = fork();
	if (f->supervisor == 0) {
		const struct guest_config config = {.hostname = (char *)"vm-1"};
		const struct server_options options = {
			.control = {.path = f->host.control_path, .socket = true},
			.agent = {.path = f->host.agent_path, .socket = true},
			.config = &config,
			.fake = true,
		};

		_exit(supervisor_run(&options));
	}
	agent_host_accept(&f->host);
	agent_host_session(&f->host);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->supervisor > 0) {
		kill(f->supervisor, SIGKILL);
		waitpid(f->supervisor, NULL, 0);
	}
	agent_host_free(&f->host);
	loop_free(&f->loop);
	free(f);
	return 0;
}

static void pass_time(struct fixture *f, int64_t ms)
{
	bool never = false;

	loop_run_until(f->loop, &never, ms, NULL);
}

static pid_t output_number(struct agent_call *c, const char *before)
{
	const char *p = strstr(agent_call_text(c), before);

	assert_non_null(p);
	return (pid_t)atoi(p + strlen(before));
}

static bool is_running(pid_t pid)
{
	char *path = str_fmt("/proc/%d/stat", pid), *text = NULL;
	size_t n;
	bool running = fs_read_file(path, 4096, &text, &n, NULL) == 0 && !strstr(text, ") Z ");

	free(path);
	free(text);
	return running;
}

static void expect_status(struct fixture *f, int want)
{
	int status = 0;
	pid_t pid = 0;

	for (int i = 0; i < 3000 && pid == 0; i++) {
		pid = waitpid(f->supervisor, &status, WNOHANG);
		pass_time(f, 10);
	}
	assert_int_equal(pid, f->supervisor);
	f->supervisor = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

static void shut_down(struct fixture *f, const char *action)
{
	struct agent_call c;
	char *body = str_fmt("{\"action\":\"%s\"}", action);

	agent_call_open(&c, &f->host, "POST", "/shutdown");
	agent_call_send(&c, body, strlen(body), true);
	agent_call_wait(&c);
	assert_int_equal(c.status, 200);
	agent_call_free(&c);
	free(body);
}

static void test_poweroff(void **state)
{
	shut_down(*state, "poweroff");
	expect_status(*state, SERVER_EXIT_POWEROFF);
}

static void test_reboot(void **state)
{
	shut_down(*state, "reboot");
	expect_status(*state, SERVER_EXIT_REBOOT);
}

/* What busybox's poweroff sends to PID 1. */
static void test_signal(void **state)
{
	struct fixture *f = *state;

	kill(f->supervisor, SIGUSR2);
	expect_status(f, SERVER_EXIT_POWEROFF);
	for (int i = 0; i < 3000 && !f->host.bye; i++)
		pass_time(f, 10);
	assert_true(f->host.bye);
}

/* A server that hangs is not waited for, and what was asked for is done all the same. */
static void test_signal_with_a_hung_server(void **state)
{
	struct fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=sh&args=-c&args=echo+ppid+$PPID");
	kill(output_number(&c, "ppid "), SIGSTOP);
	agent_call_free(&c);
	kill(f->supervisor, SIGTERM);
	expect_status(f, SERVER_EXIT_REBOOT);
}

/* The server dies: what ran for it dies too, another one serves soon and is a new instance. */
static void test_server_dies(void **state)
{
	struct fixture *f = *state;
	struct agent_call c;
	char instance[33];
	pid_t server, sleeper;

	strcpy(instance, f->host.hello.instance);
	agent_call_open(&c, &f->host, "POST",
			"/exec?uid=0&cmd=sh&args=-c&args=echo+ppid+$PPID;+sleep+60+%26+echo+sleeper+$!;+wait");
	for (int i = 0; i < 3000 && evbuffer_search(c.body, "sleeper", 7, NULL).pos < 0; i++)
		pass_time(f, 10);
	sleeper = output_number(&c, "sleeper ");
	server = output_number(&c, "ppid ");
	agent_call_free(&c);
	assert_true(is_running(sleeper));
	kill(server, SIGKILL);
	agent_host_hang_up(&f->host);
	agent_host_accept(&f->host);
	while (f->host.hellos == 0)
		pass_time(f, 5);
	assert_string_not_equal(f->host.hello.instance, instance);
	assert_false(is_running(sleeper));
	agent_host_session(&f->host);
	agent_call_get(&c, &f->host, "GET", "/health");
	assert_int_equal(c.status, 200);
	agent_call_free(&c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_poweroff), T(test_reboot), T(test_signal),
					   T(test_signal_with_a_hung_server), T(test_server_dies)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
