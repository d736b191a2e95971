/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "disk/store.h"
#include "disk/store_users.h"

#define RECORD(version, rootfs, kernel)                                                                                \
	"{\"version\":" version ",\"name\":\"a\",\"digest\":\"sha256:00\",\"rootfs\":\"" rootfs                        \
	"\",\"size\":12,\"busybox\":\"blobs/b\",\"arch\":\"x86_64\",\"inputs\":\"11\","                                \
	"\"created_at\":\"2025-01-01T00:00:00Z\",\"default_user\":\"ubuntu\"" kernel "}"
#define KERNEL ",\"kernel\":{\"release\":\"6.1\",\"key\":\"k\",\"path\":\"kernels/6.1-k\"}"
#define GOOD RECORD("1", "blobs/r", KERNEL)

struct fixture {
	char dir[32];
	struct store *store;
};

static void put(struct fixture *f, const char *path, const char *text)
{
	cleanup_free char *full = fs_join(f->dir, path);
	cleanup_free char *dir = fs_dirname(full);

	assert_int_equal(fs_mkdir_p(dir, 0755, NULL), 0);
	assert_int_equal(fs_write_atomic(full, text, strlen(text), 0644, NULL), 0);
}

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	memcpy(f->dir, "/tmp/test-store-XXXXXX", 23);
	assert_non_null(mkdtemp(f->dir));
	put(f, "blobs/r", "r");
	put(f, "blobs/b", "b");
	put(f, "kernels/6.1-k/vmlinux", "v");
	put(f, "kernels/6.1-k/modules.squashfs", "m");
	f->store = store_open(f->dir, NULL);
	assert_non_null(f->store);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(&f->store);
	fs_remove_tree(f->dir, NULL);
	free(f);
	return 0;
}

static void a_good_record(void **state)
{
	struct fixture *f = *state;

	put(f, "images/a/image.json", GOOD);
	cleanup_store_image struct store_image *image = store_find_image(f->store, "a", NULL);
	cleanup_free char *rootfs = fs_join(f->dir, "blobs/r");
	cleanup_free char *kernel = fs_join(f->dir, "kernels/6.1-k/vmlinux");
	assert_non_null(image);
	assert_string_equal(image->rootfs, rootfs);
	assert_string_equal(image->kernel, kernel);
	assert_string_equal(image->kernel_release, "6.1");
	assert_string_equal(image->default_user, "ubuntu");
	assert_int_equal(image->size, 12);
}

static enum error_code refusal(struct fixture *f, const char *name)
{
	cleanup_error struct error *err = NULL;

	assert_null(store_find_image(f->store, name, &err));
	assert_non_null(err);
	return err->code;
}

static void bad_records(void **state)
{
	static const struct {
		const char *text;
		enum error_code code;
	} cases[] = {
		{"", ERR_INVALID},
		{"[]", ERR_INVALID},
		{"{}", ERR_UNSUPPORTED},
		{RECORD("2", "blobs/r", KERNEL), ERR_UNSUPPORTED},
		{RECORD("\"1\"", "blobs/r", KERNEL), ERR_INVALID},
		{RECORD("1", "/etc/passwd", KERNEL), ERR_INVALID},
		{RECORD("1", "blobs/../../x", KERNEL), ERR_INVALID},
		{RECORD("1", "", KERNEL), ERR_INVALID},
		{RECORD("1", "blobs/r", ""), ERR_INVALID},
		{RECORD("1", "blobs/r", ",\"kernel\":7"), ERR_INVALID},
		{RECORD("1", "blobs/gone", KERNEL), ERR_NOT_FOUND},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put(f, "images/a/image.json", cases[i].text);
		enum error_code code = refusal(f, "a");
		if (code != cases[i].code)
			fail_msg("case %zu: code %d", i, code);
	}
}

static void names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "../a", "-a", ".a", "a b", "a\n", "\xc3\xa4"};
	char longest[66];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(store_check_image_name(bad[i], NULL), -1);
	memset(longest, 'a', 65);
	longest[65] = '\0';
	assert_int_equal(store_check_image_name(longest, NULL), -1);
	longest[64] = '\0';
	assert_int_equal(store_check_image_name(longest, NULL), 0);
	assert_int_equal(store_check_image_name("Debian-12.5_x", NULL), 0);
}

static void an_empty_store_is_no_error(void **state)
{
	struct fixture *f = *state;
	cleanup_strv char **list = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(store_image_names(f->store, &list, NULL), 0);
	assert_null(list);
	assert_null(store_find_image(f->store, "micro", &err));
	assert_int_equal(err->code, ERR_NOT_FOUND);
	assert_non_null(strstr(err->message, "slicer image build micro"));
	assert_int_equal(refusal(f, "../images/a"), ERR_INVALID);
}

static void listing_is_sorted_and_skips_what_is_half_there(void **state)
{
	struct fixture *f = *state;
	cleanup_strv char **list = NULL;

	put(f, "images/z/image.json", GOOD);
	put(f, "images/a/image.json", GOOD);
	put(f, "images/half/other", "");
	put(f, "images/.hidden/image.json", GOOD);
	assert_int_equal(store_image_names(f->store, &list, NULL), 0);
	cleanup_free char *text = strv_join(list, " ");
	assert_string_equal(text, "a z");
}

static void default_paths(void **state)
{
	assert_int_equal(setenv("SLICER_STORE", "/x/y", 1), 0);
	cleanup_free char *set = store_default_path(NULL);
	assert_string_equal(set, "/x/y");
	assert_int_equal(unsetenv("SLICER_STORE"), 0);
	assert_int_equal(setenv("XDG_DATA_HOME", "/data", 1), 0);
	cleanup_free char *own = store_default_path(NULL);
	assert_string_equal(own, geteuid() == 0 ? "/var/lib/slicer/store" : "/data/slicer/store");
}

/* A process that has the lock to itself, and keeps it for a while. */
static pid_t lock_for_a_while(const char *path)
{
	int ready[2];
	char byte = 0;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDONLY);

		if (flock(fd, LOCK_EX) < 0 || write(ready[1], &byte, 1) != 1)
			_exit(1);
		poll(NULL, 0, 100);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void locks(void **state)
{
	static const char *const names[] = {"images/a", "initramfs/k.cpio"};
	struct fixture *f = *state;
	cleanup_error struct error *err = NULL;

	put(f, "images/a/image.json", GOOD);
	put(f, "initramfs/k.cpio", "x");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cleanup_free char *path = fs_join(f->dir, names[i]);
		pid_t pid = lock_for_a_while(path); /* as store_is_locked() does for an instant */
		int fd = store_lock_shared(path, NULL), other = store_lock_shared(path, NULL);

		assert_true(fd >= 0 && other >= 0);
		assert_true(store_is_locked(path));
		close(fd);
		close(other);
		assert_false(store_is_locked(path));
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_int_equal(store_lock_shared("/nonexistent", &err), -1);
	assert_int_equal(err->code, ERR_NOT_FOUND);
	assert_false(store_is_locked("/nonexistent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_good_record, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_records, setup, teardown),
		cmocka_unit_test(names),
		cmocka_unit_test_setup_teardown(an_empty_store_is_no_error, setup, teardown),
		cmocka_unit_test_setup_teardown(listing_is_sorted_and_skips_what_is_half_there, setup, teardown),
		cmocka_unit_test(default_paths),
		cmocka_unit_test_setup_teardown(locks, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
