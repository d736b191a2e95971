/* SPDX-License-Identifier: MIT */
/* A request's target, and what exec makes of its parameters. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
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
	return 0;
}
