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

struct api_options {
	const char *token;      /* NULL: no authentication. Borrowed for the life of the API. */
	const char *git_commit; /* of the build; may be NULL */
	api_keys_fn *get_keys;  /* for import_user; NULL: refused */
	void *get_keys_arg;
	struct worker_pool *pool; /* for get_keys, which may wait long: not the one of the VMs */
};
struct api *api_new(struct loop *loop, struct manager *manager, const struct api_options *options);
void api_free(struct api **api); /* after the HTTP servers; calls under way must have ended */
/* For http1_server_new; arg is the struct api. */
void api_handle(void *arg, struct http_exchange *take);

#endif
