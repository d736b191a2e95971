/* SPDX-License-Identifier: MIT */
/* Inside src/config only: the parts of config_check. */
#ifndef SLICER_CONFIG_CHECK_H
#define SLICER_CONFIG_CHECK_H

#include "config/config.h"

/* ERR_INVALID with the place of the value at `path` ("network.range") in group number `group`, or
 * of the nearest part of it that the file has, and "host_groups[N].path: " in front. An empty path
 * is the group itself. Returns -1. */
int check_fail(const struct config *cfg, size_t group, const char *path, struct error **err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

int check_network(const struct config *cfg, size_t group, struct error **err);
/* Groups against each other: bridges and subnets. */
int check_networks(const struct config *cfg, struct error **err);
int check_slots(const struct config *cfg, size_t group, struct error **err);
/* Was one of ram_gb, ram_mb and ram_bytes given? */
bool config_group_has_ram(const struct config_group *g);

#endif
