/* SPDX-License-Identifier: MIT */
#include "config/value.h"
#include "base/json.h"
#include "base/str.h"

/* Grows by doubling: the capacity is the power of two at or above n. */
struct value *value_append(struct value *parent)
{
	size_t n = parent->n;

	if (n == 0 || (n & (n - 1)) == 0)
		parent->items = mem_realloc(parent->items, (n ? 2 * n : 1) * sizeof(*parent->items));
	parent->items[n] = (struct value){.kind = VALUE_NULL};
	parent->n++;
	return &parent->items[n];
}

struct value *value_find(const struct value *map, const char *key)
{
	if (!map || map->kind != VALUE_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (str_eq(map->items[i].key, key))
			return &map->items[i];
	return NULL;
}

bool value_truth(const struct value *v)
{
	return strcasecmp(v->text, "true") == 0 || strcasecmp(v->text, "yes") == 0 || strcasecmp(v->text, "on") == 0;
}

const char *value_kind_name(const struct value *v)
{
	switch (v->kind) {
	case VALUE_NULL:
		return "null";
	case VALUE_BOOL:
		return "a truth value";
	case VALUE_INT:
		return "a number";
	case VALUE_NUMBER:
		return "a number that is not whole";
	case VALUE_STRING:
		return v->line && !v->plain ? "a quoted string" : "a string";
	case VALUE_LIST:
		return "a list";
	case VALUE_MAP:
		return "a map";
	}
	return "a value";
}

static void value_clear(struct value *v)
{
	for (size_t i = 0; i < v->n; i++)
		value_clear(&v->items[i]);
	free(v->items);
	free(v->text);
	free(v->key);
}

void value_free(struct value **v)
{
	if (!*v)
		return;
	value_clear(*v);
	free(*v);
	*v = NULL;
}

static void fill_from_json(struct json_object *obj, struct value *v);

static void fill_list(struct json_object *obj, struct value *v)
{
	v->kind = VALUE_LIST;
	for (size_t i = 0; i < json_object_array_length(obj); i++)
		fill_from_json(json_object_array_get_idx(obj, i), value_append(v));
}

static void fill_map(struct json_object *obj, struct value *v)
{
	v->kind = VALUE_MAP;
	json_object_object_foreach(obj, key, member)
	{
		struct value *item = value_append(v);

		fill_from_json(member, item);
		item->key = str_dup(key);
	}
}

static void fill_from_json(struct json_object *obj, struct value *v)
{
	switch (json_object_get_type(obj)) {
	case json_type_null:
		v->kind = VALUE_NULL;
		break;
	case json_type_boolean:
		v->kind = VALUE_BOOL;
		v->text = str_dup(json_object_get_boolean(obj) ? "true" : "false");
		break;
	case json_type_int:
	case json_type_double:
		v->kind = json_object_get_type(obj) == json_type_int ? VALUE_INT : VALUE_NUMBER;
		v->text = str_dup(json_object_to_json_string(obj));
		break;
	case json_type_string:
		v->kind = VALUE_STRING;
		v->text = str_dup(json_object_get_string(obj));
		break;
	case json_type_array:
		fill_list(obj, v);
		break;
	case json_type_object:
		fill_map(obj, v);
		break;
	}
}

struct value *value_from_json(struct json_object *obj)
{
	struct value *v = NEW(struct value);

	fill_from_json(obj, v);
	return v;
}
