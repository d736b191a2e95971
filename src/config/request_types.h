/* SPDX-License-Identifier: MIT */
/* The field tables of API bodies, for what is made from them. */
#ifndef SLICER_CONFIG_REQUEST_TYPES_H
#define SLICER_CONFIG_REQUEST_TYPES_H

#include "config/field.h"

extern const struct object_type node_request_type;

#endif
