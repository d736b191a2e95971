/* SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"
#include "config/decode.h"
#include "config/ip4.h"
#include "config/request.h"
#include "config/request_types.h"
#include "config/syntax.h"

#define RULES_MAX 16384

/* Some clients send what was not given as "". */
static int check_user(const char *s, struct error **err)
{
	return *s ? syntax_github_user(s, err) : 0;
}

/* clang-format off */
#define AT(member) .offset = offsetof(struct request_network, member)
static const struct field network_fields[] = {
	{.key = "allow", .type = FIELD_STRV, AT(allow),
	 .has_offset = offsetof(struct request_network, has_allow), .max = RULES_MAX,
	 .item_max = 32, .check = syntax_rule,
	 .help = "Destinations that the VM may reach; absent: the group's list, `[]`: none"},
	{.key = "drop", .type = FIELD_STRV, AT(drop),
	 .has_offset = offsetof(struct request_network, has_drop), .max = RULES_MAX, .item_max = 32,
	 .check = syntax_rule,
	 .help = "Destinations that the VM may not reach; absent: the group's list, `[]`: none"},
};
#undef AT
static const struct object_type network_type = {
	.name = "request-network", .help = "Only for host groups with an isolated network.",
	OBJECT_TYPE(request_network, network_fields)};

#define AT(member) .offset = offsetof(struct node_request, member)
static const struct field node_fields[] = {
	{.key = "ram_bytes", .type = FIELD_U64, AT(ram_bytes), .max = 1ULL << 44, .unit = "bytes",
	 .preset_doc = "the group's", .help = "Memory; at most the group's, and 0 is the group's"},
	{.key = "cpus", .type = FIELD_U32, AT(cpus), .max = 288, .preset_doc = "the group's",
	 .help = "Virtual CPUs; at most the group's, and 0 is the group's"},
	{.key = "gpu_count", .type = FIELD_U32, AT(gpu_count), .max = 64, .flags = FIELD_NOT_YET,
	 .preset_doc = "0", .help = "GPUs; at most the group's"},
	{.key = "persistent", .type = FIELD_BOOL, AT(persistent), .preset = "false",
	  .help = "Keep the disk when the VM stops"},
	{.key = "disk_image", .type = FIELD_STRING, AT(disk_image), .max = 512,
	 .flags = FIELD_NOT_YET, .preset_doc = "the group's image", .help = "Image of this VM"},
	{.key = "import_user", .type = FIELD_STRING, AT(github_user), .max = 39,
	 .check = check_user, .help = "GitHub user whose public keys may log in"},
	{.key = "github_user", .type = FIELD_STRING, AT(github_user), .max = 39,
	 .check = check_user, .help = "The same"},
	{.key = "ssh_keys", .type = FIELD_STRV, AT(ssh_keys), .max = 64, .item_max = 16384,
	 .check = syntax_ssh_key, .flags = FIELD_MULTILINE,
	 .help = "Public keys that may log in, besides those of the configuration"},
	{.key = "userdata", .type = FIELD_STRING, AT(userdata), .max = CONFIG_USERDATA_MAX,
	 .flags = FIELD_MULTILINE, .preset_doc = "the group's",
	 .help = "Script that runs as root at the first boot"},
	{.key = "ip", .type = FIELD_STRING, AT(ip), .max = 18,
	 .preset_doc = "the next free one", .help = "IPv4 address for the VM"},
	{.key = "tags", .type = FIELD_STRV, AT(tags), .max = REQUEST_TAGS_MAX,
	 .item_max = REQUEST_TAG_MAX,
	 .help = "Free words, usually `key=value`"},
	{.key = "secrets", .type = FIELD_STRV, AT(secrets),
	 .has_offset = offsetof(struct node_request, has_secrets), .max = 256, .item_max = 253,
	 .check = syntax_secret_name, .flags = FIELD_NOT_YET, .preset_doc = "all",
	 .help = "Names of the secrets that the VM may read; `[]`: none"},
	{.key = "network", .type = FIELD_OBJECT, AT(network), .object = &network_type,
	 .help = "Firewall of this VM, in isolated networks"},
	{.key = "hostname", .type = FIELD_STRING, AT(hostname), .max = 253, .flags = FIELD_IGNORED,
	 .help = "Ignored"},
	{.key = "protected", .type = FIELD_BOOL, AT(is_protected), .flags = FIELD_IGNORED,
	 .help = "Ignored"},
	{.key = "pci_devices", .type = FIELD_STRV, AT(pci_devices), .max = 64, .item_max = 64,
	 .flags = FIELD_IGNORED, .help = "Ignored"},
};
#undef AT
const struct object_type node_request_type = {
	.name = "request body", .help = "All keys are optional.",
	OBJECT_TYPE(node_request, node_fields)};

static const struct field_value actions[] = {
	{"shutdown", SHUTDOWN_POWEROFF, 0},
	{"reboot", SHUTDOWN_REBOOT, 0},
	{"", SHUTDOWN_DEFAULT, VALUE_HIDDEN},
	{0},
};
static const struct field shutdown_fields[] = {
	{.key = "action", .type = FIELD_ENUM, .offset = offsetof(struct shutdown_request, action),
	 .values = actions, .help = "What to do"},
};
static const struct object_type shutdown_request_type = {
	.name = "request body", .help = "Optional.",
	OBJECT_TYPE(shutdown_request, shutdown_fields)};

/* clang-format on */

static bool is_blank(const char *body, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!memchr(" \t\r\n", body[i], 4))
			return false;
	return true;
}

static int parse_body(const struct object_type *type, const char *body, size_t n, void *ret, struct error **err)
{
	static const struct decode d = {.ignore_unknown = true};
	cleanup_json struct json_object *json = NULL;
	cleanup_value struct value *v = NULL;

	memset(ret, 0, type->size);
	object_init(type, ret);
	if (n > REQUEST_BODY_MAX)
		return error_set(err, ERR_TOO_LARGE, "the request body is larger than %d KiB", REQUEST_BODY_MAX / 1024);
	if (is_blank(body, n))
		return 0;
	cleanup_error struct error *why = NULL;
	json = js_parse(body, n, &why);
	if (why) {
		error_wrap(&why, "the request body is not valid JSON");
		return error_move(err, &why);
	}
	v = value_from_json(json);
	if (object_decode(&d, type, v, "", ret, err) < 0) {
		object_clear(type, ret);
		return -1;
	}
	return 0;
}

int node_request_parse(const char *body, size_t n, struct node_request *ret, struct error **err)
{
	return parse_body(&node_request_type, body, n, ret, err);
}

int shutdown_request_parse(const char *body, size_t n, struct shutdown_request *ret, struct error **err)
{
	return parse_body(&shutdown_request_type, body, n, ret, err);
}

void node_request_clear(struct node_request *r)
{
	if (r)
		object_clear(&node_request_type, r);
}

int shutdown_action_parse(const char *s, enum shutdown_action *ret, struct error **err)
{
	for (const struct field_value *fv = actions; fv->name; fv++)
		if (str_eq(fv->name, s)) {
			*ret = (enum shutdown_action)fv->value;
			return 0;
		}
	return error_set(err, ERR_INVALID, "action must be shutdown or reboot");
}

/* An address of a client's wish; a mask is allowed and must not change which subnet it is in. */
static int check_ip(const struct node_request *r, const struct config_group *g, struct error **err)
{
	struct ip4_cidr want, gw;

	if (!r->ip || !*r->ip)
		return 0;
	if (ip4_parse_cidr_or_addr(r->ip, &want, err) < 0)
		return error_wrap(err, "ip");
	/* CNI: when a plugin can be given one, which is in its file. */
	if (g->network.mode != NET_BRIDGE && g->network.mode != NET_MACVTAP && g->network.mode != NET_ISOLATED &&
	    g->network.mode != NET_CNI)
		return error_set(err, ERR_INVALID, "ip: VMs of group %s, whose network is %s, cannot choose an address",
				 g->name, config_net_mode_name(g->network.mode));
	if (g->network.gateway && ip4_parse_cidr(g->network.gateway, &gw, NULL) == 0 &&
	    (!ip4_contains(gw, want.addr) || want.addr == gw.addr || want.addr == ip4_network(gw) ||
	     want.addr == ip4_broadcast(gw)))
		return error_set(err, ERR_INVALID, "ip: %s is not a free address in the subnet of gateway %s", r->ip,
				 g->network.gateway);
	return 0;
}

static void first_line(void *ctx, const char *what)
{
	char **first = ctx;

	if (!*first)
		*first = str_dup(what);
}

/* The configuration's are warned of by slicer up; a client of the API would not hear of it. */
static int check_not_yet(const struct node_request *r, struct error **err)
{
	cleanup_free char *first = NULL;

	object_each_not_yet(&node_request_type, r, "", first_line, &first);
	return first ? error_set(err, ERR_UNSUPPORTED, "%s: not in this version yet; leave it out", first) : 0;
}

/* In bytes where the unit would hide the difference: it is often given in GiB. */
static char *ram_text(uint64_t bytes)
{
	return bytes % (1 << 20) ? str_fmt("%llu", (unsigned long long)bytes) : size_format(bytes);
}

int node_request_check(const struct node_request *r, const struct config_group *g, struct error **err)
{
	if (r->cpus > g->vcpu)
		return error_set(err, ERR_INVALID, "cpus: %u is more than the %u of host group %s", r->cpus, g->vcpu,
				 g->name);
	if (r->ram_bytes > g->ram_bytes) {
		cleanup_free char *max = size_format(g->ram_bytes), *asked = ram_text(r->ram_bytes);

		return error_set(err, ERR_INVALID, "ram_bytes: %s is more than the %s of host group %s", asked, max,
				 g->name);
	}
	if (r->ram_bytes && r->ram_bytes < 32ULL << 20)
		return error_set(err, ERR_INVALID, "ram_bytes: %llu is less than 32 MiB, the least that a VM needs",
				 (unsigned long long)r->ram_bytes);
	if (r->gpu_count > g->gpu_count)
		return error_set(err, ERR_INVALID, "gpu_count: %u is more than the %u of host group %s", r->gpu_count,
				 g->gpu_count, g->name);
	if ((r->network.has_allow || r->network.has_drop) && g->network.mode != NET_ISOLATED)
		return error_set(err, ERR_INVALID,
				 "network: allow and drop need a host group with an isolated "
				 "network; that of %s is %s",
				 g->name, config_net_mode_name(g->network.mode));
	return check_not_yet(r, err) || check_ip(r, g, err) ? -1 : 0;
}
