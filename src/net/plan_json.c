/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>

#include "base/json.h"
#include "base/str.h"
#include "net/mode.h"

static const char *const link_kinds[] = {
	[NET_LINK_BRIDGE] = "bridge", [NET_LINK_TAP] = "tap", [NET_LINK_MACVTAP] = "macvtap"};

static struct json_object *link_to_json(const struct net_plan_link *link)
{
	struct json_object *obj = json_object_new_object();
	char mac[MAC_TEXT_SIZE];

	js_add_string(obj, "kind", link_kinds[link->kind]);
	js_add_string(obj, "name", link->name);
	if (*link->master)
		js_add_string(obj, "master", link->master);
	js_add_string(obj, "alias", link->alias);
	js_add_string(obj, "altname", link->altname);
	if (link->kind != NET_LINK_TAP) {
		mac_format(link->mac, mac);
		js_add_string(obj, "mac", mac);
	}
	js_add_u64(obj, "mtu", link->mtu);
	return obj;
}

static struct json_object *address_to_json(const struct net_plan_address *a)
{
	struct json_object *obj = json_object_new_object();
	char text[IP4_TEXT_MAX];

	ip4_format_cidr(a->addr, text);
	js_add_string(obj, "link", a->link);
	js_add_string(obj, "address", text);
	return obj;
}

/* "macs vmtap1 . 2e:31:2a:ff:7d:45": the fields behind the name are told apart by their length. */
static struct json_object *element_to_json(const struct nfset_element *e)
{
	char mac[MAC_TEXT_SIZE], address[INET_ADDRSTRLEN];
	cleanup_free char *text = NULL;

	if (e->key_len == IFNAMSIZ + 8) {
		mac_format(e->key + IFNAMSIZ, mac);
		text = str_fmt("%s %s . %s", e->set, (const char *)e->key, mac);
	} else if (e->key_len == IFNAMSIZ + 4) {
		inet_ntop(AF_INET, e->key + IFNAMSIZ, address, sizeof(address));
		text = str_fmt("%s %s . %s", e->set, (const char *)e->key, address);
	} else {
		text = str_fmt("%s %s", e->set, (const char *)e->key);
	}
	return json_object_new_string(text);
}

static struct json_object *guest_to_json(const struct net_guest *guest)
{
	struct json_object *obj = json_object_new_object();

	if (*guest->address)
		js_add_string(obj, "address", guest->address);
	if (*guest->gateway)
		js_add_string(obj, "gateway", guest->gateway);
	js_add_string(obj, "mac", guest->mac);
	js_add_u64(obj, "mtu", guest->mtu);
	return obj;
}

struct json_object *net_plan_to_json(const struct net_plan *p)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *links = json_object_new_array(), *addresses = json_object_new_array();
	struct json_object *elements = json_object_new_array();

	for (size_t i = 0; i < p->nlinks; i++)
		json_object_array_add(links, link_to_json(&p->links[i]));
	for (size_t i = 0; i < p->naddresses; i++)
		json_object_array_add(addresses, address_to_json(&p->addresses[i]));
	for (size_t i = 0; i < p->nelements; i++)
		json_object_array_add(elements, element_to_json(&p->elements[i]));
	js_add_string(obj, "mode", config_net_mode_name(p->mode));
	js_add_string(obj, "daemon_id", p->daemon_id);
	js_add_string(obj, "name", p->name);
	js_add(obj, "links", links);
	js_add(obj, "addresses", addresses);
	js_add_strv(obj, "sysctls", p->sysctls);
	js_add(obj, "elements", elements);
	js_add_string(obj, "nft", p->nft);
	js_add_string(obj, "admit_chain", p->admit_chain);
	js_add_strv(obj, "notes", p->notes);
	if (*p->guest.mac)
		js_add(obj, "guest", guest_to_json(&p->guest));
	return obj;
}

/* A member that must be there, into a field of `size` bytes. */
static int read_text(struct json_object *obj, const char *key, char *ret, size_t size,
		     struct error **err)
{
	const char *s = NULL;

	if (js_get_string(obj, key, &s, err) < 0)
		return -1;
	if (!s || !*s || strlen(s) >= size)
		return error_set(err, ERR_INVALID, "\"%s\" must have 1 to %zu bytes", key,
				 size - 1);
	memcpy(ret, s, strlen(s) + 1);
	return 0;
}

static int read_copy(struct json_object *obj, const char *key, char **ret, struct error **err)
{
	const char *s = NULL;

	if (js_get_string(obj, key, &s, err) < 0)
		return -1;
	if (!s || !*s)
		return error_set(err, ERR_INVALID, "\"%s\" is missing", key);
	*ret = str_dup(s);
	return 0;
}

static int read_mtu(struct json_object *obj, unsigned *ret, struct error **err)
{
	uint64_t mtu = 0;

	if (js_get_u64(obj, "mtu", UINT16_MAX, &mtu, err) < 0)
		return -1;
	*ret = (unsigned)mtu;
	return mtu ? 0 : error_set(err, ERR_INVALID, "\"mtu\" is missing");
}

static int read_link(struct json_object *obj, struct net_plan *p, struct error **err)
{
	struct net_plan_link *link = &p->links[p->nlinks++];
	const char *kind = "";

	if (js_get_string(obj, "kind", &kind, err) < 0)
		return -1;
	if (!str_eq(kind, "tap") && !str_eq(kind, "macvtap"))
		return error_set(err, ERR_INVALID, "\"%s\" is no link of a VM", kind);
	link->kind = str_eq(kind, "tap") ? NET_LINK_TAP : NET_LINK_MACVTAP;
	if (read_text(obj, "name", link->name, sizeof(link->name), err) < 0 ||
	    read_text(obj, "master", link->master, sizeof(link->master), err) < 0 ||
	    read_copy(obj, "alias", &link->alias, err) < 0 ||
	    read_copy(obj, "altname", &link->altname, err) < 0)
		return -1;
	return read_mtu(obj, &link->mtu, err);
}

static int read_links(struct json_object *obj, struct net_plan *p, struct error **err)
{
	struct json_object *links = NULL;

	if (js_get_array(obj, "links", &links, err) < 0)
		return -1;
	for (size_t i = 0; links && i < json_object_array_length(links); i++) {
		struct json_object *link = json_object_array_get_idx(links, i);

		if (i == NET_PLAN_LINKS || !json_object_is_type(link, json_type_object))
			return error_set(err, ERR_INVALID, "\"links\" must be up to %d objects", NET_PLAN_LINKS);
		if (read_link(link, p, err) < 0)
			return -1;
	}
	return 0;
}

static int read_guest(struct json_object *obj, struct net_plan *p, struct error **err)
{
	struct net_guest *guest = &p->guest;
	struct json_object *o = NULL;
	struct ip4_cidr address;
	uint32_t gateway;

	if (js_get_object(obj, "guest", &o, err) < 0)
		return -1;
	if (!o)
		return error_set(err, ERR_INVALID, "\"guest\" is missing");
	if (read_text(o, "mac", guest->mac, sizeof(guest->mac), err) < 0 || read_mtu(o, &guest->mtu, err) < 0)
		return -1;
	if (!json_object_object_get(o, "address")) /* the guest's by DHCP */
		return 0;
	if (read_text(o, "address", guest->address, sizeof(guest->address), err) < 0 ||
	    read_text(o, "gateway", guest->gateway, sizeof(guest->gateway), err) < 0 ||
	    ip4_parse_cidr(guest->address, &address, err) < 0)
		return -1;
	return ip4_parse(guest->gateway, &gateway, err);
}

static const struct net_mode *read_mode(struct json_object *obj, struct error **err)
{
	const char *name = config_net_mode_name(NET_BRIDGE);

	if (js_get_string(obj, "mode", &name, err) < 0)
		return NULL;
	for (int m = NET_CNI; m <= NET_SLOTS; m++)
		if (str_eq(name, config_net_mode_name((enum config_net_mode)m)) && net_mode((enum config_net_mode)m))
			return net_mode((enum config_net_mode)m);
	error_set(err, ERR_INVALID, "network mode \"%s\" is not in this version", name);
	return NULL;
}

int net_plan_from_json(struct json_object *obj, struct net_plan *ret, struct error **err)
{
	const struct net_mode *mode = read_mode(obj, err);

	*ret = (struct net_plan){0};
	if (!mode)
		goto fail;
	ret->mode = mode->mode;
	if (read_copy(obj, "daemon_id", &ret->daemon_id, err) == 0 &&
	    read_copy(obj, "name", &ret->name, err) == 0 &&
	    js_get_strv(obj, "sysctls", &ret->sysctls, NULL, err) == 0 &&
	    read_links(obj, ret, err) == 0 && read_guest(obj, ret, err) == 0 &&
	    (!mode->from_record || mode->from_record(obj, ret, err) == 0))
		return 0;
fail:
	net_plan_clear(ret);
	return error_wrap(err, "the plan of a VM's network");
}
