/* SPDX-License-Identifier: MIT */
#include "host/networks.h"

#include "base/log.h"
#include "base/str.h"
#include "net/apply.h"

static int networks_one_up(const struct config_group *g, const char *daemon_id, struct error **err)
{
	cleanup_strv char **notes = NULL;

	if (g->network.gateway)
		log_info("Creating network pool for host group %s with gateway %s", g->name, g->network.gateway);
	if (net_group_up(g, daemon_id, &notes, err))
		return -1;
	for (char *const *note = notes; note && *note; note++)
		log_warn("%s", *note);
	return 0;
}

int networks_up(const struct config *config, const char *daemon_id, struct error **err)
{
	if (net_renew(config, daemon_id, err) < 0)
		return -1;
	for (size_t i = 0; i < config->ngroups; i++) {
		if (networks_one_up(&config->groups[i], daemon_id, err)) {
			networks_down(config, daemon_id);
			return -1;
		}
	}
	return 0;
}

/* Bridges of groups and slots that have left the configuration since they were made. */
static void networks_down_others(const char *daemon_id)
{
	cleanup_error struct error *error = NULL;
	struct net_item *items;
	size_t n;

	if (net_list(daemon_id, &items, &n, &error)) {
		log_warn("%s", error_message(error));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		error_free(&error);
		if (items[i].bridge && net_bridge_down(items[i].name, daemon_id, &error) && error->code != ERR_CONFLICT)
			log_warn("%s", error_message(error));
	}
	net_items_free(items, n);
}

void networks_down(const struct config *config, const char *daemon_id)
{
	for (size_t i = 0; i < config->ngroups; i++) {
		const struct config_group *g = &config->groups[i];
		cleanup_error struct error *error = NULL;

		if (net_group_down(g, daemon_id, &error) && error->code != ERR_CONFLICT)
			log_warn("host group \"%s\": %s", g->name, error_message(error));
	}
	networks_down_others(daemon_id);
}
