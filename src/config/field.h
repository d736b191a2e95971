/* SPDX-License-Identifier: MIT */
/* Field tables: one row per key of an object. The same row reads YAML and JSON, gives the default,
 * frees the memory and prints the reference documentation. Tables are const; fields.c and request.c
 * hold them. */
#ifndef SLICER_CONFIG_FIELD_H
#define SLICER_CONFIG_FIELD_H

#include "base/error.h"

enum field_type {
	FIELD_STRING,  /* char *; NULL when absent */
	FIELD_BOOL,    /* bool */
	FIELD_U32,     /* uint32_t */
	FIELD_U64,     /* uint64_t; what is written is multiplied by `scale` (0: 1) */
	FIELD_SIZE,    /* uint64_t bytes, written as 25G or 512M */
	FIELD_ENUM,    /* an enum, by the names in `values` */
	FIELD_STRV,    /* char **; NULL when absent or empty */
	FIELD_OBJECT,  /* an embedded struct of type `object` */
	FIELD_OBJECTS, /* a list: pointer to an array of `object` at offset, size_t at count_offset
			*/
	FIELD_MAP,     /* the same from a map; the key goes to the element's key_offset */
};

enum field_flags {
	FIELD_REQUIRED = 1 << 0,
	FIELD_NOT_YET = 1 << 1,	  /* read and checked, without effect in this version */
	FIELD_MULTILINE = 1 << 2, /* may hold line breaks and tabs */
	FIELD_IGNORED = 1 << 3,	  /* known, never with an effect (another platform's, or tolerated) */
};

struct field_value {
	const char *name;
	int value;
	enum {
		VALUE_NOT_YET = 1,
		VALUE_HIDDEN = 2,  /* another name of a value */
		VALUE_FAKE = 4,	   /* only with SLICER_FAKE_VMM in the environment */
		VALUE_DERIVED = 8, /* follows from other keys, cannot be written */
	} flags;
};

struct object_type;

struct field {
	const char *key;
	enum field_type type;
	size_t offset;
	size_t count_offset; /* OBJECTS, MAP */
	/* Of a bool that says whether the key was there; null counts as absent. 0: there is none. */
	size_t has_offset;
	uint64_t min, max; /* numbers: as written; strings: bytes; lists and maps: entries */
	uint64_t item_max; /* bytes of an entry of a STRV */
	uint64_t scale;
	/* The default as the file would write it, lists with commas; NULL: 0, false or absent. */
	const char *preset;
	const char *preset_doc;		  /* what the documentation says instead */
	const struct field_value *values; /* ends with a NULL name */
	const struct object_type *object;
	/* Of a string or each entry of a list; says what is wrong. */
	int (*check)(const char *s, struct error **err);
	unsigned flags;
	unsigned one_of; /* of the fields with the same number, at most one may be given; 0: no rule */
	const char *unit;
	const char *help; /* one sentence without full stop, for the documentation */
};

/* A struct whose first member is `uint64_t given`: bit i is set when field i of the table was
 * there. */
struct object_type {
	const char *name; /* heading in the documentation */
	const char *help;
	size_t size;
	size_t key_offset; /* elements of a FIELD_MAP: where the key goes (char *) */
	int (*check_key)(const char *key, struct error **err);
	bool inline_value; /* an element is not a map but the value of its only field */
	const struct field *fields;
	size_t nfields; /* at most 64 */
};

#define OBJECT_TYPE(struct_tag, table) .size = sizeof(struct struct_tag), .fields = (table), .nfields = ARRAY_LEN(table)

const struct field *object_field(const struct object_type *type, const char *key); /* NULL: no such key */
/* The field whose key is most like `key`, for "did you mean"; NULL when none is near. */
const struct field *object_nearest_field(const struct object_type *type, const char *key);
bool object_given(const struct object_type *type, const void *obj, const char *key);

#endif
