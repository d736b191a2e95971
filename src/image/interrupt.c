/* SPDX-License-Identifier: MIT */
#include "image/interrupt.h"

#include <signal.h>

#include "base/str.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

void interrupt_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int interrupt_check(struct error **err)
{
	sigset_t pending;

	sigpending(&pending);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (sigismember(&pending, signals[i]))
			return error_set(err, ERR_CANCELLED, "interrupted");
	return 0;
}
