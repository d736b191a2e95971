/* SPDX-License-Identifier: MIT */
/* Files that are slow, or never come: what a request waits for holds up no other one, nor the session. A file under a lease stands for
 * a disk that does not answer: whoever opens it waits until the lease is given back (fcntl(2), "Leases"). */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent_fixture.h"

struct slow_fixture {
	struct agent_fixture agent;
	char program[96];
	int lease;
};

static int setup(void **state)
{
	static const char text[] = "#!/bin/sh\necho came\n";
	struct slow_fixture *f = NEW(struct slow_fixture);

	signal(SIGIO, SIG_IGN); /* somebody wants what is leased */
	agent_fixture_init(&f->agent);
	snprintf(f->program, sizeof(f->program), "%s/slow", f->agent.dir);
	assert_int_equal(fs_write_replace(f->program, text, strlen(text), 0755, NULL), 0);
	f->lease = open(f->program, O_RDONLY | O_CLOEXEC);
	if (fcntl(f->lease, F_SETLEASE, F_WRLCK) < 0)
		fail_msg("no lease on a file in /tmp");
	*state = f;
	return 0;
}

static void give_back(struct slow_fixture *f)
{
	if (f->lease >= 0)
		fcntl(f->lease, F_SETLEASE, F_UNLCK);
	fd_closep(&f->lease);
}

static int teardown(void **state)
{
	struct slow_fixture *f = *state;

	give_back(f);
	agent_fixture_clear(&f->agent);
	free(f);
	return 0;
}

static void assert_all_else_goes_on(struct slow_fixture *f)
{
	struct agent_call c;

	agent_call_get(&c, &f->agent.host, "GET", "/health");
	assert_int_equal(c.status, 200);
	agent_call_free(&c);
	agent_call_get(&c, &f->agent.host, "POST", "/exec?uid=0&cmd=echo&args=also");
	assert_non_null(strstr(agent_call_text(&c), "also\\n"));
	agent_call_free(&c);
}

static void open_slow(struct agent_call *c, struct slow_fixture *f, const char *method, const char *what)
{
	cleanup_free char *target = str_fmt("%s%s", what, f->program);

	agent_call_open(c, &f->agent.host, method, target);
}

static void test_exec(void **state)
{
	struct slow_fixture *f = *state;
	struct agent_call slow;

	open_slow(&slow, f, "POST", "/exec?uid=0&cmd=");
	agent_call_send(&slow, "", 0, true);
	assert_all_else_goes_on(f);
	assert_int_equal(slow.status, 0);
	give_back(f);
	agent_call_wait(&slow);
	assert_non_null(strstr(agent_call_text(&slow), "came\\n"));
	assert_non_null(strstr(agent_call_text(&slow), "\"exit_code\":0}\n"));
	agent_call_free(&slow);
}

/* More than the threads that there are at first; each hangs by itself. */
static void test_many(void **state)
{
	struct slow_fixture *f = *state;
	struct agent_call slow[8];

	for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
		open_slow(&slow[i], f, "POST", "/exec?uid=0&cmd=");
		agent_call_send(&slow[i], "", 0, true);
	}
	assert_all_else_goes_on(f);
	give_back(f);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
		agent_call_wait(&slow[i]);
		assert_non_null(strstr(agent_call_text(&slow[i]), "\"exit_code\":0}\n"));
		agent_call_free(&slow[i]);
	}
}

static void test_shell(void **state)
{
	struct slow_fixture *f = *state;
	struct agent_call slow;

	open_slow(&slow, f, "GET", "/shell?uid=0&shell=");
	assert_all_else_goes_on(f);
	assert_int_equal(slow.status, 0);
	give_back(f);
	agent_call_wait_status(&slow);
	assert_int_equal(slow.status, 200);
	agent_call_free(&slow);
}

/* What a child that hangs has inherited keeps nobody waiting for an end. */
static void test_end_of_input(void **state)
{
	struct slow_fixture *f = *state;
	struct agent_call cat, slow;

	agent_call_open(&cat, &f->agent.host, "POST", "/exec?uid=0&cmd=cat&stdin=true");
	agent_call_wait_status(&cat);
	open_slow(&slow, f, "POST", "/exec?uid=0&cmd=");
	agent_call_send(&slow, "", 0, true);
	assert_all_else_goes_on(f);
	agent_call_send(&cat, "text", 4, true);
	agent_call_wait(&cat);
	assert_non_null(strstr(agent_call_text(&cat), "\"exit_code\":0}\n"));
	assert_int_equal(slow.status, 0);
	agent_call_free(&cat);
	agent_call_free(&slow);
}

/* A list of users that does not come: the session is there, and says that it is ready once it knows the default user. */
static void test_users(void **state)
{
	struct slow_fixture *f = *state;
	struct agent_call events, health, c;
	bool never = false;

	assert_int_equal(mount(f->program, "/etc/passwd", NULL, MS_BIND, NULL), 0);
	agent_call_open(&events, &f->agent.host, "GET", "/v1/events");
	agent_call_wait_status(&events);
	agent_call_open(&health, &f->agent.host, "GET", "/health");
	agent_call_get(&c, &f->agent.host, "GET", "/nothing");
	assert_int_equal(c.status, 404);
	agent_call_free(&c);
	assert_int_equal(evbuffer_get_length(events.body), 0);
	assert_int_equal(health.status, 0);
	give_back(f);
	agent_call_wait_status(&health);
	while (evbuffer_get_length(events.body) == 0)
		loop_run_until(f->agent.loop, &never, 5, NULL);
	assert_non_null(strstr(agent_call_text(&events), "{\"event\":\"ready\","));
	agent_call_free(&events);
	agent_call_free(&health);
	assert_int_equal(umount2("/etc/passwd", MNT_DETACH), 0);
}

/* The client leaves before it has begun; the agent may even end. */
static void test_given_up(void **state)
{
	struct slow_fixture *f = *state;
	struct agent_call slow, shell;

	open_slow(&slow, f, "POST", "/exec?uid=0&cmd=");
	open_slow(&shell, f, "GET", "/shell?uid=0&shell=");
	assert_all_else_goes_on(f);
	agent_call_free(&slow);
	agent_call_free(&shell);
	assert_all_else_goes_on(f);
}

/* A socket whose queue is full: connect(2) would wait until somebody is taken from it. */
static void test_full_socket(void **state)
{
	struct slow_fixture *f = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_free char *target = NULL;
	struct agent_call c;
	int waiting;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/full", f->agent.dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 0), 0);
	waiting = fd_connect_unix(addr.sun_path, NULL);
	assert_true(waiting >= 0);
	target = str_fmt("/forward?upstream=unix:%s", addr.sun_path);
	agent_call_open(&c, &f->agent.host, "GET", target);
	assert_all_else_goes_on(f);
	agent_call_free(&c);
	close(waiting);
	close(listener);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_users),	      T(test_exec),	T(test_many),	     T(test_shell),
		T(test_end_of_input), T(test_given_up), T(test_full_socket),
	};

	/* Before there are threads: all see what test_users puts in the place of /etc/passwd. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1; /* root is needed */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
