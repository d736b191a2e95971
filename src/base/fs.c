/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs_temp.h"
#include "base/str.h"

int fs_read_file(const char *path, size_t limit, char **ret, size_t *ret_len, struct error **err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	if (fd_read_all(fd, limit, ret, ret_len, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

int fs_temp_open(struct fs_temp *t, const char *path, mode_t mode, struct error **err)
{
	cleanup_free char *dir = fs_dirname(path);

	t->fd = -1;
	t->path = fs_join(dir, ".tmp-XXXXXX");
	t->fd = mkostemp(t->path, O_CLOEXEC);
	if (t->fd < 0 || fchmod(t->fd, mode) < 0) {
		error_errno(err, errno, "cannot create a file in %s", dir);
		if (t->fd < 0)
			mem_freep(&t->path); /* there is no file to remove */
		return -1;
	}
	return 0;
}

int fs_temp_commit(struct fs_temp *t, const char *path, struct error **err)
{
	if (rename(t->path, path) < 0)
		return error_errno(err, errno, "cannot rename %s to %s", t->path, path);
	mem_freep(&t->path);
	return 0;
}

void fs_temp_clear(struct fs_temp *t)
{
	if (t->path)
		unlink(t->path);
	mem_freep(&t->path);
	fd_closep(&t->fd);
}

static int sync_directory_of(const char *path, struct error **err)
{
	cleanup_free char *dir = fs_dirname(path);
	cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_errno(err, errno, "cannot sync directory %s", dir);
	return 0;
}

static int write_temp(struct fs_temp *t, const char *path, const void *data, size_t n, mode_t mode, struct error **err)
{
	if (fs_temp_open(t, path, mode, err) < 0 || fd_write_all(t->fd, data, n, err) < 0)
		return error_wrap(err, "cannot write %s", path);
	return 0;
}

int fs_write_replace(const char *path, const void *data, size_t n, mode_t mode, struct error **err)
{
	cleanup_fs_temp struct fs_temp t = FS_TEMP_EMPTY;

	return write_temp(&t, path, data, n, mode, err) < 0 ? -1 : fs_temp_commit(&t, path, err);
}

static int write_synced(struct fs_temp *t, const char *path, const void *data, size_t n, mode_t mode,
			struct error **err)
{
	if (write_temp(t, path, data, n, mode, err) < 0)
		return -1;
	return fsync(t->fd) < 0 ? error_errno(err, errno, "cannot sync %s", path) : 0;
}

int fs_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct error **err)
{
	cleanup_fs_temp struct fs_temp t = FS_TEMP_EMPTY;

	if (write_synced(&t, path, data, n, mode, err) < 0 || fs_temp_commit(&t, path, err) < 0)
		return -1;
	return sync_directory_of(path, err);
}

int fs_write_first(const char *path, const void *data, size_t n, mode_t mode, struct error **err)
{
	cleanup_fs_temp struct fs_temp t = FS_TEMP_EMPTY;

	if (write_synced(&t, path, data, n, mode, err) < 0)
		return -1;
	if (link(t.path, path) < 0 && errno != EEXIST)
		return error_errno(err, errno, "cannot create %s", path);
	return sync_directory_of(path, err);
}

/* `exact`: whatever the umask. */
static int make_dir(const char *path, mode_t mode, bool exact, struct error **err)
{
	struct stat st;
	int saved;

	if (mkdir(path, mode) == 0)
		return exact && chmod(path, mode) < 0
			       ? error_errno(err, errno, "cannot change the mode of directory %s", path)
			       : 0;
	saved = errno;
	/* EEXIST, or EROFS and EACCES for a directory that is there already. */
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		saved = ENOTDIR;
	}
	return error_errno(err, saved, "cannot create directory %s", path);
}

static int make_dirs(const char *path, mode_t mode, bool exact, struct error **err)
{
	cleanup_free char *copy = str_dup(path);

	for (char *p = copy; *p; p++) {
		if (*p != '/' || p == copy || p[-1] == '/')
			continue;
		*p = '\0';
		if (make_dir(copy, mode, exact, err) < 0)
			return -1;
		*p = '/';
	}
	return make_dir(copy, mode, exact, err);
}

int fs_mkdir_p(const char *path, mode_t mode, struct error **err)
{
	return make_dirs(path, mode, false, err);
}

int fs_mkdir_p_public(const char *path, struct error **err)
{
	return make_dirs(path, 0755, true, err);
}

int fs_unlink(const char *path, struct error **err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", path);
	return 0;
}

bool fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int refuse_locked(int fd, const char *path, struct error **err)
{
	char owner[32] = "";
	ssize_t n = pread(fd, owner, sizeof(owner) - 1, 0);
	uint64_t pid = 0;

	owner[n > 0 ? n : 0] = '\0';
	if (str_to_u64(str_trim(owner), 1, INT32_MAX, "pid", &pid, NULL) < 0)
		return error_set(err, ERR_CONFLICT, "%s is locked by another process", path);
	return error_set(err, ERR_CONFLICT, "%s is locked by process %llu", path, (unsigned long long)pid);
}

/* Whether the file that fd has open is still the one at path: its last owner may have removed it.
 */
static bool is_still_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

int fs_lock(const char *path, struct error **err)
{
	for (int attempt = 0; attempt < 8; attempt++) {
		cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		cleanup_free char *pid = str_fmt("%d\n", (int)getpid());

		if (fd < 0)
			return error_errno(err, errno, "cannot open lock file %s", path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno == EWOULDBLOCK)
				return refuse_locked(fd, path, err);
			return error_errno(err, errno, "cannot lock %s", path);
		}
		if (!is_still_at(fd, path))
			continue;
		if (ftruncate(fd, 0) < 0)
			return error_errno(err, errno, "cannot write lock file %s", path);
		if (fd_write_all(fd, pid, strlen(pid), err) < 0)
			return error_wrap(err, "lock file %s", path);
		return TAKE_FD(fd);
	}
	return error_set(err, ERR_CONFLICT, "lock file %s is being replaced all the time", path);
}
