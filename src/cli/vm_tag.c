/* SPDX-License-Identifier: MIT */
/* vm tag list, add, remove, replace */
#include "cli/output.h"
#include "cli/verbs.h"

static void print_tags(struct json_object *answer, bool json)
{
	cleanup_strv char **tags = NULL;

	if (json) {
		print_json(answer, stdout);
		return;
	}
	js_get_strv(answer, "tags", &tags, NULL, NULL);
	for (char **tag = tags; tag && *tag; tag++) {
		cleanup_free char *shown = str_escape(*tag, strlen(*tag));

		printf("%s\n", shown);
	}
}

static int run_list(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	cleanup_json struct json_object *answer = NULL;

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm)
		return -1;
	answer = vm_json(&c, &vm, "GET", "/tags", NULL, CLIENT_TIMEOUT_MS, err);
	if (!answer)
		return -1;
	print_tags(answer, parsed_bool(args, "json", false));
	return 0;
}

static int run_change(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = str_dup(args->args[0]), *json = NULL;
	cleanup_strv char **tags = parsed_strings(args, "tag");
	cleanup_json struct json_object *body = json_object_new_object(), *answer = NULL;

	for (size_t i = 1; i < args->nargs; i++)
		strv_append(&tags, args->args[i]);
	if (!tags && !str_eq(cli->command->name, "replace"))
		return error_set(err, ERR_INVALID, "give at least one --tag");
	js_add_strv(body, cli->command->name, tags);
	json = js_to_string(body);
	if (client_open(&c, args, err))
		return -1;
	answer = vm_json(&c, &vm, "PATCH", "/tags", json, CLIENT_TIMEOUT_MS, err);
	if (!answer)
		return -1;
	print_tags(answer, parsed_bool(args, "json", false));
	return 0;
}

static const struct option_spec list_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

static const struct option_spec change_options[] = {
	{"tag", 0, OPTION_STRINGS, "K=V", "Tag"},
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

static const struct command tag_list = {
	.name = "list",
	.aliases = "ls",
	.summary = "List a VM's tags",
	.usage = "[VM]",
	.options = list_options,
	.run = run_list,
	.max_args = 1,
};

#define CHANGE_COMMAND(name_, summary_)                                                                                \
	{                                                                                                              \
		.name = name_, .summary = summary_, .usage = "VM [TAG...]", .options = change_options,                 \
		.run = run_change, .min_args = 1, .max_args = COMMAND_ANY_ARGS                                         \
	}

static const struct command tag_add = CHANGE_COMMAND("add", "Add tags");
static const struct command tag_remove = CHANGE_COMMAND("remove", "Remove tags");
static const struct command tag_replace = CHANGE_COMMAND("replace", "Replace all tags but the friendly name");
static const struct command *const tag_commands[] = {&tag_list, &tag_add, &tag_remove, &tag_replace, NULL};

const struct command command_vm_tag = {
	.name = "tag",
	.aliases = "tags",
	.summary = "List and change a VM's tags",
	.commands = tag_commands,
};
