/* SPDX-License-Identifier: MIT */
#include "host/doctor_interfaces.h"

#include "host/paths.h"
#include "net/slots.h"

char **doctor_bridges(const struct doctor *d)
{
	struct daemon_paths paths = {0};
	char **names = NULL;

	if (!d->config) {
		strv_append(&names, "brvm0");
		return names;
	}
	/* The id is part of names that would be too long. A configuration that was read has a file. */
	if (daemon_paths_find(d->file, &paths, NULL) == 0)
		net_bridge_names(d->config, paths.id, &names);
	daemon_paths_clear(&paths);
	return names;
}

/* What taps on bridges of groups begin with; those on bridges of slots are called as others that are not numbered. */
static char **tap_prefixes(const struct doctor *d)
{
	char **prefixes = NULL;

	for (size_t i = 0; d->config && i < d->config->ngroups; i++)
		if (d->config->groups[i].network.mode == NET_BRIDGE)
			strv_append(&prefixes, d->config->groups[i].network.tap_prefix);
	if (!d->config)
		strv_append(&prefixes, "vmtap");
	return prefixes;
}

static void add_candidate(struct doctor_candidate **list, size_t *n, char *take_name, const char *type,
			  const char *kind)
{
	*list = mem_realloc(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = (struct doctor_candidate){take_name, type, kind};
}

size_t doctor_candidates(const struct doctor *d, struct doctor_candidate **ret)
{
	cleanup_strv char **bridges = doctor_bridges(d), **prefixes = tap_prefixes(d);
	size_t n = 0;

	*ret = NULL;
	add_candidate(ret, &n, str_dup("ve-0123456789"), "ether", "veth");
	add_candidate(ret, &n, str_dup("vt-0123456789"), "ether", "tun");
	add_candidate(ret, &n, str_dup("mv-0123456789"), "ether", "macvtap");
	for (char **name = bridges; name && *name; name++)
		add_candidate(ret, &n, str_dup(*name), "bridge", "bridge");
	for (char **prefix = prefixes; prefix && *prefix; prefix++)
		add_candidate(ret, &n, str_fmt("%s1", *prefix), "ether", "tun");
	return n;
}

void doctor_candidates_free(struct doctor_candidate *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].name);
	free(list);
}

/* Globs of what slicer's interfaces are called, all but the ends of isolated networks; a list of
 * the caller. */
char **doctor_name_globs(const struct doctor *d)
{
	cleanup_strv char **bridges = doctor_bridges(d), **prefixes = tap_prefixes(d);
	char **globs = NULL;

	strv_append(&globs, "vt-*");
	strv_append(&globs, "vb-*");
	strv_append(&globs, "mv-*");
	if (!d->config) {
		strv_append(&globs, "brvm*");
		strv_append(&globs, "vmtap*");
		return globs;
	}
	for (char **name = bridges; name && *name; name++)
		strv_append(&globs, *name);
	for (char **prefix = prefixes; prefix && *prefix; prefix++)
		strv_append_fmt(&globs, "%s*", *prefix);
	return globs;
}
