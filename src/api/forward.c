/* SPDX-License-Identifier: MIT */
#include "api/forward.h"

#include "api/upgrade.h"
#include "base/str.h"
#include "io/ws.h"

struct forward {
	struct splice *splice;
};

/* How a connection ended is its two ends' affair: they have seen it. */
static void forward_done(void *arg, const struct error *error)
{
	struct forward *f = arg;

	splice_free(&f->splice);
	free(f);
}

static void forward_upgraded(struct loop *loop, struct stream *take_raw, struct http_exchange *take_agent)
{
	struct forward *f = NEW(struct forward);
	struct stream *client = ws_stream_new(loop, take_raw, false);

	f->splice = splice_new(loop, client, http_exchange_take_stream(&take_agent), forward_done, f);
	splice_end_together(f->splice);
}

void forward_start(struct vm *vm, struct http_exchange *take_client)
{
	const char *upstream = http_head_get(http_exchange_request(take_client), "x-inlets-upstream");
	cleanup_free char *encoded = upstream ? http_encode(upstream) : NULL;
	cleanup_free char *target = encoded ? str_fmt("/forward?upstream=%s", encoded) : NULL;
	cleanup_error struct error *error = NULL;

	if (!target) {
		error_set(&error, ERR_INVALID,
			  "where to? Send the field X-Inlets-Upstream with HOST:PORT or unix:/PATH, as seen in the VM");
		http_reply_error(&take_client, error);
		return;
	}
	upgrade_start(vm, take_client, http_head_new_request("GET", target), forward_upgraded);
}
