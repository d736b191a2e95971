/* SPDX-License-Identifier: MIT */
#include "config/field.h"
#include "base/str.h"

#define KEY_MAX 32
#define NEAR 2 /* edits */

const struct field *object_field(const struct object_type *type, const char *key)
{
	for (size_t i = 0; i < type->nfields; i++)
		if (str_eq(type->fields[i].key, key))
			return &type->fields[i];
	return NULL;
}

bool object_given(const struct object_type *type, const void *obj, const char *key)
{
	const struct field *f = object_field(type, key);

	return f && (*(const uint64_t *)obj >> (f - type->fields) & 1);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein distance of two short words; `-` and `_` count as the same. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[KEY_MAX + 1], la = strlen(a), lb = strlen(b);

	if (la > KEY_MAX || lb > KEY_MAX)
		return KEY_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			char ca = a[i - 1] == '-' ? '_' : a[i - 1];
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (ca != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

/* At most NEAR when the one may be meant as the other. Two edits of a short word make anything out
 * of anything; the beginning of a key is as good as an edit: "ram" is meant as "ram_gb", "dns" as
 * "dns_servers". */
static size_t key_distance(const char *key, const char *known)
{
	size_t distance = edit_distance(key, known), len = strlen(key);

	if (distance <= NEAR && 2 * distance <= len)
		return distance;
	return len >= 3 && str_starts(known, key) ? NEAR : NEAR + 1;
}

const struct field *object_nearest_field(const struct object_type *type, const char *key)
{
	const struct field *best = NULL;
	size_t best_distance = NEAR + 1;

	for (size_t i = 0; i < type->nfields; i++) {
		size_t distance = key_distance(key, type->fields[i].key);

		if (distance < best_distance) {
			best = &type->fields[i];
			best_distance = distance;
		}
	}
	return best;
}
