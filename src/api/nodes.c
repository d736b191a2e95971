/* SPDX-License-Identifier: MIT */
/* Lists of VMs, create and delete. */
#include "api/call.h"
#include "api/import.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"

enum {
	LAUNCH_LIMIT_MS = 60 * 1000,	 /* until the VMM runs */
	WAIT_DEFAULT_MS = 5 * 60 * 1000, /* of wait= without timeout= */
	DELETE_LIMIT_MS = 60 * 1000,
};

struct nodes_filter {
	const char *group, *tag, *prefix; /* NULL: any */
};

static bool nodes_match(const struct vm *vm, const struct nodes_filter *f)
{
	if (f->group && !str_eq(vm->group, f->group))
		return false;
	if (f->tag)
		return strv_contains(vm->tags, f->tag);
	for (char *const *t = vm->tags; f->prefix && t && *t; t++)
		if (str_starts(*t, f->prefix))
			return true;
	return !f->prefix;
}

static struct http_shared *nodes_format(const struct api *api, const struct nodes_filter *f)
{
	struct vm *vms = manager_vms(api->manager);
	size_t size = sizeof("[]");
	char *text, *end;

	for (struct vm *vm = vms; vm; vm = vm->next)
		if (nodes_match(vm, f))
			size += strlen(view_node_text(api, vm)) + 1;
	text = mem_alloc(size);
	end = stpcpy(text, "[");
	for (struct vm *vm = vms; vm; vm = vm->next) {
		if (!nodes_match(vm, f))
			continue;
		if (end > text + 1)
			*end++ = ',';
		end = stpcpy(end, view_node_text(api, vm));
	}
	end = stpcpy(end, "]");
	return http_shared_new(text, (size_t)(end - text));
}

/* Kept until a VM changes: whoever polls the list of a thousand VMs costs no more than sending it. Borrowed. */
static struct http_shared *nodes_all(struct api *api)
{
	const struct nodes_filter all = {0};

	if (api->nodes && api->check_kept) {
		cleanup_http_shared struct http_shared *now = nodes_format(api, &all);

		if (api->nodes_revision == manager_revision(api->manager) &&
		    !str_eq(http_shared_text(now), http_shared_text(api->nodes))) {
			log_error("the list of VMs that is kept is not what it would be now");
			abort();
		}
	}
	if (!api->nodes || api->nodes_revision != manager_revision(api->manager)) {
		http_shared_unref(&api->nodes);
		api->nodes = nodes_format(api, &all);
		api->nodes_revision = manager_revision(api->manager);
	}
	return api->nodes;
}

void nodes_list(struct call *call)
{
	const struct config *cfg = manager_config(call->api->manager);
	const char *tag = http_query_get(call->query, "tag"), *prefix = http_query_get(call->query, "tag_prefix");
	cleanup_error struct error *error = NULL;
	cleanup_http_shared struct http_shared *list = NULL;

	if (tag && prefix)
		error_set(&error, ERR_INVALID, "tag and tag_prefix exclude each other");
	else if (call->group && !config_group_find(cfg, call->group))
		error_set(&error, ERR_NOT_FOUND, "there is no host group \"%s\"", call->group);
	if (error) {
		call_reply_error(call, error);
		return;
	}
	if (!call->group && !tag && !prefix) {
		call_reply_shared(call, nodes_all(call->api));
		return;
	}
	list = nodes_format(call->api, &(struct nodes_filter){.group = call->group, .tag = tag, .prefix = prefix});
	call_reply_shared(call, list);
}

static int create_wait_for(struct call *call, enum vm_wait_for *ret, int64_t *ret_ms, struct error **err)
{
	const char *wait = http_query_get(call->query, "wait"), *timeout = http_query_get(call->query, "timeout");
	int64_t ns;

	*ret = VM_WAIT_SCHEDULED;
	*ret_ms = LAUNCH_LIMIT_MS;
	if (timeout && timeout[0]) {
		if (duration_parse(timeout, &ns, err))
			return error_wrap(err, "timeout");
		if (ns < 1000000 || ns > 24LL * 3600 * 1000000000)
			return error_set(err, ERR_INVALID, "timeout: allowed are 1ms to 24h");
	}
	if (!wait || !wait[0] || str_eq(wait, "none"))
		return 0;
	if (str_eq(wait, "agent"))
		*ret = VM_WAIT_AGENT;
	else if (str_eq(wait, "userdata"))
		*ret = VM_WAIT_USERDATA;
	else
		return error_set(err, ERR_INVALID, "wait: allowed are agent and userdata, not \"%s\"", wait);
	*ret_ms = timeout && timeout[0] ? ns / 1000000 : WAIT_DEFAULT_MS;
	return 0;
}

static void create_undo(struct call *call)
{
	struct vm *vm = manager_find(call->api->manager, call->hostname);
	cleanup_error struct error *error = NULL;

	if (vm && vm->state != VM_STATE_DELETING && vm_delete(vm, &error))
		log_error("[%s] %s", call->hostname, error_message(error));
}

static void create_client_left(struct call *call)
{
	if (call->undo)
		create_undo(call);
	call_free(&call);
}

static void create_timed_out(void *arg, const struct error *not_deleted)
{
	struct call *call = arg;
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_TIMEOUT, "VM \"%s\" was not ready in time; %s", call->hostname,
		  not_deleted ? error_message(not_deleted) : "it has been deleted");
	call_reply_error(call, error);
}

static void create_waited(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct vm *vm = manager_find(call->api->manager, call->hostname);

	vm_waiter_free(&call->waiter);
	if (!error && vm) {
		call_reply_json(call, 201, view_created(vm));
		return;
	}
	if (vm && error && error->code == ERR_TIMEOUT) {
		create_undo(call);
		call->undo = false;
		call->waiter = vm_wait(vm, VM_WAIT_GONE, DELETE_LIMIT_MS, create_timed_out, call);
		return;
	}
	call_reply_error(call, error);
}

static void create_launch(struct call *call, struct node_request *request, const struct error *no_keys)
{
	cleanup_error struct error *error = NULL;
	enum vm_wait_for what;
	struct vm *vm = NULL;
	int64_t timeout;

	if (no_keys) {
		call_reply_error(call, no_keys);
		return;
	}
	if (create_wait_for(call, &what, &timeout, &error) == 0)
		vm = manager_create(call->api->manager, call->group, request, &error);
	if (!vm) {
		call_reply_error(call, error);
		return;
	}
	call->hostname = str_dup(vm->hostname);
	call->undo = what != VM_WAIT_SCHEDULED;
	call->waiter = vm_wait(vm, what, timeout, create_waited, call);
	call_watch_client(call, create_client_left);
}

/* Whether what can be refused at once is all right, so that nothing is downloaded in vain. */
static int create_check(struct call *call, const struct node_request *r, struct error **err)
{
	const struct config_group *g = config_group_find(manager_config(call->api->manager), call->group);
	enum vm_wait_for what;
	int64_t timeout;

	if (!g)
		return error_set(err, ERR_NOT_FOUND, "host group \"%s\" is not in the configuration", call->group);
	if (create_wait_for(call, &what, &timeout, err))
		return -1;
	if (r->github_user && r->github_user[0] && !call->api->options->get_keys)
		return error_set(err, ERR_UNSUPPORTED, "import_user: this daemon cannot download keys");
	return node_request_check(r, g, err);
}

static void create_with_body(struct call *call, const char *body, size_t n)
{
	struct node_request request = {0};
	cleanup_error struct error *error = NULL;

	if (node_request_parse(body, n, &request, &error) || create_check(call, &request, &error))
		call_reply_error(call, error);
	else if (request.github_user && request.github_user[0])
		import_keys(call, &request, create_launch);
	else
		create_launch(call, &request, NULL);
	node_request_clear(&request);
}

void nodes_create(struct call *call)
{
	call_read_body(call, create_with_body);
}

static void delete_done(void *arg, const struct error *error)
{
	struct call *call = arg;
	struct json_object *obj;

	if (error) {
		call_reply_error(call, error);
		return;
	}
	obj = json_object_new_object();
	js_add_string(obj, "message", "VM deleted successfully");
	js_add_string(obj, "disk_removed", "true");
	js_add_string(obj, "error", "");
	call_reply_json(call, 200, obj);
}

static void delete_client_left(struct call *call)
{
	call_free(&call); /* the deletion goes on */
}

void nodes_delete(struct call *call)
{
	struct vm *vm = call_vm(call);
	cleanup_error struct error *error = NULL;

	if (!vm)
		return;
	/* A second request joins the first. */
	if (vm->state != VM_STATE_DELETING && vm_delete(vm, &error)) {
		call_reply_error(call, error);
		return;
	}
	call->waiter = vm_wait(vm, VM_WAIT_GONE, DELETE_LIMIT_MS, delete_done, call);
	call_watch_client(call, delete_client_left);
}
