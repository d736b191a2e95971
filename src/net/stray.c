/* SPDX-License-Identifier: MIT */
/* The network of a VM of which nothing is left but what the kernel has. */
#include "base/json.h"
#include "base/str.h"
#include "net/apply_impl.h"
#include "net/netns.h"
#include "net/nft.h"
#include "net/nft_elements.h"

/* Whose elements are to go, by the interface that they name. */
struct wanted {
	const char *interface; /* this one's; NULL: of VMs' (not groups') that are neither there nor kept */
	const struct link *links;
	size_t nlinks;
	char *const *keep;
};

static bool is_wanted(const struct wanted *w, const char *interface)
{
	if (w->interface)
		return str_eq(w->interface, interface);
	for (size_t i = 0; i < w->nlinks; i++)
		if (str_eq(w->links[i].name, interface))
			return false;
	return !strv_contains(w->keep, interface);
}

/* Of a map to limits ([key, name of the limit]): it, and the limit that nobody else refers to. */
static bool stray_limit(struct json_object *element, const char *words, const char *table, char ***script)
{
	struct json_object *value =
		json_object_is_type(element, json_type_array) ? json_object_array_get_idx(element, 1) : NULL;
	const char *limit = value ? json_object_get_string(value) : NULL;

	if (limit && nft_is_plain(limit) && !strchr(limit, ' '))
		strv_append_fmt(script, "delete element %s\ndelete limit %s %s\n", words, table, limit);
	return limit;
}

/* An element that somebody else removes meanwhile would fail the script; so it is there for certain first. */
static void stray_set(struct json_object *set, const char *table, const struct wanted *w, char ***script, char ***names)
{
	struct json_object *elements = NULL;
	const char *name = NULL;

	if (!nft_set_is_of_interfaces(set) || js_get_string(set, "name", &name, NULL) < 0 || !name ||
	    (!w->interface && str_eq(name, "bridges")) || js_get_array(set, "elem", &elements, NULL) < 0)
		return;
	for (size_t i = 0; elements && i < json_object_array_length(elements); i++) {
		struct json_object *element = json_object_array_get_idx(elements, i);
		cleanup_strv char **fields = nft_element_fields(element);
		cleanup_free char *place = str_fmt("%s %s", table, name);
		cleanup_free char *words = is_wanted(w, fields[0]) ? nft_element_words(place, fields) : NULL;

		if (!words)
			continue;
		if (!stray_limit(element, words, table, script))
			strv_append_fmt(script, "add element %s\ndelete element %s\n", words, words);
		if (!strv_contains(*names, fields[0]))
			strv_append(names, fields[0]);
	}
}

/* The wanted elements of the daemon's sets: which there are only the VMs' plans would tell. Names of interfaces, as they
 * were found, are added to *ret. */
static int stray_elements(const char *family, const char *daemon_id, const struct wanted *w, char ***ret,
			  struct error **err)
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
		    js_get_object(item, json_object_object_get(item, "map") ? "map" : "set", &set, NULL) == 0 && set)
			stray_set(set, table, w, &script, ret);
	}
	if (!script)
		return 0;
	all = strv_join(script, "");
	return nft_run(all, err);
}

static int stray_link(const char *daemon_id, const struct link *link, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	const struct wanted w = {.interface = link->name};
	cleanup_strv char **names = NULL;

	if (!nl || links_delete(nl, link->index, err) < 0)
		return -1;
	return stray_elements(str_eq(link->kind, "veth") ? "ip" : "bridge", daemon_id, &w, &names, err);
}

int net_stray_down(const char *daemon_id, const char *vm, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_free char *alias = net_alias(daemon_id, vm);
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

/* The lock: a tap's rules are in force before it is there. */
int net_elements_sweep(const char *daemon_id, char *const *keep, char ***ret, struct error **err)
{
	cleanup_close int lock = net_lock(err);
	cleanup_netlink struct netlink *nl = lock < 0 ? NULL : netlink_open(err);
	struct wanted w = {.keep = keep};
	struct link *links;
	int r;

	*ret = NULL;
	if (!nl || links_list(nl, &links, &w.nlinks, err) < 0)
		return -1;
	w.links = links;
	r = stray_elements("ip", daemon_id, &w, ret, err);
	if (r == 0)
		r = stray_elements("bridge", daemon_id, &w, ret, err);
	links_free(links, w.nlinks);
	if (r < 0)
		strv_free(ret);
	return r;
}
