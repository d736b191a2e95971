/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "base/units.h"
#include "config/check.h"
#include "config/decode.h"
#include "config/fields.h"

/* The value at v.path, or the nearest one around it. */
static const struct value *find_below(const struct value *v, const char *path)
{
	cleanup_strv char **parts = strv_split(path, '.');

	for (size_t i = 0; parts[i]; i++) {
		const struct value *next = value_find(v, parts[i]);

		if (!next)
			break;
		v = next;
	}
	return v;
}

/* The value at config.host_groups[group].path, or the nearest one around it. */
static const struct value *find_place(const struct config *cfg, size_t group, const char *path)
{
	const struct value *v = value_find(value_find(cfg->source, "config"), "host_groups");

	return v && group < v->n ? find_below(&v->items[group], path) : NULL;
}

char *config_where(const struct config *cfg, const struct config_group *g, const char *key)
{
	const struct value *config = value_find(cfg->source, "config");
	const struct value *v = g	 ? find_place(cfg, (size_t)(g - cfg->groups), key)
				: config ? find_below(config, key)
					 : NULL;

	return v && v->line ? str_fmt("%s:%u:%u", cfg->name, v->line, v->column) : str_dup(cfg->name);
}

int check_fail(const struct config *cfg, size_t group, const char *path, struct error **err, const char *fmt, ...)
{
	const struct decode d = {.name = cfg->name};
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vfmt(fmt, ap);
	va_end(ap);
	return decode_fail(&d, find_place(cfg, group, path), err, "host_groups[%zu]%s%s: %s", group, *path ? "." : "",
			   path, text);
}

bool config_group_has_ram(const struct config_group *g)
{
	return object_given(&config_group_type, g, "ram_gb") || object_given(&config_group_type, g, "ram_mb") ||
	       object_given(&config_group_type, g, "ram_bytes");
}

static int check_storage(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];

	if (g->storage == STORAGE_IMAGE && !g->storage_size)
		return check_fail(cfg, i, "storage", err,
				  "storage image makes a full disk per VM and needs its size; add "
				  "storage_size: 25G");
	if (g->storage == STORAGE_DEVMAPPER && g->storage_size)
		return check_fail(cfg, i, "storage_size", err,
				  "devmapper takes the size from its thin pool; leave storage_size "
				  "out, or use storage "
				  "image or zfs");
	return 0;
}

static unsigned count_digits(uint32_t n)
{
	unsigned digits = 1;

	while (n >= 10) {
		n /= 10;
		digits++;
	}
	return digits;
}

static int check_isolated_name(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	size_t room = ISOLATED_NAME_MAX - 1 - count_digits(g->count ? g->count : 1);

	if (g->network.mode != NET_ISOLATED || strlen(g->name) <= room)
		return 0;
	return check_fail(cfg, i, "name", err,
			  "\"%s\" is too long for an isolated network: VM names such as %s-%u may "
			  "have at most %d "
			  "characters there, which leaves %zu for the group; agents would fit",
			  g->name, g->name, g->count ? g->count : 1, ISOLATED_NAME_MAX, room);
}

static int check_name(const struct config *cfg, size_t i, struct error **err)
{
	for (size_t j = 0; j < i; j++)
		if (str_eq(cfg->groups[i].name, cfg->groups[j].name))
			return check_fail(cfg, i, "name", err,
					  "the name \"%s\" is also that of host_groups[%zu]; names "
					  "must differ",
					  cfg->groups[i].name, j);
	return check_isolated_name(cfg, i, err);
}

/* "vm-3" is the name of a VM when there is a group "vm". */
static bool is_generated_name(const struct config *cfg, const char *hostname)
{
	const char *dash = strrchr(hostname, '-');

	if (!dash || !dash[1] || dash[1] == '0' || dash[1 + strspn(dash + 1, "0123456789")])
		return false;
	cleanup_free char *group = str_ndup(hostname, (size_t)(dash - hostname));
	return config_group_find(cfg, group);
}

static int check_slot(const struct config *cfg, size_t i, size_t k, struct error **err)
{
	const struct config_slot *slot = &cfg->groups[i].slots[k];
	cleanup_free char *path = str_fmt("slots.%s", slot->name);

	if (slot->index == 0)
		return check_fail(cfg, i, path, err,
				  "the name does not end in a number from 1 to 255; rename it (slot6) "
				  "or write %s: {index: N}",
				  slot->name);
	if (is_generated_name(cfg, slot->name))
		return check_fail(cfg, i, path, err, "\"%s\" is the name of a VM of another group", slot->name);
	for (size_t j = 0; j <= i; j++) {
		const struct config_group *other = &cfg->groups[j];

		for (size_t m = 0; m < (j == i ? k : other->nslots); m++) {
			if (str_eq(other->slots[m].name, slot->name))
				return check_fail(cfg, i, path, err, "host_groups[%zu] has a slot of that name too", j);
			if (other->slots[m].index == slot->index)
				return check_fail(cfg, i, path, err,
						  "index %u, and with it subnet 10.%u.0.0/24, is "
						  "also that of slot %s",
						  slot->index, slot->index, other->slots[m].name);
		}
	}
	return 0;
}

int check_slots(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];

	if (g->nslots && g->count)
		return check_fail(cfg, i, "count", err, "a group with slots has one VM per slot; leave count out");
	if (g->nslots && object_given(&config_group_type, g, "network"))
		return check_fail(cfg, i, "network", err,
				  "slots have their own networks (10.N.0.0/24); leave the network section out");
	for (size_t k = 0; k < g->nslots; k++)
		if (check_slot(cfg, i, k, err) < 0)
			return -1;
	return 0;
}

static int check_template(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];

	if (g->warm && !g->template)
		return check_fail(cfg, i, "warm", err,
				  "only forks of a template can be kept ready; add template: true");
	if (g->template && g->nslots)
		return check_fail(cfg, i, "template", err, "a group with slots cannot be a template");
	return 0;
}

static int check_api(const struct config *cfg, struct error **err)
{
	const struct decode d = {.name = cfg->name};
	const struct value *api = value_find(value_find(cfg->source, "config"), "api");

	if (cfg->api.socket && config_is_socket_path(cfg->api.bind_address))
		return decode_fail(&d, api, err, "api: socket and bind_address both name a Unix socket; give only one");
	return 0;
}

int config_check(const struct config *cfg, struct error **err)
{
	static int (*const checks[])(const struct config *, size_t, struct error **) = {
		check_name, check_storage, check_slots, check_template, check_network,
	};

	if (check_api(cfg, err) < 0)
		return -1;
	for (size_t i = 0; i < cfg->ngroups; i++)
		for (size_t k = 0; k < ARRAY_LEN(checks); k++)
			if (checks[k](cfg, i, err) < 0)
				return -1;
	return check_networks(cfg, err);
}
