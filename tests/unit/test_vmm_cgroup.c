/* SPDX-License-Identifier: MIT */
/* Where control groups are, and which names they may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "vmm/cgroup.h"

#define ROOT_LINE "22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
#define TMPFS "30 22 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n"
#define V1 "32 30 0:29 / /sys/fs/cgroup/cpu rw shared:11 - cgroup cgroup rw,cpu\n"
#define HYBRID "31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
#define UNIFIED "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:3 propagate_from:2 - cgroup2 cgroup2 rw\n"

static void test_find_root(void **state)
{
	static const struct {
		const char *mountinfo, *root;
	} cases[] = {
		{ROOT_LINE UNIFIED, "/sys/fs/cgroup"},
		{UNIFIED ROOT_LINE, "/sys/fs/cgroup"},
		{ROOT_LINE TMPFS HYBRID V1, "/sys/fs/cgroup/unified"},
		{"31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
		 "/sys/fs/cgroup/unified"}, /* no newline */
		{ROOT_LINE TMPFS V1, NULL},
		{UNIFIED TMPFS, NULL}, /* hidden by what was mounted over it */
		{TMPFS UNIFIED, "/sys/fs/cgroup"},
		{"40 22 0:26 / /mnt/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", NULL},
		{"40 22 0:26 / /sys/fs/cgroup/unified/x rw - cgroup2 cgroup2 rw\n", NULL},
		{"40 22 0:26 cgroup2 /sys/fs/cgroup rw cgroup2 - tmpfs cgroup2 cgroup2\n", NULL},
		{"40 22 0:26 / /sys/fs/cgroup rw -\n", NULL},
		{"40 22 0:26 / /sys/fs/cgroup\n", NULL},
		{"\n\n  \n", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *root = cgroup_find_root(cases[i].mountinfo);

		if (!str_eq(root, cases[i].root))
			fail_msg("case %zu: %s", i, root ? root : "none");
	}
}

static char dir[] = "/tmp/test_vmm_cgroup_XXXXXX";

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return fs_remove_tree(dir, NULL);
}

static void test_names(void **state)
{
	static const char *const bad[] = {"",	  "a", "a/", "/a", "a/b/c", "../a", "a/..", ".a/b", "a/cgroup procs",
					  "a\n/b"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *error = NULL;

		assert_null(cgroup_reserve(dir, bad[i], &error));
		assert_int_equal(error->code, ERR_INVALID);
	}
	assert_int_equal(cgroup_remove(dir, NULL), 0); /* nothing was reserved */
}

/* What is not ours is neither killed nor removed: the note is all that goes. */
static void test_damaged_note(void **state)
{
	static const char *const notes[] = {"../..", "", "x/../../y", "test-gone/vm-1"};
	cleanup_free char *note = fs_join(dir, "cgroup");

	for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
		assert_int_equal(fs_write_atomic(note, notes[i], strlen(notes[i]), 0600, NULL), 0);
		assert_int_equal(cgroup_remove(dir, NULL), 0);
		assert_false(fs_exists(note));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_root),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_damaged_note),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
