/* SPDX-License-Identifier: MIT */
/* Debian packages and compressed data, as they come and as somebody hostile makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/deb.h"
#include "image/unpack.h"

#define LRZIP_MAGIC "LRZI\0\6"

struct place {
	char *dir;
};

static char *below(const struct place *p, const char *name)
{
	return fs_join(p->dir, name);
}

/* A directory with a program lrzip that leaves a file, first in PATH. */
static int set_up(void **state)
{
	static const char script[] = "#!/bin/sh\n: > \"$(dirname \"$0\")/was-run\"\n";
	char name[] = "/tmp/test-image-deb-XXXXXX";
	struct place *p = NEW(struct place);

	p->dir = str_dup(mkdtemp(name));
	cleanup_free char *stub = below(p, "lrzip");
	cleanup_free char *path = str_fmt("%s:%s", p->dir, getenv("PATH"));
	if (fs_write_atomic(stub, script, strlen(script), 0755, NULL) < 0)
		return -1;
	*state = p;
	return setenv("PATH", path, 1);
}

static int tear_down(void **state)
{
	struct place *p = *state;

	fs_remove_tree(p->dir, NULL);
	free(p->dir);
	free(p);
	return 0;
}

static void add(struct archive *a, const char *path, const void *data, size_t n)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0755);
	archive_entry_set_size(e, (la_int64_t)n);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, n), n);
	archive_entry_free(e);
}

struct file {
	const char *path;
	const char *text;
};

/* data.tar, compressed by that filter of libarchive (NULL: none); its size. */
static size_t make_data(const char *filter, const struct file *files, size_t n, char *data, size_t room)
{
	cleanup_archive struct archive *a = archive_write_new();
	size_t used = 0;

	archive_write_set_format_ustar(a);
	if (filter)
		assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, data, room, &used), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++)
		add(a, files[i].path, files[i].text, strlen(files[i].text));
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	return used;
}

static char *make_deb(const struct place *p, const char *member, const void *data, size_t n)
{
	cleanup_archive struct archive *a = archive_write_new();
	char *path = below(p, "package.deb");

	archive_write_set_format_ar_bsd(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	add(a, "debian-binary", "2.0\n", 4);
	add(a, member, data, n);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	return path;
}

static const char *const wanted[] = {"bin/x", "usr/bin/x", NULL};

static void packages_of_all_compressions(void **state)
{
	static const char *const filters[] = {NULL, "gzip", "bzip2", "xz", "lzma", "zstd"};
	static const struct file files[] = {{"./usr/share/doc/x", "a text"}, {"./usr/bin/x", "a program"}};

	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		char data[20480];
		size_t n = make_data(filters[i], files, ARRAY_LEN(files), data, sizeof(data)), size = 0;
		cleanup_free char *deb = make_deb(*state, "data.tar.x", data, n);
		cleanup_free char *to = below(*state, "new/x"), *text = NULL;

		assert_int_equal(deb_extract_file(deb, wanted, to, NULL), 0);
		assert_int_equal(fs_read_file(to, 100, &text, &size, NULL), 0);
		assert_string_equal(text, "a program");
		assert_int_equal(unlink(to), 0);
	}
}

static void paths_that_lead_out(void **state)
{
	static const char *const paths[] = {"../x", "usr/../../x", "/usr/bin/x", "usr//x"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct file files[] = {{paths[i], "text"}, {"usr/bin/x", "a program"}};
		char data[20480];
		size_t n = make_data(NULL, files, ARRAY_LEN(files), data, sizeof(data));
		cleanup_free char *deb = make_deb(*state, "data.tar", data, n);
		cleanup_free char *to = below(*state, "x");
		cleanup_error struct error *err = NULL;

		assert_int_equal(deb_extract_file(deb, wanted, to, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		assert_false(fs_exists(to));
	}
}

/* libarchive would decompress it by a program from PATH. */
static void no_program_decompresses(void **state)
{
	char data[4096] = LRZIP_MAGIC;
	cleanup_free char *deb = make_deb(*state, "data.tar.lrz", data, sizeof(data));
	cleanup_free char *to = below(*state, "x"), *mark = below(*state, "was-run"), *raw = below(*state, "raw");
	cleanup_error struct error *err = NULL;
	uint64_t size = 0;

	assert_int_equal(deb_extract_file(deb, wanted, to, &err), -1);
	assert_null(strstr(err->message, "signal"));
	assert_int_equal(fs_write_atomic(raw, data, sizeof(data), 0644, NULL), 0);
	assert_int_equal(unpack_compressed_file(raw, to, sizeof(data), &size, NULL), 0);
	assert_int_equal(size, sizeof(data)); /* as it is */
	assert_false(fs_exists(mark));
}

static void data_beyond_the_limit(void **state)
{
	char text[1000] = {0}, packed[4096];
	const struct file file = {"x", "text"};
	cleanup_free char *to = below(*state, "x");
	cleanup_error struct error *err = NULL;
	size_t n = make_data("xz", &file, 1, packed, sizeof(packed));
	cleanup_close int fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t size = 0;

	assert_int_equal(unpack_data(text, sizeof(text), fd, sizeof(text), &size, NULL), 0);
	assert_int_equal(size, sizeof(text));
	assert_int_equal(unpack_data(packed, n, fd, 100, &size, &err), -1);
	assert_int_equal(err->code, ERR_TOO_LARGE);
}

static void damaged_data(void **state)
{
	char packed[4096] = {0};
	const struct file file = {"x", "text"};
	size_t n = make_data("xz", &file, 1, packed, sizeof(packed));
	cleanup_free char *to = below(*state, "x");
	cleanup_close int fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cleanup_error struct error *err = NULL;
	uint64_t size = 0;

	packed[n / 2] ^= 0x55;
	assert_int_equal(unpack_data(packed, n, fd, 1 << 20, &size, &err), -1);
	assert_non_null(strstr(err->message, "decompress"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(packages_of_all_compressions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(paths_that_lead_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_program_decompresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(data_beyond_the_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_data, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
