/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_IMAGE_H
#define SLICER_HOST_IMAGE_H

#include "cli/command.h"

extern const struct command command_image; /* slicer image build|import|list|remove|wipe: run by slicer-image */

#endif
