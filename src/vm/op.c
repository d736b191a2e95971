/* SPDX-License-Identifier: MIT */
#include "vm/op.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/units.h"

struct op {
	struct loop *loop;
	struct worker_pool *pool;
	const struct op_table *table;
	void *ctx;
	size_t step;		 /* the one under way, or to be undone next */
	struct timer *timer;	 /* the next step in the next round; the deadline of a WAIT step */
	char *record;		 /* for the job under way */
	struct error *failure;	 /* why it is being undone */
	struct error *cancelled; /* asked for, not yet acted upon */
	bool undoing, waiting, in_job;
	bool beginning;	   /* run() of a WAIT step is on the stack: its end is acted upon when it has returned */
	bool ended;	   /* and it came from within */
	struct error *end; /* with this error */
};

static void op_advance(void *arg);

static const struct op_step *op_current(const struct op *op)
{
	return &op->table->steps[op->step];
}

/* The environment is the switch, so that a test needs no other door into the daemon. */
static int op_inject_fault(const struct op *op, struct error **err)
{
	const char *fault = getenv("SLICER_FAULT");
	cleanup_free char *point = NULL;

	if (!fault)
		return 0;
	point = str_fmt("%s.%s:", op->table->name, op_current(op)->name);
	if (!str_starts(fault, point))
		return 0;
	log_warn("fault injected at %s", fault);
	if (str_eq(fault + strlen(point), "kill"))
		kill(getpid(), SIGKILL);
	return error_set(err, ERR_INTERNAL, "fault injected at step %s", fault);
}

static void op_finish(struct op *op)
{
	struct op dead = *op;

	timer_free(&op->timer);
	free(op->record);
	error_free(&op->cancelled);
	free(op);
	dead.table->done(dead.ctx, dead.failure);
	error_free(&dead.failure);
}

static void op_fail(struct op *op, struct error *take)
{
	op->failure = take;
	error_wrap(&op->failure, "step \"%s\"", op_current(op)->name);
	op->undoing = true;
	timer_set(op->timer, 0);
}

static void op_step_done(struct op *op, struct error *take)
{
	if (take) {
		op_fail(op, take);
		return;
	}
	op->step++;
	timer_set(op->timer, 0);
}

static int op_job_work(void *arg, struct error **err)
{
	struct op *op = arg;
	const struct op_step *step = op_current(op);

	if (op->undoing)
		return step->undo(op->ctx, err);
	if (op->record && op->table->save(op->ctx, op->record, err))
		return error_wrap(err, "record");
	if (step->run(op->ctx, op, err))
		return -1;
	return op_inject_fault(op, err);
}

static void op_undo_done(struct op *op, const struct error *error)
{
	/* What cannot be undone now is for whoever began the operation to see to, and for reconciliation. */
	if (error)
		log_error("%s: undoing step \"%s\": %s", op->table->name, op_current(op)->name, error_message(error));
	if (op->step == 0) {
		op_finish(op);
		return;
	}
	op->step--;
	timer_set(op->timer, 0);
}

static void op_job_done(void *arg, const struct error *error)
{
	struct op *op = arg;

	op->in_job = false;
	mem_freep(&op->record);
	if (op->undoing) {
		op_undo_done(op, error);
		return;
	}
	if (!error && op_current(op)->finish)
		op_current(op)->finish(op->ctx);
	op_step_done(op, error_copy(error));
}

static void op_submit(struct op *op)
{
	op->in_job = true;
	worker_submit(op->pool, op_job_work, op_job_done, op);
}

static void op_begin_wait(struct op *op)
{
	const struct op_step *step = op_current(op);
	struct error *error = NULL;

	op->waiting = op->beginning = true;
	timer_set_deadline(op->timer, step->deadline_ms);
	if (step->run(op->ctx, op, &error) == 0)
		op_inject_fault(op, &error);
	op->beginning = false;
	if (!error && !op->ended)
		return;
	if (!error)
		error = TAKE_PTR(op->end);
	error_free(&op->end);
	op->ended = false;
	op_continue(op, error);
}

static void op_run_step(struct op *op)
{
	const struct op_step *step = op_current(op);
	struct error *error = NULL;

	switch (step->kind) {
	case OP_STEP_WORKER:
		op->record = op->table->record ? op->table->record(op->ctx, step->name) : NULL;
		op_submit(op);
		return;
	case OP_STEP_WAIT:
		op_begin_wait(op);
		return;
	case OP_STEP_LOOP:
		if (step->run(op->ctx, op, &error) == 0)
			op_inject_fault(op, &error);
		op_step_done(op, error);
		return;
	}
}

static void op_expire(struct op *op)
{
	struct error *error = NULL;
	const struct op_step *step = op_current(op);

	if (!step->expire)
		error_set(&error, ERR_TIMEOUT, "no answer within %lld ms", (long long)step->deadline_ms);
	else
		step->expire(op->ctx, &error);
	op_continue(op, error);
}

static void op_advance(void *arg)
{
	struct op *op = arg;

	if (op->waiting) {
		op_expire(op);
		return;
	}
	if (op->undoing) {
		if (op_current(op)->undo)
			op_submit(op);
		else
			op_undo_done(op, NULL);
		return;
	}
	if (op->step == op->table->nsteps) {
		op_finish(op);
		return;
	}
	if (op->cancelled)
		op_fail(op, TAKE_PTR(op->cancelled));
	else
		op_run_step(op);
}

struct op *op_start(struct loop *loop, struct worker_pool *pool, const struct op_table *table, void *ctx)
{
	struct op *op = NEW(struct op);

	op->loop = loop;
	op->pool = pool;
	op->table = table;
	op->ctx = ctx;
	op->timer = timer_new(loop, op_advance, op);
	timer_set(op->timer, 0);
	return op;
}

void op_continue(struct op *op, struct error *take)
{
	if (!op->waiting) {
		error_free(&take);
		return;
	}
	if (op->beginning) {
		error_free(&op->end);
		op->ended = true;
		op->end = take;
		return;
	}
	op->waiting = false;
	timer_cancel(op->timer);
	op_step_done(op, take);
}

void op_cancel(struct op *op, struct error *take)
{
	if (op->undoing || op->cancelled) {
		error_free(&take);
		return;
	}
	if (op->waiting)
		op_continue(op, take);
	else
		op->cancelled = take;
}

const char *op_name(const struct op *op)
{
	return op->table->name;
}

const char *op_step_name(const struct op *op)
{
	return op->step < op->table->nsteps ? op_current(op)->name : "done";
}

void op_abandon(struct op **op)
{
	if (!*op)
		return;
	timer_free(&(*op)->timer);
	free((*op)->record);
	error_free(&(*op)->failure);
	error_free(&(*op)->cancelled);
	free(*op);
	*op = NULL;
}
