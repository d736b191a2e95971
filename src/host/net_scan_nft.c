/* SPDX-License-Identifier: MIT */
/* What of slicer is in nftables: tables slicer_<id>, the elements of their sets, and rules of other
 * tables whose comment is "slicer_<id>:<interface>". The form is libnftables-json(5). */
#include "base/str.h"
#include "host/net_scan.h"
#include "net/nft.h"
#include "net/nft_elements.h"

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

static void scan_table(struct net_scan *s, struct json_object *table)
{
	const char *name = member(table, "name"), *family = member(table, "family");
	cleanup_free char *id = daemon_of(name, strlen(name)), *shown = str_fmt("%s %s", family, name);

	if (id && nft_is_plain(shown))
		net_scan_add(s, NET_KIND_TABLE, "table", shown, id)->remove = str_fmt("delete table %s", shown);
}

static void scan_element(struct net_scan *s, struct json_object *set, const char *id, struct json_object *element)
{
	cleanup_strv char **fields = nft_element_fields(element);
	cleanup_free char *text = strv_join(fields, " . ");
	cleanup_free char *place =
		str_fmt("%s %s %s", member(set, "family"), member(set, "table"), member(set, "name"));
	cleanup_free char *shown = str_fmt("%s %s", place, text);
	cleanup_free char *words = NULL;
	struct net_thing *t = net_scan_add(s, NET_KIND_ELEMENT, "element", shown, id);

	if (!nft_set_is_of_interfaces(set))
		return; /* goes with its table */
	t->alias = str_dup(fields[0]);
	words = nft_element_words(place, fields);
	if (words)
		t->remove = str_fmt("delete element %s", words);
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
	cleanup_free char *place = str_fmt("%s %s %s", member(rule, "family"), table, member(rule, "chain"));
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
	if (nft_is_plain(place))
		t->remove = str_fmt("delete rule %s handle %llu", place, (unsigned long long)handle);
}

int net_scan_ruleset(struct net_scan *s, const char *json, struct error **err)
{
	static const struct {
		const char *key;
		void (*scan)(struct net_scan *s, struct json_object *obj);
	} kinds[] = {{"table", scan_table}, {"set", scan_set}, {"map", scan_set}, {"rule", scan_rule}};
	cleanup_json struct json_object *root = js_parse(json, strlen(json), err);
	struct json_object *list = NULL;

	if (!root || js_get_array(root, "nftables", &list, err) < 0)
		return error_wrap(err, "cannot read what nft lists");
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);

		for (size_t k = 0; json_object_is_type(item, json_type_object) && k < ARRAY_LEN(kinds); k++) {
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
