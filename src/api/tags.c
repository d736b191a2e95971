/* SPDX-License-Identifier: MIT */
/* The tags of a VM: read and changed. */
#include "api/call.h"
#include "base/json.h"
#include "base/str.h"
#include "config/request.h"

enum { SETTLE_LIMIT_MS = 30 * 1000 };

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
	cleanup_tags_request struct tags_request change = {0};
	cleanup_strv char **tags = NULL;
	cleanup_error struct error *error = NULL;

	if (!vm)
		return;
	if (tags_request_parse(body, n, &change, &error) || tags_request_apply(&change, vm->tags, &tags, &error)) {
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
