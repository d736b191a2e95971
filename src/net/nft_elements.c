/* SPDX-License-Identifier: MIT */
#include "net/nft_elements.h"

#include "base/json.h"
#include "base/str.h"

bool nft_is_plain(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/@ ";

	return strspn(text, bytes) == strlen(text);
}

/* "192.168.137.0/24" of {"prefix": {...}}, else as it is; the caller's. */
static char *part_text(struct json_object *part)
{
	struct json_object *prefix = NULL;
	const char *addr = NULL;
	uint64_t len = 0;

	if (json_object_is_type(part, json_type_object) && js_get_object(part, "prefix", &prefix, NULL) == 0 &&
	    prefix && js_get_string(prefix, "addr", &addr, NULL) == 0 && addr &&
	    js_get_u64(prefix, "len", 128, &len, NULL) == 0)
		return str_fmt("%s/%llu", addr, (unsigned long long)len);
	return str_dup(part ? json_object_get_string(part) : "");
}

/* What is in {"elem": {"val": …, "timeout": …}}, in a map's [key, value], or the element itself.
 * Borrowed; NULL: nothing. */
static struct json_object *element_key(struct json_object *element)
{
	struct json_object *inner = NULL;

	if (json_object_is_type(element, json_type_array))
		element = json_object_array_get_idx(element, 0);
	if (json_object_is_type(element, json_type_object) && js_get_object(element, "elem", &inner, NULL) == 0 &&
	    inner)
		element = json_object_object_get(inner, "val");
	return element;
}

char **nft_element_fields(struct json_object *element)
{
	struct json_object *key = element_key(element), *fields = NULL;
	char **parts = NULL;

	if (json_object_is_type(key, json_type_object))
		js_get_array(key, "concat", &fields, NULL);
	for (size_t i = 0; fields && i < json_object_array_length(fields); i++)
		strv_append_take(&parts, part_text(json_object_array_get_idx(fields, i)));
	if (!parts)
		strv_append_take(&parts, part_text(key));
	return parts;
}

bool nft_set_is_of_interfaces(struct json_object *set)
{
	struct json_object *type = NULL;

	if (!json_object_object_get_ex(set, "type", &type))
		return false;
	if (json_object_is_type(type, json_type_array))
		type = json_object_array_get_idx(type, 0);
	return type && str_eq(json_object_get_string(type), "ifname");
}

char *nft_element_words(const char *place, char *const *fields)
{
	cleanup_free char *all = strv_join(fields, " . "), *rest = strv_join(fields + 1, " . ");

	if (!nft_is_plain(place) || !nft_is_plain(all))
		return NULL;
	return str_fmt("%s { \"%s\"%s%s }", place, fields[0], *rest ? " . " : "", rest);
}
