/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_GITHUB_KEYS_H
#define SLICER_HOST_GITHUB_KEYS_H

#include "config/config.h"

/* Public keys of a GitHub user: slicer-image gets USER.keys below $SLICER_GITHUB_URL (https://github.com) within 10 s. They are
 * kept in `state_dir`, and serve again, with a warning, when the service cannot be reached or talks nonsense. Blocking; for any
 * thread. *ret is the caller's, not empty. ERR_NOT_FOUND: no such user, or no keys; else why the service is of no use. */
int github_keys_get(const char *state_dir, const char *user, char ***ret, struct error **err);
/* Adds those of `github_user:` to the configuration's ssh_keys, each once. */
int github_keys_add(struct config *config, const char *state_dir, struct error **err);

#endif
