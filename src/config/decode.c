/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "config/scalar.h"

/* An element of a list or map; inline ones are the value of their only field. */
static int decode_element(const struct slot *s, const struct value *v, const char *path, void *obj, struct error **err)
{
	const struct object_type *type = s->f->object;

	if (!type->inline_value)
		return object_decode(s->d, type, v, path, obj, err);
	*(uint64_t *)obj |= 1;
	struct slot inner = {.d = s->d, .f = type->fields, .path = path};
	inner.dest = (char *)obj + inner.f->offset;
	return slot_decode_strv(&inner, v, err);
}

static int check_key(const struct slot *s, const struct value *item, struct error **err)
{
	const struct object_type *type = s->f->object;
	cleanup_error struct error *why = NULL;
	struct value at = {.line = item->key_line, .column = item->key_column};

	if (type->check_key && type->check_key(item->key, &why) < 0)
		return decode_fail(s->d, &at, err, "%s: %s", s->path, error_message(why));
	return 0;
}

static int decode_elements(const struct slot *s, const struct value *v, size_t *count, struct error **err)
{
	const struct object_type *type = s->f->object;
	bool map = s->f->type == FIELD_MAP;
	char *array;

	if (v->kind != (map ? VALUE_MAP : VALUE_LIST))
		return slot_fail_type(s, v, map ? "a map" : "a list", err);
	if (slot_check_length(s, v, map ? "keys" : "entries", err) < 0)
		return -1;
	array = mem_alloc_array(v->n ? v->n : 1, type->size);
	*(char **)s->dest = array;
	*count = v->n;
	for (size_t i = 0; i < v->n; i++)
		object_init(type, array + i * type->size);
	for (size_t i = 0; i < v->n; i++) {
		const struct value *item = &v->items[i];
		void *obj = array + i * type->size;
		cleanup_free char *path = map ? str_fmt("%s.%s", s->path, item->key) : str_fmt("%s[%zu]", s->path, i);

		if (map) {
			if (check_key(s, item, err) < 0)
				return -1;
			*(char **)((char *)obj + type->key_offset) = str_dup(item->key);
			if (item->kind == VALUE_NULL && !type->inline_value)
				continue; /* `slot6:` alone is as good as `slot6: {}` */
		}
		if (decode_element(s, item, path, obj, err) < 0)
			return -1;
	}
	return 0;
}

static int decode_field(const struct slot *s, void *obj, const struct value *v, struct error **err)
{
	switch (s->f->type) {
	case FIELD_OBJECT:
		return object_decode(s->d, s->f->object, v, s->path, s->dest, err);
	case FIELD_OBJECTS:
	case FIELD_MAP:
		return decode_elements(s, v, (size_t *)((char *)obj + s->f->count_offset), err);
	default:
		return slot_decode_scalar(s, v, err);
	}
}

static int fail_unknown(const struct decode *d, const struct object_type *type, const struct value *item,
			const char *path, struct error **err)
{
	struct value at = {.line = item->key_line, .column = item->key_column};
	const struct field *near = object_nearest_field(type, item->key);
	cleanup_free char *key = str_escape(item->key, strlen(item->key));
	cleanup_strv char **known = NULL;
	const char *where = *path ? path : type->name;

	if (near)
		return decode_fail(d, &at, err, "unknown key \"%.64s\" in %s; did you mean \"%s\"?", key, where,
				   near->key);
	for (size_t i = 0; i < type->nfields; i++)
		if (!(type->fields[i].flags & FIELD_IGNORED))
			strv_append(&known, type->fields[i].key);
	cleanup_free char *list = strv_join(known, ", ");
	return decode_fail(d, &at, err, "unknown key \"%.64s\" in %s; known keys are %s", key, where, list);
}

/* Two ways to say the same, such as ram_gb and ram_mb. */
static int check_one_of(const struct decode *d, const struct object_type *type, uint64_t given, const struct field *f,
			const struct value *item, const char *path, struct error **err)
{
	struct value at = {.line = item->key_line, .column = item->key_column};

	for (size_t i = 0; f->one_of && i < type->nfields; i++) {
		const struct field *other = &type->fields[i];

		if (other != f && other->one_of == f->one_of && (given >> i & 1))
			return decode_fail(d, &at, err, "%s%s%s and %s say the same thing; give only one of them", path,
					   *path ? ": " : "", other->key, f->key);
	}
	return 0;
}

static int decode_member(const struct decode *d, const struct object_type *type, const struct value *item,
			 const char *path, void *obj, struct error **err)
{
	const struct field *f = object_field(type, item->key);
	uint64_t *given = obj;

	if (!f)
		return d->ignore_unknown ? 0 : fail_unknown(d, type, item, path, err);
	if (item->kind == VALUE_NULL)
		return 0;
	if (check_one_of(d, type, *given, f, item, path, err) < 0)
		return -1;
	cleanup_free char *full = *path ? str_fmt("%s.%s", path, f->key) : str_dup(f->key);
	struct slot s = {.d = d, .f = f, .path = full, .dest = (char *)obj + f->offset};
	if (decode_field(&s, obj, item, err) < 0)
		return -1;
	*given |= UINT64_C(1) << (f - type->fields);
	if (f->has_offset)
		*(bool *)((char *)obj + f->has_offset) = true;
	return 0;
}

int object_decode(const struct decode *d, const struct object_type *type, const struct value *v, const char *path,
		  void *obj, struct error **err)
{
	const char *where = *path ? path : type->name;

	if (v->kind != VALUE_MAP)
		return decode_fail(d, v, err, "%s must be a %s, not %s", where, d->name ? "map" : "JSON object",
				   value_kind_name(v));
	for (size_t i = 0; i < v->n; i++)
		if (decode_member(d, type, &v->items[i], path, obj, err) < 0)
			return -1;
	for (size_t i = 0; i < type->nfields; i++)
		if ((type->fields[i].flags & FIELD_REQUIRED) && !(*(uint64_t *)obj >> i & 1))
			return decode_fail(d, v, err, "%s needs the key \"%s\"", where, type->fields[i].key);
	return 0;
}
