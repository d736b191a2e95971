/* SPDX-License-Identifier: MIT */
/* Routes, authentication, and what all handlers share. */
#include "api/call.h"
#include "api/import.h"
#include "base/json.h"
#include "base/str.h"

struct route {
	const char *method;
	const char *path; /* {vm}, {group}, {node} are parameters */
	call_fn *run;
	bool open; /* without authentication */
};

/* What is Slicer's, and not in this version. */
static void api_later(struct call *call)
{
	const char *target = http_exchange_request(call->x)->target;
	cleanup_free char *path = str_escape(target, strcspn(target, "?"));
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_UNSUPPORTED, "%s is not in this version yet", path);
	call_reply_error(call, error);
}

static const struct route routes[] = {
	{"GET", "/healthz", server_healthz, .open = true},
	{"HEAD", "/healthz", server_healthz, .open = true},
	{"GET", "/info", server_info},
	{"POST", "/reload", server_reload},
	{"GET", "/hostgroup", server_hostgroups},
	{"GET", "/nodes", nodes_list},
	{"GET", "/hostgroup/{group}/nodes", nodes_list},
	{"POST", "/hostgroup/{group}/nodes", nodes_create},
	{"DELETE", "/hostgroup/{group}/nodes/{node}", nodes_delete},
	{"GET", "/vm/commits", api_later}, /* no VM has that name */
	{"GET", "/vm/{vm}", vm_describe},
	{"GET", "/vm/{vm}/tags", vm_get_tags},
	{"PATCH", "/vm/{vm}/tags", vm_patch_tags},
	{"GET", "/vm/{vm}/logs", vm_logs},
	{"GET", "/vm/{vm}/health", vm_health},
	{"HEAD", "/vm/{vm}/health", vm_health},
	{"POST", "/vm/{vm}/shutdown", vm_post_shutdown},
	{"POST", "/vm/{vm}/pause", vm_post_pause},
	{"POST", "/vm/{vm}/resume", vm_post_resume},
	{"POST", "/vm/{vm}/relaunch", vm_post_relaunch},
	{"POST", "/vm/{vm}/reboot", vm_post_reboot},
	{"GET", "/vm/{vm}/exec", api_later},
	{"POST", "/vm/{vm}/exec", agent_pass},
	{"GET", "/vm/{vm}/cp", agent_pass},
	{"POST", "/vm/{vm}/cp", agent_pass},
	{"GET", "/vm/{vm}/shell", agent_shell},
	{"GET", "/vm/{vm}/forward", agent_forward},
};

struct api *api_new(struct loop *loop, struct manager *manager, const struct api_options *options)
{
	struct api *api = NEW(struct api);

	api->loop = loop;
	api->manager = manager;
	api->options = options;
	api->check_kept = getenv("SLICER_CHECK_KEPT") != NULL;
	return api;
}

void api_free(struct api **api)
{
	if (*api)
		http_shared_unref(&(*api)->nodes);
	free(*api);
	*api = NULL;
}

/* Where the pattern "/{vm}/cp" ends its first segment. */
static size_t route_segment(const char *pattern)
{
	return strcspn(pattern + 1, "/") + 1;
}

static void route_take(const char *pattern, const char *segment, struct call *call)
{
	char **ret = str_starts(pattern, "/{vm}")      ? &call->vm
		     : str_starts(pattern, "/{group}") ? &call->group
		     : str_starts(pattern, "/{node}")  ? &call->node
						       : NULL;

	if (ret && !*ret)
		*ret = str_dup(segment);
}

/* Where the pattern and the path part, at the latest at the end of either: what is left of the pattern. */
static const char *route_common(const char *pattern, char *const *segments, size_t *ret_n)
{
	const char *p = pattern;
	size_t i = 0;

	for (; *p && segments[i]; p += route_segment(p), i++)
		if (p[1] != '{' && (strlen(segments[i]) != route_segment(p) - 1 ||
				    memcmp(p + 1, segments[i], route_segment(p) - 1) != 0))
			break;
	*ret_n = i;
	return p;
}

/* Takes the parameters over on a match. Every request passes several patterns: nothing is allocated for those that differ. */
static bool route_matches(const char *pattern, char *const *segments, struct call *call)
{
	size_t n, i = 0;

	if (*route_common(pattern, segments, &n) || segments[n])
		return false;
	for (const char *p = pattern; *p; p += route_segment(p), i++)
		route_take(p, segments[i], call);
	return true;
}

/* NULL: no such path; *ret_allow then lists the methods that it would have, or is NULL. */
static const struct route *route_find(struct call *call, char **ret_allow)
{
	char *const *segments = http_query_segments(call->query);
	const char *method = http_exchange_request(call->x)->method;
	cleanup_strv char **allow = NULL;

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!route_matches(routes[i].path, segments, call))
			continue;
		if (str_eq(routes[i].method, method))
			return &routes[i];
		strv_append(&allow, routes[i].method);
	}
	*ret_allow = allow ? strv_join(allow, ", ") : NULL;
	return NULL;
}

/* As api_later(), with all that is below them. */
static const char *const later[] = {
	"/metrics",	    "/nodes/stats",  "/node/{node}/stats", "/secrets",
	"/proxy",	    "/vm/commits",   "/vm/{vm}/commit",	   "/vm/{vm}/suspend",
	"/vm/{vm}/restore", "/vm/{vm}/fork", "/vm/{vm}/fs",	   "/vm/{vm}/exec/{node}",
};

static bool route_is_later(const struct call *call)
{
	char *const *segments = http_query_segments(call->query);
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		if (!*route_common(later[i], segments, &n))
			return true;
	return false;
}

static int api_authorize(const struct api *api, const struct http_head *request, struct error **err)
{
	const char *given = http_head_get(request, "authorization");
	unsigned char want[32], have[32];

	if (!api->options->token)
		return 0;
	if (!given || strncasecmp(given, "Bearer ", 7) != 0)
		return error_set(err, ERR_UNAUTHORIZED, "this API needs a token: send \"Authorization: Bearer TOKEN\"");
	/* Digests have one length, so that the comparison tells nothing about the token's. */
	sha256(api->options->token, strlen(api->options->token), want);
	sha256(given + 7, strlen(given + 7), have);
	if (!bytes_equal_ct(want, have, sizeof(want)))
		return error_set(err, ERR_UNAUTHORIZED, "the token is not right");
	return 0;
}

static void api_reply_not_found(struct call *call, const char *allow)
{
	static const char body[] = "{\"error\":\"this path does not have that method\"}";
	const struct http_head *request = http_exchange_request(call->x);
	cleanup_free char *path = str_escape(request->target, strcspn(request->target, "?"));
	cleanup_error struct error *error = NULL;
	struct http_head *head;

	if (!allow) {
		error_set(&error, ERR_NOT_FOUND, "there is no %s in this API", path);
		call_reply_error(call, error);
		return;
	}
	head = http_head_new_response(405);
	http_head_add(head, "allow", allow);
	http_head_add(head, "content-type", "application/json");
	http_reply_head(&call->x, head, body, sizeof(body) - 1);
	call_free(&call);
}

/* Slicer's Go SDK escapes the query of a list as if it were of the path: nodes%3Ftag=a%253Db. */
static struct http_query *api_query(const char *target, struct error **err)
{
	struct http_query *query = http_query_parse(target, err), *again;
	char *const *segments;
	size_t n;

	if (!query)
		return NULL;
	segments = http_query_segments(query);
	n = strv_len(segments);
	if (n == 0 || !str_starts(segments[n - 1], "nodes?"))
		return query;
	again = http_query_parse(http_query_path(query), err);
	http_query_free(&query);
	return again;
}

void api_handle(void *arg, struct http_exchange *take)
{
	struct api *api = arg;
	struct call *call = NEW(struct call);
	const struct route *route;
	cleanup_free char *allow = NULL;
	cleanup_error struct error *error = NULL;

	call->api = api;
	call->x = take;
	call->query = api_query(http_exchange_request(take)->target, &error);
	if (!call->query) {
		call_reply_error(call, error);
		return;
	}
	route = route_find(call, &allow);
	if ((!route || !route->open) && api_authorize(api, http_exchange_request(take), &error))
		call_reply_error(call, error);
	else if (route)
		route->run(call);
	else if (route_is_later(call))
		api_later(call);
	else
		api_reply_not_found(call, allow);
}

void call_free(struct call **cp)
{
	struct call *call = *cp;

	if (!call)
		return;
	*cp = NULL;
	http_exchange_free(&call->x);
	http_exchange_free(&call->agent);
	http_query_free(&call->query);
	import_cancel(&call->import);
	vm_waiter_free(&call->waiter);
	timer_free(&call->timer);
	free(call->vm);
	free(call->group);
	free(call->node);
	free(call->hostname);
	free(call);
}

void call_reply_json(struct call *take, int status, struct json_object *take_obj)
{
	cleanup_free char *text = js_to_string(take_obj);

	js_put(&take_obj);
	http_reply(&take->x, status, "application/json", text, strlen(text));
	call_free(&take);
}

void call_reply_shared(struct call *take, struct http_shared *body)
{
	http_reply_shared(&take->x, 200, "application/json", body);
	call_free(&take);
}

void call_reply_text(struct call *take, int status, const char *text)
{
	http_reply(&take->x, status, "text/plain; charset=utf-8", text, strlen(text));
	call_free(&take);
}

/* Who asks for one that was there finds out what became of it. */
static void call_no_vm(const struct call *call, const char *name, struct error **err)
{
	const char *how = name ? manager_departed(call->api->manager, name) : NULL;

	if (how)
		error_set(err, ERR_NOT_FOUND, "there is no VM \"%s\" any more: it %s", name, how);
	else
		error_set(err, ERR_NOT_FOUND, "there is no VM \"%s\"", name ? name : "");
}

void call_reply_error(struct call *take, const struct error *error)
{
	cleanup_error struct error *gone = NULL;

	if (!error)
		call_no_vm(take, take->vm ? take->vm : take->node, &gone);
	http_reply_error(&take->x, error ? error : gone);
	call_free(&take);
}

struct vm *call_vm(struct call *call)
{
	struct vm *vm = manager_find(call->api->manager, call->vm ? call->vm : call->node);
	cleanup_error struct error *error = NULL;

	if (vm && (!call->group || str_eq(call->group, vm->group)))
		return vm;
	call_no_vm(call, call->vm ? call->vm : call->node, &error);
	call_reply_error(call, error);
	return NULL;
}

struct body_call {
	struct call *call;
	call_body_fn *fn;
};

static void call_body_read(void *arg, struct http_exchange *x, const char *body, size_t n, const struct error *error)
{
	struct body_call *b = arg;
	struct call *call = b->call;
	call_body_fn *fn = b->fn;

	free(b);
	call->x = x;
	if (error)
		call_reply_error(call, error);
	else
		fn(call, body, n);
}

void call_read_body(struct call *call, call_body_fn *fn)
{
	struct body_call *b = NEW(struct body_call);

	b->call = call;
	b->fn = fn;
	http_read_body(TAKE_PTR(call->x), REQUEST_BODY_MAX, call_body_read, b);
}

static void call_client_readable(void *arg)
{
	struct call *call = arg;
	struct evbuffer *in = stream_input(http_exchange_stream(call->x));

	evbuffer_drain(in, evbuffer_get_length(in)); /* of no use, but its end is to be seen */
	stream_resume(http_exchange_stream(call->x));
}

static void call_client_closed(void *arg, const struct error *error)
{
	struct call *call = arg;

	call->left(call);
}

void call_watch_client(struct call *call, call_fn *left)
{
	static const struct stream_events events = {
		.on_readable = call_client_readable,
		.on_closed = call_client_closed,
	};

	call->left = left;
	stream_set_events(http_exchange_stream(call->x), &events, call);
}

/* The body stays untouched, for whoever gets the exchange next: only the end of the connection is of interest. */
void call_watch_end(struct call *call, call_fn *left)
{
	static const struct stream_events events = {.on_closed = call_client_closed};

	call->left = left;
	stream_set_events(http_exchange_stream(call->x), &events, call);
}
