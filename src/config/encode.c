/* SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "config/decode.h"

/* Of several keys for one member (ram_gb, ram_mb, ram_bytes) the last one speaks for it. */
static bool is_other_spelling(const struct object_type *type, size_t i)
{
	for (size_t j = i + 1; j < type->nfields; j++)
		if (type->fields[j].offset == type->fields[i].offset)
			return true;
	return false;
}

static const char *enum_text(const struct field *f, int value)
{
	for (const struct field_value *fv = f->values; fv->name; fv++)
		if (fv->value == value)
			return fv->name;
	return NULL;
}

static struct json_object *encode_elements(const struct field *f, const void *obj)
{
	const char *array = *(char *const *)((const char *)obj + f->offset);
	size_t n = *(const size_t *)((const char *)obj + f->count_offset);
	const struct object_type *type = f->object;
	struct json_object *ret = f->type == FIELD_MAP ? json_object_new_object() : json_object_new_array();

	for (size_t i = 0; i < n; i++) {
		const char *element = array + i * type->size;
		struct json_object *item = object_to_json(type, element);

		if (type->inline_value) {
			struct json_object *inner = json_object_get(json_object_object_get(item, type->fields[0].key));

			json_object_put(item);
			item = inner;
		}
		if (f->type == FIELD_MAP)
			js_add(ret, *(char *const *)(element + type->key_offset), item);
		else
			json_object_array_add(ret, item);
	}
	return ret;
}

static void encode_field(struct json_object *ret, const struct field *f, const void *obj)
{
	const char *member = (const char *)obj + f->offset;

	switch (f->type) {
	case FIELD_STRING:
		js_add_string(ret, f->key, *(char *const *)member);
		break;
	case FIELD_BOOL:
		js_add_bool(ret, f->key, *(const bool *)member);
		break;
	case FIELD_U32:
		js_add_u64(ret, f->key, *(const uint32_t *)member);
		break;
	case FIELD_U64:
	case FIELD_SIZE:
		js_add_u64(ret, f->key, *(const uint64_t *)member);
		break;
	case FIELD_ENUM:
		js_add_string(ret, f->key, enum_text(f, *(const int *)member));
		break;
	case FIELD_STRV:
		if (!f->has_offset || *(const bool *)((const char *)obj + f->has_offset))
			js_add_strv(ret, f->key, *(char **const *)member);
		break;
	case FIELD_OBJECT:
		js_add(ret, f->key, object_to_json(f->object, member));
		break;
	case FIELD_OBJECTS:
	case FIELD_MAP:
		js_add(ret, f->key, encode_elements(f, obj));
		break;
	}
}

struct json_object *object_to_json(const struct object_type *type, const void *obj)
{
	struct json_object *ret = json_object_new_object();

	for (size_t i = 0; i < type->nfields; i++)
		if (!(type->fields[i].flags & FIELD_IGNORED) && !is_other_spelling(type, i))
			encode_field(ret, &type->fields[i], obj);
	return ret;
}
