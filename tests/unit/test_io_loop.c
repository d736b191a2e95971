/* SPDX-License-Identifier: MIT */
/* Timers, watches, signals, children. */
#include "io_fixture.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct seen {
	unsigned count;
	bool done;
	int status, what;
	struct timer *timer;
	struct watch *watch;
	struct child *child;
	struct loop_signal *signal;
};

static void on_timer(void *arg)
{
	struct seen *s = arg;

	s->count++;
	s->done = true;
}

static void on_timer_free(void *arg)
{
	struct seen *s = arg;

	timer_free(&s->timer);
	s->done = true;
}

static void stand_still(void *arg)
{
	struct seen *answer = arg;

	usleep(1000 * 1000);
	timer_set(answer->timer, 100);
}

/* The loop stands still beyond a deadline: who answers afterwards is not judged by it; who does not, is in the end. */
static void test_deadline(void **state)
{
	struct seen deadline = {}, answer = {};
	struct timer *still = timer_new(loop, stand_still, &answer);

	deadline.timer = timer_new(loop, on_timer, &deadline);
	answer.timer = timer_new(loop, on_timer, &answer);
	timer_set_deadline(deadline.timer, 50);
	timer_set(still, 0);
	wait_for(&answer.done);
	assert_int_equal(deadline.count, 0);
	wait_for(&deadline.done);
	timer_free(&still);
	timer_free(&deadline.timer);
	timer_free(&answer.timer);
}

static void test_timers(void **state)
{
	struct seen a = {}, b = {}, c = {};
	double begin = now_s();

	a.timer = timer_new(loop, on_timer, &a);
	b.timer = timer_new(loop, on_timer, &b);
	c.timer = timer_new(loop, on_timer_free, &c);
	timer_set(a.timer, 50);
	timer_set(b.timer, 10);
	timer_set(c.timer, 0);
	assert_true(timer_pending(b.timer));
	timer_cancel(b.timer);
	assert_false(timer_pending(b.timer));
	assert_false(c.done); /* never within the call */
	wait_for(&a.done);
	assert_true(now_s() - begin > 0.04);
	assert_true(c.done);
	assert_null(c.timer);
	assert_int_equal(b.count, 0);
	run_for(60);
	assert_int_equal(a.count, 1);
	timer_set(a.timer, 1000);
	timer_set(a.timer, 0);
	run_for(5);
	assert_int_equal(a.count, 2);
	timer_free(&a.timer);
	timer_free(&a.timer);
	timer_free(&b.timer);
}

static void test_timeout(void **state)
{
	bool never = false;
	struct error *e = NULL;

	assert_int_equal(loop_run_until(loop, &never, 20, &e), -1);
	assert_int_equal(e->code, ERR_TIMEOUT);
	error_free(&e);
}

static void on_stop(void *arg)
{
	loop_stop(loop);
}

static void test_stop(void **state)
{
	struct timer *timer = timer_new(loop, on_stop, NULL);
	bool never = false;

	timer_set(timer, 1);
	assert_int_equal(loop_run(loop, NULL), 0);
	timer_set(timer, 1);
	assert_int_equal(loop_run(loop, NULL), 0); /* can run again */
	loop_stop(loop);
	assert_int_equal(loop_run(loop, NULL), 0); /* stopped beforehand */
	timer_set(timer, 1);
	assert_int_equal(loop_run_until(loop, &never, 5000, NULL), -1);
	timer_free(&timer);
}

static void on_watch(void *arg, int what)
{
	struct seen *s = arg;

	s->count++;
	s->what |= what;
	s->done = true;
}

static void on_watch_free(void *arg, int what)
{
	struct seen *s = arg;

	s->done = true;
	watch_free(&s->watch);
}

static void test_watch(void **state)
{
	struct seen s = {};
	int fd[2];

	socket_pair(fd);
	s.watch = watch_new(loop, fd[0], on_watch, &s);
	run_for(5);
	assert_int_equal(s.count, 0);
	watch_set(s.watch, WATCH_IN);
	run_for(5);
	assert_int_equal(s.count, 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	wait_for(&s.done);
	assert_int_equal(s.what, WATCH_IN);
	watch_set(s.watch, WATCH_IN | WATCH_OUT);
	run_for(5);
	assert_int_equal(s.what, WATCH_IN | WATCH_OUT);
	watch_set(s.watch, 0);
	s.count = 0;
	run_for(5);
	assert_int_equal(s.count, 0);
	watch_free(&s.watch);
	s.done = false;
	s.watch = watch_new(loop, fd[0], on_watch_free, &s);
	watch_set(s.watch, WATCH_IN);
	wait_for(&s.done);
	close(fd[0]);
	close(fd[1]);
}

/* epoll refuses files; they are always ready. */
static void test_watch_file(void **state)
{
	struct seen s = {};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	s.watch = watch_new(loop, fd, on_watch, &s);
	watch_set(s.watch, WATCH_IN);
	wait_for(&s.done);
	watch_set(s.watch, 0);
	s.count = 0;
	run_for(5);
	assert_int_equal(s.count, 0);
	watch_free(&s.watch);
	s.done = false;
	s.watch = watch_new(loop, fd, on_watch_free, &s);
	watch_set(s.watch, WATCH_IN);
	wait_for(&s.done);
	close(fd);
}

static void on_signal(void *arg)
{
	struct seen *s = arg;

	s->done = true;
	loop_signal_free(&s->signal);
}

static void test_signal(void **state)
{
	struct seen s = {};

	s.signal = loop_signal_new(loop, SIGUSR1, on_signal, &s);
	kill(getpid(), SIGUSR1);
	wait_for(&s.done);
	assert_null(s.signal);
}

static void on_child(void *arg, int status)
{
	struct seen *s = arg;

	s->status = status;
	s->done = true;
	child_free(&s->child);
}

static int run_child(int exit_code, int signo, bool reap)
{
	struct seen s = {};
	pid_t pid = fork();
	int pidfd;

	assert_true(pid >= 0);
	if (pid == 0) {
		usleep(10000);
		if (signo)
			kill(getpid(), signo);
		_exit(exit_code);
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(pidfd >= 0);
	if (reap)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	s.child = child_new(loop, pidfd, on_child, &s);
	wait_for(&s.done);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1); /* reaped */
	return s.status;
}

static void test_child(void **state)
{
	int status = run_child(7, 0, false);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	status = run_child(0, SIGTERM, false);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_int_equal(run_child(0, 0, true), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_loop, teardown_loop)
		T(test_timers), T(test_deadline),   T(test_timeout), T(test_stop),
		T(test_watch),	T(test_watch_file), T(test_signal),  T(test_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
