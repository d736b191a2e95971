/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "vm/state.h"

static void test_names_round_trip(void **state)
{
	for (unsigned i = 0; i < VM_STATE_COUNT; i++) {
		enum vm_state parsed = VM_STATE_COUNT;

		assert_int_equal(vm_state_parse(vm_state_name((enum vm_state)i), &parsed, NULL), 0);
		assert_int_equal(parsed, i);
	}
	enum vm_state parsed;
	cleanup_error struct error *error = NULL;
	assert_int_equal(vm_state_parse("running", &parsed, &error), -1);
	assert_int_equal(error->code, ERR_INVALID);
	assert_string_equal(vm_state_name(VM_STATE_COUNT), "Unknown");
}

/* The header's diagram, arrow by arrow. */
static void test_requests_of_each_state(void **state)
{
	static const struct {
		enum vm_state state;
		const char *allowed; /* one letter per request: Agent Pause Resume Shutdown reBoot rElaunch Delete */
	} table[] = {
		{VM_STATE_STARTING, "A.....D"}, {VM_STATE_RUNNING, "AP.SB.D"}, {VM_STATE_PAUSED, "..RS..D"},
		{VM_STATE_STOPPING, "......D"}, {VM_STATE_STOPPED, ".....ED"}, {VM_STATE_DELETING, "......."},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		for (unsigned r = 0; r < VM_REQUEST_COUNT; r++)
			assert_int_equal(vm_state_allows(table[i].state, (enum vm_request)r),
					 table[i].allowed[r] != '.');
}

static void test_refusal_says_what_to_do(void **state)
{
	cleanup_error struct error *error = NULL;

	assert_int_equal(vm_state_check("vm-1", VM_STATE_PAUSED, VM_REQUEST_AGENT, &error), -1);
	assert_int_equal(error->code, ERR_CONFLICT);
	assert_string_equal(error->message, "VM \"vm-1\" cannot be reached while it is Paused: resume it first");
	assert_int_equal(vm_state_check("vm-1", VM_STATE_RUNNING, VM_REQUEST_AGENT, NULL), 0);
	error_free(&error);
	assert_int_equal(vm_state_check("vm-1", VM_STATE_STOPPED, VM_REQUEST_SHUTDOWN, &error), -1);
	assert_string_equal(error->message,
			    "VM \"vm-1\" cannot be shut down while it is Stopped: it is shut down already");
	error_free(&error);
	assert_int_equal(vm_state_check("vm-1", VM_STATE_PAUSED, VM_REQUEST_PAUSE, &error), -1);
	assert_string_equal(error->message, "VM \"vm-1\" cannot be paused while it is Paused: it is paused already");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_round_trip),
		cmocka_unit_test(test_requests_of_each_state),
		cmocka_unit_test(test_refusal_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
