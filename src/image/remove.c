/* SPDX-License-Identifier: MIT */
/* slicer-image remove, wipe. Nothing goes that a VM or a running daemon stands on. */
#include "image/commands.h"

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "disk/store_users.h"
#include "image/report.h"
#include "image/writer.h"

static char *image_directory(const char *store, const char *name)
{
	return str_fmt("%s/images/%s", store, name);
}

/* Locks of images, so that no daemon begins to use one between the look at it and its removal. */
struct held {
	int *fds;
	size_t n;
};

static void held_clear(struct held *h)
{
	for (size_t i = 0; i < h->n; i++)
		fd_closep(&h->fds[i]);
	free(h->fds);
}

static int hold(struct held *h, const struct store *store, const char *name, struct error **err)
{
	cleanup_free char *directory = image_directory(store_path(store), name);
	int fd;

	if (!store_lock_alone(directory, &fd))
		return error_set(err, ERR_CONFLICT,
				 "image \"%s\" is in use: a daemon runs whose configuration names it; stop that first",
				 name);
	h->fds = mem_realloc(h->fds, (h->n + 1) * sizeof(*h->fds));
	h->fds[h->n++] = fd;
	return 0;
}

/* A damaged image has no digest that could be compared, and boots nothing. */
static int check_unused(const struct store *store, const char *name, const struct store_uses *uses, struct error **err)
{
	cleanup_error struct error *damage = NULL;
	cleanup_store_image struct store_image *image = store_find_image(store, name, &damage);

	for (size_t i = 0; image && i < uses->n; i++)
		if (str_eq(uses->list[i].digest, image->digest))
			return error_set(err, ERR_CONFLICT,
					 "image \"%s\" is in use: the disk of %s stands on it; delete the VM first",
					 name, uses->list[i].who);
	return 0;
}

static int remove_all(const struct writer *w, char *const *names, uint64_t *freed, struct error **err)
{
	cleanup_store struct store *store = store_open(w->store, err);
	cleanup_uses struct store_uses uses = {0};
	__attribute__((cleanup(held_clear))) struct held held = {0};

	for (size_t i = 0; store && names && names[i]; i++)
		if (hold(&held, store, names[i], err) < 0)
			return -1;
	if (!store || store_find_uses(store, &uses, err) < 0)
		return -1;
	for (size_t i = 0; names && names[i]; i++)
		if (check_unused(store, names[i], &uses, err) < 0)
			return -1;
	for (size_t i = 0; names && names[i]; i++) {
		cleanup_free char *directory = image_directory(w->store, names[i]);
		if (fs_remove_tree(directory, err) < 0)
			return -1;
	}
	return writer_collect(w, freed, err);
}

int command_remove(const struct command_args *args, struct error **err)
{
	cleanup_writer struct writer w = WRITER_NONE;
	char *const names[] = {(char *)(uintptr_t)args->name, NULL};
	uint64_t freed = 0;

	if (store_check_image_name(args->name, err) < 0)
		return -1;
	cleanup_free char *directory = image_directory(args->store, args->name);
	if (!fs_exists(directory))
		return error_set(err, ERR_NOT_FOUND, "there is no image \"%s\" in %s: see `slicer image list`",
				 args->name, args->store);
	if (writer_open(&w, args->store, err) < 0 || remove_all(&w, names, &freed, err) < 0)
		return error_wrap(err, "remove image %s", args->name);

	struct json_object *result = json_object_new_object();
	js_add_string(result, "name", args->name);
	js_add_u64(result, "freed", freed);
	report_result(result);
	return 0;
}

/* All of it or, when anything is in use, nothing. Empty disks are kept for speed only; they are made again. */
int command_wipe(const struct command_args *args, struct error **err)
{
	cleanup_writer struct writer w = WRITER_NONE;
	cleanup_store struct store *store = store_open(args->store, err);
	cleanup_strv char **names = NULL;
	uint64_t freed = 0;

	if (!store || writer_open(&w, args->store, err) < 0)
		return -1;
	cleanup_free char *templates = writer_path(&w, "templates");
	if (store_image_names(store, &names, err) < 0 || remove_all(&w, names, &freed, err) < 0 ||
	    fs_remove_tree(templates, err) < 0)
		return error_wrap(err, "wipe the image store %s", args->store);

	struct json_object *result = json_object_new_object();
	js_add_strv(result, "images", names);
	js_add_u64(result, "freed", freed);
	report_result(result);
	return 0;
}
