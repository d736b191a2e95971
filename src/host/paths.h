/* SPDX-License-Identifier: MIT */
/* Where a daemon keeps what is its own: under the system's directories for root, under XDG's for a user. */
#ifndef SLICER_HOST_PATHS_H
#define SLICER_HOST_PATHS_H

#include "base/error.h"

struct daemon_paths {
	char *config; /* the configuration, absolute, symlinks resolved */
	char *id;     /* its base name (at most 32 characters) and 6 hex digits of sha256 of that path */
	char *state;  /* WORKDIR/.slicer/<id> */
	char *run;    /* /run/slicer/<id>, or $XDG_RUNTIME_DIR/slicer/<id> */
	char *log;    /* /var/log/slicer, or $XDG_STATE_HOME/slicer/log */
	char *token;  /* /var/lib/slicer/auth/token, or $XDG_STATE_HOME/slicer/token */
};

/* Only computes; the file must exist (ERR_NOT_FOUND). */
int daemon_paths_find(const char *config_file, struct daemon_paths *ret, struct error **err);
/* Creates the directories, 0700 but for the log's 0750. */
int daemon_paths_create(const struct daemon_paths *p, struct error **err);
/* The daemon's lock, which fs_lock() describes. A daemon that was killed a moment ago holds it until its process is gone, which is
 * waited for, up to two seconds; ERR_CONFLICT names one that lives. Returns the fd that holds it. */
int daemon_paths_lock(const struct daemon_paths *p, struct error **err);
/* The same for RUN, which daemons of the same configuration share whatever directory they were started in: without it a second one
 * would take the first one's VMs for leftovers of its own. ERR_CONFLICT names the other's
 * lock, which lies where it was started; a STATE that is empty is removed then. */
int daemon_paths_claim(const struct daemon_paths *p, struct error **err);
/* ERR_CONFLICT when a daemon that has ended left VMs whose records are in another directory's STATE. */
int daemon_paths_check_elsewhere(const struct daemon_paths *p, struct error **err);
/* Says in RUN/../<id>.json, {"config","state","api"}, where they are and where the API listens (NULL: nowhere, or not yet), so that commands which know no more than the id find the
 * daemon's lock and records. Call it with the lock held. */
int daemon_paths_announce(const struct daemon_paths *p, const char *api, struct error **err);
/* Whether a daemon has announced itself, and its "api" (NULL: none), the caller's. */
bool daemon_paths_announced(const struct daemon_paths *p, char **ret_api);
/* Removes RUN, and with it that file, unless VMs are left. */
void daemon_paths_leave(const struct daemon_paths *p);
char *daemon_run_base(void); /* where the RUNs of this user's daemons are; the caller's */
void daemon_paths_clear(struct daemon_paths *p);

#endif
