/* SPDX-License-Identifier: MIT */
#include "image/kernel_file.h"

#include <dirent.h>
#include <errno.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/hash.h"
#include "image/kernel_build.h"
#include "image/report.h"
#include "image/squash.h"
#include "image/vmlinux.h"

#define RECIPE "file 1" /* raise it when the same file shall give another kernel directory */
#define KERNEL_LIMIT ((size_t)512 << 20)
#define ROOT "root"

/* Where the modules of a release come from. */
struct modules_source {
	char *id;	     /* changes when they do */
	char *squashfs;	     /* to unpack them from: of an image, or of a kernel of the store */
	bool whole;	     /* the squashfs is /lib/modules/RELEASE and not a root filesystem */
	char *dir;	     /* of this host, to be read as it is */
	const char *release; /* borrowed */
};

static void source_clear_modules(struct modules_source *s)
{
	free(s->id);
	free(s->squashfs);
	free(s->dir);
}
#define cleanup_modules __attribute__((cleanup(source_clear_modules)))

/* A kernel of that release in the store which offers its modules; the path of its directory. */
static char *find_in_store(const struct writer *w, const char *release)
{
	cleanup_free char *kernels = writer_path(w, "kernels");
	cleanup_free char *prefix = str_fmt("%s-", release);
	DIR *dir = opendir(kernels);
	char *found = NULL;

	for (struct dirent *e; dir && !found && (e = readdir(dir));) {
		cleanup_free char *path = fs_join(kernels, e->d_name);
		if (str_starts(e->d_name, prefix) && strlen(e->d_name) == strlen(prefix) + KERNEL_KEY_LEN &&
		    kernel_offers_modules(path))
			found = TAKE_PTR(path);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int find_modules(const struct writer *w, const struct store_image *image, const char *release,
			struct modules_source *ret, struct error **err)
{
	cleanup_free char *host = str_fmt("/lib/modules/%s", release);
	cleanup_free char *dep = fs_join(host, "modules.dep");
	cleanup_free char *stored = find_in_store(w, release);

	ret->release = release;
	if (strv_contains(image->own_modules, release)) {
		ret->id = str_fmt("image:%s", image->digest);
		ret->squashfs = str_dup(image->rootfs);
	} else if (stored) {
		cleanup_free char *name = fs_basename(stored);
		ret->id = str_fmt("store:%s", name);
		ret->squashfs = fs_join(stored, "modules.squashfs");
		ret->whole = true;
	} else if (fs_exists(dep)) {
		cleanup_free char *hash = hash_file(dep, err);
		if (!hash)
			return -1;
		ret->id = str_fmt("host:%s", hash);
		ret->dir = TAKE_PTR(host);
	} else {
		ret->id = str_dup("none");
	}
	return 0;
}

/* The modules of that release, unpacked in `work`; *ret: the path of their directory there. */
static int unsquash(const struct modules_source *from, const char *release, const struct work *work, char **ret,
		    struct error **err)
{
	cleanup_free char *plain = str_fmt("lib/modules/%s", release);
	cleanup_free char *merged = str_fmt("usr/%s", plain);
	const char *const below[] = {merged, plain, NULL}; /* one of them */

	if (squash_unpack(work, from->squashfs, ROOT, from->whole ? NULL : below, err) < 0)
		return -1;
	if (from->whole)
		*ret = str_dup(ROOT);
	for (size_t i = 0; !*ret && below[i]; i++) {
		cleanup_free char *relative = str_fmt(ROOT "/%s", below[i]);
		cleanup_free char *dir = fs_join(work->dir, relative);
		if (fs_exists(dir))
			*ret = TAKE_PTR(relative);
	}
	return *ret ? 0 : error_set(err, ERR_NOT_FOUND, "they are not in the image any more");
}

/* Fills in where the modules are, if there are any. */
static int unpack_modules(const struct writer *w, const struct modules_source *from, struct work *work, char **ret,
			  struct error **err)
{
	if (!from->squashfs) {
		*ret = str_dup(from->dir);
		return 0;
	}
	return work_open(work, w, "unpacked", err) < 0 ? -1 : unsquash(from, from->release, work, ret, err);
}

static int check_kernel(const char *data, size_t n, const struct kernel_parts *parts, struct error **err)
{
	if (kernel_file_check(data, n, err) < 0)
		return -1;
	if (!parts->modules && kernel_file_check_builtin(data, n, err) < 0)
		return error_wrap(
			err, "neither the image nor the store nor /lib/modules of this host has modules for kernel %s",
			parts->release);
	return 0;
}

static int build(const struct writer *w, const char *path, const struct modules_source *from,
		 const struct kernel_parts *parts, struct kernel *ret, struct error **err)
{
	cleanup_free char *vmlinux = writer_temp(w, "vmlinux"), *data = NULL, *modules = NULL;
	cleanup_work struct work work = WORK_NONE;
	struct kernel_parts whole = *parts;
	size_t n = 0;

	report_progress("kernel", "unpacking kernel %s", parts->release);
	if (vmlinux_extract(path, vmlinux, err) < 0 || fs_read_file(vmlinux, KERNEL_LIMIT, &data, &n, err) < 0)
		return -1;
	if (unpack_modules(w, from, &work, &modules, err) < 0)
		return error_wrap(err, "modules of kernel %s", parts->release);
	whole.vmlinuz = vmlinux;
	whole.work = work.dir ? &work : NULL;
	whole.modules = modules;
	return check_kernel(data, n, &whole, err) < 0 ? -1 : kernel_pack(w, &whole, ret, err);
}

struct kernel_input {
	char *data, *hex;
	size_t n;
};

static int ensure(const struct writer *w, const struct store_image *image, const char *path,
		  const struct kernel_input *in, struct kernel *ret, bool *ret_built, struct error **err)
{
	cleanup_modules struct modules_source from = {0};
	cleanup_free char *release = kernel_file_release(in->data, in->n, err);

	if (!release || find_modules(w, image, release, &from, err) < 0)
		return -1;
	const char *const inputs[] = {RECIPE, in->hex, from.id, NULL};
	cleanup_free char *key = hash_strings(inputs);
	cleanup_free char *source = str_fmt(KERNEL_SOURCE_FILE "%s", in->hex);
	key[KERNEL_KEY_LEN] = '\0';
	if (kernel_find(w, key, ret, err) < 0)
		return -1;
	*ret_built = !ret->path;
	if (ret->path)
		return 0;
	struct kernel_parts parts = {.release = release, .key = key, .source = source};
	return build(w, path, &from, &parts, ret, err);
}

int kernel_file_ensure(const struct writer *w, const struct store_image *image, const char *path, struct kernel *ret,
		       bool *ret_built, struct error **err)
{
	struct kernel_input in = {.hex = hash_file(path, err)};
	int r;

	if (!in.hex || fs_read_file(path, KERNEL_LIMIT, &in.data, &in.n, err) < 0)
		r = error_wrap(err, "kernel_file");
	else if ((r = ensure(w, image, path, &in, ret, ret_built, err)) < 0)
		error_wrap(err, "kernel_file %s", path);
	free(in.data);
	free(in.hex);
	return r;
}
