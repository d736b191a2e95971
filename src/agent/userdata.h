/* SPDX-License-Identifier: MIT */
/* Userdata: a script of the user, run as root once per disk; /etc/slicer/userdata-ran guards it and holds its exit code. */
#ifndef SLICER_AGENT_USERDATA_H
#define SLICER_AGENT_USERDATA_H

#include "base/error.h"

#define USERDATA_SCRIPT "/run/slicer/userdata"
#define USERDATA_MARKER "/etc/slicer/userdata-ran"
#define SERVER_PID_FILE "/run/slicer/server.pid"

/* Runs the script if there is one and no marker, waits for it and writes the marker. Output goes to our own. The exit code,
 * 0 when there was nothing to do. */
int userdata_run(void);
int userdata_main(int argc, char **argv); /* slicer-agent run-userdata */
int bye_main(int argc, char **argv);	  /* slicer-agent bye reboot|poweroff: signals the server */

#endif
