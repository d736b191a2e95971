/* SPDX-License-Identifier: MIT */
#include "api/forward.h"

#include "api/loss.h"
#include "api/upgrade.h"
#include "base/str.h"
#include "io/ws.h"

struct forward {
	struct upgrade_of of;
	struct splice *splice;
	struct stream *client; /* once the agent is lost */
	struct loss *loss;
};

static void forward_free(struct forward *f)
{
	splice_free(&f->splice);
	stream_free(&f->client);
	loss_free(&f->loss);
	free(f->of.vm);
	free(f);
}

static void forward_explained(void *arg, const struct error *error)
{
	struct forward *f = arg;

	if (error->code == ERR_GONE)
		ws_stream_close(f->client, 1011, error_message(error)); /* on_closed follows */
	else
		forward_free(f);
}

static void forward_client_readable(void *arg)
{
	struct forward *f = arg;
	struct evbuffer *in = stream_input(f->client);

	evbuffer_drain(in, evbuffer_get_length(in));
	stream_resume(f->client);
}

static void forward_client_closed(void *arg, const struct error *error)
{
	forward_free(arg);
}

/* How a connection ended is its two ends' affair: they have seen it. Unless its VM went. */
static void forward_done(void *arg, const struct error *error)
{
	static const struct stream_events client_events = {.on_readable = forward_client_readable,
							   .on_closed = forward_client_closed};
	struct forward *f = arg;

	f->client = splice_take_first(f->splice);
	if (!f->client) {
		forward_free(f);
		return;
	}
	stream_set_events(f->client, &client_events, f);
	f->loss = loss_new(f->of.loop, f->of.manager, f->of.vm, error, forward_explained, f);
}

static void forward_upgraded(const struct upgrade_of *of, struct stream *take_raw, struct http_exchange *take_agent)
{
	struct forward *f = NEW(struct forward);
	struct stream *client = ws_stream_new(of->loop, take_raw, false);

	f->of = *of;
	f->of.vm = str_dup(of->vm);
	f->splice = splice_new(of->loop, client, http_exchange_take_stream(&take_agent), forward_done, f);
	splice_end_together(f->splice);
	splice_keep_first(f->splice);
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
