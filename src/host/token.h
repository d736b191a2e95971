/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_TOKEN_H
#define SLICER_HOST_TOKEN_H

#include "base/error.h"

/* The API's token from its file, made when absent: 64 hex digits, root:slicer 0640 in a directory root:slicer 0750 where the
 * group "slicer" exists, else for the owner only. The caller's; ERR_INVALID for an empty file. */
char *token_load(const char *path, struct error **err);

#endif
