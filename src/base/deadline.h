/* SPDX-License-Identifier: MIT */
/* A deadline for what somebody else is to do. This process may stand still beyond it: it is stopped, its control group is frozen, its
 * machine has no time for it, or is itself a guest that was paused. (A suspended host is another matter: CLOCK_MONOTONIC stands still
 * then, too.) What the other one did meanwhile has arrived and must be looked at before it is judged; and it may have stood still as
 * well, so that it gets the time again. */
#ifndef SLICER_BASE_DEADLINE_H
#define SLICER_BASE_DEADLINE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	DEADLINE_LATE_MS = 500,	      /* who looks so late did not come to it before */
	DEADLINE_GRACE_MIN_MS = 5000, /* what was short already when we began to stand still */
};

struct deadline {
	int64_t at;    /* clock_ms() */
	int64_t grace; /* ms by which it can still be put off: all in all by as long as it was, or DEADLINE_GRACE_MIN_MS */
};

struct deadline deadline_in(int64_t ms);
int64_t deadline_left(const struct deadline *d); /* ms; 0: it has passed */
/* For who finds that it has passed: puts it off by as long as that is noticed too late. False: it stands. */
bool deadline_put_off(struct deadline *d);
bool deadline_over(struct deadline *d); /* it has passed, and is not put off */
/* poll(2) until then: the number of descriptors that are ready, 0 when it has passed and none is, -1 with errno (never EINTR). */
int deadline_poll(struct deadline *d, struct pollfd *fds, nfds_t n);

#endif
