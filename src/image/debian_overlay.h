/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_DEBIAN_OVERLAY_H
#define SLICER_IMAGE_DEBIAN_OVERLAY_H

#include "image/recipe.h"

/* Writes a tar archive of what image debian has on top of its packages: our own files, sources.list(5) for `codename`, and
 * the modules of its kernel. */
int debian_overlay(const struct recipe_input *in, const char *codename, const char *tar, struct error **err);

#endif
