/* SPDX-License-Identifier: MIT */
/* vm list, vm group */
#include "base/units.h"
#include "cli/output.h"
#include "cli/verbs.h"

static char *node_ip(struct json_object *node)
{
	const char *ip = show_string(node, "ip");

	return str_ndup(ip, strcspn(ip, "/"));
}

static void add_node(struct table *t, struct json_object *node)
{
	cleanup_strv char **tags = NULL, **others = NULL;
	const char *name = "";
	uint64_t cpus = show_u64(node, "cpus"), ram = show_u64(node, "ram_bytes");

	js_get_strv(node, "tags", &tags, NULL, NULL);
	for (char **tag = tags; tag && *tag; tag++) {
		if (str_starts(*tag, "name="))
			name = *tag + 5;
		else
			strv_append(&others, *tag);
	}
	table_add(t, show_string(node, "hostname"));
	table_add(t, name);
	table_add_take(t, node_ip(node));
	table_add_take(t, ram ? size_format(ram) : str_dup("-"));
	table_add_take(t, cpus ? str_fmt("%llu", (unsigned long long)cpus) : str_dup("-"));
	table_add(t, show_string(node, "status"));
	table_add_take(t, show_time(show_string(node, "created_at")));
	table_add_take(t, strv_join(others, ","));
}

/* What went wrong with VMs last; not among the columns, which scripts read. */
static void print_errors(struct json_object *nodes)
{
	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		struct json_object *node = json_object_array_get_idx(nodes, i);

		if (json_object_is_type(node, json_type_object) && *show_string(node, "last_error"))
			fprintf(stderr, "slicer: %s: %s\n", show_string(node, "hostname"),
				show_string(node, "last_error"));
	}
}

static int print_nodes(struct json_object *nodes, struct error **err)
{
	static const char *const header[] = {"HOSTNAME", "NAME",    "IP",   "RAM", "CPUS",
					     "STATUS",	 "CREATED", "TAGS", NULL};
	cleanup_table struct table *t = table_new(header);

	if (!json_object_is_type(nodes, json_type_array))
		return error_set(err, ERR_PROTOCOL, "the daemon's list of VMs is not an array");
	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		struct json_object *node = json_object_array_get_idx(nodes, i);

		if (json_object_is_type(node, json_type_object))
			add_node(t, node);
	}
	table_print(t, stdout);
	fflush(stdout);
	print_errors(nodes);
	return 0;
}

static int run_list(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *target = args->nargs ? target_new("/hostgroup/%s/nodes", args->args[0]) : str_dup("/nodes");
	cleanup_json struct json_object *nodes = NULL;

	if (parsed_given(args, "tag") && parsed_given(args, "tag-prefix"))
		return error_set(err, ERR_INVALID, "--tag and --tag-prefix exclude each other");
	target_add(&target, "tag", parsed_string(args, "tag"));
	target_add(&target, "tag_prefix", parsed_string(args, "tag-prefix"));
	if (client_open(&c, args, err))
		return -1;
	nodes = client_json(&c, "GET", target, NULL, CLIENT_TIMEOUT_MS, err);
	if (!nodes)
		return -1;
	if (!parsed_bool(args, "json", false))
		return print_nodes(nodes, err);
	print_json(nodes, stdout);
	return 0;
}

static void add_group(struct table *t, struct json_object *group)
{
	table_add(t, show_string(group, "name"));
	table_add_take(t, str_fmt("%llu", (unsigned long long)show_u64(group, "count")));
	table_add_take(t, size_format(show_u64(group, "ram_bytes")));
	table_add_take(t, str_fmt("%llu", (unsigned long long)show_u64(group, "cpus")));
	table_add(t, show_string(group, "arch"));
	table_add_take(t, str_fmt("%llu", (unsigned long long)show_u64(group, "gpu_count")));
}

static int run_group(struct cli *cli, const struct parsed *args, struct error **err)
{
	static const char *const header[] = {"NAME", "COUNT", "RAM", "CPUS", "ARCH", "GPUS", NULL};
	cleanup_client struct client c = {0};
	cleanup_json struct json_object *groups = NULL;
	cleanup_table struct table *t = table_new(header);

	if (client_open(&c, args, err))
		return -1;
	groups = client_json(&c, "GET", "/hostgroup", NULL, CLIENT_TIMEOUT_MS, err);
	if (!groups)
		return -1;
	if (parsed_bool(args, "json", false)) {
		print_json(groups, stdout);
		return 0;
	}
	if (!json_object_is_type(groups, json_type_array))
		return error_set(err, ERR_PROTOCOL, "the daemon's list of groups is not an array");
	for (size_t i = 0; i < json_object_array_length(groups); i++)
		add_group(t, json_object_array_get_idx(groups, i));
	table_print(t, stdout);
	return 0;
}

static const struct option_spec list_options[] = {
	{"tag", 0, OPTION_STRING, "TAG", "Only VMs with this tag"},
	{"tag-prefix", 0, OPTION_STRING, "PREFIX", "Only VMs with a tag that begins so"},
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

static const struct option_spec group_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

const struct command command_vm_list = {
	.name = "list",
	.aliases = "ls l",
	.summary = "List VMs",
	.usage = "[GROUP]",
	.options = list_options,
	.run = run_list,
	.max_args = 1,
};

const struct command command_vm_group = {
	.name = "group",
	.aliases = "groups",
	.summary = "List host groups",
	.options = group_options,
	.run = run_group,
};
