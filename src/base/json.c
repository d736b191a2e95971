/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <limits.h>

#include "base/fs.h"
#include "base/json_scan.h"
#include "base/str.h"
#include "base/utf8.h"

static void free_tokener(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

struct json_object *js_parse(const char *text, size_t n, struct error **err)
{
	__attribute__((cleanup(free_tokener))) struct json_tokener *tok = NULL;
	struct json_object *obj = NULL;
	enum json_tokener_error result;

	if (n > INT_MAX) {
		error_set(err, ERR_TOO_LARGE, "JSON of %zu bytes is too large", n);
		return NULL;
	}
	if (json_scan(text, n, err) < 0)
		return NULL;
	tok = json_tokener_new_ex(JSON_MAX_DEPTH + 1);
	if (!tok)
		abort(); /* out of memory */
	obj = json_tokener_parse_ex(tok, text, (int)n);
	result = json_tokener_get_error(tok);
	if (result == json_tokener_continue) {
		/* A number as the whole text: only what follows ends it. */
		obj = json_tokener_parse_ex(tok, " ", 1);
		result = json_tokener_get_error(tok);
	}
	if (result != json_tokener_success) {
		json_object_put(obj);
		error_set(err, ERR_INVALID, "invalid JSON: %s", json_tokener_error_desc(result));
		return NULL;
	}
	if (!obj) /* json-c has no object for null */
		error_set(err, ERR_INVALID, "the JSON text is just null");
	return obj;
}

struct json_object *js_parse_file(const char *path, size_t limit, struct error **err)
{
	cleanup_free char *text = NULL;
	struct json_object *obj;
	size_t n;

	if (fs_read_file(path, limit, &text, &n, err) < 0)
		return NULL;
	obj = js_parse(text, n, err);
	if (!obj)
		error_wrap(err, "%s", path);
	return obj;
}

void js_put(struct json_object **obj)
{
	json_object_put(*obj);
	*obj = NULL;
}

/* *ret is NULL when the member is absent or null. */
static int get_member(struct json_object *obj, const char *key, enum json_type type, const char *type_name,
		      struct json_object **ret, struct error **err)
{
	struct json_object *value = NULL;

	*ret = NULL;
	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, ERR_INVALID, "expected an object with \"%s\"", key);
	if (!json_object_object_get_ex(obj, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, type))
		return error_set(err, ERR_INVALID, "\"%s\" must be %s", key, type_name);
	*ret = value;
	return 0;
}

int js_get_string(struct json_object *obj, const char *key, const char **ret, struct error **err)
{
	struct json_object *value;

	if (get_member(obj, key, json_type_string, "a string", &value, err) < 0)
		return -1;
	if (value)
		*ret = json_object_get_string(value);
	return 0;
}

int js_get_bool(struct json_object *obj, const char *key, bool *ret, struct error **err)
{
	struct json_object *value;

	if (get_member(obj, key, json_type_boolean, "true or false", &value, err) < 0)
		return -1;
	if (value)
		*ret = json_object_get_boolean(value);
	return 0;
}

int js_get_u64(struct json_object *obj, const char *key, uint64_t max, uint64_t *ret, struct error **err)
{
	struct json_object *value;
	uint64_t number;

	if (get_member(obj, key, json_type_int, "a whole number", &value, err) < 0)
		return -1;
	if (!value)
		return 0;
	number = json_object_get_uint64(value);
	if (json_object_get_int64(value) < 0 || number > max)
		return error_set(err, ERR_INVALID, "\"%s\" must be from 0 to %llu", key, (unsigned long long)max);
	*ret = number;
	return 0;
}

int js_get_i64(struct json_object *obj, const char *key, int64_t *ret, struct error **err)
{
	struct json_object *value;

	if (get_member(obj, key, json_type_int, "a whole number", &value, err) < 0)
		return -1;
	if (!value)
		return 0;
	/* json-c cuts off silently: a value above INT64_MAX shows only in the unsigned reading (0
	 * for negative ones). */
	if (json_object_get_uint64(value) > INT64_MAX)
		return error_set(err, ERR_INVALID, "\"%s\" must be at most %lld", key, (long long)INT64_MAX);
	*ret = json_object_get_int64(value);
	return 0;
}

int js_get_array(struct json_object *obj, const char *key, struct json_object **ret, struct error **err)
{
	struct json_object *value;

	if (get_member(obj, key, json_type_array, "a list", &value, err) < 0)
		return -1;
	if (value)
		*ret = value;
	return 0;
}

int js_get_object(struct json_object *obj, const char *key, struct json_object **ret, struct error **err)
{
	struct json_object *value;

	if (get_member(obj, key, json_type_object, "an object", &value, err) < 0)
		return -1;
	if (value)
		*ret = value;
	return 0;
}

int js_get_strv(struct json_object *obj, const char *key, char ***ret, bool *ret_present, struct error **err)
{
	cleanup_strv char **list = NULL;
	struct json_object *array;
	size_t n;

	if (get_member(obj, key, json_type_array, "a list of strings", &array, err) < 0)
		return -1;
	n = array ? json_object_array_length(array) : 0;
	if (n)
		list = mem_alloc_array(n + 1, sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (!json_object_is_type(item, json_type_string))
			return error_set(err, ERR_INVALID, "\"%s\"[%zu] must be a string", key, i);
		list[i] = str_dup(json_object_get_string(item)); /* strv_append() would look for the end each time */
	}
	if (ret_present)
		*ret_present = array != NULL;
	*ret = TAKE_PTR(list);
	return 0;
}

/* JSON is UTF-8 by definition; file names and output of programs need not be. */
static struct json_object *new_string(const char *value)
{
	cleanup_free char *clean = utf8_sanitize(value);

	return json_object_new_string(clean);
}

void js_add(struct json_object *obj, const char *key, struct json_object *take)
{
	if (json_object_object_add(obj, key, take) < 0)
		abort(); /* out of memory, or obj is no object: a bug */
}

void js_add_string(struct json_object *obj, const char *key, const char *value)
{
	if (value)
		js_add(obj, key, new_string(value));
}

void js_add_bool(struct json_object *obj, const char *key, bool value)
{
	js_add(obj, key, json_object_new_boolean(value));
}

void js_add_i64(struct json_object *obj, const char *key, int64_t value)
{
	js_add(obj, key, json_object_new_int64(value));
}

void js_add_u64(struct json_object *obj, const char *key, uint64_t value)
{
	js_add(obj, key, json_object_new_uint64(value));
}

void js_add_strv(struct json_object *obj, const char *key, char *const *list)
{
	struct json_object *array = json_object_new_array();

	for (; list && *list; list++)
		json_object_array_add(array, new_string(*list));
	js_add(obj, key, array);
}

static char *escape_char(char *out, unsigned char c)
{
	static const char shorts[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
	static const char digits[] = "0123456789abcdef";

	*out++ = '\\';
	if (shorts[c]) {
		*out++ = shorts[c];
		return out;
	}
	memcpy(out, "u00", 3);
	out[3] = digits[c >> 4];
	out[4] = digits[c & 15];
	return out + 5;
}

char *js_escape(char *out, const char *data, size_t n)
{
	for (const char *end = data + n; data < end; data++) {
		unsigned char c = (unsigned char)*data;

		if (c < 0x20 || c == '"' || c == '\\')
			out = escape_char(out, c);
		else
			*out++ = *data;
	}
	return out;
}

char *js_to_string(struct json_object *obj)
{
	return str_dup(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

char *js_to_string_pretty(struct json_object *obj)
{
	return str_dup(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
}
