/* SPDX-License-Identifier: MIT */
/* What a field table does besides reading: defaults, freeing, and saying what has no effect yet. */
#include "base/log.h"
#include "base/str.h"
#include "config/scalar.h"

/* The default as the value that a file would give. */
static struct value *preset_value(const struct field *f)
{
	struct value *v = NEW(struct value);

	if (f->type == FIELD_STRV) {
		cleanup_strv char **parts = strv_split(f->preset, ',');

		v->kind = VALUE_LIST;
		for (size_t i = 0; parts[i]; i++)
			*value_append(v) = (struct value){.kind = VALUE_STRING, .text = str_dup(parts[i])};
		return v;
	}
	v->text = str_dup(f->preset);
	v->kind = f->type == FIELD_BOOL				 ? VALUE_BOOL
		  : f->type == FIELD_U32 || f->type == FIELD_U64 ? VALUE_INT
								 : VALUE_STRING;
	return v;
}

void object_init(const struct object_type *type, void *obj)
{
	static const struct decode d = {0};

	for (size_t i = 0; i < type->nfields; i++) {
		const struct field *f = &type->fields[i];
		struct slot s = {.d = &d, .f = f, .path = f->key, .dest = (char *)obj + f->offset};

		if (f->type == FIELD_OBJECT)
			object_init(f->object, s.dest);
		if (!f->preset)
			continue;
		cleanup_value struct value *v = preset_value(f);
		cleanup_error struct error *err = NULL;
		if (slot_decode_scalar(&s, v, &err) < 0) {
			log_error("field table of %s: %s", type->name, error_message(err));
			abort();
		}
	}
}

static void clear_elements(const struct field *f, void *obj)
{
	const struct object_type *type = f->object;
	char **array = (char **)((char *)obj + f->offset);
	size_t *count = (size_t *)((char *)obj + f->count_offset);

	for (size_t i = 0; i < *count; i++) {
		char *element = *array + i * type->size;

		if (f->type == FIELD_MAP)
			mem_freep(element + type->key_offset);
		object_clear(type, element);
	}
	free(*array);
}

/* Two keys may share one member (ram_gb and ram_bytes), so each is NULL once freed. */
void object_clear(const struct object_type *type, void *obj)
{
	for (size_t i = 0; i < type->nfields; i++) {
		const struct field *f = &type->fields[i];
		void *member = (char *)obj + f->offset;

		if (f->type == FIELD_STRING) {
			mem_freep(member);
			*(char **)member = NULL;
		} else if (f->type == FIELD_STRV) {
			strv_free(member);
		} else if (f->type == FIELD_OBJECT) {
			object_clear(f->object, member);
		} else if (f->type == FIELD_OBJECTS || f->type == FIELD_MAP) {
			clear_elements(f, obj);
		}
	}
	memset(obj, 0, type->size);
}

static bool enum_not_yet(const struct field *f, const void *obj, const char **ret_name)
{
	int value = *(const int *)((const char *)obj + f->offset);

	for (const struct field_value *fv = f->values; fv->name; fv++)
		if (fv->value == value) {
			*ret_name = fv->name;
			return fv->flags & VALUE_NOT_YET;
		}
	return false;
}

static bool is_blank(const char *text)
{
	return !text || !*text;
}

/* A switch that is off, a count of 0, an empty list and an empty text ask for nothing. */
static bool asks_for_nothing(const struct field *f, const char *member)
{
	return (f->type == FIELD_BOOL && !*(const bool *)member) ||
	       (f->type == FIELD_U32 && *(const uint32_t *)member == 0) ||
	       (f->type == FIELD_STRV && !*(char **const *)member) ||
	       (f->type == FIELD_STRING && is_blank(*(char *const *)member));
}

static void each_not_yet_field(const struct field *f, const void *obj, const char *path,
			       void (*fn)(void *ctx, const char *what), void *ctx)
{
	const char *member = (const char *)obj + f->offset, *name = NULL;

	if (f->flags & FIELD_NOT_YET) {
		if (!asks_for_nothing(f, member))
			fn(ctx, path);
	} else if (f->type == FIELD_ENUM && enum_not_yet(f, obj, &name)) {
		cleanup_free char *what = str_fmt("%s: %s", path, name);

		fn(ctx, what);
	} else if (f->type == FIELD_OBJECT) {
		object_each_not_yet(f->object, member, path, fn, ctx);
	} else if (f->type == FIELD_OBJECTS) {
		const char *array = *(char *const *)member;
		size_t n = *(const size_t *)((const char *)obj + f->count_offset);

		for (size_t i = 0; i < n; i++) {
			cleanup_free char *item = str_fmt("%s[%zu]", path, i);

			object_each_not_yet(f->object, array + i * f->object->size, item, fn, ctx);
		}
	}
}

void object_each_not_yet(const struct object_type *type, const void *obj, const char *path,
			 void (*fn)(void *ctx, const char *what), void *ctx)
{
	uint64_t given = *(const uint64_t *)obj;

	for (size_t i = 0; i < type->nfields; i++) {
		const struct field *f = &type->fields[i];
		cleanup_free char *full = *path ? str_fmt("%s.%s", path, f->key) : str_dup(f->key);

		if (given >> i & 1)
			each_not_yet_field(f, obj, full, fn, ctx);
	}
}
