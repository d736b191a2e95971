/* SPDX-License-Identifier: MIT */
/* Parsing of what comes from outside, in a process that can do nothing else: a user without privileges (root's children; others
 * stay who they are), no other fds than those that it works on, and no system calls but those that move bytes. */
#ifndef SLICER_IMAGE_CHILD_H
#define SLICER_IMAGE_CHILD_H

#include "base/json.h"

/* In the child: fills `ret` with what there is to tell. Progress (report.h) may be reported. */
typedef int child_fn(void *arg, struct json_object *ret, struct error **err);

/* Runs fn to its end in a child that has `fds` (0–2 are always there) and this process's memory as it is. *ret is the caller's.
 * fn's own error; ERR_IO when the child is killed, by a system call that is not for it, say; ERR_CANCELLED (interrupt.h). Not for
 * programs with threads. */
int child_run(child_fn *fn, void *arg, const int *fds, size_t nfds, struct json_object **ret, struct error **err);

#endif
