/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/initramfs.h"

struct fixture {
	char dir[32];
	char *agent;
	char *busybox;
	int fd;
};

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	memcpy(f->dir, "/tmp/test-initramfs-XXXXXX", 27);
	assert_non_null(mkdtemp(f->dir));
	f->agent = fs_join(f->dir, "agent");
	f->busybox = fs_join(f->dir, "busybox");
	f->fd = memfd_create("cpio", MFD_CLOEXEC);
	cleanup_free char *module_dir = fs_join(f->dir, "kernel/net");
	cleanup_free char *module_a = fs_join(module_dir, "a.ko");
	cleanup_free char *module_b = fs_join(f->dir, "kernel/b.ko");
	assert_int_equal(fs_mkdir_p(module_dir, 0755, NULL), 0);
	assert_int_equal(fs_write_atomic(f->agent, "AGENT", 5, 0600, NULL), 0);
	assert_int_equal(fs_write_atomic(f->busybox, "BUSYBOX", 7, 0600, NULL), 0);
	assert_int_equal(fs_write_atomic(module_a, "A", 1, 0600, NULL), 0);
	assert_int_equal(fs_write_atomic(module_b, "B", 1, 0600, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fs_remove_tree(f->dir, NULL);
	close(f->fd);
	free(f->agent);
	free(f->busybox);
	free(f);
	return 0;
}

static int write_it(struct fixture *f, const char *const *modules, struct error **err)
{
	struct initramfs i = {.agent = f->agent,
			      .busybox = f->busybox,
			      .release = "6.1-x",
			      .modules_dir = f->dir,
			      .modules = (char *const *)modules};

	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(lseek(f->fd, 0, SEEK_SET), 0);
	int r = initramfs_write(f->fd, &i, err);
	assert_int_equal(lseek(f->fd, 0, SEEK_SET), 0);
	return r;
}

/* "PATH TYPE+MODE CONTENT" per entry, in the order of the archive */
static char **entries(int fd)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char **list = NULL;

	archive_read_support_format_cpio(a);
	assert_int_equal(archive_read_open_fd(a, fd, 4096), ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		char content[256] = "";
		assert_true(archive_read_data(a, content, sizeof(content) - 1) >= 0);
		assert_int_equal(archive_entry_uid(e), 0);
		assert_int_equal(archive_entry_gid(e), 0);
		if (archive_entry_filetype(e) == AE_IFCHR)
			snprintf(content, sizeof(content), "%u:%u", (unsigned)archive_entry_rdevmajor(e),
				 (unsigned)archive_entry_rdevminor(e));
		if (archive_entry_filetype(e) == AE_IFLNK)
			snprintf(content, sizeof(content), "%s", archive_entry_symlink(e));
		if (str_eq(archive_entry_pathname(e), "etc/udhcpc/default.script"))
			content[9] = '\0';
		strv_append_fmt(&list, "%s %o %s", archive_entry_pathname(e), (unsigned)archive_entry_mode(e), content);
	}
	archive_read_free(a);
	return list;
}

static void what_the_kernel_and_the_agent_find(void **state)
{
	struct fixture *f = *state;
	const char *const modules[] = {"kernel/net/a.ko", "kernel/b.ko", NULL};
	static const char *const wanted[] = {
		"init 100755 AGENT",
		"bin/busybox 100755 BUSYBOX",
		"bin/sh 120777 busybox",
		"dev/console 20600 5:1",
		"newroot 40755 ",
		"proc 40755 ",
		"sys 40755 ",
		"run 40755 ",
		"etc/udhcpc/default.script 100755 #!/bin/sh",
		("etc/slicer/modules 100644 "
		 "/lib/modules/6.1-x/kernel/net/a.ko\n/lib/modules/6.1-x/kernel/b.ko\n"),
		"lib/modules/6.1-x/kernel/net/a.ko 100644 A",
		"lib/modules/6.1-x/kernel/b.ko 100644 B",
	};

	assert_int_equal(write_it(f, modules, NULL), 0);
	cleanup_strv char **list = entries(f->fd);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!strv_contains(list, wanted[i]))
			fail_msg("the archive lacks: %s", wanted[i]);
}

static void each_directory_precedes_its_content_and_comes_once(void **state)
{
	struct fixture *f = *state;
	const char *const modules[] = {"kernel/net/a.ko", "kernel/b.ko", NULL};

	assert_int_equal(write_it(f, modules, NULL), 0);
	cleanup_strv char **list = entries(f->fd);
	cleanup_strv char **seen = NULL;
	for (size_t i = 0; list[i]; i++) {
		cleanup_free char *path = str_ndup(list[i], strcspn(list[i], " "));
		char *slash = strrchr(path, '/');
		assert_false(strv_contains(seen, path));
		strv_append(&seen, path);
		if (!slash)
			continue;
		*slash = '\0';
		if (!strv_contains(seen, path))
			fail_msg("%s comes before its directory", list[i]);
	}
}

static void the_same_input_makes_the_same_bytes(void **state)
{
	struct fixture *f = *state;
	cleanup_free char *first = NULL, *second = NULL;
	size_t n = 0, m = 0;

	assert_int_equal(write_it(f, NULL, NULL), 0);
	assert_int_equal(fd_read_all(f->fd, 1 << 20, &first, &n, NULL), 0);
	assert_int_equal(fs_write_atomic(f->agent, "AGENT", 5, 0755, NULL), 0); /* another inode, mode and time */
	assert_int_equal(write_it(f, NULL, NULL), 0);
	assert_int_equal(fd_read_all(f->fd, 1 << 20, &second, &m, NULL), 0);
	assert_int_equal(n, m);
	assert_memory_equal(first, second, n);
}

static void a_missing_module_is_an_error(void **state)
{
	struct fixture *f = *state;
	const char *const modules[] = {"kernel/gone.ko", NULL};
	cleanup_error struct error *err = NULL;

	assert_int_equal(write_it(f, modules, &err), -1);
	assert_int_equal(err->code, ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_the_kernel_and_the_agent_find, setup, teardown),
		cmocka_unit_test_setup_teardown(each_directory_precedes_its_content_and_comes_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_input_makes_the_same_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_module_is_an_error, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
