/* SPDX-License-Identifier: MIT */
/* The REST API (docs/api.md): takes exchanges of an HTTP/1.1 server and answers them from the manager, or passes them on to
 * the agent of a VM. */
#ifndef SLICER_API_API_H
#define SLICER_API_API_H

#include "io/http1.h"

struct manager;
struct worker_pool;
struct api;

/* The public keys of a GitHub user; blocking, called in a worker. *ret is the caller's. */
typedef int api_keys_fn(void *arg, const char *user, char ***ret, struct error **err);

/* Begins to take over what was added to the configuration; api_reloaded() follows. `file` (may be NULL) is the configuration's
 * absolute path as the client knows it: ERR_CONFLICT when the daemon runs another. */
typedef int api_reload_fn(void *arg, const char *file, struct error **err);

struct api_options {
	const char *token;	/* NULL: no authentication. Borrowed for the life of the API. */
	const char *git_commit; /* of the build; may be NULL */
	api_keys_fn *get_keys;	/* for import_user; NULL: refused */
	void *get_keys_arg;
	api_reload_fn *reload; /* NULL: refused */
	void *reload_arg;
	struct worker_pool *pool; /* for get_keys, which may wait long: not the one of the VMs */
};
struct api *api_new(struct loop *loop, struct manager *manager, const struct api_options *options);
void api_free(struct api **api); /* after the HTTP servers; calls under way must have ended */
/* For http1_server_new; arg is the struct api. */
void api_handle(void *arg, struct http_exchange *take);
/* How a reload went that options.reload began: what was added (NULL: nothing), with what the user should know of it (NULL:
 * nothing), or why not. Nothing happens when nobody waits. */
void api_reloaded(struct api *api, char *const *added, char *const *notes, const struct error *error);

#endif
