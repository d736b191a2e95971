/* SPDX-License-Identifier: MIT */
/* From a tree of values to a struct, by its field table. */
#ifndef SLICER_CONFIG_DECODE_H
#define SLICER_CONFIG_DECODE_H

#include "config/field.h"
#include "config/value.h"

struct json_object;

struct decode {
	const char *name;    /* of the file, for "NAME:LINE:COL: "; NULL for API bodies */
	bool ignore_unknown; /* keys that the table does not have (API bodies) */
};

/* Fills a zeroed struct with the defaults of its table. Tables with wrong defaults are a bug: the
 * process ends. */
void object_init(const struct object_type *type, void *obj);
/* Reads `v` over the defaults. `path` is where it stands ("host_groups[0]"; "" for the top). On
 * error ERR_INVALID names place and field, and obj holds what was read so far: clear it. */
int object_decode(const struct decode *d, const struct object_type *type, const struct value *v, const char *path,
		  void *obj, struct error **err);
/* Frees what the fields own and zeroes the struct. */
void object_clear(const struct object_type *type, void *obj);

/* The struct as JSON, defaults included; keys without effect (FIELD_IGNORED), absent strings and
 * lists that say "absent" are left out. The caller owns it. */
struct json_object *object_to_json(const struct object_type *type, const void *obj);

/* Calls fn for every key that was given but has no effect yet, as "path" or "path: value". */
void object_each_not_yet(const struct object_type *type, const void *obj, const char *path,
			 void (*fn)(void *ctx, const char *what), void *ctx);

/* ERR_INVALID with the place of v in front ("NAME:LINE:COL: "), or without one. Returns -1. */
int decode_fail(const struct decode *d, const struct value *v, struct error **err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
