/* SPDX-License-Identifier: MIT */
/* Inside `slicer new`: writing YAML, and finding public keys. */
#ifndef SLICER_HOST_NEW_YAML_H
#define SLICER_HOST_NEW_YAML_H

#include <stdio.h>
#include "base/error.h"

/* One "key: value" line, `indent` columns in. Raw values are numbers, truth values and words of
 * ours; texts are quoted where YAML would read them as something else, and written as a block when
 * they have several lines. */
void yaml_raw(FILE *out, int indent, const char *key, const char *value);
void yaml_text(FILE *out, int indent, const char *key, const char *value);
/* One line per value. */
void yaml_list(FILE *out, int indent, const char *key, char *const *values);

/* Appends the keys of --ssh-key values (paths of .pub files, or keys themselves) to *keys, without
 * repetitions. */
int new_read_keys(char *const *given, char ***keys, struct error **err);
/* Appends those of ~/.ssh/<name>.pub files; what cannot be read or is no key is left out. */
void new_find_keys(char ***keys);

#endif
