/* SPDX-License-Identifier: MIT */
/* slicer net list: what of slicer's networks exists on this host, and to whom it belongs. */
#include <dirent.h>

#include "base/fs.h"
#include "cli/output.h"
#include "host/net_scan.h"
#include "host/net_verbs_impl.h"

static bool is_network(const struct net_thing *t)
{
	return t->kind <= NET_KIND_TABLE;
}

/* Interfaces that pass packets on, but for lo; a list of the caller. */
static char **forwarding_interfaces(void)
{
	DIR *dir = opendir("/proc/sys/net/ipv4/conf");
	struct dirent *entry;
	char **names = NULL;

	while (dir && (entry = readdir(dir))) {
		static const char *const others[] = {".", "..", "all", "default", "lo"};
		cleanup_free char *path = str_fmt("/proc/sys/net/ipv4/conf/%s/forwarding", entry->d_name), *text = NULL;
		bool other = false;
		size_t n;

		for (size_t i = 0; i < ARRAY_LEN(others); i++)
			other = other || str_eq(entry->d_name, others[i]);
		if (!other && fs_read_file(path, 64, &text, &n, NULL) == 0 && str_eq(str_trim(text), "1"))
			strv_append(&names, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return names;
}

static const char *life_name(enum net_life life)
{
	static const char *const names[] = {
		[NET_LIFE_UNKNOWN] = "unknown", [NET_LIFE_UP] = "running", [NET_LIFE_DOWN] = "not running"};

	return names[life];
}

static struct json_object *daemon_json(const struct net_daemon *d)
{
	struct json_object *obj = json_object_new_object();

	js_add_string(obj, "id", d->id);
	js_add_string(obj, "config", d->config);
	js_add_string(obj, "state_dir", d->state);
	js_add_string(obj, "status", life_name(d->life));
	if (d->life == NET_LIFE_UP)
		js_add_i64(obj, "pid", d->pid);
	return obj;
}

static struct json_object *thing_json(const struct net_thing *t)
{
	struct json_object *obj = json_object_new_object();

	js_add_string(obj, "kind", net_kind_name(t->kind));
	js_add_string(obj, "type", t->type);
	js_add_string(obj, "name", t->name);
	js_add_string(obj, "netns", t->netns);
	js_add_string(obj, "daemon", t->daemon_id);
	js_add_string(obj, t->group ? "group" : "vm", t->owner);
	js_add_string(obj, "status", net_use_name(t->use));
	return obj;
}

static void list_json(const struct net_scan *s)
{
	cleanup_json struct json_object *root = json_object_new_object();
	struct json_object *daemons = json_object_new_array(), *things = json_object_new_array();
	cleanup_strv char **forwarding = forwarding_interfaces();

	for (size_t i = 0; i < s->ndaemons; i++)
		json_object_array_add(daemons, daemon_json(&s->daemons[i]));
	for (size_t i = 0; i < s->nthings; i++)
		if (is_network(&s->things[i]))
			json_object_array_add(things, thing_json(&s->things[i]));
	js_add(root, "daemons", daemons);
	js_add(root, "items", things);
	js_add_strv(root, "forwarding", forwarding);
	js_add_strv(root, "unseen", s->unseen);
	print_json(root, stdout);
}

/* Of a table its elements, and of a namespace its interfaces, that are as it is are counted only. */
static bool is_folded(const struct net_thing *t, const struct net_thing *into)
{
	if (t->use != into->use)
		return false;
	if (into->kind == NET_KIND_NETNS)
		return t->netns && str_eq(t->netns, into->name) && str_eq(t->daemon_id, into->daemon_id);
	return into->kind == NET_KIND_TABLE && t->kind == NET_KIND_ELEMENT && str_starts(t->name, into->name) &&
	       t->name[strlen(into->name)] == ' ';
}

static bool is_shown(const struct net_scan *s, const struct net_thing *t)
{
	for (size_t i = 0; i < s->nthings; i++)
		if (is_folded(t, &s->things[i]))
			return false;
	return is_network(t);
}

static char *shown_name(const struct net_scan *s, const struct net_thing *t)
{
	const char *what = t->kind == NET_KIND_TABLE ? "element" : "interface";
	size_t n = 0;

	if (t->netns)
		return str_fmt("%s in %s", t->name, t->netns);
	for (size_t i = 0; i < s->nthings; i++)
		n += is_folded(&s->things[i], t);
	return n ? str_fmt("%s (%zu %s%s)", t->name, n, what, n > 1 ? "s" : "") : str_dup(t->name);
}

static void list_table(const struct net_scan *s)
{
	static const char *const header[] = {"TYPE", "NAME", "DAEMON", "OF", "STATUS", NULL};
	cleanup_table struct table *t = table_new(header);

	for (size_t i = 0; i < s->nthings; i++) {
		const struct net_thing *thing = &s->things[i];

		if (!is_shown(s, thing))
			continue;
		table_add(t, thing->type);
		table_add_take(t, shown_name(s, thing));
		table_add(t, thing->daemon_id);
		table_add(t, thing->owner);
		table_add(t, net_use_name(thing->use));
	}
	table_print(t, stdout);
}

static void list_daemons(const struct net_scan *s)
{
	for (size_t i = 0; i < s->ndaemons; i++) {
		const struct net_daemon *d = &s->daemons[i];

		printf("%s%s: %s", i ? "" : "\n", d->id, life_name(d->life));
		if (d->life == NET_LIFE_UP)
			printf(" (pid %d)", d->pid);
		if (d->config)
			printf(", %s", d->config);
		fputs("\n", stdout);
	}
}

static bool is_of_vm(const struct net_scan *s, const char *interface)
{
	for (size_t i = 0; i < s->nthings; i++) {
		const struct net_thing *t = &s->things[i];

		if (t->kind == NET_KIND_LINK && !t->group && !t->netns && str_eq(t->name, interface))
			return true;
	}
	return false;
}

static void list_forwarding(const struct net_scan *s)
{
	cleanup_strv char **all = forwarding_interfaces(), **named = NULL;
	cleanup_free char *list = NULL;
	size_t nvms = 0;

	for (char **name = all; name && *name; name++) {
		if (is_of_vm(s, *name))
			nvms++;
		else
			strv_append(&named, *name);
	}
	if (nvms)
		strv_append_fmt(&named, "%zu interface%s of VMs", nvms, nvms > 1 ? "s" : "");
	if (!named)
		return;
	list = strv_join(named, ", ");
	printf("\nIPv4 forwarding is on for %s. Slicer leaves it on when its daemons end: "
	       "others may rely on it by then.\n",
	       list);
}

static void list_text(const struct net_scan *s)
{
	list_table(s);
	list_daemons(s);
	list_forwarding(s);
	for (char **line = s->unseen; line && *line; line++)
		fprintf(stderr, "%s\n", *line);
}

static int list_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_net_scan struct net_scan s = {0};

	if (net_scan_read(&s, err))
		return -1;
	if (parsed_bool(args, "json", false))
		list_json(&s);
	else
		list_text(&s);
	return 0;
}

static const struct option_spec list_options[] = {
	{.name = "json", .type = OPTION_BOOL, .help = "Print JSON"},
	{0},
};

const struct command command_net_list = {
	.name = "list",
	.aliases = "ls",
	.summary = "List what slicer's networks consist of on this host, and to whom it belongs",
	.options = list_options,
	.run = list_run,
	.local = true,
};
