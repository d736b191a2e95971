/* SPDX-License-Identifier: MIT */
/* SIGINT, SIGTERM and SIGHUP end this program in order: what runs is ended, what was half made is removed. They stay blocked
 * and pending, so that no code but the waiting one needs to know of them. */
#ifndef SLICER_IMAGE_INTERRUPT_H
#define SLICER_IMAGE_INTERRUPT_H

#include "base/error.h"

void interrupt_block(void);
/* -1 with ERR_CANCELLED once one of them has come, else 0. Asked wherever this program waits. */
int interrupt_check(struct error **err);

#endif
