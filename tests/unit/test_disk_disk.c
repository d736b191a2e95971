/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"
#include "disk/disk.h"

#define MIB (1ULL << 20)
enum { UID = 300007 };

static char dir[] = "/tmp/test_disk_XXXXXX";
static char *templates, *disk;

static int setup(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	templates = fs_join(dir, "templates");
	disk = fs_join(dir, "data.qcow2");
	return 0;
}

static int teardown(void **state)
{
	free(templates);
	free(disk);
	return fs_remove_tree(dir, NULL);
}

static size_t count_files(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	if (d)
		closedir(d);
	return n;
}

static void run(const char *a, const char *b, const char *c, const char *d)
{
	char *const argv[] = {(char *)a, (char *)b, (char *)c, (char *)d, NULL};
	cleanup_error struct error *err = NULL;

	if (proc_run(argv, NULL, 1 << 20, 30000, NULL, &err) < 0)
		fail_msg("%s", error_message(err));
}

static size_t count_words(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
		n++;
	return n;
}

/* Else the guest's kernel writes them. */
static void check_tables_are_zero(const char *raw)
{
	char *const argv[] = {(char *)"dumpe2fs", (char *)raw, NULL};
	struct proc_result r;

	assert_int_equal(proc_run(argv, NULL, 1 << 20, 30000, &r, NULL), 0);
	assert_int_equal(count_words(r.out, "(Blocks "), 8);
	assert_int_equal(count_words(r.out, "ITABLE_ZEROED"), 8);
	proc_result_clear(&r);
}

static void test_create(void **state)
{
	cleanup_free char *second = fs_join(dir, "second.qcow2"), *raw = fs_join(dir, "raw");
	cleanup_error struct error *err = NULL;
	struct stat st;

	if (disk_create(templates, disk, 1024 * MIB, UID, UID, &err) < 0)
		fail_msg("%s", error_message(err));
	assert_int_equal(stat(disk, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, UID);
	assert_true((uint64_t)st.st_blocks * 512 < 4 * MIB);
	assert_int_equal(disk_create(templates, second, 1024 * MIB, UID, UID, NULL), 0);
	assert_int_equal(count_files(templates), 1); /* one template, nothing half done */
	/* What the guest will find: a clean ext4 of that size. */
	run("qemu-img", "check", "-q", second);
	{
		char *const argv[] = {
			(char *)"qemu-img", (char *)"convert", (char *)"-O", (char *)"raw", second, raw, NULL};

		assert_int_equal(proc_run(argv, NULL, 1024, 30000, NULL, NULL), 0);
	}
	assert_int_equal(stat(raw, &st), 0);
	assert_int_equal(st.st_size, 1024 * MIB);
	run("e2fsck", "-f", "-n", raw);
	check_tables_are_zero(raw);
	assert_int_equal(fs_unlink(raw, NULL), 0);
	assert_int_equal(disk_remove(second, NULL), 0);
	assert_int_equal(disk_remove(second, NULL), 0);
	assert_false(fs_exists(second));
}

static void test_conflict(void **state)
{
	cleanup_error struct error *err = NULL;

	assert_int_equal(disk_create(templates, disk, 1024 * MIB, UID, UID, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	assert_true(fs_exists(disk));
}

static void test_sizes(void **state)
{
	static const uint64_t bad[] = {0, 1, 63 * MIB, 64 * MIB + 1, (16ULL << 40) + MIB, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *path = fs_join(dir, "bad");
		cleanup_error struct error *err = NULL;

		assert_int_equal(disk_create(templates, path, bad[i], 0, 0, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		assert_false(fs_exists(path));
	}
}

static void test_unwritable(void **state)
{
	cleanup_free char *path = fs_join(dir, "x");
	cleanup_error struct error *err = NULL;

	/* A directory that cannot be made. */
	assert_int_equal(disk_create("/proc/nowhere", path, 64 * MIB, 0, 0, &err), -1);
	assert_false(fs_exists(path));
}

/* A tmpfs of 256 KiB in a mount namespace of this process: the template does not fit. */
static void test_full(void **state)
{
	cleanup_free char *full = fs_join(dir, "full"), *t = fs_join(full, "templates"), *path = fs_join(full, "d");
	cleanup_error struct error *err = NULL;

	if (geteuid() != 0)
		skip();
	assert_int_equal(fs_mkdir_p(full, 0755, NULL), 0);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("tmpfs", full, "tmpfs", 0, "size=256k"), 0);
	assert_int_equal(disk_create(t, path, 512 * MIB, UID, UID, &err), -1);
	if (err->code != ERR_NO_SPACE)
		fail_msg("%d %s", err->code, err->message);
	assert_false(fs_exists(path));
	assert_int_equal(count_files(t), 0);
	assert_int_equal(umount(full), 0);
}

static void check_config(size_t n, size_t padded)
{
	cleanup_free char *path = fs_join(dir, "config"), *json = mem_alloc(n + 1), *text = NULL;
	struct stat st;
	size_t len;

	memset(json, 'x', n);
	assert_int_equal(disk_write_config(path, json, n, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_uid == geteuid() && (st.st_mode & 07777) == 0600);
	assert_int_equal(fs_read_file(path, 2 * MIB, &text, &len, NULL), 0);
	assert_int_equal(len, padded);
	assert_memory_equal(text, json, n);
	for (size_t i = n; i < padded; i++)
		assert_int_equal(text[i], 0);
	fs_unlink(path, NULL);
}

static void test_config(void **state)
{
	cleanup_free char *path = fs_join(dir, "config"), *big = mem_alloc(DISK_CONFIG_MAX + 1);
	cleanup_error struct error *err = NULL;

	check_config(1, 4096);
	check_config(4095, 4096);
	check_config(4096, 4096);
	check_config(4097, 8192);
	check_config(DISK_CONFIG_MAX, DISK_CONFIG_MAX);
	assert_int_equal(disk_write_config(path, big, DISK_CONFIG_MAX + 1, &err), -1);
	assert_int_equal(err->code, ERR_TOO_LARGE);
	assert_int_equal(disk_write_config(path, "", 0, NULL), -1);
	assert_false(fs_exists(path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),	   cmocka_unit_test(test_conflict), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_unwritable), cmocka_unit_test(test_full),	    cmocka_unit_test(test_config),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
