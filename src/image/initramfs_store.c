/* SPDX-License-Identifier: MIT */
#include "image/initramfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "disk/store_users.h"
#include "image/hash.h"
#include "image/recipe.h"

#define KEEP 16

char *initramfs_path(const struct store_image *image, const char *agent, struct error **err)
{
	cleanup_free char *agent_hash = hash_file(agent, err);
	cleanup_free char *recipe = agent_hash ? recipe_id(err) : NULL;

	if (!recipe)
		return NULL;
	cleanup_free char *busybox_hash = fs_basename(image->busybox); /* a blob is named by its content */
	const char *const parts[] = {recipe, image->kernel_key, agent_hash, busybox_hash, NULL};
	cleanup_free char *hex = hash_strings(parts);
	return str_fmt("initramfs/%s-%.32s.cpio", image->kernel_key, hex);
}

bool initramfs_touch(const char *absolute_path)
{
	if (utimensat(AT_FDCWD, absolute_path, NULL, 0) == 0)
		return true;
	return errno != ENOENT && fs_exists(absolute_path); /* somebody else's store: readable all the same */
}

static int read_modules(const struct store_image *image, char ***ret, struct error **err)
{
	cleanup_free char *path = fs_join(image->kernel_dir, "kernel.json");
	cleanup_json struct json_object *record = js_parse_file(path, STORE_RECORD_LIMIT, err);

	if (!record)
		return -1;
	return js_get_strv(record, "modules", ret, NULL, err) < 0 ? error_wrap(err, "%s", path) : 0;
}

struct aged {
	char *path;
	struct timespec used;
};

static int compare_aged(const void *a, const void *b)
{
	const struct timespec *x = &((const struct aged *)a)->used, *y = &((const struct aged *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? 1 : -1;
	return (x->tv_nsec < y->tv_nsec) - (x->tv_nsec > y->tv_nsec);
}

/* Agents come and go with each upgrade; nobody removes their archives one by one. A daemon that runs on boots from an old one. */
static int prune(const struct writer *w, struct error **err)
{
	cleanup_free char *path = writer_path(w, "initramfs");
	cleanup_free struct aged *files = NULL;
	size_t n = 0;
	int r = 0;

	DIR *dir = opendir(path);
	if (!dir)
		return error_errno(err, errno, "open %s", path);
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;
		if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, 0) < 0)
			continue;
		files = mem_realloc(files, (n + 1) * sizeof(*files));
		files[n++] = (struct aged){fs_join(path, e->d_name), st.st_mtim};
	}
	closedir(dir);
	if (n > KEEP)
		qsort(files, n, sizeof(*files), compare_aged);
	for (size_t i = 0; i < n; i++) {
		cleanup_close int lock = -1;
		if (i >= KEEP && r == 0 && store_lock_alone(files[i].path, &lock))
			r = fs_unlink(files[i].path, err);
		free(files[i].path);
	}
	return r;
}

int initramfs_build(const struct writer *w, const struct store_image *image, const char *agent, const char *path,
		    struct error **err)
{
	cleanup_free char *scratch = writer_temp(w, "initramfs.cpio");
	cleanup_free char *modules_dir = fs_join(image->kernel_dir, "modules");
	cleanup_strv char **modules = NULL;

	if (read_modules(image, &modules, err) < 0)
		return -1;
	struct initramfs initramfs = {
		.agent = agent,
		.busybox = image->busybox,
		.release = image->kernel_release,
		.modules_dir = modules_dir,
		.modules = modules,
	};
	cleanup_close int fd = open(scratch, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, errno, "create %s", scratch);
	if (initramfs_write(fd, &initramfs, err) < 0 || writer_publish(w, scratch, path, err) < 0)
		return -1;
	return prune(w, err);
}
