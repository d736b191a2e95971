/* SPDX-License-Identifier: MIT */
/* Deadlines of a process that stood still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>
#include "base/deadline.h"
#include "base/units.h"

/* What has arrived counts, however late it is looked at. */
static void test_arrived(void **state)
{
	struct deadline d = deadline_in(-60 * 1000);
	struct pollfd p = {.events = POLLIN};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	p.fd = fd[0];
	assert_int_equal(write(fd[1], "x", 1), 1);
	assert_int_equal(deadline_poll(&d, &p, 1), 1);
	close(fd[0]);
	close(fd[1]);
}

/* Nothing has: all in all it is put off by no more than it was long, or 5 s. */
static void test_put_off(void **state)
{
	int64_t begin = clock_ms();
	struct deadline d = {.at = begin - 60 * 1000, .grace = 700};

	assert_int_equal(deadline_poll(&d, NULL, 0), 0);
	assert_in_range(clock_ms() - begin, 700, 20 * 1000);
	d = deadline_in(0);
	assert_int_equal(d.grace, DEADLINE_GRACE_MIN_MS);
	d = deadline_in(60 * 1000);
	assert_int_equal(d.grace, 60 * 1000);
	assert_in_range(deadline_left(&d), 1, 60 * 1000);
}

/* One that is noticed in time stands. */
static void test_in_time(void **state)
{
	struct deadline d = {.at = clock_ms(), .grace = 5000};

	if (clock_ms() - d.at < DEADLINE_LATE_MS)
		assert_false(deadline_put_off(&d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrived),
		cmocka_unit_test(test_put_off),
		cmocka_unit_test(test_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
