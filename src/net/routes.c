/* SPDX-License-Identifier: MIT */
#include "net/routes.h"

#include "base/str.h"
#include "config/ip4.h"

static void add_subnet(char ***list, struct ip4_cidr c)
{
	char text[IP4_TEXT_MAX];

	ip4_format_cidr((struct ip4_cidr){ip4_network(c), c.prefix}, text);
	if (!strv_contains(*list, text))
		strv_append(list, text);
}

static char **routed_subnets(const struct config *cfg)
{
	char **list = NULL;

	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i];
		struct ip4_cidr gateway;

		if (g->network.mode == NET_BRIDGE && ip4_parse_cidr(g->network.gateway, &gateway, NULL) == 0)
			add_subnet(&list, gateway);
		for (size_t k = 0; k < g->nslots; k++)
			add_subnet(&list, (struct ip4_cidr){10U << 24 | g->slots[k].index << 16, 24});
	}
	return list;
}

static bool has_slots(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->ngroups; i++)
		if (cfg->groups[i].nslots)
			return true;
	return false;
}

char *net_route_text(const struct config *cfg, const char *host, enum net_route_os os)
{
	cleanup_strv char **subnets = routed_subnets(cfg), **lines = NULL;

	if (!host)
		host = "<address of this host>";
	strv_append(&lines, "Add a route to VMs:");
	if (os != NET_ROUTE_DARWIN) {
		strv_append(&lines, "\n  # Linux");
		for (char **s = subnets; s && *s; s++) {
			strv_append_fmt(&lines, "  sudo ip route delete %s &> /dev/null", *s);
			strv_append_fmt(&lines, "  sudo ip route add %s via %s", *s, host);
		}
	}
	if (os != NET_ROUTE_LINUX) {
		strv_append(&lines, "\n  # MacOS");
		for (char **s = subnets; s && *s; s++) {
			strv_append_fmt(&lines, "  sudo route delete %s &> /dev/null", *s);
			strv_append_fmt(&lines, "  sudo route -n add -net %s %s", *s, host);
		}
	}
	if (subnets && has_slots(cfg)) {
		cleanup_free char *all = strv_join(subnets, ",");

		strv_append_fmt(&lines,
				"\nOr let a VPN tell them, on this host:\n\n  sudo tailscale up "
				"--advertise-routes=%s",
				all);
	}
	strv_append(&lines, "");
	return subnets ? strv_join(lines, "\n") : NULL;
}
