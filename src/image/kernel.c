/* SPDX-License-Identifier: MIT */
#include "image/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/apt.h"
#include "image/hash.h"
#include "image/kernel_build.h"

#define RECIPE "1" /* raise it when the same source shall give another kernel directory */

#if defined(__x86_64__)
#define META_PACKAGE "linux-image-cloud-amd64"
#else
#define META_PACKAGE "linux-image-cloud-arm64"
#endif

void kernel_source_clear(struct kernel_source *source)
{
	free(source->id);
	free(source->key);
	free(source->release);
	free(source->package);
	*source = (struct kernel_source){0};
}

void kernel_clear(struct kernel *kernel)
{
	free(kernel->release);
	free(kernel->key);
	free(kernel->path);
	*kernel = (struct kernel){0};
}

static bool is_usable(const char *release)
{
	cleanup_free char *image = str_fmt("/boot/vmlinuz-%s", release);
	cleanup_free char *dep = str_fmt("/lib/modules/%s/modules.dep", release);

	return strstr(release, "-cloud-") && access(image, R_OK) == 0 && access(dep, R_OK) == 0;
}

/* The newest cloud kernel in /boot whose modules are there too; NULL without one. */
static char *newest_on_host(void)
{
	DIR *dir = opendir("/boot");
	char *best = NULL;

	for (struct dirent *e; dir && (e = readdir(dir));) {
		const char *prefix = "vmlinuz-";
		if (!str_starts(e->d_name, prefix) || !is_usable(e->d_name + strlen(prefix)))
			continue;
		const char *release = e->d_name + strlen(prefix);
		if (best && strverscmp(release, best) <= 0)
			continue;
		free(best);
		best = str_dup(release);
	}
	if (dir)
		closedir(dir);
	return best;
}

static int identify_host_kernel(struct kernel_source *source, struct error **err)
{
	cleanup_free char *image = str_fmt("/boot/vmlinuz-%s", source->release);
	cleanup_free char *dep = str_fmt("/lib/modules/%s/modules.dep", source->release);
	cleanup_free char *image_hash = hash_file(image, err);
	cleanup_free char *dep_hash = image_hash ? hash_file(dep, err) : NULL;

	if (!dep_hash)
		return -1;
	source->id = str_fmt("boot:%s:%s:%s", source->release, image_hash, dep_hash);
	return 0;
}

/* The meta-package's hash stands for the kernel: each version of it depends on one version of one
 * kernel package. */
static int identify_package(struct kernel_source *source, struct error **err)
{
	struct apt_package package = {0};

	if (apt_resolve_meta(META_PACKAGE, KERNEL_PACKAGE_PREFIX, &package, &source->package, err) < 0) {
		apt_package_clear(&package);
		return error_wrap(err, "the default kernel");
	}
	source->id = str_fmt("deb:%s", package.hash);
	apt_package_clear(&package);
	return 0;
}

int kernel_source_resolve(struct kernel_source *ret, struct error **err)
{
	ret->release = newest_on_host();
	if ((ret->release ? identify_host_kernel(ret, err) : identify_package(ret, err)) < 0)
		return -1;
	const char *const parts[] = {RECIPE, ret->id, NULL};
	ret->key = hash_strings(parts);
	ret->key[KERNEL_KEY_LEN] = '\0';
	return 0;
}

static bool is_whole(const char *dir)
{
	static const char *const files[] = {"kernel.json", "vmlinux", "modules.squashfs"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_free char *path = fs_join(dir, files[i]);
		if (!fs_exists(path))
			return false;
	}
	return true;
}

/* A directory kernels/RELEASE-KEY: the release is found with it, so that apt need not be asked for
 * it. */
int kernel_find(const struct writer *w, const char *key, struct kernel *ret, struct error **err)
{
	cleanup_free char *path = writer_path(w, "kernels");
	cleanup_free char *suffix = str_fmt("-%s", key);
	DIR *dir = opendir(path);

	if (!dir)
		return error_errno(err, errno, "open %s", path);
	for (struct dirent *e; !ret->path && (e = readdir(dir));) {
		cleanup_free char *candidate = fs_join(path, e->d_name);
		if (!str_ends(e->d_name, suffix) || !is_whole(candidate))
			continue;
		ret->release = str_ndup(e->d_name, strlen(e->d_name) - strlen(suffix));
		ret->key = str_dup(key);
		ret->path = fs_join("kernels", e->d_name);
	}
	closedir(dir);
	return 0;
}

int kernel_ensure(const struct writer *w, const struct kernel_source *source, struct kernel *ret, bool *ret_built,
		  struct error **err)
{
	if (kernel_find(w, source->key, ret, err) < 0)
		return -1;
	*ret_built = !ret->path;
	return ret->path ? 0 : kernel_build(w, source, ret, err);
}
