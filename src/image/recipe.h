/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_RECIPE_H
#define SLICER_IMAGE_RECIPE_H

#include "base/error.h"

/* Hex sha256 of this program: its tables and embedded files are part of every recipe, so no version number can be
 * forgotten. What is made keeps its digest when the bytes are the same. The caller's. */
char *recipe_id(struct error **err);

#endif
