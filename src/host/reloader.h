/* SPDX-License-Identifier: MIT */
/* A running daemon takes over what was added to its configuration: on SIGHUP, and by POST /reload.
 */
#ifndef SLICER_HOST_RELOADER_H
#define SLICER_HOST_RELOADER_H

#include "vm/vm.h"

struct json_object;
struct worker_pool;
struct reloader;

/* All borrowed, for as long as the reloader lives. */
struct reloader_options {
	const char *file; /* the configuration; read anew each time */
	const char *daemon_id;
	struct config **config;			 /* the daemon's; replaced */
	struct manager_options *manager_options; /* their configuration is replaced with it */
	struct manager *manager;
	struct worker_pool *pool; /* networks are made in it */
};

/* How it went, in the loop: the names of the slots that were added (NULL: none) and what the user should know of their networks
 * (sentences, which are logged already; NULL: nothing), or why nothing was. All borrowed. */
typedef void reload_done_fn(void *arg, char *const *added, char *const *notes, const struct error *error);

/* `take_loaded`: the configuration as the file had it when the daemon began (config_to_json()). */
struct reloader *reloader_new(const struct reloader_options *options, struct json_object *take_loaded);
/* Reads the file, and calls done once the networks of new slots are made and their VMs are
 * starting. -1, without done: what is wrong with the file, what else has changed (ERR_UNSUPPORTED),
 * or that it is being done already (ERR_CONFLICT). */
int reloader_begin(struct reloader *r, reload_done_fn *done, void *arg, struct error **err);
void reloader_stop(struct reloader *r); /* the daemon is stopping: nothing is added any more */
/* After the pool and the manager: configurations that were replaced end here, too. */
void reloader_free(struct reloader **r);

#endif
