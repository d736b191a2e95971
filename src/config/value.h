/* SPDX-License-Identifier: MIT */
/* What a configuration file or an API body says, before its meaning is known: a tree of scalars,
 * lists and maps that remembers where each part stood. YAML and JSON become this; decode.h turns it
 * into structs. */
#ifndef SLICER_CONFIG_VALUE_H
#define SLICER_CONFIG_VALUE_H

#include "base/error.h"

struct json_object;

enum value_kind {
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_INT,    /* decimal digits, perhaps with a minus sign */
	VALUE_NUMBER, /* any other number */
	VALUE_STRING,
	VALUE_LIST,
	VALUE_MAP,
};

struct value {
	enum value_kind kind;
	bool plain;	       /* an unquoted YAML scalar: a field of type string takes it as written */
	unsigned line, column; /* from 1; 0 when it has no place (JSON) */
	char *text;	       /* scalars: as written */
	char *key;	       /* members of maps */
	unsigned key_line, key_column;
	struct value *items; /* lists and maps */
	size_t n;
};

/* One YAML 1.1 document (libyaml); refused with ERR_INVALID and "NAME:LINE:COL: ...": syntax
 * errors, duplicate keys, keys that are not scalars, aliases, anchors, tags, a second document, NUL
 * bytes, more than 16 levels. The caller owns *ret. */
int value_from_yaml(const char *text, size_t n, const char *name, struct value **ret, struct error **err);
/* Copies a tree that js_parse has accepted. */
struct value *value_from_json(struct json_object *obj);

/* Borrowed; NULL when absent or when `map` is NULL or not a map. */
struct value *value_find(const struct value *map, const char *key);
bool value_truth(const struct value *v); /* of a VALUE_BOOL: true, yes or on */
/* A new last item of a list or map; borrowed until the next append. */
struct value *value_append(struct value *parent);
const char *value_kind_name(const struct value *v); /* for messages: "a list", "a quoted string" */
void value_free(struct value **v);
#define cleanup_value __attribute__((cleanup(value_free)))

#endif
