/* SPDX-License-Identifier: MIT */
/* What the API says of the server and its host groups. */
#include "api/call.h"
#include "base/json.h"
#include "base/str.h"

void server_healthz(struct call *call)
{
	call_reply_text(call, 200, "OK");
}

void server_info(struct call *call)
{
	struct json_object *obj = json_object_new_object();

	js_add_string(obj, "version", SLICER_VERSION);
	js_add_string(obj, "git_commit", call->api->options->git_commit);
	js_add_string(obj, "platform", "linux");
	/* Here as Go names it; lists of nodes say what uname says. */
	js_add_string(obj, "arch", str_eq(view_arch(), "x86_64") ? "amd64" : view_arch());
	call_reply_json(call, 200, obj);
}

void server_hostgroups(struct call *call)
{
	const struct config *cfg = manager_config(call->api->manager);
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i];
		struct json_object *obj = json_object_new_object();

		js_add_string(obj, "name", g->name);
		js_add_u64(obj, "count", manager_count(call->api->manager, g->name));
		js_add_u64(obj, "ram_bytes", g->ram_bytes);
		js_add_u64(obj, "cpus", g->vcpu);
		js_add_string(obj, "arch", view_arch());
		js_add_u64(obj, "gpu_count", g->gpu_count);
		json_object_array_add(list, obj);
	}
	call_reply_json(call, 200, list);
}
