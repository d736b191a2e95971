/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "vm/op.h"

/* A scripted operation: what each step did is written into one string. */
struct script {
	struct loop *loop;
	struct worker_pool *pool;
	char trace[512];
	const char *fail_at; /* "a.do" or "a.undo" */
	bool sync_wait;	     /* the WAIT step ends within run() */
	struct op *op;
	bool finished;
	struct error *error;
};

static void trace(struct script *s, const char *what)
{
	strncat(s->trace, what, sizeof(s->trace) - strlen(s->trace) - 1);
	strncat(s->trace, " ", sizeof(s->trace) - strlen(s->trace) - 1);
}

static int act(struct script *s, const char *what, struct error **err)
{
	trace(s, what);
	return str_eq(s->fail_at, what) ? error_set(err, ERR_IO, "%s failed", what) : 0;
}

static int do_a(void *ctx, struct op *op, struct error **err)
{
	return act(ctx, "a.do", err);
}

static int undo_a(void *ctx, struct error **err)
{
	return act(ctx, "a.undo", err);
}

static void finish_a(void *ctx)
{
	trace(ctx, "a.finish");
}

static int do_wait(void *ctx, struct op *op, struct error **err)
{
	struct script *s = ctx;

	if (act(s, "w.do", err))
		return -1;
	if (s->sync_wait)
		op_continue(op, NULL);
	return 0;
}

static int expire_wait(void *ctx, struct error **err)
{
	return act(ctx, "w.expire", err);
}

static int do_c(void *ctx, struct op *op, struct error **err)
{
	return act(ctx, "c.do", err);
}

static int undo_c(void *ctx, struct error **err)
{
	return act(ctx, "c.undo", err);
}

static int do_loop(void *ctx, struct op *op, struct error **err)
{
	return act(ctx, "l.do", err);
}

static char *record(void *ctx, const char *step)
{
	return str_fmt("rec:%s", step);
}

static int save(void *ctx, const char *text, struct error **err)
{
	return act(ctx, text, err);
}

static void done(void *ctx, const struct error *error)
{
	struct script *s = ctx;

	s->finished = true;
	s->error = error_copy(error);
	s->op = NULL;
}

static const struct op_step steps[] = {
	{.name = "a", .kind = OP_STEP_WORKER, .run = do_a, .finish = finish_a, .undo = undo_a},
	{.name = "w", .kind = OP_STEP_WAIT, .deadline_ms = 50, .run = do_wait, .expire = expire_wait},
	{.name = "l", .kind = OP_STEP_LOOP, .run = do_loop},
	{.name = "c", .kind = OP_STEP_WORKER, .run = do_c, .undo = undo_c},
};
static const struct op_table table = {
	.name = "test", .steps = steps, .nsteps = ARRAY_LEN(steps), .record = record, .save = save, .done = done};

static int setup(void **state)
{
	struct script *s = NEW(struct script);

	unsetenv("SLICER_FAULT");
	s->loop = loop_new(NULL);
	s->pool = worker_pool_new(s->loop, 2, NULL);
	*state = s;
	return s->pool ? 0 : -1;
}

static int teardown(void **state)
{
	struct script *s = *state;

	worker_pool_free(&s->pool);
	loop_free(&s->loop);
	error_free(&s->error);
	free(s);
	unsetenv("SLICER_FAULT");
	return 0;
}

static void run(struct script *s)
{
	s->op = op_start(s->loop, s->pool, &table, s);
	assert_int_equal(loop_run_until(s->loop, &s->finished, 30000, NULL), 0);
}

static void test_all_steps_in_order(void **state)
{
	struct script *s = *state;

	s->sync_wait = true;
	run(s);
	assert_null(s->error);
	/* The intent is saved before each step that touches anything outside. */
	assert_string_equal(s->trace, "rec:a a.do a.finish w.do l.do rec:c c.do ");
}

static void test_failure_undoes_in_reverse(void **state)
{
	struct script *s = *state;

	s->sync_wait = true;
	s->fail_at = "c.do";
	run(s);
	assert_non_null(s->error);
	assert_string_equal(s->error->message, "step \"c\": c.do failed");
	/* The failed step may be half-done: its undo runs as well. */
	assert_string_equal(s->trace, "rec:a a.do a.finish w.do l.do rec:c c.do c.undo a.undo ");
}

static void test_a_record_that_cannot_be_saved_stops_the_step(void **state)
{
	struct script *s = *state;

	s->fail_at = "rec:a";
	run(s);
	assert_string_equal(s->error->message, "step \"a\": record: rec:a failed");
	assert_string_equal(s->trace, "rec:a a.undo ");
}

static void test_failing_undo_does_not_stop_the_others(void **state)
{
	struct script *s = *state;

	s->sync_wait = true;
	s->fail_at = "c.undo";
	setenv("SLICER_FAULT", "test.c:fail", 1);
	run(s);
	assert_string_equal(s->trace, "rec:a a.do a.finish w.do l.do rec:c c.do c.undo a.undo ");
}

/* Also where the wait was over at once: the fault is of that step, not of the next. */
static void test_fault_in_a_wait_that_ends_at_once(void **state)
{
	struct script *s = *state;

	s->sync_wait = true;
	setenv("SLICER_FAULT", "test.w:fail", 1);
	run(s);
	assert_string_equal(s->trace, "rec:a a.do a.finish w.do a.undo ");
	assert_non_null(strstr(s->error->message, "fault injected at step test.w:fail"));
}

static void test_fault_makes_a_step_fail_after_it_ran(void **state)
{
	struct script *s = *state;

	setenv("SLICER_FAULT", "test.a:fail", 1);
	run(s);
	assert_string_equal(s->trace, "rec:a a.do a.undo ");
	assert_non_null(strstr(s->error->message, "fault injected"));
}

static void test_fault_of_another_table_is_not_ours(void **state)
{
	struct script *s = *state;

	s->sync_wait = true;
	setenv("SLICER_FAULT", "other.a:fail", 1);
	run(s);
	assert_null(s->error);
}

static void test_deadline_asks_expire(void **state)
{
	struct script *s = *state;

	run(s);
	assert_null(s->error);
	assert_non_null(strstr(s->trace, "w.do w.expire l.do"));
}

static void test_deadline_may_fail(void **state)
{
	struct script *s = *state;

	s->fail_at = "w.expire";
	run(s);
	assert_string_equal(s->error->message, "step \"w\": w.expire failed");
	assert_non_null(strstr(s->trace, "a.undo"));
}

static void cancel_later(void *arg)
{
	struct script *s = arg;
	struct error *why = NULL;

	error_set(&why, ERR_CANCELLED, "not wanted");
	op_cancel(s->op, why);
}

static void test_cancel_in_a_wait(void **state)
{
	struct script *s = *state;
	struct timer *t = timer_new(s->loop, cancel_later, s);

	timer_set(t, 20);
	run(s);
	timer_free(&t);
	assert_int_equal(s->error->code, ERR_CANCELLED);
	assert_non_null(strstr(s->trace, "w.do a.undo"));
	assert_null(strstr(s->trace, "w.expire"));
}

static void test_cancel_before_the_first_step(void **state)
{
	struct script *s = *state;

	s->op = op_start(s->loop, s->pool, &table, s);
	cancel_later(s);
	cancel_later(s); /* twice is once */
	assert_int_equal(loop_run_until(s->loop, &s->finished, 30000, NULL), 0);
	assert_int_equal(s->error->code, ERR_CANCELLED);
	assert_string_equal(s->trace, "a.undo ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_steps_in_order),
		TEST(test_failure_undoes_in_reverse),
		TEST(test_a_record_that_cannot_be_saved_stops_the_step),
		TEST(test_failing_undo_does_not_stop_the_others),
		TEST(test_fault_makes_a_step_fail_after_it_ran),
		TEST(test_fault_in_a_wait_that_ends_at_once),
		TEST(test_fault_of_another_table_is_not_ours),
		TEST(test_deadline_asks_expire),
		TEST(test_deadline_may_fail),
		TEST(test_cancel_in_a_wait),
		TEST(test_cancel_before_the_first_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
