/* SPDX-License-Identifier: MIT */
/* JSON by json-c, made strict (RFC 8259): duplicate keys, single quotes, comments, NaN, trailing text, invalid UTF-8,
 * depth over 32 and NUL in strings are refused. Objects are json-c's; js_ functions name the key in their errors. */
#ifndef SLICER_BASE_JSON_H
#define SLICER_BASE_JSON_H

#include <json-c/json.h>
#include "base/error.h"

/* Parses one value. The result is the caller's (json_object_put). ERR_INVALID tells line and column; a lone null is
 * refused too, since json-c has no object for it. */
struct json_object *js_parse(const char *text, size_t n, struct error **err);
struct json_object *js_parse_file(const char *path, size_t limit, struct error **err);
void js_put(struct json_object **obj);
#define cleanup_json __attribute__((cleanup(js_put)))

/* Readers of object members: absent or null leaves *ret as it is and returns 0; a wrong type is ERR_INVALID. */
int js_get_string(struct json_object *obj, const char *key, const char **ret, struct error **err); /* borrowed */
int js_get_bool(struct json_object *obj, const char *key, bool *ret, struct error **err);
int js_get_u64(struct json_object *obj, const char *key, uint64_t max, uint64_t *ret, struct error **err);
int js_get_i64(struct json_object *obj, const char *key, int64_t *ret, struct error **err);
int js_get_array(struct json_object *obj, const char *key, struct json_object **ret, struct error **err); /* borrowed */
int js_get_object(struct json_object *obj, const char *key, struct json_object **ret,
		  struct error **err); /* borrowed */
/* An array of strings; absent gives NULL and *ret_present (may be NULL) false. *ret is the caller's. */
int js_get_strv(struct json_object *obj, const char *key, char ***ret, bool *ret_present, struct error **err);

/* Writers; a NULL string is not added, invalid UTF-8 in one becomes U+FFFD. */
void js_add_string(struct json_object *obj, const char *key, const char *value);
void js_add_bool(struct json_object *obj, const char *key, bool value);
void js_add_i64(struct json_object *obj, const char *key, int64_t value);
void js_add_u64(struct json_object *obj, const char *key, uint64_t value);
void js_add(struct json_object *obj, const char *key, struct json_object *take); /* owns take from here on */
void js_add_strv(struct json_object *obj, const char *key, char *const *list);	 /* [] for an empty list */
/* The inside of a JSON string (RFC 8259 §7) for n bytes of valid UTF-8, into `out`, which has room for JS_ESCAPED_MAX(n);
 * returns where it ends. As json-c writes it, without copies: for what passes in bulk. */
#define JS_ESCAPED_MAX(n) ((n)*6)
char *js_escape(char *out, const char *data, size_t n);
char *js_to_string(struct json_object *obj); /* compact, slashes unescaped; the caller's */
char *js_to_string_pretty(struct json_object *obj);

#endif
