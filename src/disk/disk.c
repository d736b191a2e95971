/* SPDX-License-Identifier: MIT */
#include "disk/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"

enum { DISK_TOOL_MS = 60 * 1000, CONFIG_BLOCK = 4096 };

static int disk_run(const char *program, const char *package, char **argv, struct error **err)
{
	cleanup_free char *path = proc_find_program(program);

	if (!path)
		return error_set(err, ERR_NOT_FOUND, "%s is not installed: apt-get install %s", program, package);
	free(argv[0]);
	argv[0] = TAKE_PTR(path);
	return proc_run(argv, NULL, 64 * 1024, DISK_TOOL_MS, NULL, err);
}

static int disk_make_sparse(const char *path, uint64_t size, struct error **err)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return error_errno(err, errno, "%s", path);
	return 0;
}

/* No reserved blocks: they are root's, and so is the overlay. */
static int disk_mkfs_with(const char *path, const char *options, struct error **err)
{
	cleanup_strv char **argv = NULL;
	static const char *const args[] = {"mkfs.ext4", "-q", "-F", "-m", "0", "-L", "slicer-data", "-E"};

	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		strv_append(&argv, args[i]);
	strv_append(&argv, options);
	strv_append(&argv, path);
	return disk_run("mkfs.ext4", "e2fsprogs", argv, err);
}

/* Nothing is zeroed or discarded by mkfs: the file is all holes. Told so, it marks the tables as zero; else the guest's kernel
 * zeroes them in its first minutes, 256 MiB of a disk of 16 GiB, which count against the limits of the disk. mke2fs knows this
 * from 1.47 on. */
static int disk_mkfs(const char *path, struct error **err)
{
	if (disk_mkfs_with(path, "nodiscard,lazy_journal_init=1,assume_storage_prezeroed=1", NULL) == 0)
		return 0;
	return disk_mkfs_with(path, "nodiscard,lazy_journal_init=1,lazy_itable_init=1", err);
}

static int disk_to_qcow2(const char *raw, const char *qcow2, struct error **err)
{
	cleanup_strv char **argv = NULL;
	static const char *const args[] = {"qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1"};

	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		strv_append(&argv, args[i]);
	strv_append(&argv, raw);
	strv_append(&argv, qcow2);
	return disk_run("qemu-img", "qemu-utils", argv, err);
}

/* Tools tell of a full disk in their own words only. With what they have written still there, a
 * megabyte more does not fit. */
static int disk_check_space(const char *dir, struct error **err)
{
	cleanup_free char *probe = str_fmt("%s/.space-%d", dir, (int)gettid());
	static const char block[64 * 1024] = {1};
	cleanup_close int fd = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? error_errno(err, errno, "%s", dir) : 0;

	for (int i = 0; rc == 0 && i < 16; i++)
		rc = fd_write_all(fd, block, sizeof(block), err);
	unlink(probe);
	return rc < 0 ? error_wrap(err, "no room in %s", dir) : 0;
}

/* Both files under names of this thread, then renamed: two of them at once both succeed, and a
 * crash leaves no half. */
static int disk_make_template(const char *dir, const char *path, uint64_t size, struct error **err)
{
	cleanup_free char *raw = str_fmt("%s.%d.raw", path, (int)gettid());
	cleanup_free char *qcow2 = str_fmt("%s.%d.tmp", path, (int)gettid());
	cleanup_error struct error *why = NULL;
	int rc = fs_mkdir_p(dir, 0755, &why);

	if (rc == 0)
		rc = fs_unlink(raw, &why);
	if (rc == 0)
		rc = disk_make_sparse(raw, size, &why);
	if (rc == 0)
		rc = disk_mkfs(raw, &why);
	if (rc == 0)
		rc = disk_to_qcow2(raw, qcow2, &why);
	if (rc == 0 && rename(qcow2, path) < 0)
		rc = error_errno(&why, errno, "%s", path);
	if (rc < 0 && why->code == ERR_IO && disk_check_space(dir, err) < 0)
		error_free(&why);
	unlink(raw);
	unlink(qcow2);
	if (rc == 0)
		return 0;
	if (why)
		error_move(err, &why);
	return error_wrap(err, "cannot make a disk template");
}

static int disk_own(const char *path, uid_t uid, gid_t gid, struct error **err)
{
	if (geteuid() == 0 && chown(path, uid, gid) < 0)
		return error_errno(err, errno, "cannot give %s to uid %u", path, uid);
	return 0;
}

static int disk_check_size(uint64_t size, struct error **err)
{
	if (size < DISK_SIZE_MIN || size > DISK_SIZE_MAX || size % (1 << 20))
		return error_set(err, ERR_INVALID, "disk size %" PRIu64 " must be whole MiB, 64 MiB to 16 TiB", size);
	return 0;
}

/* Through a temporary name in the same directory: under its own name a disk is whole or not there.
 */
static int disk_copy_template(const char *template, const char *path, uid_t uid, gid_t gid, struct error **err)
{
	cleanup_free char *tmp = str_fmt("%s.new", path);
	int rc = fs_unlink(tmp, err);

	if (rc == 0)
		rc = fs_copy_file(template, tmp, 0600, err);
	if (rc == 0)
		rc = disk_own(tmp, uid, gid, err);
	/* link, unlike rename, never replaces a disk that is there. */
	if (rc == 0 && link(tmp, path) < 0)
		rc = errno == EEXIST ? error_set(err, ERR_CONFLICT, "disk %s is there already", path)
				     : error_errno(err, errno, "%s", path);
	unlink(tmp);
	return rc;
}

int disk_create(const char *templates, const char *path, uint64_t size, uid_t uid, gid_t gid, struct error **err)
{
	cleanup_free char *template = str_fmt("%s/ext4-%" PRIu64 ".qcow2", templates, size >> 20);

	if (disk_check_size(size, err) < 0)
		return -1;
	if (fs_exists(path))
		return error_set(err, ERR_CONFLICT, "disk %s is there already", path);
	if (!fs_exists(template) && disk_make_template(templates, template, size, err) < 0)
		return -1;
	if (disk_copy_template(template, path, uid, gid, err) < 0)
		return error_wrap(err, "cannot create disk %s", path);
	return 0;
}

int disk_remove(const char *path, struct error **err)
{
	return fs_unlink(path, err);
}

int disk_write_config(const char *path, const char *json, size_t n, struct error **err)
{
	size_t padded = (n + CONFIG_BLOCK - 1) / CONFIG_BLOCK * CONFIG_BLOCK;
	cleanup_free char *block = NULL;

	if (n > DISK_CONFIG_MAX)
		return error_set(err, ERR_TOO_LARGE, "the VM's configuration has %zu bytes, at most %d are possible", n,
				 DISK_CONFIG_MAX);
	if (n == 0)
		return error_set(err, ERR_INVALID, "an empty config disk");
	block = mem_alloc(padded);
	memcpy(block, json, n);
	if (fs_write_replace(path, block, padded, 0600, err) < 0)
		return error_wrap(err, "cannot write config disk %s", path);
	return 0;
}
