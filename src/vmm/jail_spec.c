/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "vmm/jail_spec.h"

#define DEVICE_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-"

void jail_spec_add_libraries(struct jail_spec *s)
{
	static const char *const paths[] = {"/lib",
					    "/lib64",
					    "/usr/lib64",
					    "/usr/lib/x86_64-linux-gnu",
					    "/usr/lib/aarch64-linux-gnu",
					    "/usr/lib/ld-linux-aarch64.so.1",
					    "/etc/ld.so.cache"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		strv_append(&s->paths, paths[i]);
}

void jail_spec_clear(struct jail_spec *s)
{
	strv_free(&s->paths);
	strv_free(&s->devices);
	*s = (struct jail_spec){0};
}

struct json_object *jail_spec_to_json(const struct jail_spec *s)
{
	struct json_object *obj = json_object_new_object();

	js_add_strv(obj, "paths", s->paths);
	js_add_strv(obj, "devices", s->devices);
	js_add_bool(obj, "host_network", s->host_network);
	js_add_bool(obj, "own_sandbox", s->own_sandbox);
	js_add_u64(obj, "file_bytes", s->file_bytes);
	js_add_u64(obj, "threads", s->threads);
	return obj;
}

/* They are made below the new root: none may lead out of it. */
static int check_path(const char *path, struct error **err)
{
	cleanup_strv char **parts = strv_split(path, '/');
	size_t n = strv_len(parts);

	if (path[0] != '/' || strlen(path) > JAIL_PATH_MAX)
		return error_set(err, ERR_INVALID, "'paths' has one that is not absolute or is too long");
	for (size_t i = 1; i < n; i++)
		if (!parts[i][0] || str_eq(parts[i], ".") || str_eq(parts[i], ".."))
			return error_set(err, ERR_INVALID, "'paths' has \"%s\", which is not in its plain form", path);
	return 0;
}

static int check_lists(const struct jail_spec *s, struct error **err)
{
	if (strv_len(s->paths) > JAIL_PATHS_MAX || strv_len(s->devices) > JAIL_PATHS_MAX)
		return error_set(err, ERR_INVALID, "more than %d paths or devices", JAIL_PATHS_MAX);
	for (char **p = s->paths; p && *p; p++)
		if (check_path(*p, err))
			return -1;
	for (char **d = s->devices; d && *d; d++)
		if (!**d || strspn(*d, DEVICE_BYTES) != strlen(*d))
			return error_set(err, ERR_INVALID, "'devices' has one that is no name");
	return 0;
}

int jail_spec_parse(struct json_object *obj, struct jail_spec *ret, struct error **err)
{
	*ret = (struct jail_spec){0};
	if (js_get_strv(obj, "paths", &ret->paths, NULL, err) < 0 ||
	    js_get_strv(obj, "devices", &ret->devices, NULL, err) < 0 ||
	    js_get_bool(obj, "host_network", &ret->host_network, err) < 0 ||
	    js_get_bool(obj, "own_sandbox", &ret->own_sandbox, err) < 0 ||
	    js_get_u64(obj, "file_bytes", INT64_MAX, &ret->file_bytes, err) < 0 ||
	    js_get_u64(obj, "threads", JAIL_THREADS_MAX, &ret->threads, err) < 0)
		return -1;
	return check_lists(ret, err);
}
