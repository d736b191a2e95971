/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_NETWORKS_H
#define SLICER_HOST_NETWORKS_H

#include "config/config.h"

/* The networks of a configuration's groups, made before the first VM and removed after the last. Blocking; logs what the user
 * should know of firewalls. What a failure has made by then is for networks_down(). ERR_CONFLICT when one belongs to somebody else.
 * Where several cannot be made, all are said. */
int networks_up(const struct config *config, const char *daemon_id, struct error **err);
/* Those that VMs are still attached to stay, for the daemon that takes them over. */
void networks_down(const struct config *config, const char *daemon_id);

#endif
