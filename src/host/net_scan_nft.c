/* SPDX-License-Identifier: MIT */
/* What of slicer is in nftables: tables slicer_<id>, the elements of their sets, and rules of other
 * tables whose comment is "slicer_<id>:<interface>". The form is libnftables-json(5). */
#include "base/str.h"
#include "host/net_scan.h"
#include "net/nft.h"

#define PREFIX "slicer_"

/* The daemon of a table's name or a comment's first part; the caller's, NULL: not ours. */
static char *daemon_of(const char *text, size_t n)
{
	cleanup_free char *id = n > strlen(PREFIX) && str_starts(text, PREFIX)
				    ? str_ndup(text + strlen(PREFIX), n - strlen(PREFIX))
				    : NULL;

	return id && net_name_is_sane(id) ? TAKE_PTR(id) : NULL;
}

static const char *member(struct json_object *obj, const char *key)
{
	const char *value = NULL;

	return js_get_string(obj, key, &value, NULL) < 0 || !value ? "" : value;
}

/* May it be part of a script for nft as it is? */
static bool is_plain(const char *text)
{
	static const char bytes[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/@ ";

	return strspn(text, bytes) == strlen(text);
}

static void scan_table(struct net_scan *s, struct json_object *table)
{
	const char *name = member(table, "name"), *family = member(table, "family");
	cleanup_free char *id = daemon_of(name, strlen(name)),
			  *shown = str_fmt("%s %s", family, name);

	if (id && is_plain(shown))
		net_scan_add(s, NET_KIND_TABLE, "table", shown, id)->remove =
		    str_fmt("delete table %s", shown);
}

/* "192.168.137.0/24" of {"prefix": {...}}, else as it is; the caller's. */
static char *part_text(struct json_object *part)
{
	struct json_object *prefix = NULL;
	uint64_t len = 0;

	if (json_object_is_type(part, json_type_object) &&
	    js_get_object(part, "prefix", &prefix, NULL) == 0 && prefix &&
	    js_get_u64(prefix, "len", 128, &len, NULL) == 0)
		return str_fmt("%s/%llu", member(prefix, "addr"), (unsigned long long)len);
	return str_dup(part ? json_object_get_string(part) : "");
}

/* What is in {"elem": {"val": …, "timeout": …}}, in a map's [key, value], or the element itself.
 * Borrowed; NULL: nothing. */
static struct json_object *element_key(struct json_object *element)
{
	struct json_object *inner = NULL;

	if (json_object_is_type(element, json_type_array))
		element = json_object_array_get_idx(element, 0);
	if (json_object_is_type(element, json_type_object) &&
	    js_get_object(element, "elem", &inner, NULL) == 0 && inner)
		element = json_object_object_get(inner, "val");
	return element;
}

/* Its fields: a list of the caller, never empty. */
static char **element_parts(struct json_object *element)
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

/* Is the first field of the set an interface's name? */
static bool is_of_interfaces(struct json_object *set)
{
	struct json_object *type = NULL;

	if (!json_object_object_get_ex(set, "type", &type))
		return false;
	if (json_object_is_type(type, json_type_array))
		type = json_object_array_get_idx(type, 0);
	return type && str_eq(json_object_get_string(type), "ifname");
}

static void scan_element(struct net_scan *s, struct json_object *set, const char *id,
			 struct json_object *element)
{
	cleanup_strv char **parts = element_parts(element);
	cleanup_free char *text = strv_join(parts, " . ");
	cleanup_free char *place =
	    str_fmt("%s %s %s", member(set, "family"), member(set, "table"), member(set, "name"));
	cleanup_free char *shown = str_fmt("%s %s", place, text);
	bool named = is_of_interfaces(set);
	struct net_thing *t = net_scan_add(s, NET_KIND_ELEMENT, "element", shown, id);
	cleanup_free char *rest = strv_join(parts + 1, " . ");

	if (!named)
		return; /* goes with its table */
	t->alias = str_dup(parts[0]);
	if (is_plain(place) && is_plain(text))
		t->remove = str_fmt("delete element %s { \"%s\"%s%s }", place, parts[0],
				    *rest ? " . " : "", rest);
}

static void scan_set(struct net_scan *s, struct json_object *set)
{
	const char *table = member(set, "table");
	cleanup_free char *id = daemon_of(table, strlen(table));
	struct json_object *elements = NULL;

	if (!id || js_get_array(set, "elem", &elements, NULL) < 0)
		return;
	for (size_t i = 0; elements && i < json_object_array_length(elements); i++)
		scan_element(s, set, id, json_object_array_get_idx(elements, i));
}

static void count_rule(struct net_scan *s, const char *family, const char *table)
{
	cleanup_free char *name = str_fmt("%s %s", family, table);

	for (size_t i = 0; i < s->nthings; i++)
		if (s->things[i].kind == NET_KIND_TABLE && str_eq(s->things[i].name, name))
			s->things[i].rules++;
}

static void scan_rule(struct net_scan *s, struct json_object *rule)
{
	const char *comment = member(rule, "comment"), *table = member(rule, "table");
	size_t n = strcspn(comment, ":");
	cleanup_free char *id = daemon_of(comment, n);
	cleanup_free char *place =
	    str_fmt("%s %s %s", member(rule, "family"), table, member(rule, "chain"));
	cleanup_free char *shown = str_fmt("%s %s", place, comment);
	struct net_thing *t;
	uint64_t handle = 0;

	if (str_starts(table, PREFIX)) {
		count_rule(s, member(rule, "family"), table);
		return;
	}
	if (!id || !comment[n] || js_get_u64(rule, "handle", UINT64_MAX, &handle, NULL) < 0)
		return;
	t = net_scan_add(s, NET_KIND_RULE, "rule", shown, id);
	t->alias = str_dup(comment + n + 1);
	if (is_plain(place))
		t->remove =
		    str_fmt("delete rule %s handle %llu", place, (unsigned long long)handle);
}

int net_scan_ruleset(struct net_scan *s, const char *json, struct error **err)
{
	static const struct {
		const char *key;
		void (*scan)(struct net_scan *s, struct json_object *obj);
	} kinds[] = {
	    {"table", scan_table}, {"set", scan_set}, {"map", scan_set}, {"rule", scan_rule}};
	cleanup_json struct json_object *root = js_parse(json, strlen(json), err);
	struct json_object *list = NULL;

	if (!root || js_get_array(root, "nftables", &list, err) < 0)
		return error_wrap(err, "cannot read what nft lists");
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);

		for (size_t k = 0;
		     json_object_is_type(item, json_type_object) && k < ARRAY_LEN(kinds); k++) {
			struct json_object *obj = NULL;

			if (js_get_object(item, kinds[k].key, &obj, NULL) == 0 && obj)
				kinds[k].scan(s, obj);
		}
	}
	return 0;
}

void net_scan_nft(struct net_scan *s)
{
	cleanup_error struct error *why = NULL;
	cleanup_free char *json = nft_read("-j -a list ruleset", &why);

	if (!json || net_scan_ruleset(s, json, &why) < 0)
		strv_append_fmt(&s->unseen, "nftables cannot be looked at: %s", error_message(why));
}
