/* SPDX-License-Identifier: MIT */
/* Results of plugins (CNI specification, section 5). Before 1.0.0 an address says its "version" as well, which its text does. */
#include "net/cni.h"

#include <net/if.h>

#include "base/json.h"
#include "base/str.h"

enum { MTU_LEAST = 576, MTU_MOST = 65535, DNS_MAX = 8 };

/* An array member of at most CNI_ITEMS_MAX objects; *ret_n 0 when it is absent. */
static int result_array(struct json_object *obj, const char *key, struct json_object **ret, size_t *ret_n,
			struct error **err)
{
	*ret = NULL;
	*ret_n = 0;
	if (js_get_array(obj, key, ret, err) < 0)
		return -1;
	*ret_n = *ret ? json_object_array_length(*ret) : 0;
	if (*ret_n > CNI_ITEMS_MAX)
		return error_set(err, ERR_INVALID, "\"%s\" has %zu entries; %d are the limit", key, *ret_n,
				 CNI_ITEMS_MAX);
	for (size_t i = 0; i < *ret_n; i++)
		if (!json_object_is_type(json_object_array_get_idx(*ret, i), json_type_object))
			return error_set(err, ERR_INVALID, "%s[%zu] is not an object", key, i);
	return 0;
}

static bool is_ip6(const char *text)
{
	return strchr(text, ':') != NULL;
}

/* The interface in the container: the one that has a sandbox. *ret_index: its place, -1 without one. */
static int result_interface(struct json_object *obj, const char *ifname, struct cni_result *ret, int64_t *ret_index,
			    struct error **err)
{
	struct json_object *list;
	unsigned char bytes[6];
	size_t n;

	*ret_index = -1;
	if (result_array(obj, "interfaces", &list, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *name = NULL, *sandbox = NULL, *mac = NULL;
		uint64_t mtu = 0;

		if (js_get_string(one, "name", &name, err) < 0 || js_get_string(one, "sandbox", &sandbox, err) < 0 ||
		    js_get_string(one, "mac", &mac, err) < 0 || js_get_u64(one, "mtu", MTU_MOST, &mtu, err) < 0)
			return error_wrap(err, "interfaces[%zu]", i);
		if (!sandbox || !*sandbox || !str_eq(name, ifname))
			continue;
		if (mac && *mac && mac_parse(mac, bytes))
			return error_set(err, ERR_INVALID, "interfaces[%zu]: mac is no MAC address", i);
		if (mac && *mac)
			mac_format(bytes, ret->mac);
		ret->mtu = mtu >= MTU_LEAST ? (unsigned)mtu : 0;
		*ret_index = (int64_t)i;
		return 0;
	}
	return 0;
}

static int result_links(struct json_object *obj, struct cni_result *ret, struct error **err)
{
	struct json_object *list;
	size_t n;

	if (result_array(obj, "interfaces", &list, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *name = NULL, *sandbox = NULL;

		if (js_get_string(one, "name", &name, err) < 0 || js_get_string(one, "sandbox", &sandbox, err) < 0)
			return error_wrap(err, "interfaces[%zu]", i);
		if (name && *name && strlen(name) < sizeof(ret->ifname) && (!sandbox || !*sandbox))
			strv_append(&ret->links, name);
	}
	return 0;
}

static int result_address(struct json_object *one, struct cni_result *ret, struct error **err)
{
	const char *address = NULL, *gateway = NULL;
	struct ip4_cidr cidr;
	uint32_t gw;

	if (js_get_string(one, "address", &address, err) < 0 || js_get_string(one, "gateway", &gateway, err) < 0)
		return -1;
	if (!address)
		return error_set(err, ERR_INVALID, "address is missing");
	if (is_ip6(address))
		return 0;
	if (ip4_parse_cidr(address, &cidr, err) < 0)
		return error_wrap(err, "address");
	if (gateway && *gateway && ip4_parse(gateway, &gw, err) < 0)
		return error_wrap(err, "gateway");
	snprintf(ret->address, sizeof(ret->address), "%s", address);
	if (gateway)
		snprintf(ret->gateway, sizeof(ret->gateway), "%s", gateway);
	return 0;
}

/* Of the container's interface; an address that names none belongs to it as well. */
static int result_addresses(struct json_object *obj, int64_t interface, struct cni_result *ret, struct error **err)
{
	struct json_object *list;
	size_t n;

	if (result_array(obj, "ips", &list, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n && !ret->address[0]; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		int64_t at = interface;

		if (js_get_i64(one, "interface", &at, err) < 0 ||
		    (at == interface && result_address(one, ret, err) < 0))
			return error_wrap(err, "ips[%zu]", i);
	}
	if (!ret->address[0])
		return error_set(err, ERR_INVALID,
				 "it has no IPv4 address for the container's interface (an IPAM plugin such as "
				 "host-local gives one)");
	return 0;
}

static int result_route(struct json_object *one, struct cni_result *ret, struct error **err)
{
	struct cni_route *route = &ret->routes[ret->nroutes];
	const char *dst = NULL, *gw = NULL;
	uint32_t via;

	if (js_get_string(one, "dst", &dst, err) < 0 || js_get_string(one, "gw", &gw, err) < 0)
		return -1;
	if (!dst)
		return error_set(err, ERR_INVALID, "dst is missing");
	if (is_ip6(dst))
		return 0;
	if (ip4_parse_cidr(dst, &route->to, err) < 0)
		return error_wrap(err, "dst");
	if (gw && *gw && ip4_parse(gw, &via, err) < 0)
		return error_wrap(err, "gw");
	/* Without a gateway of its own a route uses the address's. */
	snprintf(route->via, sizeof(route->via), "%s", gw && *gw ? gw : ret->gateway);
	if (route->to.prefix > 0)
		ret->nroutes++;
	else if (route->via[0])
		snprintf(ret->gateway, sizeof(ret->gateway), "%s", route->via);
	return 0;
}

static int result_routes(struct json_object *obj, struct cni_result *ret, struct error **err)
{
	struct json_object *list;
	size_t n;

	if (result_array(obj, "routes", &list, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (result_route(json_object_array_get_idx(list, i), ret, err) < 0)
			return error_wrap(err, "routes[%zu]", i);
	return 0;
}

static int result_dns(struct json_object *obj, struct cni_result *ret, struct error **err)
{
	struct json_object *dns = NULL;
	cleanup_strv char **servers = NULL;
	uint32_t addr;

	if (js_get_object(obj, "dns", &dns, err) < 0)
		return -1;
	if (dns && js_get_strv(dns, "nameservers", &servers, NULL, err) < 0)
		return error_wrap(err, "dns");
	for (char **s = servers; s && *s && strv_len(ret->dns) < DNS_MAX; s++)
		if (ip4_parse(*s, &addr, NULL) == 0)
			strv_append(&ret->dns, *s);
	return 0;
}

int cni_result_parse(struct json_object *obj, const char *ifname, struct cni_result *ret, struct error **err)
{
	int64_t interface;

	*ret = (struct cni_result){0};
	snprintf(ret->ifname, sizeof(ret->ifname), "%s", ifname);
	if (!obj || !json_object_is_type(obj, json_type_object))
		error_set(err, ERR_INVALID, "it is empty");
	else if (result_interface(obj, ifname, ret, &interface, err) == 0 && result_links(obj, ret, err) == 0 &&
		 result_addresses(obj, interface, ret, err) == 0 && result_routes(obj, ret, err) == 0 &&
		 result_dns(obj, ret, err) == 0)
		return 0;
	cni_result_clear(ret);
	return error_wrap(err, "result of the CNI plugins");
}

void cni_result_clear(struct cni_result *r)
{
	strv_free(&r->dns);
	strv_free(&r->links);
	*r = (struct cni_result){0};
}
