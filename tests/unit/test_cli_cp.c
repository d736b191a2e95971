/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/tar.h"
#include "cli/command.h"
#include "cli/cp_copy.h"
#include "cli/cp_sink.h"
#include "cli/cp_source.h"
#include "cli/ignore.h"
#include "cli/tree_walk.h"

static char *temporary_dir(void)
{
	char *path = str_dup("/tmp/slicer-test-cp-XXXXXX");

	assert_non_null(mkdtemp(path));
	return path;
}

static void put(const char *dir, const char *name, const char *content)
{
	cleanup_free char *path = fs_join(dir, name);
	cleanup_free char *parent = fs_dirname(path);

	assert_int_equal(fs_mkdir_p(parent, 0755, NULL), 0);
	assert_int_equal(fs_write_atomic(path, content, strlen(content), 0644, NULL), 0);
}

static char *get(const char *dir, const char *name)
{
	cleanup_free char *path = fs_join(dir, name);
	char *text = NULL;
	size_t n = 0;

	return fs_read_file(path, 1 << 20, &text, &n, NULL) ? NULL : text;
}

/* All entries of a directory, sorted, below each other ones included. */
static char *listing(const char *dir)
{
	cleanup_tree_walk struct tree_walk *w = tree_walk_new(dir, NULL, NULL);
	cleanup_strv char **names = NULL;
	struct tar_entry e;
	const char *path;

	while (tree_walk_next(w, &e, &path, NULL) > 0)
		strv_append(&names, e.path);
	return strv_join(names, " ");
}

static void test_remote_syntax(void **state)
{
	static const struct {
		const char *text, *vm, *path;
	} cases[] = {
		{"vm-1:/etc/hosts", "vm-1", "/etc/hosts"},
		{"vm-1:", "vm-1", "~"},
		{":/x", "", "/x"},
		{"vm-1:a:b", "vm-1", "a:b"},
		{"./a:b", NULL, NULL},
		{"/a:b", NULL, NULL},
		{"plain", NULL, NULL},
		{"a/b:c", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *vm = NULL, *path = NULL;

		assert_int_equal(cp_split_remote(cases[i].text, &vm, &path), cases[i].vm != NULL);
		assert_true(str_eq(vm, cases[i].vm) && str_eq(path, cases[i].path));
	}
	assert_true(cp_is_contents("src/.") && cp_is_contents(".") && cp_is_contents("/") && cp_is_contents("a/.."));
	assert_false(cp_is_contents("src/") || cp_is_contents("src/.x") || cp_is_contents("a."));
}

/* *spec borrows from *p. */
static int parse(const char *words, struct parsed *p, struct cp_spec *spec, struct error **err)
{
	cleanup_strv char **argv = strv_split(words, ' ');
	size_t pos = 0;

	parsed_clear(p);
	p->tables[0] = command_vm_cp.options;
	assert_int_equal(options_parse(p, argv, &pos, false, 0, err), 0);
	return cp_spec_parse(p, spec, err);
}

static void test_spec(void **state)
{
	cleanup_parsed struct parsed p = {0};
	cleanup_cp_spec struct cp_spec s = {0};
	static const char *const bad[] = {
		"a b",
		"v:a w:b",
		"--mode zip a v:b",
		"--mode binary -r a v:b",
		"--permissions 9 a v:b",
		"--permissions 4755 a v:b",
		"--permissions 0644 -r a v:b",
		"--exclude x a v:b",
	};

	assert_int_equal(parse("-r src/. v:/dst --exclude a --exclude b --uid 0", &p, &s, NULL), 0);
	assert_true(s.upload && s.recursive && s.contents && s.uid == 0 && s.gid == -1);
	assert_string_equal(s.local, "src/.");
	assert_string_equal(s.remote, "/dst");
	assert_int_equal(strv_len(s.exclude), 2);
	cp_spec_clear(&s);
	assert_int_equal(parse("--mode tar v:/x/. dst", &p, &s, NULL), 0);
	assert_true(!s.upload && s.recursive && s.contents);
	cp_spec_clear(&s);
	assert_int_equal(parse("v:/x dst --permissions 600", &p, &s, NULL), 0);
	assert_true(!s.recursive && str_eq(s.permissions, "600"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_cp_spec struct cp_spec t = {0};
		cleanup_error struct error *err = NULL;

		if (!parse(bad[i], &p, &t, &err))
			fail_msg("accepted: %s", bad[i]);
	}
}

static void test_mode_refused(void **state)
{
	assert_true(cp_mode_refused(400, "{\"error\":\"cp: 400: invalid mode: cp-v1-tar\"}", "cp-v1-tar"));
	assert_false(cp_mode_refused(400, "invalid mode: cp-v1-tarball", "cp-v1-tar"));
	assert_false(cp_mode_refused(404, "invalid mode: cp-v1-tar", "cp-v1-tar"));
	assert_false(cp_mode_refused(400, NULL, "cp-v1-tar"));
}

static void test_ignore(void **state)
{
	struct ignore *ig = ignore_parse("# comment\n*.log\n!keep.log\n/top\nbuild/\ndocs/*.txt\n**/deep/x\nabc/**\n"
					 "space\\ \ntrail   \r\n\\#hash\n\\!bang\n/\n");
	static const struct {
		const char *path;
		bool directory, ignored;
	} cases[] = {
		{"a.log", false, true},	      {"x/a.log", false, true},	      {"keep.log", false, false},
		{"x/keep.log", false, false}, {"top", false, true},	      {"x/top", false, false},
		{"build", true, true},	      {"build", false, false},	      {"x/build", true, true},
		{"docs/a.txt", false, true},  {"docs/x/a.txt", false, false}, {"x/docs/a.txt", false, false},
		{"deep/x", false, true},      {"a/b/deep/x", false, true},    {"abc", true, false},
		{"abc/d", false, true},	      {"abc/d/e", false, true},	      {"space ", false, true},
		{"trail", false, true},	      {"#hash", false, true},	      {"!bang", false, true},
		{"# comment", false, false},  {"other", true, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (ignore_matches(ig, cases[i].path, cases[i].directory) != cases[i].ignored)
			fail_msg("%s", cases[i].path);
	ignore_free(&ig);
}

static void test_walk(void **state)
{
	cleanup_free char *dir = temporary_dir();
	cleanup_free char *link = fs_join(dir, "link");
	char *const exclude[] = {(char *)"*.o", (char *)"d/**", NULL};
	cleanup_strv char **names = NULL;
	cleanup_free char *all = NULL;
	struct tree_walk *w;
	struct tar_entry e;
	const char *path;

	put(dir, "b/c", "1");
	put(dir, "b/x.o", "1");
	put(dir, "d/e", "1");
	put(dir, "ignored/f", "1");
	put(dir, ".slicerignore", "ignored/\n");
	assert_int_equal(symlink("b", link), 0);
	w = tree_walk_new(dir, exclude, NULL);
	while (tree_walk_next(w, &e, &path, NULL) > 0)
		strv_append_fmt(&names, "%s%s", e.path, e.directory ? "/" : "");
	all = strv_join(names, " ");
	assert_string_equal(all, ".slicerignore b/ b/c");
	assert_int_equal(tree_walk_skipped(w), 1);
	tree_walk_free(&w);
	fs_remove_tree(dir, NULL);
}

/* The tar of a tree, in pieces of `step` bytes, into a sink. */
static int copy_tree(const char *from, const char *to, const char *name, bool contents, size_t step, struct error **err)
{
	cleanup_cp_source struct cp_source *source = cp_source_tree(from, NULL, err);
	cleanup_cp_sink struct cp_sink *sink = cp_sink_tree(to, name, contents, err);
	char buffer[8192];
	ssize_t n;

	if (!source || !sink)
		return -1;
	while ((n = cp_source_read(source, buffer, step, err)) > 0)
		if (cp_sink_write(sink, buffer, (size_t)n, err))
			return -1;
	return n < 0 ? -1 : cp_sink_commit(sink, err);
}

static void test_tree_round_trip(void **state)
{
	cleanup_free char *from = temporary_dir(), *to = temporary_dir();
	cleanup_free char *fresh = fs_join(to, "fresh"), *file = fs_join(to, "file"), *tool = fs_join(from, "x/tool");
	cleanup_error struct error *err = NULL;
	cleanup_free char *got = NULL, *list = NULL, *merged = NULL, *inner = NULL;
	struct stat st;

	put(from, "a", "one");
	put(from, "x/y/z", "two");
	put(from, "x/tool", "#!");
	put(from, "empty", "");
	assert_int_equal(chmod(tool, 0750), 0);
	if (copy_tree(from, fresh, "src", false, 100, &err))
		fail_msg("%s", error_message(err));
	got = get(fresh, "x/y/z");
	assert_string_equal(got, "two");
	list = listing(fresh);
	assert_string_equal(list, "a empty x x/tool x/y x/y/z");
	free(tool);
	tool = fs_join(fresh, "x/tool");
	assert_int_equal(stat(tool, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751); /* executable for one: for all */
	/* Once more: into the directory that now exists, under the source's name; then its contents. */
	assert_int_equal(copy_tree(from, fresh, "src", false, 8192, &err), 0);
	inner = get(fresh, "src/a");
	assert_string_equal(inner, "one");
	put(fresh, "a", "old");
	assert_int_equal(copy_tree(from, fresh, "src", true, 8192, &err), 0);
	merged = get(fresh, "a");
	assert_string_equal(merged, "one");
	put(to, "file", "x");
	assert_int_equal(copy_tree(from, file, "src", false, 8192, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	fs_remove_tree(from, NULL);
	fs_remove_tree(to, NULL);
}

static void test_broken_download_leaves_nothing(void **state)
{
	cleanup_free char *to = temporary_dir();
	cleanup_free char *fresh = fs_join(to, "fresh"), *file = fs_join(to, "file"), *list = NULL, *kept = NULL;
	size_t n = 0;
	cleanup_free char *head = tar_header(&(struct tar_entry){.path = "f", .size = 9}, &n, NULL);
	struct cp_sink *sink = cp_sink_tree(fresh, "x", false, NULL);

	assert_int_equal(cp_sink_write(sink, head, n, NULL), 0);
	assert_int_equal(cp_sink_write(sink, "part", 4, NULL), 0);
	assert_int_equal(cp_sink_commit(sink, NULL), -1);
	cp_sink_free(&sink);
	put(to, "file", "before");
	sink = cp_sink_file(file, "x", 0600, NULL);
	assert_int_equal(cp_sink_write(sink, "part", 4, NULL), 0);
	cp_sink_free(&sink);
	list = listing(to);
	assert_string_equal(list, "file");
	kept = get(to, "file");
	assert_string_equal(kept, "before");
	fs_remove_tree(to, NULL);
}

/* A guest that sends a way through a symlink which is there already, or which leads out. */
static void test_symlink_on_the_way(void **state)
{
	cleanup_free char *to = temporary_dir(), *outside = temporary_dir();
	cleanup_free char *link = fs_join(to, "link"), *list = NULL;
	cleanup_error struct error *err = NULL;
	size_t n = 0;
	cleanup_free char *head = tar_header(&(struct tar_entry){.path = "link/f", .size = 1}, &n, NULL);
	cleanup_free char *dir = tar_header(&(struct tar_entry){.path = "link", .directory = true}, &n, NULL);
	struct cp_sink *sink;

	assert_int_equal(symlink(outside, link), 0);
	sink = cp_sink_tree(to, "x", true, NULL);
	assert_int_equal(cp_sink_write(sink, head, n, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	error_free(&err);
	cp_sink_free(&sink);
	sink = cp_sink_tree(to, "x", true, NULL);
	assert_int_equal(cp_sink_write(sink, dir, n, &err), -1);
	cp_sink_free(&sink);
	list = listing(outside);
	assert_string_equal(list, "");
	fs_remove_tree(to, NULL);
	fs_remove_tree(outside, NULL);
}

static void test_file_destinations(void **state)
{
	cleanup_free char *to = temporary_dir();
	cleanup_free char *link = fs_join(to, "link"), *missing = fs_join(to, "no/file"), *slash = fs_join(to, "no/");
	cleanup_free char *target = fs_join(to, "target"), *named = NULL, *through = NULL;
	struct cp_sink *sink = cp_sink_file(to, "name", 0640, NULL);
	struct stat st;

	assert_int_equal(cp_sink_write(sink, "abc", 3, NULL), 0);
	assert_int_equal(cp_sink_commit(sink, NULL), 0);
	cp_sink_free(&sink);
	named = get(to, "name");
	assert_string_equal(named, "abc");
	put(to, "target", "old");
	assert_int_equal(symlink("target", link), 0);
	sink = cp_sink_file(link, "x", 0600, NULL);
	assert_int_equal(cp_sink_write(sink, "new", 3, NULL), 0);
	assert_int_equal(cp_sink_commit(sink, NULL), 0);
	cp_sink_free(&sink);
	through = get(to, "target");
	assert_string_equal(through, "new");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(cp_sink_file(missing, "x", 0600, NULL));
	assert_null(cp_sink_file(slash, "x", 0600, NULL));
	fs_remove_tree(to, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remote_syntax),
		cmocka_unit_test(test_spec),
		cmocka_unit_test(test_mode_refused),
		cmocka_unit_test(test_ignore),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_tree_round_trip),
		cmocka_unit_test(test_broken_download_leaves_nothing),
		cmocka_unit_test(test_symlink_on_the_way),
		cmocka_unit_test(test_file_destinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
