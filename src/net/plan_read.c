/* SPDX-License-Identifier: MIT */
/* Plans from records, and in the helper program that enters namespaces: nothing here knows a mode. */
#include <limits.h>

#include "base/json.h"
#include "base/str.h"
#include "net/plan.h"

/* A member that must be there, into a field of `size` bytes. */
static int read_text(struct json_object *obj, const char *key, char *ret, size_t size, struct error **err)
{
	const char *s = NULL;

	if (js_get_string(obj, key, &s, err) < 0)
		return -1;
	if (!s || !*s || strlen(s) >= size)
		return error_set(err, ERR_INVALID, "\"%s\" must have 1 to %zu bytes", key, size - 1);
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

static int read_mac(struct json_object *obj, const char *key, unsigned char ret[6], struct error **err)
{
	char text[MAC_TEXT_SIZE];

	if (read_text(obj, key, text, sizeof(text), err) < 0)
		return -1;
	return mac_parse(text, ret) < 0 ? error_set(err, ERR_INVALID, "\"%s\" is no MAC address", text) : 0;
}

/* What each kind of a VM's link has besides its name. */
enum { WITH_MASTER = 1, WITH_ALTNAME = 2, WITH_MAC = 4, WITH_PEER = 8 };
static const struct {
	const char *name;
	enum net_link_kind kind;
	unsigned with;
} link_kinds[] = {
	{"tap", NET_LINK_TAP, WITH_MASTER | WITH_ALTNAME},
	{"macvtap", NET_LINK_MACVTAP, WITH_MASTER | WITH_ALTNAME | WITH_MAC},
	{"veth", NET_LINK_VETH, WITH_ALTNAME | WITH_MAC | WITH_PEER},
	{"netns-tap", NET_LINK_NETNS_TAP, WITH_MAC},
};

static int read_parts(struct json_object *obj, struct net_plan_link *link, unsigned with, struct error **err)
{
	link->has_mac = with & WITH_MAC;
	if ((with & WITH_MASTER && read_text(obj, "master", link->master, sizeof(link->master), err) < 0) ||
	    (with & WITH_ALTNAME && read_copy(obj, "altname", &link->altname, err) < 0) ||
	    (with & WITH_MAC && read_mac(obj, "mac", link->mac, err) < 0) ||
	    (with & WITH_PEER && (read_text(obj, "peer", link->peer, sizeof(link->peer), err) < 0 ||
				  read_mac(obj, "peer_mac", link->peer_mac, err) < 0)))
		return -1;
	return 0;
}

static int read_link(struct json_object *obj, struct net_plan *p, struct error **err)
{
	struct net_plan_link *link = &p->links[p->nlinks++];
	const char *kind = "";
	size_t i = 0;

	if (js_get_string(obj, "kind", &kind, err) < 0)
		return -1;
	while (i < ARRAY_LEN(link_kinds) && !str_eq(kind, link_kinds[i].name))
		i++;
	if (i == ARRAY_LEN(link_kinds))
		return error_set(err, ERR_INVALID, "\"%s\" is no link of a VM", kind);
	link->kind = link_kinds[i].kind;
	if (read_text(obj, "name", link->name, sizeof(link->name), err) < 0 ||
	    read_copy(obj, "alias", &link->alias, err) < 0 || read_parts(obj, link, link_kinds[i].with, err) < 0)
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
	    ip4_parse_cidr(guest->address, &address, err) < 0)
		return -1;
	if (p->mode == NET_CNI && !json_object_object_get(o, "gateway")) /* a network that leads no further */
		return 0;
	if (read_text(o, "gateway", guest->gateway, sizeof(guest->gateway), err) < 0)
		return -1;
	return ip4_parse(guest->gateway, &gateway, err);
}

static int read_addresses(struct json_object *obj, struct net_plan *p, struct error **err)
{
	struct json_object *list = NULL;

	if (js_get_array(obj, "addresses", &list, err) < 0)
		return -1;
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		struct net_plan_address *a = &p->addresses[p->naddresses];
		const char *text = "", *peer = NULL;

		if (p->naddresses++ == NET_PLAN_ADDRESSES || !json_object_is_type(item, json_type_object))
			return error_set(err, ERR_INVALID, "\"addresses\" must be up to %d objects",
					 NET_PLAN_ADDRESSES);
		if (read_text(item, "link", a->link, sizeof(a->link), err) < 0 ||
		    js_get_string(item, "address", &text, err) < 0 || ip4_parse_cidr(text, &a->addr, err) < 0 ||
		    js_get_string(item, "peer", &peer, err) < 0 || (peer && ip4_parse(peer, &a->peer, err) < 0))
			return -1;
	}
	return 0;
}

/* A name below /run/netns, not a path out of it. */
static int read_netns(struct json_object *obj, char **ret, struct error **err)
{
	const char *name = NULL;

	if (js_get_string(obj, "netns", &name, err) < 0)
		return -1;
	if (name && (!*name || *name == '.' || strchr(name, '/') || strlen(name) > NAME_MAX))
		return error_set(err, ERR_INVALID, "\"netns\" must be the name of a network namespace");
	*ret = str_dup(name);
	return 0;
}

/* A rate of bytes that the kernel's arithmetic has room for, see base/nfset.h. */
static int read_limits(struct json_object *obj, struct net_limits *ret, struct error **err)
{
	struct json_object *o = NULL;
	uint64_t packets = 0, connections = 0;

	if (js_get_object(obj, "limits", &o, err) < 0 ||
	    (o && (js_get_u64(o, "bandwidth", UINT64_C(16) << 30, &ret->bandwidth, err) < 0 ||
		   js_get_u64(o, "packets", UINT32_MAX, &packets, err) < 0 ||
		   js_get_u64(o, "connections", UINT32_MAX, &connections, err) < 0)))
		return -1;
	ret->connections = (uint32_t)connections;
	ret->packets = (uint32_t)packets;
	return 0;
}

/* Records of older versions have none. */
static int read_range(struct json_object *obj, struct ip4_cidr *ret, struct error **err)
{
	const char *text = NULL;

	if (js_get_string(obj, "range", &text, err) < 0)
		return -1;
	return text ? ip4_parse_cidr(text, ret, err) : 0;
}

int net_plan_read(struct json_object *obj, struct net_plan *p, struct error **err)
{
	const char *nft = NULL, *rules = NULL;

	if (read_copy(obj, "daemon_id", &p->daemon_id, err) < 0 || read_copy(obj, "name", &p->name, err) < 0 ||
	    js_get_strv(obj, "sysctls", &p->sysctls, NULL, err) < 0 || read_netns(obj, &p->netns, err) < 0 ||
	    read_range(obj, &p->range, err) < 0 || js_get_strv(obj, "allow", &p->allow, NULL, err) < 0 ||
	    js_get_strv(obj, "drop", &p->drop, NULL, err) < 0 || js_get_string(obj, "nft", &nft, err) < 0 ||
	    js_get_string(obj, "rules", &rules, err) < 0 || read_addresses(obj, p, err) < 0 ||
	    read_links(obj, p, err) < 0 || read_limits(obj, &p->limits, err) < 0)
		return -1;
	p->nft = str_dup(nft);
	p->rules = str_dup(rules);
	return read_guest(obj, p, err);
}
