/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_SERVICE_H
#define SLICER_HOST_SERVICE_H

#include "cli/command.h"

extern const struct command command_service; /* slicer service generate [FILE] */

struct service_unit {
	const char *exe, *config, *directory; /* absolute */
	const char *user;		      /* NULL: root; else slicer is run by sudo */
	uint64_t stop_seconds;
};
/* The text of a systemd unit (systemd.service(5)) that runs `slicer up`; the caller's. Pure. ERR_INVALID for paths and users
 * that no unit file can hold. */
char *service_unit_text(const struct service_unit *u, struct error **err);
/* The text of the template microvm@.service, an instance of which is one slot: started and stopped through the API at `url`
 * (as for --url) of the daemon that runs in the unit `daemon` (without ".service"). `exe` is absolute. As above. */
char *service_slot_text(const char *exe, const char *url, const char *daemon, struct error **err);
/* The daemon's unit (without ".service") that such a template is for; the caller's, NULL when the text is not such a template. */
char *service_slot_owner(const char *text);
/* The name of a template without "@.service", which may be given with it; the caller's. ERR_INVALID says what it may be. */
char *service_slot_unit_name(const char *given, struct error **err);
/* The name of a unit, without ".service", for a configuration's path; `given` (may be NULL) is taken instead. The caller's;
 * ERR_INVALID says what it may be. */
char *service_unit_name(const char *config, const char *given, struct error **err);

#endif
