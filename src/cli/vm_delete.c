/* SPDX-License-Identifier: MIT */
/* vm delete */
#include "cli/output.h"
#include "cli/verbs.h"

enum { DELETE_TIMEOUT_MS = 180 * 1000 }; /* a graceful stop may take two minutes */

static bool has_tag(struct json_object *node, const char *wanted)
{
	cleanup_strv char **tags = NULL;

	js_get_strv(node, "tags", &tags, NULL, NULL);
	return strv_contains(tags, wanted);
}

/* The daemon may know what became of it. */
static int say_missing(struct client *c, const char *vm, struct error **err)
{
	cleanup_free char *target = target_new("/vm/%s", vm);
	cleanup_reply struct reply reply = {0};
	cleanup_error struct error *error = NULL;

	if (client_call(c, "GET", target, NULL, CLIENT_TIMEOUT_MS, &reply, &error) && reply.status == 404 &&
	    str_starts(error_message(error), "there is no VM "))
		return error_move(err, &error);
	return error_set(err, ERR_NOT_FOUND, "there is no VM \"%s\"", vm);
}

/* Finds the VM by hostname, else by friendly name, and tells its group. */
static int find_group(struct client *c, char **vm, char **ret_group, struct error **err)
{
	cleanup_json struct json_object *nodes = client_json(c, "GET", "/nodes", NULL, CLIENT_TIMEOUT_MS, err);
	cleanup_free char *tag = str_fmt("name=%s", *vm);
	struct json_object *found = NULL;
	size_t n = json_object_is_type(nodes, json_type_array) ? json_object_array_length(nodes) : 0;

	if (!nodes)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct json_object *node = json_object_array_get_idx(nodes, i);

		if (str_eq(show_string(node, "hostname"), *vm)) {
			found = node;
			break;
		}
		if (!found && has_tag(node, tag))
			found = node;
	}
	if (!found)
		return say_missing(c, *vm, err);
	free(*vm);
	*vm = str_dup(show_string(found, "hostname"));
	*ret_group = str_dup(show_string(found, "hostgroup"));
	return 0;
}

static int delete_one(struct client *c, const char *given, const char *given_group, bool json, struct error **err)
{
	cleanup_free char *vm = str_dup(given), *group = NULL;
	cleanup_free char *base = NULL, *target = NULL, *name = NULL;
	cleanup_json struct json_object *answer = NULL;

	if (find_group(c, &vm, &group, err))
		return -1;
	if (given_group && !str_eq(given_group, group))
		return error_set(err, ERR_CONFLICT,
				 "VM \"%s\" is of host group \"%s\", not \"%s\"; nothing was deleted", given, group,
				 given_group);
	base = target_new("/hostgroup/%s/nodes/", group);
	name = target_new("%s", vm);
	target = str_fmt("%s%s", base, name);
	answer = client_json(c, "DELETE", target, NULL, DELETE_TIMEOUT_MS, err);
	if (!answer)
		return error_wrap(err, "cannot delete %s", vm);
	if (*show_string(answer, "error"))
		return error_set(err, ERR_INTERNAL, "cannot delete %s: %s", vm, show_string(answer, "error"));
	if (json)
		print_json(answer, stdout);
	else
		printf("VM %s deleted%s\n", vm,
		       str_eq(show_string(answer, "disk_removed"), "true") ? ", its disk removed" : "");
	return 0;
}

static int run_delete(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};

	if (client_open(&c, args, err))
		return -1;
	return delete_one(&c, args->args[0], args->nargs > 1 ? args->args[1] : NULL, parsed_bool(args, "json", false),
			  err);
}

static const struct option_spec delete_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

const struct command command_vm_delete = {
	.name = "delete",
	.aliases = "remove rm",
	.summary = "Stop a VM and remove it with its disk",
	.usage = "VM [GROUP]",
	.options = delete_options,
	.run = run_delete,
	.min_args = 1,
	.max_args = 2,
};
