/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/config.h"

void guest_config_free(struct guest_config **c)
{
	struct guest_config *g = *c;

	if (!g)
		return;
	free(g->hostname);
	free(g->group);
	free(g->machine_id);
	free(g->lower);
	free(g->upper);
	free(g->modules);
	free(g->userdata);
	for (size_t i = 0; i < g->nnetworks; i++)
		free(g->networks[i].routes);
	free(g->networks);
	strv_free(&g->dns);
	strv_free(&g->ssh_keys);
	free(g);
	*c = NULL;
}

static int copy_string(struct json_object *obj, const char *key, char **ret, struct error **err)
{
	const char *value = NULL;

	if (js_get_string(obj, key, &value, err) < 0)
		return -1;
	*ret = str_dup(value);
	return 0;
}

static bool is_hostname(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	return n > 0 && n <= 64 && s[n] == '\0' && s[0] != '-' && s[0] != '.';
}

static bool is_machine_id(const char *s)
{
	return strspn(s, "0123456789abcdef") == 32 && s[32] == '\0';
}

/* Control characters in a line of resolv.conf or authorized_keys would add lines of another meaning. */
static int check_lines(char *const *list, const char *key, struct error **err)
{
	if (strv_len(list) > CONFIG_MAX_LIST)
		return error_set(err, ERR_INVALID, "%s: more than %d entries", key, CONFIG_MAX_LIST);
	for (; list && *list; list++) {
		for (const char *p = *list; *p; p++) {
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				return error_set(err, ERR_INVALID, "%s: control character in an entry", key);
		}
	}
	return 0;
}

static int check_dns(char *const *list, struct error **err)
{
	struct in6_addr addr;

	for (; list && *list; list++) {
		if (inet_pton(AF_INET, *list, &addr) != 1 && inet_pton(AF_INET6, *list, &addr) != 1)
			return error_set(err, ERR_INVALID, "dns: '%s' is not an address", *list);
	}
	return 0;
}

static int parse_mac(const char *s, unsigned char ret[6], struct error **err)
{
	int end = 0;

	if (sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &ret[0], &ret[1], &ret[2], &ret[3], &ret[4], &ret[5],
		   &end) != 6 ||
	    s[end] != '\0')
		return error_set(err, ERR_INVALID, "network: '%s' is not a MAC address", s);
	return 0;
}

static int parse_cidr(const char *s, struct in_addr *ret, unsigned *ret_prefix, struct error **err)
{
	cleanup_strv char **parts = strv_split(s, '/');
	uint64_t prefix = 0;

	if (strv_len(parts) != 2 || inet_pton(AF_INET, parts[0], ret) != 1 ||
	    str_to_u64(parts[1], 1, 32, "prefix", &prefix, NULL) < 0)
		return error_set(err, ERR_INVALID, "network: '%s' is not an address with a prefix length", s);
	*ret_prefix = (unsigned)prefix;
	return 0;
}

/* "10.0.0.0/8 10.1.2.3", or without a gateway. */
static int parse_route(const char *s, struct guest_route *ret, struct error **err)
{
	cleanup_strv char **words = strv_split(s, ' ');

	if (parse_cidr(words[0], &ret->to, &ret->prefix, err) < 0)
		return -1;
	if (words[1] && (words[2] || inet_pton(AF_INET, words[1], &ret->via) != 1))
		return error_set(err, ERR_INVALID, "network: '%.60s' is no route", s);
	return 0;
}

static int parse_routes(struct json_object *obj, struct guest_network *net, struct error **err)
{
	cleanup_strv char **list = NULL;

	if (js_get_strv(obj, "routes", &list, NULL, err) < 0)
		return -1;
	if (strv_len(list) > CONFIG_MAX_LIST)
		return error_set(err, ERR_INVALID, "network: more than %d routes", CONFIG_MAX_LIST);
	net->routes = mem_alloc_array(strv_len(list) + 1, sizeof(*net->routes));
	for (char **s = list; s && *s; s++)
		if (parse_route(*s, &net->routes[net->nroutes++], err) < 0)
			return -1;
	return 0;
}

static int parse_network(struct json_object *obj, struct guest_network *net, struct error **err)
{
	const char *mac = NULL, *address = NULL, *gateway = NULL;
	uint64_t mtu = 0;

	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, ERR_INVALID, "network: an entry is not an object");
	if (js_get_string(obj, "mac", &mac, err) < 0 || js_get_string(obj, "address", &address, err) < 0 ||
	    js_get_string(obj, "gateway", &gateway, err) < 0 || js_get_bool(obj, "dhcp", &net->dhcp, err) < 0 ||
	    js_get_bool(obj, "dhcp_dns", &net->dhcp_dns, err) < 0 || js_get_bool(obj, "ipv6", &net->ipv6, err) < 0 ||
	    js_get_u64(obj, "mtu", 65535, &mtu, err) < 0)
		return -1;
	if (mtu > 0 && mtu < 576)
		return error_set(err, ERR_INVALID, "network: mtu %u is below 576", (unsigned)mtu);
	net->mtu = (unsigned)mtu;
	net->has_mac = mac != NULL;
	if (mac && parse_mac(mac, net->mac, err) < 0)
		return -1;
	if (!net->dhcp && !address)
		return error_set(err, ERR_INVALID, "network: neither 'address' nor 'dhcp'");
	if (address && parse_cidr(address, &net->address, &net->prefix, err) < 0)
		return -1;
	if (gateway && inet_pton(AF_INET, gateway, &net->gateway) != 1)
		return error_set(err, ERR_INVALID, "network: gateway '%s' is not an IPv4 address", gateway);
	return parse_routes(obj, net, err);
}

static int parse_networks(struct json_object *obj, struct guest_config *c, struct error **err)
{
	struct json_object *list = NULL;
	size_t n;

	if (js_get_array(obj, "network", &list, err) < 0)
		return -1;
	n = list ? json_object_array_length(list) : 0;
	if (n > CONFIG_MAX_LIST)
		return error_set(err, ERR_INVALID, "network: more than %d entries", CONFIG_MAX_LIST);
	c->networks = mem_alloc_array(n + 1, sizeof(*c->networks));
	while (c->nnetworks < n) { /* what one that is refused has is freed, too */
		struct guest_network *net = &c->networks[c->nnetworks];

		if (parse_network(json_object_array_get_idx(list, c->nnetworks++), net, err) < 0)
			return -1;
	}
	return 0;
}

static int parse_members(struct json_object *obj, struct guest_config *c, struct error **err)
{
	struct json_object *root = NULL;
	uint64_t version = 0;

	if (js_get_u64(obj, "version", UINT32_MAX, &version, err) < 0)
		return -1;
	if (version != 1)
		return error_set(err, ERR_INVALID, "version: this agent reads version 1");
	if (copy_string(obj, "hostname", &c->hostname, err) < 0 || copy_string(obj, "group", &c->group, err) < 0 ||
	    copy_string(obj, "machine_id", &c->machine_id, err) < 0 ||
	    copy_string(obj, "userdata", &c->userdata, err) < 0 || js_get_object(obj, "root", &root, err) < 0)
		return -1;
	if (root && (copy_string(root, "lower", &c->lower, err) < 0 || copy_string(root, "upper", &c->upper, err) < 0 ||
		     copy_string(root, "modules", &c->modules, err) < 0))
		return -1;
	if (c->hostname && !is_hostname(c->hostname))
		return error_set(err, ERR_INVALID, "hostname: '%.80s' is not a host name", c->hostname);
	if (c->machine_id && !is_machine_id(c->machine_id))
		return error_set(err, ERR_INVALID, "machine_id: not 32 lower-case hex digits");
	if (js_get_strv(obj, "dns", &c->dns, NULL, err) < 0 ||
	    js_get_strv(obj, "ssh_keys", &c->ssh_keys, NULL, err) < 0 || check_lines(c->dns, "dns", err) < 0 ||
	    check_dns(c->dns, err) < 0 || check_lines(c->ssh_keys, "ssh_keys", err) < 0)
		return -1;
	return parse_networks(obj, c, err);
}

struct guest_config *guest_config_parse(const char *text, size_t n, struct error **err)
{
	cleanup_json struct json_object *obj = NULL;
	cleanup_guest_config struct guest_config *c = NEW(struct guest_config);

	if (n > CONFIG_MAX_SIZE + 4096) {
		error_set(err, ERR_TOO_LARGE, "config over %d bytes", CONFIG_MAX_SIZE);
		return NULL;
	}
	while (n > 0 && text[n - 1] == '\0')
		n--;
	obj = js_parse(text, n, err);
	if (!obj)
		return NULL;
	if (!json_object_is_type(obj, json_type_object)) {
		error_set(err, ERR_INVALID, "config is not a JSON object");
		return NULL;
	}
	return parse_members(obj, c, err) < 0 ? NULL : TAKE_PTR(c);
}

struct guest_config *guest_config_load(const char *path, struct error **err)
{
	cleanup_free char *text = NULL;
	struct guest_config *c;
	size_t n;

	if (fs_read_file(path, CONFIG_MAX_SIZE + 4096, &text, &n, err) < 0)
		return NULL;
	c = guest_config_parse(text, n, err);
	if (!c)
		error_wrap(err, "%s", path);
	return c;
}
