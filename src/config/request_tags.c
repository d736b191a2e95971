/* SPDX-License-Identifier: MIT */
/* What changes the tags of a VM. */
#include "base/json.h"
#include "base/str.h"
#include "config/request.h"

void tags_request_clear(struct tags_request *c)
{
	strv_free(&c->add);
	strv_free(&c->remove);
	strv_free(&c->replace);
}

int tags_request_parse(const char *body, size_t n, struct tags_request *ret, struct error **err)
{
	cleanup_json struct json_object *obj = js_parse(body, n, err);

	if (!obj)
		return -1;
	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, ERR_INVALID, "the body must be an object with add, remove or replace");
	if (js_get_strv(obj, "add", &ret->add, &ret->has_add, err) ||
	    js_get_strv(obj, "remove", &ret->remove, &ret->has_remove, err) ||
	    js_get_strv(obj, "replace", &ret->replace, &ret->has_replace, err))
		return -1;
	if (ret->has_replace && (ret->has_add || ret->has_remove))
		return error_set(err, ERR_INVALID, "replace excludes add and remove");
	if (!ret->has_replace && !ret->has_add && !ret->has_remove)
		return error_set(err, ERR_INVALID, "one of add, remove and replace is needed");
	return 0;
}

static const char *tags_name(char *const *tags)
{
	for (; tags && *tags; tags++)
		if (str_starts(*tags, "name="))
			return *tags;
	return NULL;
}

/* The friendly name is given once, at launch. */
static int tags_check_name(const struct tags_request *c, struct error **err)
{
	if (tags_name(c->add) || tags_name(c->remove) || tags_name(c->replace))
		return error_set(err, ERR_INVALID, "the tag name= is given when a VM is created and stays as it is");
	return 0;
}

static int tags_append(char ***list, const char *tag, struct error **err)
{
	if (!tag[0] || strlen(tag) > REQUEST_TAG_MAX)
		return error_set(err, ERR_INVALID, "a tag has 1 to %d bytes", REQUEST_TAG_MAX);
	if (!strv_contains(*list, tag))
		strv_append(list, tag);
	if (strv_len(*list) > REQUEST_TAGS_MAX)
		return error_set(err, ERR_INVALID, "a VM has at most %d tags", REQUEST_TAGS_MAX);
	return 0;
}

int tags_request_apply(const struct tags_request *c, char *const *tags, char ***ret, struct error **err)
{
	const char *name = tags_name(tags);

	if (tags_check_name(c, err))
		return -1;
	if (c->has_replace && name)
		strv_append(ret, name);
	for (char *const *tag = c->has_replace ? NULL : tags; tag && *tag; tag++)
		if (!strv_contains(c->remove, *tag))
			strv_append(ret, *tag);
	for (char *const *tag = c->has_replace ? c->replace : c->add; tag && *tag; tag++)
		if (tags_append(ret, *tag, err))
			return -1;
	return 0;
}
