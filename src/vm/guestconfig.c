/* SPDX-License-Identifier: MIT */
/* The config disk's JSON: docs/protocol.md §4. */
#include "base/json.h"
#include "base/str.h"
#include "vm/manager_impl.h"
#include "vm/network.h"

struct json_object *guest_config(const struct vm *vm, bool modules)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *root = json_object_new_object();

	js_add_u64(obj, "version", 1);
	js_add_string(obj, "hostname", vm->hostname);
	js_add_string(obj, "group", vm->group);
	js_add_string(obj, "machine_id", vm->machine_id);
	js_add_string(root, "lower", "slicer-root");
	js_add_string(root, "upper", "slicer-data");
	js_add_string(root, "modules", modules ? "slicer-modules" : NULL);
	js_add(obj, "root", root);
	js_add_strv(obj, "ssh_keys", vm->ssh_keys);
	js_add_string(obj, "userdata", vm->userdata);
	return obj;
}
