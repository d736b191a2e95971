/* SPDX-License-Identifier: MIT */
#include "api/upgrade.h"

#include "api/gateway.h"
#include "api/loss.h"
#include "base/str.h"
#include "io/http1.h"
#include "io/ws.h"

enum { ANSWER_LIMIT_MS = 10 * 1000 };

struct upgrade {
	struct upgrade_of of;
	struct loss *loss;
	struct http_exchange *client, *agent;
	struct timer *limit;
	upgrade_fn *fn;
};

static void upgrade_free(struct upgrade *u)
{
	http_exchange_free(&u->client);
	http_exchange_free(&u->agent);
	timer_free(&u->limit);
	loss_free(&u->loss);
	free(u->of.vm);
	free(u);
}

static void upgrade_refuse(struct upgrade *u, const struct error *error)
{
	http_reply_error(&u->client, error);
	upgrade_free(u);
}

static void upgrade_explained(void *arg, const struct error *error)
{
	struct upgrade *u = arg;

	if (error->code == ERR_GONE) /* its request failed: the path is there */
		http_reply_error_status(&u->client, 500, error);
	else
		http_reply_error(&u->client, error);
	upgrade_free(u);
}

static void upgrade_answered(void *arg, struct http_exchange *x, const struct error *error)
{
	struct upgrade *u = arg;
	struct stream *raw;

	if (error) {
		timer_free(&u->limit);
		u->loss = loss_new(u->of.loop, u->of.manager, u->of.vm, error, upgrade_explained, u);
		http_exchange_free(&u->agent);
		return;
	}
	if (http_exchange_response(x)->status != 200) {
		gateway_join(TAKE_PTR(u->client), TAKE_PTR(u->agent));
		upgrade_free(u);
		return;
	}
	raw = http1_upgrade(&u->client, ws_accept_head(http_exchange_request(u->client), NULL));
	if (raw) /* else the client has left, and was about to tell */
		u->fn(&u->of, raw, TAKE_PTR(u->agent));
	upgrade_free(u);
}

static void upgrade_expired(void *arg)
{
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_INTERNAL, "the agent in the VM does not answer");
	upgrade_refuse(arg, error);
}

static void upgrade_client_closed(void *arg, const struct error *error)
{
	upgrade_free(arg);
}

void upgrade_start(struct vm *vm, struct http_exchange *take_client, struct http_head *take_request, upgrade_fn *fn)
{
	static const struct stream_events client_events = {.on_closed = upgrade_client_closed};
	struct upgrade *u = NEW(struct upgrade);
	cleanup_error struct error *error = NULL;

	u->of.loop = vm_loop(vm);
	u->of.manager = vm->manager;
	u->of.vm = str_dup(vm->hostname);
	u->client = take_client;
	u->fn = fn;
	take_request->content_length = -1;
	u->agent = session_open(vm->session, take_request, &error);
	if (!u->agent) {
		upgrade_refuse(u, error);
		return;
	}
	u->limit = timer_new(u->of.loop, upgrade_expired, u);
	timer_set_deadline(u->limit, ANSWER_LIMIT_MS);
	http_exchange_on_response(u->agent, upgrade_answered, u);
	stream_set_events(http_exchange_stream(u->client), &client_events, u);
}
