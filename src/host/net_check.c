/* SPDX-License-Identifier: MIT */
/* slicer net check: does what daemons and VMs need exist, as their configuration and their records
 * say? And what exists that nobody needs? */
#include <dirent.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/output.h"
#include "host/net_expect.h"
#include "host/net_verbs_impl.h"
#include "host/paths.h"

enum { RECORD_MAX = 1 << 20, ALIKE_SHOWN = 10 };

/* The network plans of a daemon's VMs that run. */
static void check_vms(struct net_expect *e)
{
	cleanup_free char *dir = e->daemon->state ? fs_join(e->daemon->state, "vms") : NULL;
	cleanup_strv char **names = NULL;

	if (dir && fs_list_dirs(dir, &names, NULL) < 0)
		return;
	for (char **vm = names; vm && *vm; vm++) {
		cleanup_free char *path = str_fmt("%s/%s/record.json", dir, *vm);
		cleanup_json struct json_object *record = js_parse_file(path, RECORD_MAX, NULL);
		struct json_object *plan = NULL;

		if (record && js_get_object(record, "network", &plan, NULL) == 0 && plan &&
		    net_vm_runs(e->scan, e->daemon, *vm))
			net_expect_vm(e, *vm, plan);
	}
}

static void check_groups(struct net_expect *e, const struct config *cfg, bool up)
{
	for (size_t i = 0; i < cfg->ngroups; i++)
		if (up)
			net_expect_group(e, &cfg->groups[i]);
		else
			net_expect_room(e, &cfg->groups[i]);
}

/* A daemon that is up or has VMs that run needs all of it; another only that it could be made.
 * `cfg`: NULL: not known. */
static void check_daemon(struct net_expect *e, const struct config *cfg)
{
	const struct net_daemon *d = e->daemon;

	if (cfg)
		check_groups(e, cfg, d->life == NET_LIFE_UP || d->has_vms);
	check_vms(e);
}

static void check_known(struct net_expect *e)
{
	for (size_t i = 0; i < e->scan->ndaemons; i++) {
		const struct net_daemon *d = &e->scan->daemons[i];
		cleanup_config struct config *cfg = NULL;
		cleanup_error struct error *why = NULL;

		if (d->life != NET_LIFE_UP && !d->has_vms)
			continue;
		e->daemon = d;
		if (d->config && config_load_file(d->config, &cfg, &why))
			net_expect_say(e, "mend the configuration", "its configuration cannot be read: %s",
				       error_message(why));
		check_daemon(e, cfg);
	}
}

static int check_file(struct net_expect *e, const char *file, struct error **err)
{
	cleanup_config struct config *cfg = NULL;
	struct daemon_paths paths = {0};
	struct net_daemon absent = {.life = NET_LIFE_DOWN};
	const struct net_daemon *known;

	if (config_load_file(file, &cfg, err) || daemon_paths_find(file, &paths, err))
		return -1;
	known = net_scan_daemon(e->scan, paths.id);
	absent.id = paths.id;
	absent.config = paths.config;
	e->daemon = known ? known : &absent;
	check_daemon(e, cfg);
	e->only = str_dup(paths.id);
	e->daemon = NULL;
	daemon_paths_clear(&paths);
	return 0;
}

static void check_stale(struct net_expect *e)
{
	for (size_t i = 0; i < e->scan->nthings; i++) {
		const struct net_thing *t = &e->scan->things[i];

		if (t->use != NET_USE_STALE || (e->only && !str_eq(e->only, t->daemon_id)))
			continue;
		e->daemon = net_scan_daemon(e->scan, t->daemon_id);
		net_expect_say(e, "slicer net check --fix removes it", "%s %s%s%s is left, and nobody uses it", t->type,
			       t->name, t->owner ? ", of " : "", t->owner ? t->owner : "");
	}
}

static int check_all(struct net_expect *e, const char *file, struct error **err)
{
	if (net_facts_read(true, &e->facts, err))
		return -1;
	if (file && check_file(e, file, err))
		return -1;
	if (!file)
		check_known(e);
	check_stale(e);
	return 0;
}

static bool same_fix(struct json_object *a, struct json_object *b)
{
	return str_eq(show_string(a, "daemon"), show_string(b, "daemon")) &&
	       str_eq(show_string(a, "fix"), show_string(b, "fix"));
}

/* From the one with this number those that the same mends: the first of them, and how many more. Returns how many there are. */
static size_t print_alike(const struct net_expect *e, size_t first)
{
	struct json_object *f = json_object_array_get_idx(e->findings, first);
	size_t n = 0;

	for (; first + n < e->nfindings && same_fix(f, json_object_array_get_idx(e->findings, first + n)); n++) {
		struct json_object *one = json_object_array_get_idx(e->findings, first + n);
		cleanup_free char *line = str_fmt("%s: %s", show_string(one, "daemon"), show_string(one, "summary"));
		cleanup_free char *shown = str_escape(line, strlen(line));

		if (n < ALIKE_SHOWN)
			puts(shown);
	}
	if (n > ALIKE_SHOWN)
		printf("%s: and %zu more (--json has them all)\n", show_string(f, "daemon"), n - ALIKE_SHOWN);
	printf("    → %s\n", show_string(f, "fix"));
	return n;
}

static void print_findings(const struct net_expect *e, bool json)
{
	cleanup_json struct json_object *root = json_object_new_object();

	if (json) {
		js_add_bool(root, "ok", e->nfindings == 0);
		js_add(root, "findings", json_object_get(e->findings));
		js_add_strv(root, "unseen", e->scan->unseen);
		print_json(root, stdout);
		return;
	}
	for (size_t i = 0; i < e->nfindings;)
		i += print_alike(e, i);
	if (!e->nfindings)
		puts("All networks are as they should be");
	for (char **line = e->scan->unseen; line && *line; line++)
		fprintf(stderr, "%s\n", *line);
}

/* The id of FILE's daemon; NULL without a file. The caller's. */
static int only_id(const char *file, char **ret, struct error **err)
{
	struct daemon_paths paths = {0};

	if (file && daemon_paths_find(file, &paths, err))
		return -1;
	*ret = str_dup(paths.id);
	daemon_paths_clear(&paths);
	return 0;
}

static int fix(const char *file, FILE *out, struct error **err)
{
	cleanup_net_scan struct net_scan s = {0};
	cleanup_free char *id = NULL;

	if (only_id(file, &id, err) || net_scan_read(&s, err))
		return -1;
	return net_scan_remove(&s, id, out, err) < 0 ? -1 : 0;
}

static int check_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	const char *file = args->nargs ? args->args[0] : NULL;
	bool json = parsed_bool(args, "json", false);
	cleanup_net_scan struct net_scan s = {0};
	struct net_expect e = {.scan = &s};
	int r = -1;

	if (geteuid() != 0)
		return error_set(err, ERR_FORBIDDEN, "networks can only be checked by root: run it with sudo");
	if (parsed_bool(args, "fix", false) && fix(file, json ? stderr : stdout, err))
		return -1;
	if (net_scan_read(&s, err))
		return -1;
	e.findings = json_object_new_array();
	if (check_all(&e, file, err) == 0) {
		print_findings(&e, json);
		r = e.nfindings ? 1 : 0;
	}
	net_expect_clear(&e);
	return r;
}

static const struct option_spec check_options[] = {
	{.name = "json", .type = OPTION_BOOL, .help = "Print JSON"},
	{.name = "fix", .type = OPTION_BOOL, .help = "First remove what daemons that have ended left"},
	{0},
};

const struct command command_net_check = {
	.name = "check",
	.summary = "Compare what networks should be on this host with what is",
	.usage = "[FILE]",
	.details = "Of a configuration, or without one of all daemons that run. Exits 1 when something "
		   "is amiss.\n",
	.options = check_options,
	.run = check_run,
	.max_args = 1,
	.local = true,
};
