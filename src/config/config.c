/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/fs.h"
#include "base/str.h"
#include "config/check.h"
#include "config/config.h"
#include "config/decode.h"
#include "config/fields.h"

#define GIB (1ULL << 30)
#define OVERLAY_SIZE (16 * GIB)
#define SLOT_SIZE (64 * GIB)
#define INTERFACE_MAX 15

bool config_is_socket_path(const char *address)
{
	return address[0] == '/' || str_starts(address, "./") || str_starts(address, "../") ||
	       str_starts(address, "~/") || str_ends(address, ".sock");
}

/* Long names keep their beginning and get part of their hash, so that two of them do not become
 * one. */
static char *short_name(const char *prefix, const char *group, const char *suffix, size_t max)
{
	char *name = str_fmt("%s%s%s", prefix, group, suffix);

	if (strlen(name) <= max)
		return name;
	cleanup_free char *hash = sha256_hex(group, strlen(group));
	int keep = (int)(max - strlen(prefix) - strlen(suffix) - 6);
	free(name);
	return str_fmt("%s%.*s%.6s%s", prefix, keep, group, hash, suffix);
}

char *config_default_bridge(const char *group)
{
	return short_name("br", group, "0", INTERFACE_MAX);
}

char *config_default_tap_prefix(const char *group)
{
	return short_name("", group, "tap", INTERFACE_MAX - 3); /* three digits fit */
}

static void strip_last_colon(char *s)
{
	size_t len = strlen(s);

	if (len && s[len - 1] == ':')
		s[len - 1] = '\0';
}

/* The path of a socket as clients read it. */
static void expand_home(char **path)
{
	const char *home = getenv("HOME");
	char *full;

	if (!*path || !str_starts(*path, "~/") || !home || !*home)
		return;
	full = fs_join(home, *path + 2);
	free(*path);
	*path = full;
}

/* One key per line, whether the file has a list of lines or one text of many. */
static void split_ssh_keys(char ***keys)
{
	cleanup_strv char **given = TAKE_PTR(*keys);

	for (size_t i = 0; i < strv_len(given); i++) {
		cleanup_strv char **lines = strv_split(given[i], '\n');

		for (size_t j = 0; lines[j]; j++) {
			const char *line = str_trim(lines[j]);

			if (*line && *line != '#')
				strv_append(keys, line);
		}
	}
}

/* The number at the end of a slot's name: 3 of "slot3"; 0 when there is none that can be an index.
 */
static uint32_t trailing_number(const char *name)
{
	size_t len = strlen(name), digits = 0;
	uint64_t n;

	while (digits < len && name[len - digits - 1] >= '0' && name[len - digits - 1] <= '9')
		digits++;
	if (digits == 0 || str_to_u64(name + len - digits, 1, 255, "slot", &n, NULL) < 0)
		return 0;
	return (uint32_t)n;
}

static void resolve_slots(struct config_group *g)
{
	g->network.mode = NET_SLOTS;
	if (!object_given(&config_group_type, g, "count"))
		g->count = 0;
	if (!object_given(&config_group_type, g, "vcpu"))
		g->vcpu = 1;
	if (!config_group_has_ram(g))
		g->ram_bytes = GIB;
	for (size_t i = 0; i < g->nslots; i++)
		if (g->slots[i].index == 0)
			g->slots[i].index = trailing_number(g->slots[i].name);
}

size_t config_group_vms(const struct config_group *g)
{
	return g->nslots ? g->nslots : g->count;
}

bool config_group_dns_given(const struct config_group *g)
{
	return object_given(&config_group_type, g, "dns_servers");
}

static void resolve_bridge(struct config_group *g)
{
	struct config_network *net = &g->network;

	if (!net->bridge)
		net->bridge = config_default_bridge(g->name);
	if (!net->tap_prefix)
		net->tap_prefix = config_default_tap_prefix(g->name);
	if (!net->gateway)
		net->gateway = str_dup("192.168.137.1/24");
}

/* Defaults that depend on other keys. */
static void resolve_group(const struct config *cfg, struct config_group *g)
{
	if (g->nslots)
		resolve_slots(g);
	else if (!object_given(&config_group_type, g, "network"))
		g->network.mode = NET_CNI;
	if (g->network.mode == NET_BRIDGE)
		resolve_bridge(g);
	if (!g->network_name)
		g->network_name = str_dup(cfg->network_name);
	if (g->storage == STORAGE_IMAGE)
		g->persistent = true;
	if (g->storage == STORAGE_OVERLAY && !g->storage_size)
		g->storage_size = g->nslots ? SLOT_SIZE : OVERLAY_SIZE;
	if (!object_given(&config_group_type, g, "accel"))
		g->accel = cfg->accel;
}

static void resolve(struct config *cfg)
{
	strip_last_colon(cfg->api.bind_address);
	strip_last_colon(cfg->ssh.bind_address);
	expand_home(&cfg->api.bind_address);
	expand_home(&cfg->api.socket);
	if (!object_given(object_field(object_field(&config_type, "api")->object, "auth")->object, &cfg->api.auth,
			  "enabled"))
		cfg->api.auth.enabled = !config_api_socket(cfg);
	split_ssh_keys(&cfg->ssh_keys);
	for (size_t i = 0; i < cfg->ngroups; i++)
		resolve_group(cfg, &cfg->groups[i]);
}

/* The file has one key, `config`. */
static int find_root(const struct decode *d, const struct value *v, const struct value **ret, struct error **err)
{
	if (v->kind != VALUE_MAP)
		return decode_fail(d, v, err, "the file must be a map with the key \"config\", not %s",
				   value_kind_name(v));
	for (size_t i = 0; i < v->n; i++) {
		const struct value *item = &v->items[i];
		struct value at = {.line = item->key_line, .column = item->key_column};

		if (str_eq(item->key, "config"))
			continue;
		cleanup_free char *key = str_escape(item->key, strlen(item->key));
		return decode_fail(d, &at, err,
				   "unknown key \"%.64s\" at the top of the file; everything belongs below "
				   "\"config:\"",
				   key);
	}
	*ret = value_find(v, "config");
	return *ret ? 0 : decode_fail(d, v, err, "the file needs the key \"config\"");
}

int config_parse(const char *text, size_t n, const char *name, struct config **ret, struct error **err)
{
	cleanup_config struct config *cfg = NEW(struct config);
	const struct decode d = {.name = name};
	const struct value *root = NULL;

	object_init(&config_type, cfg);
	cfg->name = str_dup(name);
	if (n > CONFIG_FILE_MAX)
		return error_set(err, ERR_TOO_LARGE, "%s is larger than %d KiB, the limit for a configuration",
				 name ? name : "it", CONFIG_FILE_MAX / 1024);
	if (value_from_yaml(text, n, name, &cfg->source, err) < 0 || find_root(&d, cfg->source, &root, err) < 0 ||
	    object_decode(&d, &config_type, root, "", cfg, err) < 0)
		return -1;
	resolve(cfg);
	*ret = TAKE_PTR(cfg);
	return 0;
}

int config_load_file(const char *path, struct config **ret, struct error **err)
{
	cleanup_config struct config *cfg = NULL;
	cleanup_free char *text = NULL;
	size_t n;

	if (fs_read_file(path, CONFIG_FILE_MAX, &text, &n, err) < 0) {
		if (err && (*err)->code == ERR_TOO_LARGE)
			(*err)->code = ERR_INVALID; /* it cannot be right: the same exit status as for what is in it */
		if (err && (*err)->sys_errno == ENOENT) {
			error_free(err);
			return error_set(err, ERR_NOT_FOUND,
					 "there is no %s: name a configuration, or make one (slicer new NAME > FILE)",
					 path);
		}
		return error_wrap(err, "cannot read the configuration");
	}
	if (config_parse(text, n, path, &cfg, err) < 0 || config_check(cfg, err) < 0)
		return -1;
	*ret = TAKE_PTR(cfg);
	return 0;
}

void config_free(struct config **cfg)
{
	if (!*cfg)
		return;
	value_free(&(*cfg)->source);
	free((*cfg)->name);
	object_clear(&config_type, *cfg);
	free(*cfg);
	*cfg = NULL;
}

struct config_group *config_group_find(const struct config *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->ngroups; i++)
		if (str_eq(cfg->groups[i].name, name))
			return &cfg->groups[i];
	return NULL;
}

const struct config_slot *config_group_slot(const struct config_group *g, const char *name)
{
	for (size_t i = 0; g && i < g->nslots; i++)
		if (str_eq(g->slots[i].name, name))
			return &g->slots[i];
	return NULL;
}

const char *config_group_image(const struct config *cfg, const struct config_group *g)
{
	return g->image ? g->image : cfg->image ? cfg->image : CONFIG_DEFAULT_IMAGE;
}

const char *config_api_socket(const struct config *cfg)
{
	if (cfg->api.socket)
		return cfg->api.socket;
	return config_is_socket_path(cfg->api.bind_address) ? cfg->api.bind_address : NULL;
}

static void append_line(void *ctx, const char *what)
{
	strv_append(ctx, what);
}

char **config_not_yet(const struct config *cfg)
{
	char **list = NULL;

	object_each_not_yet(&config_type, cfg, "", append_line, &list);
	return list;
}

struct json_object *config_to_json(const struct config *cfg)
{
	return object_to_json(&config_type, cfg);
}

static const char *enum_name(const struct object_type *type, const char *key, int value)
{
	for (const struct field_value *fv = object_field(type, key)->values; fv->name; fv++)
		if (fv->value == value)
			return fv->name;
	return "unknown";
}

const char *config_hypervisor_name(enum config_hypervisor h)
{
	return enum_name(&config_type, "hypervisor", h);
}

const char *config_storage_name(enum config_storage s)
{
	return enum_name(&config_group_type, "storage", s);
}

const char *config_net_mode_name(enum config_net_mode m)
{
	return enum_name(&config_network_type, "mode", m);
}
