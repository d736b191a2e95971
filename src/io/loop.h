/* SPDX-License-Identifier: MIT */
/* The event loop: one thread, on libevent_core. Callbacks may free the object that called them and any other. */
#ifndef SLICER_IO_LOOP_H
#define SLICER_IO_LOOP_H

#include "base/error.h"

struct loop;
struct loop *loop_new(struct error **err);	     /* also ignores SIGPIPE for the process */
void loop_free(struct loop **loop);		     /* everything registered must be gone */
int loop_run(struct loop *loop, struct error **err); /* until loop_stop() */
void loop_stop(struct loop *loop);
/* Runs until *done is true or timeout_ms has passed (ERR_TIMEOUT); for clients and tests. */
int loop_run_until(struct loop *loop, const bool *done, int64_t timeout_ms, struct error **err);
struct event_base *loop_base(struct loop *loop); /* libevent's; for src/io only */

typedef void loop_fn(void *arg);

/* One-shot timers; re-armed by timer_set. Freeing cancels. */
struct timer;
struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg); /* not armed */
void timer_set(struct timer *t, int64_t ms); /* from now; 0: in the next round, never from within the caller */
/* The same as a deadline of somebody else: should it come late, it is put off once more, so that what has arrived meanwhile is read
 * first and who stood still as we did can still act (base/deadline.h). What judges somebody is set so. */
void timer_set_deadline(struct timer *t, int64_t ms);
void timer_cancel(struct timer *t);
bool timer_pending(const struct timer *t);
void timer_free(struct timer **t);

enum { WATCH_IN = 1, WATCH_OUT = 2 };
/* fn(arg, what) while the fd is ready (level-triggered); the fd stays the caller's and must outlive the watch. */
typedef void watch_fn(void *arg, int what);
struct watch;
struct watch *watch_new(struct loop *loop, int fd, watch_fn *fn, void *arg); /* watches nothing yet */
void watch_set(struct watch *w, int what);				     /* 0 stops watching */
void watch_free(struct watch **w);

struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg);
void loop_signal_free(struct loop_signal **s);

/* Calls fn(arg, status) once when the child process behind `pidfd` has ended (it is reaped; status as waitpid's). The pidfd
 * is closed with the object. A process that is not our child reports status -1. */
typedef void child_fn(void *arg, int status);
struct child;
struct child *child_new(struct loop *loop, int take_pidfd, child_fn *fn, void *arg);
void child_free(struct child **c); /* does not kill; an unreaped child of ours stays a zombie until somebody waits */

#endif
