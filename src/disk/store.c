/* SPDX-License-Identifier: MIT */
#include "disk/store.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

#define IMAGE_NAME_MAX 64
#define IMAGES_MAX 10000
#define RECORD_VERSION 1

struct store {
	char *path;
};

char *store_default_path(struct error **err)
{
	const char *path = getenv("SLICER_STORE");
	if (path && *path)
		return fs_absolute(path);
	if (geteuid() == 0)
		return str_dup("/var/lib/slicer/store");
	path = getenv("XDG_DATA_HOME");
	if (path && path[0] == '/')
		return fs_join(path, "slicer/store");
	path = getenv("HOME");
	if (path && path[0] == '/')
		return fs_join(path, ".local/share/slicer/store");
	error_set(err, ERR_INVALID, "there is no place for images: set SLICER_STORE or HOME");
	return NULL;
}

static bool name_char(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return !first && (c == '.' || c == '_' || c == '-');
}

int store_check_image_name(const char *name, struct error **err)
{
	size_t n = strlen(name);
	bool good = n >= 1 && n <= IMAGE_NAME_MAX;

	for (size_t i = 0; good && i < n; i++)
		good = name_char(name[i], i == 0);
	if (good)
		return 0;
	cleanup_free char *shown = str_escape(name, n < IMAGE_NAME_MAX ? n : IMAGE_NAME_MAX);
	return error_set(err, ERR_INVALID, "image name \"%s\" is not 1 to %d letters, digits, '.', '_' or '-'", shown,
			 IMAGE_NAME_MAX);
}

struct store *store_open(const char *path, struct error **err)
{
	if (!path || !*path) {
		error_set(err, ERR_INVALID, "the path of the image store is empty");
		return NULL;
	}
	struct store *store = NEW(struct store);
	store->path = fs_absolute(path);
	return store;
}

void store_close(struct store **store)
{
	if (!*store)
		return;
	free((*store)->path);
	free(*store);
	*store = NULL;
}

const char *store_path(const struct store *store)
{
	return store->path;
}

void store_image_free(struct store_image **image)
{
	struct store_image *i = *image;

	if (!i)
		return;
	free(i->name);
	free(i->digest);
	free(i->rootfs);
	free(i->busybox);
	free(i->arch);
	free(i->inputs);
	free(i->created_at);
	free(i->default_user);
	free(i->recipe);
	strv_free(&i->include);
	strv_free(&i->own_modules);
	free(i->kernel_release);
	free(i->kernel_key);
	free(i->kernel);
	free(i->modules);
	free(i->kernel_dir);
	free(i);
	*image = NULL;
}

static int take_string(struct json_object *obj, const char *key, char **ret, struct error **err)
{
	const char *value = NULL;

	if (js_get_string(obj, key, &value, err) < 0)
		return -1;
	if (!value || !*value)
		return error_set(err, ERR_INVALID, "\"%s\" is missing", key);
	*ret = str_dup(value);
	return 0;
}

/* A path of the record, made absolute. It must stay inside the store. */
static int take_path(const struct store *store, struct json_object *obj, const char *key, char **ret,
		     struct error **err)
{
	cleanup_free char *relative = NULL;

	if (take_string(obj, key, &relative, err) < 0)
		return -1;
	cleanup_strv char **parts = strv_split(relative, '/');
	if (strv_contains(parts, "..") || strv_contains(parts, ""))
		return error_set(err, ERR_INVALID, "\"%s\" is not a path inside the store", key);
	*ret = fs_join(store->path, relative);
	return 0;
}

void store_image_set_kernel(struct store_image *image, const char *release, const char *key, const char *dir)
{
	free(image->kernel_release);
	free(image->kernel_key);
	free(image->kernel_dir);
	free(image->kernel);
	free(image->modules);
	image->kernel_release = str_dup(release);
	image->kernel_key = str_dup(key);
	image->kernel_dir = str_dup(dir);
	image->kernel = fs_join(dir, "vmlinux");
	image->modules = fs_join(dir, "modules.squashfs");
}

static int take_kernel(const struct store *store, struct json_object *record, struct store_image *image,
		       struct error **err)
{
	struct json_object *kernel = NULL;

	if (js_get_object(record, "kernel", &kernel, err) < 0)
		return -1;
	if (!kernel)
		return error_set(err, ERR_INVALID, "\"kernel\" is missing");
	cleanup_free char *release = NULL, *key = NULL, *dir = NULL;
	if (take_string(kernel, "release", &release, err) < 0 || take_string(kernel, "key", &key, err) < 0 ||
	    take_path(store, kernel, "path", &dir, err) < 0)
		return error_wrap(err, "kernel");
	store_image_set_kernel(image, release, key, dir);
	return 0;
}

/* Members that records of earlier versions lack: then an image is called like its recipe. */
static int take_origin(struct json_object *record, struct store_image *image, struct error **err)
{
	const char *recipe = NULL;

	if (js_get_string(record, "recipe", &recipe, err) < 0 ||
	    js_get_strv(record, "include", &image->include, NULL, err) < 0 ||
	    js_get_strv(record, "modules", &image->own_modules, NULL, err) < 0)
		return -1;
	image->recipe = str_dup(recipe ? recipe : image->name);
	return 0;
}

static int take_record(const struct store *store, struct json_object *record, struct store_image *image,
		       struct error **err)
{
	uint64_t version = 0;

	if (!json_object_is_type(record, json_type_object))
		return error_set(err, ERR_INVALID, "the record is not a JSON object");
	if (js_get_u64(record, "version", UINT32_MAX, &version, err) < 0)
		return -1;
	if (version != RECORD_VERSION)
		return error_set(err, ERR_UNSUPPORTED, "the record has version %llu, this program reads version %d",
				 (unsigned long long)version, RECORD_VERSION);
	if (take_string(record, "name", &image->name, err) < 0 ||
	    take_string(record, "digest", &image->digest, err) < 0 ||
	    take_path(store, record, "rootfs", &image->rootfs, err) < 0 ||
	    take_path(store, record, "busybox", &image->busybox, err) < 0 ||
	    take_string(record, "arch", &image->arch, err) < 0 ||
	    take_string(record, "inputs", &image->inputs, err) < 0 ||
	    take_string(record, "created_at", &image->created_at, err) < 0 ||
	    take_string(record, "default_user", &image->default_user, err) < 0 ||
	    js_get_u64(record, "size", INT64_MAX, &image->size, err) < 0 || take_origin(record, image, err) < 0)
		return -1;
	return take_kernel(store, record, image, err);
}

static int check_files(const struct store_image *image, struct error **err)
{
	const char *const files[] = {image->rootfs, image->busybox, image->kernel, image->modules};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (!fs_exists(files[i]))
			return error_set(err, ERR_NOT_FOUND, "%s is gone", files[i]);
	return 0;
}

struct store_image *store_find_image(const struct store *store, const char *name, struct error **err)
{
	if (store_check_image_name(name, err) < 0)
		return NULL;

	cleanup_free char *path = str_fmt("%s/images/%s/image.json", store->path, name);
	if (!fs_exists(path)) {
		error_set(err, ERR_NOT_FOUND,
			  "there is no image \"%s\" in %s: see `slicer image list`, or run `slicer "
			  "image build micro`",
			  name, store->path);
		return NULL;
	}
	cleanup_json struct json_object *record = js_parse_file(path, STORE_RECORD_LIMIT, err);
	if (!record)
		return NULL;

	cleanup_store_image struct store_image *image = NEW(struct store_image);
	if (take_record(store, record, image, err) < 0) {
		error_wrap(err, "%s", path);
		return NULL;
	}
	if (check_files(image, err) < 0) {
		error_wrap(err, "image \"%s\" is damaged, build it again", name);
		return NULL;
	}
	return TAKE_PTR(image);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_image_names(const struct store *store, char ***ret, struct error **err)
{
	cleanup_free char *path = fs_join(store->path, "images");
	cleanup_strv char **names = NULL;
	size_t n = 0;

	*ret = NULL;
	DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "open %s", path);
	for (struct dirent *entry; (entry = readdir(dir)) && n < IMAGES_MAX;) {
		cleanup_free char *record = str_fmt("%s/%s/image.json", path, entry->d_name);
		if (store_check_image_name(entry->d_name, NULL) < 0 || !fs_exists(record))
			continue;
		strv_append(&names, entry->d_name);
		n++;
	}
	closedir(dir);
	if (n > 1)
		qsort(names, n, sizeof(*names), compare_names);
	*ret = TAKE_PTR(names);
	return 0;
}
