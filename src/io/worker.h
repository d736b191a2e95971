/* SPDX-License-Identifier: MIT */
/* A pool of threads for what blocks. A job works on its own copy of data, never on what the loop owns, and never waits for
 * another job. Threads are started as there is work for them, up to the given number, and stay. */
#ifndef SLICER_IO_WORKER_H
#define SLICER_IO_WORKER_H

#include "io/loop.h"

struct worker_pool;
struct worker_pool *worker_pool_new(struct loop *loop, unsigned threads, struct error **err);
void worker_pool_free(
	struct worker_pool **pool); /* waits for running jobs; those not begun are dropped, done not called */

struct job; /* one submitted piece of work */
/* work(arg, err) runs in a thread and returns 0 or -1 with *err set; then done(arg, error) on the loop: error is NULL or
 * borrowed until done returns. */
typedef int job_work_fn(void *arg, struct error **err);
typedef void job_done_fn(void *arg, const struct error *error);
void worker_submit(struct worker_pool *pool, job_work_fn *work, job_done_fn *done, void *arg);

#endif
