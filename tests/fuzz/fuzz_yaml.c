/* SPDX-License-Identifier: MIT */
/* Configuration files, and the bodies that create a VM, shut it down and change its tags. A refusal must say why, with a place; what
 * is accepted must print, and print the same when it is read twice. */
#include <stdint.h>

#include "base/json.h"
#include "base/str.h"
#include "config/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static char *print_config(const struct config *cfg)
{
	cleanup_json struct json_object *json = config_to_json(cfg);

	return js_to_string(json);
}

static void try_config(const char *text, size_t size)
{
	cleanup_config struct config *cfg = NULL, *again = NULL;
	cleanup_error struct error *err = NULL, *check = NULL;

	if (config_parse(text, size, "fuzz.yaml", &cfg, &err) < 0) {
		require(!cfg && err && (err->code == ERR_INVALID || err->code == ERR_TOO_LARGE));
		require(err->code == ERR_TOO_LARGE || str_starts(err->message, "fuzz.yaml:"));
		return;
	}
	require(!err && cfg->ngroups > 0);
	if (config_check(cfg, &check) < 0)
		require(check->code == ERR_INVALID && str_starts(check->message, "fuzz.yaml:"));
	require(config_parse(text, size, "fuzz.yaml", &again, NULL) == 0);
	cleanup_free char *first = print_config(cfg), *second = print_config(again);
	require(str_eq(first, second));
	cleanup_strv char **not_yet = config_not_yet(cfg);
	require(strv_len(not_yet) < 1000);
}

static void try_request(const char *text, size_t size)
{
	cleanup_error struct error *err = NULL, *check = NULL;
	cleanup_node_request struct node_request r = {0};
	const struct config_group group = {.name = (char *)"g", .vcpu = 2, .ram_bytes = 1 << 30};

	if (node_request_parse(text, size, &r, &err) < 0) {
		require(err && *err->message);
		return;
	}
	if (node_request_check(&r, &group, &check) < 0)
		require(check->code == ERR_INVALID);
}

static void try_shutdown(const char *text, size_t size)
{
	cleanup_error struct error *err = NULL;
	struct shutdown_request r;

	if (shutdown_request_parse(text, size, &r, &err) < 0)
		require(err && *err->message);
	else
		require(!err &&
			(r.action == SHUTDOWN_DEFAULT || r.action == SHUTDOWN_POWEROFF || r.action == SHUTDOWN_REBOOT));
}

static void require_tags(char *const *tags)
{
	size_t n = strv_len(tags), names = 0;

	require(n <= REQUEST_TAGS_MAX);
	for (size_t i = 0; i < n; i++) {
		require(*tags[i] && strlen(tags[i]) <= REQUEST_TAG_MAX && !strv_contains(tags + i + 1, tags[i]));
		names += str_starts(tags[i], "name=");
	}
	require(names == 1 && strv_contains(tags, "name=web"));
}

static void try_tags(const char *text, size_t size)
{
	char *const tags[] = {(char *)"a", (char *)"name=web", (char *)"role=db", NULL};
	cleanup_tags_request struct tags_request r = {0};
	cleanup_error struct error *err = NULL;
	cleanup_strv char **after = NULL;

	if (tags_request_parse(text, size, &r, &err) < 0 || tags_request_apply(&r, tags, &after, &err) < 0) {
		require(err && err->code == ERR_INVALID);
		return;
	}
	require(!err && !(r.has_replace && (r.has_add || r.has_remove)));
	require_tags(after);
	for (char *const *t = r.has_replace ? r.replace : r.add; t && *t; t++)
		require(strv_contains(after, *t));
	for (char *const *t = r.remove; t && *t; t++)
		require(!strv_contains(after, *t) || strv_contains(r.add, *t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_config((const char *)data, size);
	try_request((const char *)data, size);
	try_shutdown((const char *)data, size);
	try_tags((const char *)data, size);
	return 0;
}
