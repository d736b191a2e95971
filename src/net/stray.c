/* SPDX-License-Identifier: MIT */
/* The network of a VM of which nothing is left but what the kernel has. */
#include "base/json.h"
#include "base/str.h"
#include "net/apply_impl.h"
#include "net/netns.h"
#include "net/nft.h"

/* The first field of an element: "vt-1", or {"concat": ["vt-1", …]}. NULL: neither. */
static const char *element_interface(struct json_object *element)
{
	struct json_object *fields = NULL;

	if (json_object_is_type(element, json_type_object) &&
	    js_get_array(element, "concat", &fields, NULL) == 0 && fields)
		element = json_object_array_get_idx(fields, 0);
	return json_object_is_type(element, json_type_string) ? json_object_get_string(element) : NULL;
}

/* As nft(8) reads it: the fields joined by dots. */
static char *element_text(struct json_object *element)
{
	struct json_object *fields = NULL;
	cleanup_strv char **words = NULL;

	if (json_object_is_type(element, json_type_string))
		return str_fmt("\"%s\"", json_object_get_string(element));
	if (js_get_array(element, "concat", &fields, NULL) < 0 || !fields)
		return NULL;
	for (size_t i = 0; i < json_object_array_length(fields); i++)
		strv_append_fmt(&words, i ? "%s" : "\"%s\"",
				json_object_get_string(json_object_array_get_idx(fields, i)));
	return strv_join(words, " . ");
}

static void stray_set(struct json_object *set, const char *table, const char *interface, char ***script)
{
	struct json_object *elements = NULL;
	const char *name = NULL;

	if (js_get_string(set, "name", &name, NULL) < 0 || !name ||
	    js_get_array(set, "elem", &elements, NULL) < 0)
		return;
	for (size_t i = 0; elements && i < json_object_array_length(elements); i++) {
		struct json_object *element = json_object_array_get_idx(elements, i);
		cleanup_free char *text = NULL;

		if (!str_eq(element_interface(element), interface))
			continue;
		text = element_text(element);
		if (text)
			strv_append_fmt(script, "delete element %s %s { %s }\n", table, name, text);
	}
}

/* All elements of the daemon's sets that name the interface: which there are only its plan would tell. */
static int stray_elements(const char *family, const char *daemon_id, const char *interface, struct error **err)
{
	cleanup_free char *name = nft_table(daemon_id), *table = str_fmt("%s %s", family, name);
	cleanup_free char *arguments = str_fmt("-j list table %s", table);
	cleanup_free char *text = nft_read(arguments, NULL), *all = NULL;
	cleanup_json struct json_object *root = text ? js_parse(text, strlen(text), NULL) : NULL;
	cleanup_strv char **script = NULL;
	struct json_object *list = NULL;

	if (!root || js_get_array(root, "nftables", &list, NULL) < 0)
		return 0; /* no table, no elements */
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i), *set = NULL;

		if (json_object_is_type(item, json_type_object) &&
		    js_get_object(item, "set", &set, NULL) == 0 && set)
			stray_set(set, table, interface, &script);
	}
	if (!script)
		return 0;
	all = strv_join(script, "");
	return nft_run(all, err);
}

static int stray_link(const char *daemon_id, const struct link *link, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);

	if (!nl || links_delete(nl, link->index, err) < 0)
		return -1;
	return stray_elements(str_eq(link->kind, "veth") ? "ip" : "bridge", daemon_id, link->name, err);
}

int net_stray_down(const char *daemon_id, const char *vm, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_free char *alias = str_fmt("slicer:%s:%s", daemon_id, vm);
	struct link *links;
	size_t n;
	int r = 0;

	if (!nl || links_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++)
		if (str_eq(links[i].alias, alias) && !str_eq(links[i].kind, "bridge"))
			r = stray_link(daemon_id, &links[i], err);
	links_free(links, n);
	if (r == 0)
		r = net_cni_forget(daemon_id, vm, err);
	if (r == 0)
		r = netns_down(vm, alias, err);
	return r < 0 ? error_wrap(err, "network of \"%s\"", vm) : 0;
}
