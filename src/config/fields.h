/* SPDX-License-Identifier: MIT */
/* The field tables of the configuration file. For src/config and for what is made from the tables
 * (docs, `slicer new`). */
#ifndef SLICER_CONFIG_FIELDS_H
#define SLICER_CONFIG_FIELDS_H

#include "config/field.h"

extern const struct object_type config_type; /* what is below `config:` */
extern const struct object_type config_group_type;
extern const struct object_type config_network_type;

#endif
