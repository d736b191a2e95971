/* SPDX-License-Identifier: MIT */
/* The users of VMMs. Each daemon of a host has a block of the range that its configuration names, so that no two VMs share a
 * user, whosesoever they are. A block is claimed by a file `/run/slicer/.uids/<first uid>` that holds the daemon's id; it is
 * the daemon's for as long as `/run/slicer/<id>` exists, thus also while VMs run without a daemon. */
#ifndef SLICER_HOST_UIDS_H
#define SLICER_HOST_UIDS_H

#include <sys/types.h>
#include "base/error.h"

#define UIDS_DIR ".uids" /* no daemon's id begins with a dot */

/* *ret: the first of MANAGER_UIDS users. The one that the daemon has already, also after a crash, or a free one of first–last
 * (inclusive). `run_dir` is the daemon's and exists; blocks are beside it. ERR_UNAVAILABLE when all are taken. */
int uids_claim(const char *run_dir, uid_t first, uid_t last, uid_t *ret, struct error **err);
/* When its VMs have ended. Success when there is nothing. */
void uids_release(const char *run_dir);

#endif
