/* SPDX-License-Identifier: MIT */
/* A request's target, and what exec and cp make of its parameters. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/glob.h"
#include "agent/cp.h"
#include "agent/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void try_exec(const struct http_query *q)
{
	cleanup_error struct error *err = NULL;
	struct exec_request r = {0};

	if (exec_request_parse(q, &r, &err) < 0)
		require(err != NULL);
	else
		require(r.argv && r.argv[0]);
	exec_request_clear(&r);
}

/* With each byte escaped, a pattern means just what it says. */
static char *escape_glob(const char *path)
{
	char *out = mem_alloc(2 * strlen(path) + 1), *p = out;

	for (; *path; path++) {
		if (*path != '/')
			*p++ = '\\';
		*p++ = *path;
	}
	return out;
}

static void try_globs(char *const *patterns, const char *path)
{
	cleanup_free char *escaped = escape_glob(path);
	bool any = false;

	for (char *const *p = patterns; p && *p; p++)
		any |= glob_excludes(*p, path);
	require(glob_excludes_any(patterns, path) == any);
	require(glob_match_path(escaped, path) && glob_match_path("**", path));
	require(!strchr(path, '/') == glob_match_path("*", path));
}

static void try_cp(const struct http_query *q, const char *method, const char *target)
{
	cleanup_http_head struct http_head *head = http_head_new_request(method, target);
	cleanup_cp_request struct cp_request r = {0};
	cleanup_error struct error *err = NULL;
	struct identity id;

	if (http_query_get(q, "size"))
		http_head_add(head, "x-slicer-unpacked-size", http_query_get(q, "size"));
	if (cp_request_parse(head, q, &r, &err) < 0) {
		require(err && err->code == ERR_INVALID && !r.path && !r.exclude);
		return;
	}
	require(!err && *r.path && r.upload == str_eq(method, "POST"));
	require(r.permissions <= 07777 && (r.has_permissions || !r.permissions) && r.unpacked_size <= INT64_MAX);
	require(strv_len(r.exclude) <= CP_MAX_EXCLUDE && (r.mode != CP_RECURSIVE || !r.upload));
	require(!r.source_name || (*r.source_name && !strchr(r.source_name, '/') && !str_eq(r.source_name, "..")));
	require(identity_parse(q, &id, NULL) == 0 && id.uid == r.id.uid && id.gid == r.id.gid);
	try_globs(r.exclude, r.path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *target = str_ndup((const char *)data, size);
	cleanup_error struct error *err = NULL;
	cleanup_query struct http_query *q = http_query_parse(target, &err);

	if (!q) {
		require(err && *err->message);
		return 0;
	}
	for (char *const *s = http_query_segments(q); *s; s++)
		require(strlen(*s) <= size);
	http_query_get(q, "cmd");
	try_exec(q);
	try_cp(q, "GET", target);
	try_cp(q, "POST", target);
	return 0;
}
