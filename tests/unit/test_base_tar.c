/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/glob.h"
#include "base/str.h"
#include "base/tar.h"
#include "base/tar_format.h"

struct seen {
	char *log; /* "d path mode mtime;f path mode mtime size:content;" */
};

static void note(struct seen *s, char *take)
{
	char *all = str_fmt("%s%s", s->log ? s->log : "", take);

	free(take);
	free(s->log);
	s->log = all;
}

static int on_entry(void *arg, const struct tar_entry *e, struct error **err)
{
	note(arg, e->directory ? str_fmt("d %s %o %lld", e->path, e->mode, (long long)e->mtime)
			       : str_fmt("f %s %o %lld %llu:", e->path, e->mode, (long long)e->mtime,
					 (unsigned long long)e->size));
	return 0;
}

static int on_data(void *arg, const void *data, size_t n, struct error **err)
{
	note(arg, str_ndup(data, n));
	return 0;
}

static int on_entry_end(void *arg, struct error **err)
{
	note(arg, str_dup(";"));
	return 0;
}

static const struct tar_events events = {on_entry, on_data, on_entry_end};

struct bytes {
	char data[64 * 1024];
	size_t n;
};

static void add(struct bytes *b, const void *data, size_t n)
{
	assert_true(b->n + n <= sizeof(b->data));
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static void add_entry(struct bytes *b, const struct tar_entry *e, const char *content)
{
	cleanup_error struct error *err = NULL;
	static const char zeros[TAR_BLOCK];
	size_t n = 0;
	cleanup_free char *head = tar_header(e, &n, &err);

	assert_non_null(head);
	assert_int_equal(n % TAR_BLOCK, 0);
	add(b, head, n);
	if (content) {
		add(b, content, strlen(content));
		add(b, zeros, tar_padding(strlen(content)));
	}
}

static void add_end(struct bytes *b)
{
	static const char zeros[TAR_END_SIZE];

	add(b, zeros, sizeof(zeros));
}

/* Reads in pieces of `step` bytes; the log, or NULL with *err set. */
static char *read_all(const struct bytes *b, size_t step, const struct tar_limits *limits, struct error **err)
{
	struct seen seen = {0};
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(&events, limits, &seen);

	for (size_t at = 0; at < b->n; at += step) {
		if (tar_reader_feed(r, b->data + at, b->n - at < step ? b->n - at : step, err)) {
			free(seen.log);
			return NULL;
		}
	}
	if (tar_reader_finish(r, err)) {
		free(seen.log);
		return NULL;
	}
	return seen.log ? seen.log : str_dup("");
}

static void assert_reads(const struct bytes *b, const char *want)
{
	static const size_t steps[] = {1, 7, 511, 512, 513, 100000};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		cleanup_error struct error *err = NULL;
		cleanup_free char *got = read_all(b, steps[i], NULL, &err);

		if (!got)
			fail_msg("%s", error_message(err));
		assert_string_equal(got, want);
	}
}

static void assert_refused(const struct bytes *b, const char *part)
{
	cleanup_error struct error *err = NULL;
	cleanup_free char *got = read_all(b, 512, NULL, &err);

	assert_null(got);
	if (!strstr(error_message(err), part))
		fail_msg("\"%s\" is not in \"%s\"", part, error_message(err));
}

/* A raw header block with a right checksum. */
static struct tar_block raw_block(const char *name, char type, const char *size)
{
	struct tar_block b = {.type = type, .mode = "0000644", .mtime = "00000000001"};

	memcpy(b.name, name, strnlen(name, sizeof(b.name)));
	memcpy(b.size, size, strnlen(size, sizeof(b.size)));
	memcpy(b.magic, "ustar", 6);
	memcpy(b.version, "00", 2);
	snprintf(b.checksum, sizeof(b.checksum), "%06o", tar_checksum(&b));
	return b;
}

static void add_raw(struct bytes *b, const char *name, char type, const char *size, const char *content, size_t n)
{
	struct tar_block block = raw_block(name, type, size);
	static const char zeros[TAR_BLOCK];

	add(b, &block, sizeof(block));
	add(b, content, n);
	add(b, zeros, tar_padding(n));
}

static void test_round_trip(void **state)
{
	struct bytes b = {0};
	cleanup_free char *deep = NULL, *want = NULL;
	char segment[201];

	memset(segment, 'x', 200);
	segment[200] = 0;
	deep = str_fmt("%s/%s/%s", segment, segment, segment);
	add_entry(&b, &(struct tar_entry){.path = "dir", .directory = true, .mode = 0755, .mtime = 5}, NULL);
	add_entry(&b, &(struct tar_entry){.path = "dir/a b", .mode = 0644, .size = 5, .mtime = 1700000000}, "hello");
	add_entry(&b, &(struct tar_entry){.path = "empty", .mode = 0, .mtime = -7}, "");
	add_entry(&b, &(struct tar_entry){.path = deep, .mode = 0600, .size = 1, .mtime = 1}, "y");
	add_entry(&b, &(struct tar_entry){.path = "back\\slash\nnewline", .mode = 0777, .mtime = 0}, "");
	add_end(&b);
	want = str_fmt("d dir 755 5;f dir/a b 644 1700000000 5:hello;f empty 0 -7 0:;f %s 600 1 1:y;"
		       "f back\\slash\nnewline 777 0 0:;",
		       deep);
	assert_reads(&b, want);
}

static void test_path_lengths(void **state)
{
	for (size_t n = 1; n <= 300; n++) {
		struct bytes b = {0};
		char path[512];
		cleanup_free char *want = NULL;

		for (size_t i = 0; i < n; i++)
			path[i] = i % 40 == 39 && i != n - 1 ? '/' : 'p';
		path[n] = 0;
		add_entry(&b, &(struct tar_entry){.path = path, .directory = true, .mode = 0755, .mtime = 1}, NULL);
		add_end(&b);
		want = str_fmt("d %s 755 1;", path);
		assert_reads(&b, want);
	}
}

static void test_large_size(void **state)
{
	cleanup_error struct error *err = NULL;
	struct seen seen = {0};
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(&events, NULL, &seen);
	size_t n = 0;
	cleanup_free char *head =
		tar_header(&(struct tar_entry){.path = "big", .size = 1ULL << 40, .mtime = 1}, &n, &err);

	assert_int_equal(n, 3 * TAR_BLOCK);
	assert_int_equal(tar_reader_feed(r, head, n, &err), 0);
	assert_string_equal(seen.log, "f big 0 1 1099511627776:");
	assert_int_equal(tar_reader_finish(r, &err), -1);
	free(seen.log);
}

static void test_foreign(void **state)
{
	struct bytes b = {0};
	cleanup_free char *longname = str_fmt("./%0150d", 1);
	cleanup_free char *want = NULL;

	add_raw(&b, "./", '5', "0", "", 0);
	add_raw(&b, "./a", '0', "3", "abc", 3);
	add_raw(&b, "link", '2', "00000000777", "", 0); /* size of a link counts for nothing */
	add_raw(&b, "dev", '3', "0", "", 0);
	add_raw(&b, "././@LongLink", 'L', "231", longname, 153);
	add_raw(&b, "cut", '0', "1", "z", 1);
	add_raw(&b, "global", 'g', "17", "15 path=ignored\n", 15);
	add_raw(&b, "old/", 0, "0", "", 0);
	add_raw(&b, "unknown", 'V', "4", "skip", 4);
	add_raw(&b, "", 'x', "0", "", 0);
	add_raw(&b, "last", '7', "2", "ok", 2);
	add_end(&b);
	add(&b, "trailing", 8);
	want = str_fmt("f a 644 1 3:abc;f %0150d 644 1 1:z;d old 644 1;f last 644 1 2:ok;", 1);
	assert_reads(&b, want);
}

static void test_bad_paths(void **state)
{
	static const char *const paths[] = {"/abs", "../up", "a/../b", "a//b", "a/.", "a/./b", "..", "/", "a/.."};
	cleanup_error struct error *err = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct bytes b = {0};

		add_raw(&b, paths[i], '0', "0", "", 0);
		add_end(&b);
		assert_refused(&b, "is not allowed");
		assert_null(tar_header(&(struct tar_entry){.path = paths[i]}, &n, &err));
		error_free(&err);
	}
	assert_true(tar_path_ok("...") && tar_path_ok("..a/b.."));
}

static void test_malformed(void **state)
{
	static const struct {
		char type;
		const char *size, *content, *part;
	} cases[] = {
		{'x', "20", "99 path=x\n", "malformed pax"},
		{'x', "13", "11 path=a\nx", "malformed pax"},
		{'x', "13", "11 path=a\nb", "malformed pax"},
		{'x', "12", "10 =value\n", "malformed pax"},
		{'x', "12", "10 size=x\n", "not a number"},
		{'x', "13", "11 mtime=-\n", "not a number"},
		{'x', "26", "22 GNU.sparse.major=1\n", "sparse"},
		{'S', "0", "", "sparse"},
		{'0', "9", "", "not octal"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes b = {0};

		add_raw(&b, "name", cases[i].type, cases[i].size, cases[i].content, strlen(cases[i].content));
		add_end(&b);
		assert_refused(&b, cases[i].part);
	}
}

static void test_damaged(void **state)
{
	struct bytes b = {0}, copy;

	add_entry(&b, &(struct tar_entry){.path = "f", .size = 3, .mode = 0644}, "abc");
	add_end(&b);
	copy = b;
	copy.data[0] = 'g';
	assert_refused(&copy, "checksum");
	copy = b;
	memset(copy.data + offsetof(struct tar_block, magic), 0, 6);
	assert_refused(&copy, "ustar");
	for (size_t n = 0; n < b.n; n += 128) {
		copy = b;
		copy.n = n;
		assert_refused(&copy, "cut short");
	}
	copy.n = 0;
	add(&copy, b.data + 1024, 512); /* one block of zeros, then an entry */
	add(&copy, b.data, b.n);
	assert_refused(&copy, "zeros in its middle");
}

static void test_limits(void **state)
{
	struct bytes b = {0};
	cleanup_error struct error *err = NULL;

	add_entry(&b, &(struct tar_entry){.path = "a", .size = 3}, "abc");
	add_entry(&b, &(struct tar_entry){.path = "b", .size = 3}, "abc");
	add_end(&b);
	assert_null(read_all(&b, 512, &(struct tar_limits){.max_entries = 1}, &err));
	assert_int_equal(err->code, ERR_TOO_LARGE);
	error_free(&err);
	assert_null(read_all(&b, 512, &(struct tar_limits){.max_total = 5}, &err));
	assert_int_equal(err->code, ERR_TOO_LARGE);
	error_free(&err);
	free(read_all(&b, 512, &(struct tar_limits){.max_entries = 2, .max_total = 6}, &err));
	assert_null(err);
	b.n = 0;
	add_raw(&b, "x", 'x', "77777777", "", 0);
	assert_refused(&b, "over the limit");
}

static void test_long_extended_header(void **state)
{
	static char content[TAR_MAX_PAX];
	struct tar_block block = raw_block("x", 'x', "1000000");
	cleanup_error struct error *err = NULL;
	struct tar_reader *r = tar_reader_new(&events, NULL, NULL);
	int n = snprintf(content, sizeof(content), "%zu mtime=1", sizeof(content));
	clock_t start = clock();

	memset(content + n, '.', sizeof(content) - (size_t)n - 1);
	content[sizeof(content) - 1] = '\n';
	assert_int_equal(tar_reader_feed(r, &block, sizeof(block), &err), 0);
	assert_int_equal(tar_reader_feed(r, content, sizeof(content), &err), 0);
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
	tar_reader_free(&r);
}

static void test_copy_mode(void **state)
{
	assert_int_equal(tar_copy_mode(04755), 0755);
	assert_int_equal(tar_copy_mode(0100), 0111);
	assert_int_equal(tar_copy_mode(0640), 0640);
}

static void test_glob(void **state)
{
	assert_true(glob_match("*.c", "a.c") && glob_match("?", "x") && glob_match("[a-c]x", "bx"));
	assert_true(glob_match("[!a-c]", "d") && glob_match("[]]", "]") && glob_match("\\*", "*"));
	assert_true(glob_match("[ab", "[ab") && glob_match("**", "") && glob_match("a*b*c", "a1b2b3c"));
	assert_false(glob_match("\\*", "x") || glob_match("*.c", "a.cc") || glob_match("[!a]", "a"));
	assert_true(glob_match("\\", "\\"));
	/* Exponential matchers never come back from this one. */
	assert_false(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	assert_true(glob_match("*[[[", "x[[[") && glob_match("[a][b", "a[b") && !glob_match("[a][b", "a[c"));
	assert_true(glob_match_path("a/**/z", "a/z") && glob_match_path("a/**/z", "a/b/c/z"));
	assert_true(glob_match_path("**", "x/y") && glob_match_path("**/y", "y") && glob_match_path("d/**", "d"));
	assert_false(glob_match_path("a/*", "a/b/c") || glob_match_path("a/**/z", "a/b"));
	assert_false(glob_match_path("a/**/b/**/c", "a/b/b/d"));
}

static void test_long_glob(void **state)
{
	char pattern[16000], name[256];
	clock_t start = clock();

	memset(pattern, '[', sizeof(pattern)); /* none of these sets is closed */
	pattern[0] = '*';
	pattern[sizeof(pattern) - 1] = 0;
	memset(name, '[', sizeof(name));
	name[sizeof(name) - 2] = 'x';
	name[sizeof(name) - 1] = 0;
	for (int i = 0; i < 30; i++)
		assert_false(glob_match(pattern, name));
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void test_exclude(void **state)
{
	assert_true(glob_excludes("node_modules", "x/node_modules") && glob_excludes("*.o", "a/b/c.o"));
	assert_true(glob_excludes("./build/", "build") && glob_excludes("/a/b", "a/b") && glob_excludes(" x ", "x"));
	assert_true(glob_excludes("d/**", "d") && glob_excludes("d/**", "d/e/f"));
	assert_false(glob_excludes("a/b", "x/a/b") || glob_excludes("", "x") || glob_excludes("/", "x"));
	assert_false(glob_excludes_any(NULL, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_path_lengths),
		cmocka_unit_test(test_large_size), cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_bad_paths),  cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_damaged),	   cmocka_unit_test(test_limits),
		cmocka_unit_test(test_copy_mode),  cmocka_unit_test(test_glob),
		cmocka_unit_test(test_exclude),	   cmocka_unit_test(test_long_extended_header),
		cmocka_unit_test(test_long_glob),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
