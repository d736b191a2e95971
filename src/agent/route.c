/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "agent/server.h"

static const struct {
	const char *path, *methods; /* methods: as in the Allow field */
	endpoint_fn *handle;
} routes[] = {
	{"/health", "GET, HEAD", health_handle}, {"/v1/events", "GET", events_handle},
	{"/shutdown", "POST", shutdown_handle},	 {"/exec", "POST", exec_handle},
	{"/cp", "GET, POST", cp_handle},	 {"/shell", "GET", shell_handle},
	{"/forward", "GET", forward_handle},
};

static bool allows(const char *methods, const char *method)
{
	cleanup_strv char **list = strv_split(methods, ',');

	for (char **m = list; *m; m++) {
		if (str_eq(str_trim(*m), method))
			return true;
	}
	return false;
}

static void refuse(struct http_exchange *take, int status, const char *text)
{
	cleanup_json struct json_object *doc = json_object_new_object();
	cleanup_free char *body = NULL;

	js_add_string(doc, "error", text);
	body = js_to_string(doc);
	http_reply(&take, status, "application/json", body, strlen(body));
}

void route_request(struct server *server, struct http_exchange *take)
{
	const struct http_head *head = http_exchange_request(take);
	cleanup_error struct error *error = NULL;
	cleanup_query struct http_query *q = http_query_parse(head->target, &error);
	size_t n;

	if (!q) {
		http_reply_error(&take, error);
		return;
	}
	n = strcspn(head->target, "?");
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (strlen(routes[i].path) != n || memcmp(routes[i].path, head->target, n) != 0)
			continue;
		if (allows(routes[i].methods, head->method))
			routes[i].handle(server, take, q);
		else
			refuse(take, 405, "method not allowed");
		return;
	}
	refuse(take, 404, "the agent has no such endpoint");
}
