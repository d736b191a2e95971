/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_RELOAD_H
#define SLICER_HOST_RELOAD_H

#include "cli/command.h"

struct json_object;

extern const struct command command_reload; /* slicer reload [FILE] */

/* May a running daemon go from one configuration to the other (both as config_to_json() has them)?
 * Only when slots are added, and nothing else is changed: ERR_UNSUPPORTED, with what it is. */
int reload_check(struct json_object *before, struct json_object *now, struct error **err);

#endif
