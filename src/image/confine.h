/* SPDX-License-Identifier: MIT */
/* Programs that run other people's code (Debian's package scripts) are not root on this host: they are root in a user namespace
 * of their own, mapped to users that nobody else is, with process and mount tables of their own. They see the host's files as
 * any user does, may write to one directory, which they find at CONFINE_DIR, and die with slicer-image. */
#ifndef SLICER_IMAGE_CONFINE_H
#define SLICER_IMAGE_CONFINE_H

#include "base/error.h"

/* Users 0 to 65535 of the namespace are these of the host. Nobody assigns them: they lie above what systemd gives to containers
 * (https://systemd.io/UIDS-GIDS: 1879048192 to 2147352575 are unused), and above all of Debian's ranges (Policy, 9.2.2). */
enum { CONFINE_UID_FIRST = 1879048192, CONFINE_UIDS = 65536 };
#define CONFINE_DIR "/var/tmp"

/* Whether a program can be run so; else why not. Only root's programs need it. ERR_UNSUPPORTED when the host does not let root make
 * namespaces (in a container, say). */
int confine_check(const char *dir, struct error **err);
/* What to put before a command, for tool_run(): appended to *argv. Returns the program to execute: a constant. */
const char *confine_command(const char *dir, char ***argv);
/* That program's main(), with the words after its name: DIR PROGRAM ARGUMENT… Returns the exit status. */
int confine_main(char *const *words);

#endif
