/* SPDX-License-Identifier: MIT */
#include "cli/vm_name.h"

static struct json_object *list_nodes(struct client *c, const char *target, struct error **err)
{
	struct json_object *nodes = client_json(c, "GET", target, NULL, CLIENT_TIMEOUT_MS, err);

	if (nodes && !json_object_is_type(nodes, json_type_array)) {
		js_put(&nodes);
		error_set(err, ERR_PROTOCOL, "the daemon's list of VMs is not an array");
	}
	return nodes;
}

static char *node_hostname(struct json_object *nodes, size_t i)
{
	struct json_object *node = json_object_array_get_idx(nodes, i);
	const char *name = NULL;

	if (!json_object_is_type(node, json_type_object) || js_get_string(node, "hostname", &name, NULL))
		return NULL;
	return str_dup(name);
}

char *vm_only(struct client *c, struct error **err)
{
	cleanup_json struct json_object *nodes = list_nodes(c, "/nodes", err);
	cleanup_strv char **names = NULL;
	cleanup_free char *all = NULL;
	size_t n;

	if (!nodes)
		return NULL;
	n = json_object_array_length(nodes);
	if (n == 1)
		return node_hostname(nodes, 0);
	if (n == 0) {
		error_set(err, ERR_NOT_FOUND, "there is no VM; create one with: slicer vm add");
		return NULL;
	}
	for (size_t i = 0; i < n && i < 10; i++) {
		char *name = node_hostname(nodes, i);

		if (name)
			strv_append_take(&names, name);
	}
	all = strv_join(names, ", ");
	error_set(err, ERR_INVALID, "there are %zu VMs, say which one: %s%s", n, all, n > 10 ? ", ..." : "");
	return NULL;
}

char *vm_or_only(struct client *c, const char *given, struct error **err)
{
	return given ? str_dup(given) : vm_only(c, err);
}

char *vm_by_friendly_name(struct client *c, const char *name)
{
	cleanup_free char *tag = str_fmt("name=%s", name);
	cleanup_free char *target = str_dup("/nodes");
	cleanup_json struct json_object *nodes = NULL;

	target_add(&target, "tag", tag);
	nodes = list_nodes(c, target, NULL);
	if (!nodes || json_object_array_length(nodes) != 1)
		return NULL;
	return node_hostname(nodes, 0);
}

static int call_once(struct client *c, const char *vm, const char *method, const char *rest, const char *json,
		     int64_t timeout_ms, struct reply *ret, struct error **err)
{
	cleanup_free char *base = target_new("/vm/%s", vm);
	cleanup_free char *target = str_fmt("%s%s", base, rest);

	return client_call(c, method, target, json, timeout_ms, ret, err);
}

int vm_call(struct client *c, char **vm, const char *method, const char *rest, const char *json, int64_t timeout_ms,
	    struct reply *ret, struct error **err)
{
	cleanup_error struct error *first = NULL;
	char *hostname;

	if (!call_once(c, *vm, method, rest, json, timeout_ms, ret, &first))
		return 0;
	hostname = ret->status == 404 ? vm_by_friendly_name(c, *vm) : NULL;
	if (!hostname)
		return error_move(err, &first);
	free(*vm);
	*vm = hostname;
	reply_clear(ret);
	return call_once(c, *vm, method, rest, json, timeout_ms, ret, err);
}

struct json_object *vm_reply_json(const struct reply *reply, const char *vm, struct error **err)
{
	struct json_object *parsed = js_parse(reply->body, reply->n, NULL);

	if (!parsed || !json_object_is_type(parsed, json_type_object)) {
		js_put(&parsed);
		error_set(err, ERR_PROTOCOL, "the daemon's answer about %s is not a JSON object", vm);
	}
	return parsed;
}

struct json_object *vm_json(struct client *c, char **vm, const char *method, const char *rest, const char *json,
			    int64_t timeout_ms, struct error **err)
{
	cleanup_reply struct reply reply = {0};

	return vm_call(c, vm, method, rest, json, timeout_ms, &reply, err) ? NULL : vm_reply_json(&reply, *vm, err);
}

/* NULL: it runs. */
static char *say_state(const struct reply *reply, const char *vm)
{
	cleanup_json struct json_object *obj = vm_reply_json(reply, vm, NULL);
	const char *status = NULL, *why = NULL;

	if (!obj || js_get_string(obj, "status", &status, NULL) || js_get_string(obj, "last_error", &why, NULL) ||
	    !status || str_eq(status, "Running"))
		return NULL;
	return str_fmt("VM \"%s\" is %s%s%s", vm, status, why ? ": " : "", why ? why : "");
}

void vm_explain_loss(struct client *c, const char *vm, const char *what, struct error **err)
{
	cleanup_error struct error *broken = NULL, *error = NULL;
	cleanup_reply struct reply reply = {0};
	cleanup_free char *state = NULL;

	if (!err || !*err)
		return;
	broken = TAKE_PTR(*err);
	if (call_once(c, vm, "GET", "", NULL, CLIENT_TIMEOUT_MS, &reply, &error) == 0)
		state = say_state(&reply, vm);
	else if (reply.status == 404)
		state = str_dup(error_message(error));
	if (state)
		error_set(err, broken->code, "%s: %s", what, state);
	else
		error_move(err, &broken);
}
