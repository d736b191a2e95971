/* SPDX-License-Identifier: MIT */
/* Files below tests/golden; SLICER_GOLDEN_UPDATE rewrites them. Include after cmocka.h. */
#ifndef SLICER_TESTS_GOLDEN_FIXTURE_H
#define SLICER_TESTS_GOLDEN_FIXTURE_H

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

static inline void check_golden_text(const char *name, const char *actual)
{
	cleanup_free char *path = str_fmt("%s/tests/golden/%s", SLICER_SOURCE_ROOT, name), *expected = NULL;

	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(path, actual, strlen(actual), 0644, NULL), 0);
	assert_int_equal(fs_read_file(path, 64 * 1024, &expected, NULL, NULL), 0);
	assert_string_equal(actual, expected);
}

static inline void check_golden_json(const char *name, struct json_object *obj)
{
	cleanup_free char *text = str_fmt(
		"%s\n", json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));

	check_golden_text(name, text);
}

#endif
