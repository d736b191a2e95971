/* SPDX-License-Identifier: MIT */
/* slicer image build, list, remove: front end of the program slicer-image. */
#include "host/image.h"

#include <unistd.h>

#include "base/helper.h"
#include "base/units.h"
#include "cli/output.h"
#include "disk/store.h"
#include "host/image_run.h"

struct display {
	bool json;     /* progress goes nowhere, only the result is printed */
	bool terminal; /* progress replaces its line */
};

static void show_progress(void *arg, const char *message)
{
	const struct display *d = arg;
	cleanup_free char *shown = str_escape(message, strlen(message));

	if (d->json)
		return;
	fprintf(stderr, d->terminal ? "\r\033[K%s" : "%s\n", shown);
	fflush(stderr);
}

/* Runs slicer-image VERB [NAME] --store DIR [--agent PATH]; the result is the caller's. */
static struct json_object *run_verb(const struct parsed *args, const char *verb, const char *name, bool with_agent,
				    struct error **err)
{
	cleanup_free char *store = store_default_path(err);
	cleanup_free char *agent = store && with_agent ? helper_path("slicer-agent", err) : NULL;
	const char *argv[] = {verb, "--store", store, with_agent ? "--agent" : name, with_agent ? agent : NULL,
			      with_agent ? name : NULL, NULL};
	struct display d = {.json = parsed_bool(args, "json", false), .terminal = isatty(STDERR_FILENO)};
	struct json_object *result;

	if (!store || (with_agent && !agent))
		return NULL;
	result = image_run(argv, show_progress, &d, err);
	if (d.terminal && !d.json)
		fputs("\r\033[K", stderr);
	return result;
}

static int run_build(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_json struct json_object *result = run_verb(args, "build", args->args[0], true, err);

	if (!result)
		return -1;
	if (parsed_bool(args, "json", false))
		print_json(result, stdout);
	else
		printf("Image %s is ready: slicer new vm --image %s\n", args->args[0], args->args[0]);
	return 0;
}

static void add_image(struct table *t, struct json_object *image)
{
	struct json_object *kernel = NULL;

	js_get_object(image, "kernel", &kernel, NULL);
	table_add(t, show_string(image, "name"));
	if (*show_string(image, "error")) {
		table_add(t, "damaged");
		table_add(t, "");
		table_add(t, "");
		table_add(t, show_string(image, "error"));
		return;
	}
	table_add_take(t, size_format(show_u64(image, "size")));
	table_add(t, show_string(image, "arch"));
	table_add(t, kernel ? show_string(kernel, "release") : "");
	table_add_take(t, show_time(show_string(image, "created_at")));
}

static int run_list(struct cli *cli, const struct parsed *args, struct error **err)
{
	static const char *const header[] = {"NAME", "SIZE", "ARCH", "KERNEL", "CREATED", NULL};
	cleanup_json struct json_object *result = run_verb(args, "list", NULL, false, err);
	cleanup_table struct table *t = table_new(header);
	struct json_object *images = NULL;

	if (!result || js_get_array(result, "images", &images, err))
		return -1;
	if (parsed_bool(args, "json", false) && images) {
		print_json(images, stdout);
		return 0;
	}
	for (size_t i = 0; images && i < json_object_array_length(images); i++)
		add_image(t, json_object_array_get_idx(images, i));
	table_print(t, stdout);
	return 0;
}

static int run_remove(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_json struct json_object *result = run_verb(args, "remove", args->args[0], false, err);
	cleanup_free char *freed = result ? size_format(show_u64(result, "freed")) : NULL;

	if (!result)
		return -1;
	if (parsed_bool(args, "json", false))
		print_json(result, stdout);
	else
		printf("Image %s removed, %s freed\n", args->args[0], freed);
	return 0;
}

static const struct option_spec json_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print JSON"},
	{0},
};

static const struct command image_build = {
	.name = "build", .summary = "Make an image, or find it made already", .usage = "NAME",
	.details = "micro    busybox and bash, made in seconds; the agent is its init\n"
		   "debian   Debian with systemd and sshd, made by mmdebstrap in a minute or two\n",
	.options = json_options, .run = run_build, .min_args = 1, .max_args = 1, .local = true,
};

static const struct command image_list = {
	.name = "list", .aliases = "ls", .summary = "List images", .options = json_options, .run = run_list,
	.local = true,
};

static const struct command image_remove = {
	.name = "remove", .aliases = "rm", .summary = "Remove an image", .usage = "NAME", .options = json_options,
	.run = run_remove, .min_args = 1, .max_args = 1, .local = true,
};

static const struct command *const image_commands[] = {&image_build, &image_list, &image_remove, NULL};

const struct command command_image = {
	.name = "image", .summary = "Make, list and remove images", .commands = image_commands, .later = "wipe",
	.local = true,
};
