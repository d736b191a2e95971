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

/* Of the configuration or the host: the other groups can be looked at all the same. */
static bool is_refusal(const struct error *e)
{
	return e->code == ERR_CONFLICT || e->code == ERR_INVALID || e->code == ERR_NOT_FOUND;
}

/* What is to be mended is said of each in *ret_messages; after another failure the rest is not tried. NULL: all are up. */
static struct error *networks_all_up(const struct config *config, const char *daemon_id, char ***ret_messages)
{
	cleanup_error struct error *first = NULL;

	for (size_t i = 0; i < config->ngroups && (!first || is_refusal(first)); i++) {
		cleanup_error struct error *why = NULL;

		if (!networks_one_up(&config->groups[i], daemon_id, &why))
			continue;
		if (first && !is_refusal(why))
			break;
		strv_append(ret_messages, error_message(why));
		if (!first)
			first = TAKE_PTR(why);
	}
	return TAKE_PTR(first);
}

int networks_up(const struct config *config, const char *daemon_id, struct error **err)
{
	cleanup_error struct error *first = NULL;
	cleanup_strv char **messages = NULL;
	cleanup_free char *all = NULL;

	if (net_renew(config, daemon_id, err) < 0)
		return -1;
	first = networks_all_up(config, daemon_id, &messages);
	if (!first)
		return 0;
	if (strv_len(messages) == 1)
		return error_move(err, &first);
	all = strv_join(messages, "\n  ");
	return error_set(err, first->code, "%zu networks cannot be made:\n  %s", strv_len(messages), all);
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
			log_warn("%s", error_message(error));
	}
	networks_down_others(daemon_id);
}
