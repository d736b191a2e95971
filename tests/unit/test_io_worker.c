/* SPDX-License-Identifier: MIT */
#include "io_fixture.h"
#include "io/worker.h"

static struct {
	struct worker_pool *pool;
	int begun, worked, done, failed;
	bool all;
	int expected;
} t;

static int work(void *arg, struct error **err)
{
	__atomic_add_fetch(&t.worked, 1, __ATOMIC_RELAXED);
	if (arg)
		return error_set(err, ERR_CONFLICT, "no");
	return 0;
}

static int work_slowly(void *arg, struct error **err)
{
	__atomic_add_fetch(&t.begun, 1, __ATOMIC_RELAXED);
	usleep(50000);
	return work(arg, err);
}

static int fail_silently(void *arg, struct error **err)
{
	return -1;
}

static void on_done(void *arg, const struct error *error)
{
	t.done++;
	if (error) {
		t.failed++;
		assert_int_equal(error->code, ERR_CONFLICT);
	}
	t.all = t.done == t.expected;
}

static void on_internal(void *arg, const struct error *error)
{
	assert_int_equal(error->code, ERR_INTERNAL);
	t.all = true;
}

static void free_in_done(void *arg, const struct error *error)
{
	t.done++;
	worker_pool_free(&t.pool);
	t.all = true;
}

static int setup(void **state)
{
	memset(&t, 0, sizeof(t));
	if (setup_loop(state) < 0)
		return -1;
	t.pool = worker_pool_new(loop, 4, NULL);
	return t.pool ? 0 : -1;
}

static int teardown(void **state)
{
	worker_pool_free(&t.pool);
	return teardown_loop(state);
}

static void test_jobs(void **state)
{
	t.expected = 1000;
	for (int i = 0; i < 1000; i++)
		worker_submit(t.pool, work, on_done, i % 10 ? NULL : &t);
	wait_for(&t.all);
	assert_int_equal(t.worked, 1000);
	assert_int_equal(t.failed, 100);
}

static void test_no_reason(void **state)
{
	worker_submit(t.pool, fail_silently, on_internal, NULL);
	wait_for(&t.all);
}

/* Running jobs are waited for, the rest is dropped; nobody is told. */
static void test_free_while_busy(void **state)
{
	for (int i = 0; i < 10000; i++)
		worker_submit(t.pool, work_slowly, on_done, NULL);
	while (__atomic_load_n(&t.begun, __ATOMIC_RELAXED) == 0)
		usleep(1000);
	worker_pool_free(&t.pool);
	assert_int_equal(t.worked, t.begun);
	assert_true(t.worked < 10000); /* which would take two minutes */
	run_for(5);
	assert_int_equal(t.done, 0);
}

static void test_free_in_done(void **state)
{
	for (int i = 0; i < 10; i++)
		worker_submit(t.pool, work, free_in_done, NULL);
	usleep(20000);
	wait_for(&t.all);
	assert_int_equal(t.done, 1);
	assert_null(t.pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_jobs),
		T(test_no_reason),
		T(test_free_while_busy),
		T(test_free_in_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
