/* SPDX-License-Identifier: MIT */
#include "host/up_check.h"

#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "net/isolated_pool.h"
#include "net/mode.h"

/* Other systems' configurations have references to registries here. */
static int up_check_image(const struct config *cfg, const struct config_group *g, struct error **err)
{
	const char *image = config_group_image(cfg, g);
	cleanup_free char *where = NULL;

	if (!image[strcspn(image, "/:@")])
		return 0;
	where = config_where(cfg, g->image ? g : NULL, "image");
	return error_set(
		err, ERR_INVALID,
		"%s: host group \"%s\": image \"%s\" is in a registry, from which this version cannot get images yet; use "
		"image: debian or micro, or one made of a root filesystem by \"slicer image import\"",
		where, g->name, image);
}

static int up_check_network(const struct config *cfg, const struct config_group *g, struct error **err)
{
	const struct net_mode *mode = net_mode(g->network.mode);
	cleanup_free char *where = config_where(cfg, g, "network.mode");

	if (mode && mode->needs_root && geteuid() != 0)
		return error_set(err, ERR_FORBIDDEN,
				 "%s: host group \"%s\": network mode %s needs root: run it with sudo, or use "
				 "network: {mode: user}",
				 where, g->name, config_net_mode_name(g->network.mode));
	if (!mode)
		return error_set(err, ERR_INVALID,
				 "%s: host group \"%s\": network mode \"%s\" is not in this version yet; "
				 "use bridge or user (slicer new %s --net user)",
				 where, g->name, config_net_mode_name(g->network.mode), g->name);
	return 0;
}

/* A launch reads it again: it may have changed by then. */
static int up_check_userdata(const struct config *cfg, const struct config_group *g, struct error **err)
{
	cleanup_free char *text = NULL, *where = NULL;
	size_t n;

	if (!g->userdata_file)
		return 0;
	where = config_where(cfg, g, "userdata_file");
	if (fs_read_file(g->userdata_file, CONFIG_USERDATA_MAX, &text, &n, err))
		return error_wrap(err, "%s: host group \"%s\": userdata_file", where, g->name);
	if (strlen(text) == n)
		return 0;
	return error_set(err, ERR_INVALID,
			 "%s: host group \"%s\": userdata_file: %s is not a text file: it has a NUL byte", where,
			 g->name, g->userdata_file);
}

static int up_check_storage(const struct config *cfg, const struct config_group *g, struct error **err)
{
	cleanup_free char *where = config_where(cfg, g, "storage");

	if (g->storage != STORAGE_OVERLAY)
		return error_set(err, ERR_INVALID,
				 "%s: host group \"%s\": storage \"%s\" is not in this version yet; "
				 "use storage: overlay",
				 where, g->name, config_storage_name(g->storage));
	return 0;
}

static bool up_subnet(const struct config_group *g, struct ip4_cidr *ret)
{
	if (g->network.mode == NET_ISOLATED)
		return net_isolated_range(g, ret, NULL) == 0;
	return g->network.mode == NET_BRIDGE && ip4_parse_cidr(g->network.gateway, ret, NULL) == 0;
}

/* A range that follows from a group's name is in no file. Two groups may have the same, but no part of one. */
static int up_check_range(const struct config *cfg, const struct config_group *g, struct error **err)
{
	cleanup_free char *where = config_where(cfg, g, "network.mode");
	struct ip4_cidr range, other;
	char text[IP4_TEXT_MAX], of_other[IP4_TEXT_MAX];

	if (g->network.mode != NET_ISOLATED || g->network.range || !up_subnet(g, &range))
		return 0;
	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *o = &cfg->groups[i];
		bool same_kind = o->network.mode == NET_ISOLATED;

		if (o == g || !up_subnet(o, &other) || !ip4_overlaps(range, other) ||
		    (same_kind && range.addr == other.addr && range.prefix == other.prefix))
			continue;
		ip4_format_cidr(range, text);
		ip4_format_cidr(other, of_other);
		return error_set(
			err, ERR_INVALID,
			"%s: host group \"%s\": its range %s, which follows from its name, overlaps %s of host "
			"group \"%s\"; set network.range to another subnet",
			where, g->name, text, of_other, o->name);
	}
	return 0;
}

/* What VMs would lack is refused; what they only get in another way, or nobody needs here, is said (up_check_tell). */
int up_check_lacking(const struct config *cfg, struct error **err)
{
	cleanup_free char *pci = config_where(cfg, NULL, "pci"), *kernel = config_where(cfg, NULL, "kernel_image");

	if (cfg->kernel_image)
		return error_set(
			err, ERR_INVALID,
			"%s: kernel_image \"%s\" is in a registry, from which this version cannot get kernels yet; "
			"name a kernel on this host by kernel_file, or leave it out: images have their own",
			kernel, cfg->kernel_image);
	if (cfg->npci)
		return error_set(err, ERR_INVALID,
				 "%s: pci: this version cannot give PCI devices to VMs yet; leave it out", pci);
	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i];
		cleanup_free char *gpus = config_where(cfg, g, "gpu_count");

		if (g->gpu_count)
			return error_set(
				err, ERR_INVALID,
				"%s: host group \"%s\": gpu_count: this version cannot give GPUs to VMs yet; leave it "
				"out, or set it to 0",
				gpus, g->name);
	}
	return 0;
}

/* "host_groups[0].template" */
static char *up_check_where(const struct config *cfg, const char *path)
{
	static const char groups[] = "host_groups[";
	const char *end = str_starts(path, groups) ? strstr(path, "].") : NULL;
	cleanup_free char *index = end ? str_ndup(path + strlen(groups), (size_t)(end - path) - strlen(groups)) : NULL;
	uint64_t i;

	if (!index || str_to_u64(index, 0, cfg->ngroups - 1, "index", &i, NULL))
		return config_where(cfg, NULL, path);
	return config_where(cfg, &cfg->groups[i], end + 2);
}

static void up_check_tell(const struct config *cfg)
{
	cleanup_strv char **later = config_not_yet(cfg);

	for (char **key = later; key && *key; key++) {
		cleanup_free char *where = up_check_where(cfg, *key);

		log_warn("%s: %s has no effect in this version yet", where, *key);
	}
}

int up_check_version(const struct config *cfg, struct error **err)
{
	cleanup_free char *where = config_where(cfg, NULL, "hypervisor");

	if (cfg->hypervisor != HYPERVISOR_QEMU && cfg->hypervisor != HYPERVISOR_FAKE)
		return error_set(err, ERR_INVALID,
				 "%s: hypervisor \"%s\" is not in this version yet; use hypervisor: qemu", where,
				 config_hypervisor_name(cfg->hypervisor));
	if (up_check_lacking(cfg, err))
		return -1;
	for (size_t i = 0; i < cfg->ngroups; i++)
		if (up_check_storage(cfg, &cfg->groups[i], err) || up_check_image(cfg, &cfg->groups[i], err))
			return -1;
	return 0;
}

int up_check(const struct config *cfg, struct error **err)
{
	if (up_check_version(cfg, err))
		return -1;
	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i];

		if (up_check_network(cfg, g, err) || up_check_userdata(cfg, g, err) || up_check_range(cfg, g, err))
			return -1;
	}
	up_check_tell(cfg);
	return 0;
}
