/* SPDX-License-Identifier: MIT */
#include "host/github_keys.h"

#include <ctype.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "host/image_run.h"

enum { KEPT_LIMIT = 2 * 1024 * 1024 };

/* GitHub's names are the same in upper and lower case. */
static char *kept_path(const char *state_dir, const char *user)
{
	char *path = str_fmt("%s/github/%s.keys", state_dir, user);

	for (char *at = path + strlen(path) - strlen(user) - strlen(".keys"); *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return path;
}

static void keep(const char *path, char *const *keys)
{
	cleanup_free char *dir = fs_dirname(path), *text = strv_join(keys, "\n");
	cleanup_error struct error *error = NULL;

	if (fs_mkdir_p(dir, 0700, &error) || fs_write_atomic(path, text, strlen(text), 0600, &error))
		log_warn("%s; the keys were not kept for a start without network", error_message(error));
}

static char **kept(const char *path)
{
	cleanup_free char *text = NULL;
	size_t n;

	if (fs_read_file(path, KEPT_LIMIT, &text, &n, NULL) || !n)
		return NULL;
	return strv_split(text, '\n');
}

static int download(const char *user, char ***ret, struct error **err)
{
	const char *base = getenv("SLICER_GITHUB_URL");
	const char *const args[] = {"keys", user, "--url", base && *base ? base : "https://github.com", NULL};
	cleanup_json struct json_object *result = image_run(&(struct image_run){.args = args}, err);

	*ret = NULL;
	if (!result || js_get_strv(result, "keys", ret, NULL, err))
		return -1;
	return *ret ? 0 : error_set(err, ERR_PROTOCOL, "slicer-image named no keys");
}

int github_keys_get(const char *state_dir, const char *user, char ***ret, struct error **err)
{
	cleanup_free char *path = kept_path(state_dir, user);
	cleanup_error struct error *error = NULL;

	if (download(user, ret, &error) == 0) {
		keep(path, *ret);
		return 0;
	}
	/* A user who is no more must not get in by what was once so. */
	if (error->code == ERR_NOT_FOUND || error->code == ERR_INVALID)
		return error_move(err, &error);
	*ret = kept(path);
	if (!*ret)
		return error_move(err, &error);
	log_warn("%s; using the keys of the last time", error_message(error));
	return 0;
}

int github_keys_add(struct config *config, const char *state_dir, struct error **err)
{
	cleanup_strv char **keys = NULL;
	cleanup_error struct error *error = NULL;

	if (!config->github_user || !config->github_user[0])
		return 0;
	if (github_keys_get(state_dir, config->github_user, &keys, &error)) {
		error_set(err, error->code, "%s: github_user: %s: try again, or name the keys in ssh_keys: instead",
			  config->name, error_message(error));
		return -1;
	}
	for (char **key = keys; *key; key++)
		if (!strv_contains(config->ssh_keys, *key))
			strv_append(&config->ssh_keys, *key);
	return 0;
}
