/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_SERVICE_H
#define SLICER_HOST_SERVICE_H

#include "cli/command.h"

extern const struct command command_service; /* slicer service generate [FILE] */

struct service_unit {
	const char *exe, *config, *directory; /* absolute */
	const char *user;                     /* NULL: root */
	uint64_t stop_seconds;
};
/* The text of a systemd unit (systemd.service(5)) that runs `slicer up`; the caller's. Pure. */
char *service_unit_text(const struct service_unit *u);

#endif
