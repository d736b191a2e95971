/* SPDX-License-Identifier: MIT */
#include "disk/store_users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

enum { VM_RECORD_LIMIT = 4 * 1024 * 1024 };

int store_add_user(const struct store *store, const char *id, const char *state_dir, struct error **err)
{
	cleanup_free char *dir = fs_join(store_path(store), "users");
	cleanup_free char *path = str_fmt("%s/%s.json", dir, id);
	cleanup_json struct json_object *user = json_object_new_object();

	js_add_u64(user, "version", 1);
	js_add_string(user, "state_dir", state_dir);
	cleanup_free char *text = js_to_string_pretty(user);
	if (access(store_path(store), W_OK) < 0 && (errno == EACCES || errno == EROFS))
		return 0;
	if (fs_mkdir_p(dir, 0755, err) < 0)
		return -1;
	return fs_write_atomic(path, text, strlen(text), 0600, err);
}

/* ---- locks ---- */

static int open_to_lock(const char *path)
{
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

int store_lock_shared(const char *path, struct error **err)
{
	for (;;) {
		cleanup_close int fd = open_to_lock(path);

		if (fd < 0)
			return error_errno(err, errno, "open %s", path);
		/* Who asks whether it is locked holds it for an instant, and who removes it until it is gone. */
		while (flock(fd, LOCK_SH) < 0)
			if (errno != EINTR)
				return error_errno(err, errno, "lock %s", path);
		if (store_lock_holds(fd, path))
			return TAKE_FD(fd);
	}
}

bool store_lock_holds(int fd, const char *path)
{
	struct stat locked, there;

	return fstat(fd, &locked) == 0 && stat(path, &there) == 0 && locked.st_dev == there.st_dev &&
	       locked.st_ino == there.st_ino;
}

bool store_lock_alone(const char *path, int *ret_fd)
{
	cleanup_close int fd = open_to_lock(path);

	*ret_fd = -1;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return false;
	*ret_fd = TAKE_FD(fd);
	return true;
}

bool store_is_locked(const char *path)
{
	cleanup_close int fd = -1;

	return !store_lock_alone(path, &fd);
}

/* ---- VMs ---- */

void store_uses_clear(struct store_uses *uses)
{
	for (size_t i = 0; i < uses->n; i++) {
		free(uses->list[i].digest);
		free(uses->list[i].who);
	}
	free(uses->list);
	*uses = (struct store_uses){0};
}

static int add_vm(const char *state_dir, const char *name, struct store_uses *uses, struct error **err)
{
	cleanup_free char *path = str_fmt("%s/vms/%s/record.json", state_dir, name);
	const char *digest = NULL;

	if (!fs_exists(path))
		return 0;
	cleanup_json struct json_object *record = js_parse_file(path, VM_RECORD_LIMIT, err);
	if (!record || js_get_string(record, "image_digest", &digest, err) < 0)
		return error_wrap(err, "what VM %s uses cannot be told", name);
	if (!digest)
		return 0;
	uses->list = mem_realloc(uses->list, (uses->n + 1) * sizeof(*uses->list));
	uses->list[uses->n++] = (struct store_use){str_dup(digest), str_fmt("VM %s of %s", name, state_dir)};
	return 0;
}

static int add_vms(const char *state_dir, struct store_uses *uses, struct error **err)
{
	cleanup_free char *path = fs_join(state_dir, "vms");
	DIR *dir = opendir(path);
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "read %s", path);
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (e->d_name[0] != '.')
			r = add_vm(state_dir, e->d_name, uses, err);
	closedir(dir);
	return r;
}

static int add_user(const char *path, struct store_uses *uses, struct error **err)
{
	cleanup_json struct json_object *user = js_parse_file(path, STORE_RECORD_LIMIT, err);
	const char *state_dir = NULL;

	if (!user || js_get_string(user, "state_dir", &state_dir, err) < 0)
		return error_wrap(err, "%s", path);
	if (!state_dir || !fs_exists(state_dir))
		return fs_unlink(path, err);
	return add_vms(state_dir, uses, err);
}

int store_find_uses(const struct store *store, struct store_uses *ret, struct error **err)
{
	cleanup_free char *path = fs_join(store_path(store), "users");
	DIR *dir = opendir(path);
	int r = 0;

	*ret = (struct store_uses){0};
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "read %s", path);
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		cleanup_free char *file = fs_join(path, e->d_name);
		if (str_ends(e->d_name, ".json"))
			r = add_user(file, ret, err);
	}
	closedir(dir);
	if (r < 0)
		store_uses_clear(ret);
	return r;
}
