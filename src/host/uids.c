/* SPDX-License-Identifier: MIT */
#include "host/uids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "vm/vm.h"

enum { OWNER_MAX = 256, LOCK_TRIES = 100 };

/* The directory, locked: claims take microseconds. Whoever removed it meanwhile held the lock of one that is gone. */
static int blocks_lock(const char *dir, struct error **err)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		cleanup_close int fd = -1;
		struct stat here, there;

		if (fs_mkdir_p(dir, 0700, err) < 0)
			return -1;
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX) == 0 && fstat(fd, &here) == 0 && stat(dir, &there) == 0 &&
		    here.st_ino == there.st_ino && here.st_dev == there.st_dev)
			return TAKE_FD(fd);
	}
	return error_set(err, ERR_INTERNAL, "cannot lock %s", dir);
}

/* Nobody's, a dead daemon's without VMs, or `id`'s. */
static bool block_is_free(const char *run, const char *path, const char *id, bool *ret_ours)
{
	cleanup_free char *owner = NULL, *owners_run = NULL;

	*ret_ours = false;
	if (fs_read_file(path, OWNER_MAX, &owner, NULL, NULL) < 0)
		return !fs_exists(path);
	*ret_ours = str_eq(owner, id);
	owners_run = fs_join(run, owner);
	return *ret_ours || !owner[0] || strchr(owner, '/') || !fs_exists(owners_run);
}

static char *block_path(const char *blocks, uid_t first)
{
	return str_fmt("%s/%u", blocks, (unsigned)first);
}

/* Its own wins over one that is merely free: VMs may run in it. */
static bool find_block(const char *run, const char *blocks, const char *id, uid_t first, uid_t last, uid_t *ret)
{
	bool found = false;

	for (uint64_t at = first; at + MANAGER_UIDS - 1 <= last; at += MANAGER_UIDS) {
		cleanup_free char *path = block_path(blocks, (uid_t)at);
		bool ours, is_free = block_is_free(run, path, id, &ours);

		if (ours || (is_free && !found))
			*ret = (uid_t)at;
		found = found || is_free;
		if (ours)
			break;
	}
	return found;
}

int uids_claim(const char *run_dir, uid_t first, uid_t last, uid_t *ret, struct error **err)
{
	cleanup_free char *run = fs_dirname(run_dir), *id = fs_basename(run_dir), *blocks = fs_join(run, UIDS_DIR),
			  *path = NULL;
	cleanup_close int lock = blocks_lock(blocks, err);

	if (lock < 0)
		return -1;
	if (!find_block(run, blocks, id, first, last, ret))
		return error_set(
			err, ERR_UNAVAILABLE,
			"users %u to %u are all taken by other daemons (%s): widen uid_first and uid_last, %d are needed",
			(unsigned)first, (unsigned)last, blocks, MANAGER_UIDS);
	path = block_path(blocks, *ret);
	return fs_write_atomic(path, id, strlen(id), 0600, err);
}

void uids_release(const char *run_dir)
{
	cleanup_free char *run = fs_dirname(run_dir), *id = fs_basename(run_dir), *blocks = fs_join(run, UIDS_DIR);
	cleanup_close int lock = fs_exists(blocks) ? blocks_lock(blocks, NULL) : -1;
	DIR *dir = lock >= 0 ? opendir(blocks) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		cleanup_free char *path = fs_join(blocks, entry->d_name), *owner = NULL;

		if (fs_read_file(path, OWNER_MAX, &owner, NULL, NULL) == 0 && str_eq(owner, id))
			fs_unlink(path, NULL);
	}
	if (dir)
		closedir(dir);
	rmdir(blocks); /* unless others are in there */
}
