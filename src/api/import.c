/* SPDX-License-Identifier: MIT */
/* import_user in a create request: the keys are there before the VM is made, and a VM without them is not. */
#include "api/import.h"
#include "base/str.h"
#include "io/worker.h"

struct import {
	struct call *call; /* NULL: its client left */
	struct node_request request;
	import_done_fn *then;
	/* Of the worker until it is done. */
	const struct api_options *options;
	char **keys;
};

static int import_work(void *arg, struct error **err)
{
	struct import *i = arg;

	return i->options->get_keys(i->options->get_keys_arg, i->request.github_user, &i->keys, err);
}

static void import_free(struct import *i)
{
	node_request_clear(&i->request);
	strv_free(&i->keys);
	free(i);
}

static void import_done(void *arg, const struct error *error)
{
	struct import *i = arg;
	cleanup_error struct error *failure = NULL;
	bool theirs = error && (error->code == ERR_NOT_FOUND || error->code == ERR_INVALID);

	for (char **key = i->keys; key && *key; key++)
		if (!strv_contains(i->request.ssh_keys, *key))
			strv_append(&i->request.ssh_keys, *key);
	if (error)
		error_set(&failure, theirs ? ERR_INVALID : ERR_PROTOCOL, "import_user: %s", error_message(error));
	if (i->call) {
		i->call->import = NULL;
		i->then(i->call, &i->request, failure);
	}
	import_free(i);
}

static void import_client_left(struct call *call)
{
	call_free(&call);
}

void import_cancel(struct import **import)
{
	if (*import)
		(*import)->call = NULL;
	*import = NULL;
}

void import_keys(struct call *call, struct node_request *take_request, import_done_fn *then)
{
	struct import *i = NEW(struct import);

	i->call = call;
	i->request = *take_request;
	*take_request = (struct node_request){0};
	i->then = then;
	i->options = call->api->options;
	call->import = i;
	call_watch_client(call, import_client_left);
	worker_submit(i->options->pool, import_work, import_done, i);
}
