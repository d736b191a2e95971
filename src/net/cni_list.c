/* SPDX-License-Identifier: MIT */
/* Network configuration lists (CNI specification, section 1). */
#include "net/cni.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

static bool cni_name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > CNI_NAME_LEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool alnum = (s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z');

		if (!alnum && (i == 0 || (s[i] != '.' && s[i] != '_' && s[i] != '-')))
			return false;
	}
	return true;
}

static int list_string(struct json_object *obj, const char *key, const char *example, const char **ret,
		       struct error **err)
{
	*ret = NULL;
	if (js_get_string(obj, key, ret, err) < 0)
		return -1;
	if (!*ret)
		return error_set(err, ERR_INVALID, "\"%s\" is missing, as in %s", key, example);
	if (!cni_name_ok(*ret))
		return error_set(
			err, ERR_INVALID,
			"\"%s\" must be letters, digits, \".\", \"_\" and \"-\", beginning with a letter or digit, at most %d",
			key, CNI_NAME_LEN_MAX);
	return 0;
}

static int list_version(struct json_object *obj, struct cni_list *ret, struct error **err)
{
	static const char *const known[] = {"0.3.1", "0.4.0", "1.0.0"};
	const char *version;

	if (list_string(obj, "cniVersion", "\"1.0.0\"", &version, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (str_eq(version, known[i])) {
			ret->version = str_dup(version);
			return 0;
		}
	}
	return error_set(err, ERR_UNSUPPORTED, "cniVersion %s is none of 0.3.1, 0.4.0 and 1.0.0", version);
}

static int list_plugin(struct cni_list *l, struct json_object *config, struct error **err)
{
	struct cni_plugin *p = &l->plugins[l->nplugins];
	const char *type;

	if (!json_object_is_type(config, json_type_object))
		return error_set(err, ERR_INVALID, "it is not an object");
	if (list_string(config, "type", "\"bridge\"", &type, err) < 0)
		return -1;
	*p = (struct cni_plugin){.type = str_dup(type), .config = json_object_get(config)};
	l->nplugins++;
	return 0;
}

static int list_plugins(struct cni_list *l, struct json_object *plugins, struct error **err)
{
	size_t n = json_object_array_length(plugins);

	if (n == 0 || n > CNI_PLUGINS_MAX)
		return error_set(err, ERR_INVALID, "\"plugins\" has %zu entries; 1 to %d are possible", n,
				 CNI_PLUGINS_MAX);
	for (size_t i = 0; i < n; i++)
		if (list_plugin(l, json_object_array_get_idx(plugins, i), err) < 0)
			return error_wrap(err, "plugins[%zu]", i);
	return 0;
}

/* A file with one plugin has its members at the top, and "type" among them. */
static int list_read(struct json_object *obj, struct cni_list *l, struct error **err)
{
	struct json_object *plugins = NULL;
	const char *name;

	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, ERR_INVALID, "it is not a JSON object");
	if (list_version(obj, l, err) < 0 || list_string(obj, "name", "\"slicer\"", &name, err) < 0)
		return -1;
	l->name = str_dup(name);
	if (js_get_bool(obj, "disableCheck", &l->disable_check, err) < 0 ||
	    js_get_array(obj, "plugins", &plugins, err) < 0)
		return -1;
	return plugins ? list_plugins(l, plugins, err) : list_plugin(l, obj, err);
}

int cni_list_parse(const char *text, size_t n, const char *what, struct cni_list *ret, struct error **err)
{
	*ret = (struct cni_list){0};
	ret->source = js_parse(text, n, err);
	if (ret->source && list_read(ret->source, ret, err) == 0)
		return 0;
	cni_list_clear(ret);
	return error_wrap(err, "%s", what);
}

void cni_list_clear(struct cni_list *l)
{
	for (size_t i = 0; i < l->nplugins; i++) {
		free(l->plugins[i].type);
		js_put(&l->plugins[i].config);
	}
	free(l->name);
	free(l->version);
	js_put(&l->source);
	*l = (struct cni_list){0};
}

/* ---- the directory ---- */

static int cni_is_list(const struct dirent *e)
{
	return e->d_name[0] != '.' &&
	       (str_ends(e->d_name, ".conflist") || str_ends(e->d_name, ".conf") || str_ends(e->d_name, ".json"));
}

static int cni_load(const char *path, struct cni_list *ret, struct error **err)
{
	cleanup_free char *text = NULL;
	size_t n;

	*ret = (struct cni_list){0};
	if (fs_read_file(path, CNI_LIST_MAX, &text, &n, err) < 0)
		return error_wrap(err, "%s", path);
	return cni_list_parse(text, n, path, ret, err);
}

struct search {
	const char *dir, *name;
	char **others;	      /* names of lists */
	struct error *broken; /* the first file that cannot be used */
};

/* A list that cannot be used, but says that it is another: of a version to come, perhaps. */
static bool is_another(const char *path, const char *name)
{
	cleanup_json struct json_object *obj = js_parse_file(path, CNI_LIST_MAX, NULL);
	const char *own = NULL;

	return obj && json_object_is_type(obj, json_type_object) && js_get_string(obj, "name", &own, NULL) == 0 &&
	       own && !str_eq(own, name);
}

/* Whether that file has the list. */
static bool search_file(struct search *s, const char *file, struct cni_list *ret)
{
	cleanup_free char *path = fs_join(s->dir, file);
	cleanup_error struct error *error = NULL;

	if (cni_load(path, ret, &error) < 0) {
		if (!s->broken && !is_another(path, s->name))
			s->broken = TAKE_PTR(error);
		return false;
	}
	if (str_eq(ret->name, s->name))
		return true;
	strv_append(&s->others, ret->name);
	cni_list_clear(ret);
	return false;
}

static int search_failed(const struct search *s, struct error **err)
{
	cleanup_free char *others = s->others ? strv_join(s->others, ", ") : NULL;

	if (s->broken)
		return error_set(err, ERR_INVALID, "no usable CNI network \"%s\" in %s: %s", s->name, s->dir,
				 error_message(s->broken));
	return error_set(err, ERR_NOT_FOUND, "no CNI network \"%s\" in %s%s%s", s->name, s->dir,
			 others ? "; there are: " : ", which has none", others ? others : "");
}

int cni_list_find(const char *dir, const char *name, struct cni_list *ret, struct error **err)
{
	struct search s = {.dir = dir, .name = name};
	struct dirent **files = NULL;
	int n = scandir(dir, &files, cni_is_list, alphasort);
	bool found = false;

	*ret = (struct cni_list){0};
	for (int i = 0; i < n; i++) {
		if (!found && i < CNI_FILES_MAX)
			found = search_file(&s, files[i]->d_name, ret);
		free(files[i]);
	}
	free(files);
	if (!found)
		search_failed(&s, err);
	strv_free(&s.others);
	error_free(&s.broken);
	return found ? 0 : -1;
}
