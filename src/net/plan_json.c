/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>

#include "base/json.h"
#include "base/str.h"
#include "net/plan.h"

static const char *const link_kinds[] = {[NET_LINK_BRIDGE] = "bridge",
					 [NET_LINK_TAP] = "tap",
					 [NET_LINK_MACVTAP] = "macvtap",
					 [NET_LINK_VETH] = "veth",
					 [NET_LINK_NETNS_TAP] = "netns-tap"};

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
	if (link->has_mac) {
		mac_format(link->mac, mac);
		js_add_string(obj, "mac", mac);
	}
	if (*link->peer) {
		js_add_string(obj, "peer", link->peer);
		mac_format(link->peer_mac, mac);
		js_add_string(obj, "peer_mac", mac);
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
	if (a->peer) {
		ip4_format(a->peer, text);
		js_add_string(obj, "peer", text);
	}
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

static struct json_object *limits_to_json(const struct net_limits *l)
{
	struct json_object *obj = json_object_new_object();

	js_add_u64(obj, "bandwidth", l->bandwidth);
	js_add_u64(obj, "packets", l->packets);
	js_add_u64(obj, "connections", l->connections);
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
	js_add_string(obj, "netns", p->netns);
	if (p->range.prefix) {
		char range[IP4_TEXT_MAX];

		ip4_format_cidr(p->range, range);
		js_add_string(obj, "range", range);
	}
	if (p->allow)
		js_add_strv(obj, "allow", p->allow);
	if (p->drop)
		js_add_strv(obj, "drop", p->drop);
	if (net_limits_any(&p->limits))
		js_add(obj, "limits", limits_to_json(&p->limits));
	js_add_string(obj, "nft", p->nft);
	js_add_string(obj, "rules", p->rules);
	js_add_string(obj, "admit_chain", p->admit_chain);
	js_add_strv(obj, "notes", p->notes);
	if (*p->guest.mac)
		js_add(obj, "guest", guest_to_json(&p->guest));
	return obj;
}
