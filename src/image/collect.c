/* SPDX-License-Identifier: MIT */
/* Removal of what no image names and no VM stands on. Only called with the store locked, and never by a build, which would
 * take away what the next one finds. */
#include "image/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "disk/store_users.h"

/* What the images name: absolute paths of blobs and kernel directories, and keys of kernels. */
struct used {
	char **paths;
	char **kernel_keys;
};

/* The disk of a VM may stand on an older build of its image. */
static int add_used_by_vms(const struct writer *w, const struct store *store, struct used *used, struct error **err)
{
	cleanup_uses struct store_uses uses = {0};

	if (store_find_uses(store, &uses, err) < 0)
		return -1;
	for (size_t i = 0; i < uses.n; i++)
		if (str_starts(uses.list[i].digest, "sha256:"))
			strv_append_fmt(&used->paths, "%s/blobs/sha256/%s", w->store,
					uses.list[i].digest + strlen("sha256:"));
	return 0;
}

/* What a running daemon boots: a kernel of a configuration's own (kernel_file), the root filesystem of an image that was built anew
 * since. */
static int add_locked(const struct writer *w, const char *directory, struct used *used, struct error **err)
{
	cleanup_free char *path = writer_path(w, directory);
	DIR *dir = opendir(path);

	if (!dir)
		return error_errno(err, errno, "open %s", path);
	for (struct dirent *e; (e = readdir(dir));) {
		cleanup_free char *file = fs_join(path, e->d_name);
		const char *dash = strrchr(e->d_name, '-');
		if (e->d_name[0] == '.' || !store_is_locked(file))
			continue;
		strv_append(&used->paths, file);
		if (dash && str_eq(directory, "kernels"))
			strv_append(&used->kernel_keys, dash + 1);
	}
	closedir(dir);
	return 0;
}

static int find_used(const struct writer *w, struct used *used, struct error **err)
{
	cleanup_store struct store *store = store_open(w->store, err);
	cleanup_strv char **names = NULL;

	if (!store || store_image_names(store, &names, err) < 0)
		return -1;
	for (size_t i = 0; names && names[i]; i++) {
		cleanup_store_image struct store_image *image = store_find_image(store, names[i], err);
		if (!image)
			return error_wrap(err, "nothing is removed while an image cannot be read");
		strv_append(&used->paths, image->rootfs);
		strv_append(&used->paths, image->busybox);
		strv_append(&used->paths, image->kernel_dir);
		strv_append(&used->kernel_keys, image->kernel_key);
	}
	if (add_used_by_vms(w, store, used, err) < 0 || add_locked(w, "blobs/sha256", used, err) < 0)
		return -1;
	return add_locked(w, "kernels", used, err);
}

static uint64_t tree_size(const char *path)
{
	char *const roots[] = {(char *)path, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	uint64_t size = 0;

	if (!fts)
		return 0;
	for (FTSENT *e; (e = fts_read(fts));)
		if (e->fts_info == FTS_F)
			size += (uint64_t)e->fts_statp->st_size;
	fts_close(fts);
	return size;
}

static bool is_used(const struct used *used, const char *directory, const char *path, const char *name)
{
	if (!str_eq(directory, "initramfs"))
		return strv_contains(used->paths, path);
	const char *dash = strchr(name, '-');
	cleanup_free char *key = dash ? str_ndup(name, (size_t)(dash - name)) : str_dup(name);
	return strv_contains(used->kernel_keys, key);
}

static int collect_directory(const struct writer *w, const char *directory, const struct used *used, uint64_t *freed,
			     struct error **err)
{
	cleanup_free char *path = writer_path(w, directory);
	DIR *dir = opendir(path);
	int r = 0;

	if (!dir)
		return error_errno(err, errno, "open %s", path);
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		cleanup_free char *file = fs_join(path, e->d_name);
		cleanup_close int lock = -1;
		if (is_used(used, directory, file, e->d_name) || !store_lock_alone(file, &lock))
			continue;
		*freed += tree_size(file);
		r = fs_remove_tree(file, err);
	}
	closedir(dir);
	return r;
}

int writer_collect(const struct writer *w, uint64_t *ret_freed, struct error **err)
{
	static const char *const directories[] = {"blobs/sha256", "initramfs", "kernels"};
	struct used used = {0};
	int r = find_used(w, &used, err);

	*ret_freed = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(directories); i++)
		r = collect_directory(w, directories[i], &used, ret_freed, err);
	strv_free(&used.paths);
	strv_free(&used.kernel_keys);
	return r;
}
