/* SPDX-License-Identifier: MIT */
/* POST /reload: the daemon takes over what was added to its configuration. */
#include "api/call.h"
#include "base/json.h"
#include "base/str.h"

static void reload_client_left(struct call *call)
{
	call->api->reloading = NULL; /* what it asked for goes on */
	call_free(&call);
}

void server_reload(struct call *call)
{
	struct api *api = call->api;
	cleanup_error struct error *error = NULL;

	if (!api->options->reload)
		error_set(&error, ERR_UNSUPPORTED, "this server has no configuration to reload");
	else if (api->reloading)
		error_set(&error, ERR_CONFLICT, "the configuration is being reloaded already: try again");
	else
		api->options->reload(api->options->reload_arg, http_query_get(call->query, "file"), &error);
	if (error) {
		call_reply_error(call, error);
		return;
	}
	api->reloading = call;
	call_watch_client(call, reload_client_left);
}

void api_reloaded(struct api *api, char *const *added, char *const *notes, const struct error *error)
{
	struct call *call = TAKE_PTR(api->reloading);
	struct json_object *obj;

	if (!call)
		return;
	if (error) {
		call_reply_error(call, error);
		return;
	}
	obj = json_object_new_object();
	js_add_strv(obj, "added", added);
	if (notes)
		js_add_strv(obj, "notes", notes);
	call_reply_json(call, 200, obj);
}
