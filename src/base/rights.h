/* SPDX-License-Identifier: MIT */
/* What a program keeps of root's rights. */
#ifndef SLICER_BASE_RIGHTS_H
#define SLICER_BASE_RIGHTS_H

#include "base/error.h"

/* Gives up every capability (capabilities(7)) that is none of the `n` in `kept`, for good: the bounding set is what programs that
 * it starts can have at most. Nothing without root. */
int rights_keep(const int *kept, size_t n, struct error **err);

#endif
