/* SPDX-License-Identifier: MIT */
/* The operation engine. Launch, stop and delete are const tables of steps; the engine runs them, keeps the record of what is
 * intended and done, undoes on failure, and is the one place where faults are injected.
 *
 * Before a step that touches anything outside the process the engine has the intent written (op_table.save), where the table
 * has something to say. A record that names step N says: the steps before it are done, N and those after it up to the next one
 * that is recorded may be done, half-done, or never have begun. Steps and undo functions must therefore stand on what is there,
 * and undo functions succeed on what is absent.
 *
 * SLICER_FAULT=<table>.<step>:fail makes the step fail after it has run; :kill ends the process then (SIGKILL), before it is
 * recorded as done. */
#ifndef SLICER_VM_OP_H
#define SLICER_VM_OP_H

#include "io/worker.h"

struct op;

enum op_step_kind {
	OP_STEP_LOOP,	/* run() on the loop, at once; no intent is written */
	OP_STEP_WORKER, /* run() in a worker thread: it may block, and touches nothing but the operation's context */
	OP_STEP_WAIT,	/* run() on the loop starts something; op_continue() reports its end, before deadline_ms */
};

struct op_step {
	const char *name;
	enum op_step_kind kind;
	int64_t deadline_ms; /* WAIT only; what happens then is expire's answer */
	int (*run)(void *ctx, struct op *op, struct error **err);
	void (*finish)(void *ctx); /* on the loop after a successful WORKER run: results into the VM; may be NULL */
	int (*expire)(void *ctx, struct error **err); /* WAIT: the deadline passed. 0: go on; NULL: ERR_TIMEOUT */
	int (*undo)(void *ctx, struct error **err);   /* in a worker thread; NULL: nothing to undo */
};

struct op_table {
	const char *name; /* "launch" */
	const struct op_step *steps;
	size_t nsteps;
	/* On the loop: the text to write with this step as intent; NULL: nothing to write. The engine owns it. */
	char *(*record)(void *ctx, const char *step);
	/* In a worker: writes that text durably. */
	int (*save)(void *ctx, const char *record, struct error **err);
	/* On the loop, at the end: error NULL when all steps are done, else what failed first (all is undone then). Frees ctx; the op
	 * itself is the engine's. */
	void (*done)(void *ctx, const struct error *error);
};

/* Begins with the first step, also after a crash: steps succeed on what is done already. The context must live until done(). */
struct op *op_start(struct loop *loop, struct worker_pool *pool, const struct op_table *table, void *ctx);
/* Reports the end of the WAIT step under way; no effect if none is. `take` NULL: success. */
void op_continue(struct op *op, struct error *take);
/* Asks the operation to fail with this error at the next point between steps; at once in a WAIT step. */
void op_cancel(struct op *op, struct error *take);
const char *op_name(const struct op *op); /* "launch" */
const char *op_step_name(const struct op *op);
/* Drops an operation at shutdown of the process, after the worker pool is gone: done() is not called, the context is leaked to
 * the exiting process. */
void op_abandon(struct op **op);

#endif
