/* SPDX-License-Identifier: MIT */
/* The tags of a VM: read and changed. */
#include "api/call.h"
#include "base/json.h"
#include "base/str.h"

enum { TAGS_MAX = 64, TAG_LENGTH_MAX = 256, SETTLE_LIMIT_MS = 30 * 1000 };

struct tags_change {
	char **add, **remove, **replace;
	bool has_add, has_remove, has_replace;
};

static void tags_change_clear(struct tags_change *c)
{
	strv_free(&c->add);
	strv_free(&c->remove);
	strv_free(&c->replace);
}

static int tags_parse(const char *body, size_t n, struct tags_change *ret, struct error **err)
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
static int tags_check_name(const struct tags_change *c, struct error **err)
{
	if (tags_name(c->add) || tags_name(c->remove) || tags_name(c->replace))
		return error_set(err, ERR_INVALID, "the tag name= is given when a VM is created and stays as it is");
	return 0;
}

static int tags_append(char ***list, const char *tag, struct error **err)
{
	if (!tag[0] || strlen(tag) > TAG_LENGTH_MAX)
		return error_set(err, ERR_INVALID, "a tag has 1 to %d bytes", TAG_LENGTH_MAX);
	if (!strv_contains(*list, tag))
		strv_append(list, tag);
	if (strv_len(*list) > TAGS_MAX)
		return error_set(err, ERR_INVALID, "a VM has at most %d tags", TAGS_MAX);
	return 0;
}

static int tags_apply(const struct vm *vm, const struct tags_change *c, char ***ret, struct error **err)
{
	const char *name = tags_name(vm->tags);

	if (tags_check_name(c, err))
		return -1;
	if (c->has_replace && name)
		strv_append(ret, name);
	for (char *const *tag = c->has_replace ? NULL : vm->tags; tag && *tag; tag++)
		if (!strv_contains(c->remove, *tag))
			strv_append(ret, *tag);
	for (char *const *tag = c->has_replace ? c->replace : c->add; tag && *tag; tag++)
		if (tags_append(ret, *tag, err))
			return -1;
	return 0;
}

static void tags_reply(struct call *call, const struct vm *vm)
{
	struct json_object *obj = json_object_new_object();

	js_add_string(obj, "hostname", vm->hostname);
	js_add_strv(obj, "tags", vm->tags);
	call_reply_json(call, 200, obj);
}

void vm_get_tags(struct call *call)
{
	struct vm *vm = call_vm(call);

	if (vm)
		tags_reply(call, vm);
}

static void tags_settled(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->vm);

	if (error || !vm)
		call_reply_error(call, error);
	else
		tags_reply(call, vm);
}

static void tags_client_left(struct call *call)
{
	call_free(&call); /* the change stays */
}

static void tags_with_body(struct call *call, const char *body, size_t n)
{
	struct vm *vm = call_vm(call);
	struct tags_change change = {0};
	cleanup_strv char **tags = NULL;
	cleanup_error struct error *error = NULL;
	int r;

	if (!vm)
		return;
	r = tags_parse(body, n, &change, &error) ? -1 : tags_apply(vm, &change, &tags, &error);
	tags_change_clear(&change);
	if (r) {
		call_reply_error(call, error);
		return;
	}
	vm_set_tags(vm, TAKE_PTR(tags));
	call->waiter = vm_wait(vm, VM_WAIT_SETTLED, SETTLE_LIMIT_MS, tags_settled, call);
	call_watch_client(call, tags_client_left);
}

void vm_patch_tags(struct call *call)
{
	call_read_body(call, tags_with_body);
}
