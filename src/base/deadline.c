/* SPDX-License-Identifier: MIT */
#include "base/deadline.h"

#include <errno.h>

#include "base/units.h"

enum { POLL_MAX_MS = 60 * 1000 };

struct deadline deadline_in(int64_t ms)
{
	return (struct deadline){.at = clock_ms() + ms,
				 .grace = ms > DEADLINE_GRACE_MIN_MS ? ms : DEADLINE_GRACE_MIN_MS};
}

int64_t deadline_left(const struct deadline *d)
{
	int64_t left = d->at - clock_ms();

	return left > 0 ? left : 0;
}

bool deadline_put_off(struct deadline *d)
{
	int64_t now = clock_ms(), late = now - d->at;

	if (late < DEADLINE_LATE_MS || d->grace <= 0)
		return false;
	if (late > d->grace)
		late = d->grace;
	d->grace -= late;
	d->at = now + late;
	return true;
}

bool deadline_over(struct deadline *d)
{
	return deadline_left(d) == 0 && !deadline_put_off(d);
}

int deadline_poll(struct deadline *d, struct pollfd *fds, nfds_t n)
{
	for (;;) {
		int64_t left = deadline_left(d);
		int r = poll(fds, n, left < POLL_MAX_MS ? (int)left : POLL_MAX_MS);

		if (r > 0 || (r < 0 && errno != EINTR))
			return r;
		if (r == 0 && deadline_over(d))
			return 0;
	}
}
