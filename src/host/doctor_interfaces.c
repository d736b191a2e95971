/* SPDX-License-Identifier: MIT */
#include "host/doctor_interfaces.h"

static void add_candidate(struct doctor_candidate *list, size_t *n, char *take_name, const char *type, const char *kind)
{
	if (*n < DOCTOR_CANDIDATES_MAX)
		list[(*n)++] = (struct doctor_candidate){take_name, type, kind};
	else
		free(take_name);
}

/* One of each sort that slicer makes; those of the configuration by their names. */
size_t doctor_candidates(const struct doctor *d, struct doctor_candidate list[DOCTOR_CANDIDATES_MAX])
{
	size_t n = 0;

	add_candidate(list, &n, str_dup("ve-0123456789"), "ether", "veth");
	add_candidate(list, &n, str_dup("vt-0123456789"), "ether", "tun");
	add_candidate(list, &n, str_dup("mv-0123456789"), "ether", "macvtap");
	for (size_t i = 0; d->config && i < d->config->ngroups; i++) {
		const struct config_network *net = &d->config->groups[i].network;

		if (net->mode != NET_BRIDGE)
			continue;
		add_candidate(list, &n, str_dup(net->bridge), "bridge", "bridge");
		add_candidate(list, &n, str_fmt("%s1", net->tap_prefix), "ether", "tun");
	}
	if (!d->config) {
		add_candidate(list, &n, str_dup("brvm0"), "bridge", "bridge");
		add_candidate(list, &n, str_dup("vmtap1"), "ether", "tun");
	}
	return n;
}

void doctor_candidates_free(struct doctor_candidate *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].name);
}

/* Globs of what slicer's interfaces are called, all but the ends of isolated networks; a list of
 * the caller. */
char **doctor_name_globs(const struct doctor *d)
{
	char **globs = NULL;

	strv_append(&globs, "vt-*");
	strv_append(&globs, "vb-*");
	strv_append(&globs, "mv-*");
	for (size_t i = 0; d->config && i < d->config->ngroups; i++) {
		const struct config_network *net = &d->config->groups[i].network;

		if (net->mode != NET_BRIDGE)
			continue;
		strv_append(&globs, net->bridge);
		strv_append_fmt(&globs, "%s*", net->tap_prefix);
	}
	if (!d->config) {
		strv_append(&globs, "brvm*");
		strv_append(&globs, "vmtap*");
	}
	return globs;
}
