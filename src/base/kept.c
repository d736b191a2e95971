/* SPDX-License-Identifier: MIT */
#include "base/kept.h"

#include <inttypes.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

struct kept {
	char *path;
	struct json_object *answers;
	bool changed;
};

struct kept *kept_load(const char *path)
{
	struct kept *k = NEW(struct kept);

	k->path = str_dup(path);
	k->answers = js_parse_file(path, KEPT_LIMIT, NULL);
	if (k->answers && json_object_is_type(k->answers, json_type_object))
		return k;
	js_put(&k->answers);
	k->answers = json_object_new_object();
	return k;
}

void kept_free(struct kept **kp)
{
	struct kept *k = TAKE_PTR(*kp);

	if (!k)
		return;
	free(k->path);
	js_put(&k->answers);
	free(k);
}

static int64_t nanoseconds(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

char *kept_stamp(const char *const *paths)
{
	cleanup_strv char **parts = NULL;

	for (; *paths; paths++) {
		struct stat st;

		if (stat(*paths, &st) < 0)
			return NULL;
		strv_append_fmt(&parts, "%s %ju %ju %jd %" PRId64 " %" PRId64, *paths, (uintmax_t)st.st_dev,
				(uintmax_t)st.st_ino, (intmax_t)st.st_size, nanoseconds(&st.st_mtim),
				nanoseconds(&st.st_ctim));
	}
	return strv_join(parts, "\n");
}

const char *kept_get(const struct kept *k, const char *name, const char *stamp)
{
	struct json_object *answer = NULL;
	const char *of = NULL, *value = NULL;

	if (!k || !stamp || js_get_object(k->answers, name, &answer, NULL) || !answer ||
	    js_get_string(answer, "stamp", &of, NULL) || js_get_string(answer, "value", &value, NULL))
		return NULL;
	return str_eq(of, stamp) ? value : NULL;
}

void kept_set(struct kept *k, const char *name, const char *stamp, const char *value)
{
	struct json_object *answer;

	if (!k || !stamp)
		return;
	answer = json_object_new_object();
	js_add_string(answer, "stamp", stamp);
	js_add_string(answer, "value", value);
	json_object_object_del(k->answers, name);
	js_add(k->answers, name, answer);
	k->changed = true;
}

int kept_save(struct kept *k, struct error **err)
{
	cleanup_free char *text = NULL;

	if (!k || !k->changed)
		return 0;
	text = js_to_string_pretty(k->answers);
	if (fs_write_atomic(k->path, text, strlen(text), 0600, err) < 0)
		return -1;
	k->changed = false;
	return 0;
}
