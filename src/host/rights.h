/* SPDX-License-Identifier: MIT */
/* What of root's rights the daemon keeps. */
#ifndef SLICER_HOST_RIGHTS_H
#define SLICER_HOST_RIGHTS_H

#include "base/error.h"

/* Gives up every capability that neither the daemon nor what it starts needs, for good (the bounding set is what programs that
 * it starts can have at most). Nothing without root. */
int rights_drop(struct error **err);

#endif
