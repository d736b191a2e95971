/* SPDX-License-Identifier: MIT */
/* slicer image: front end of the program slicer-image. */
#include "host/image.h"

#include "base/helper.h"
#include "base/units.h"
#include "cli/output.h"
#include "disk/store.h"
#include "host/image_progress.h"

/* Runs slicer-image with `words` and the store, and the agent where `with_agent`; the result is the caller's. `name`: whom the
 * progress is about. */
static struct json_object *run_verb(const struct parsed *args, char *const *words, const char *name, bool with_agent,
				    struct error **err)
{
	cleanup_free char *store = store_default_path(err);
	cleanup_free char *agent = store && with_agent ? helper_path("slicer-agent", err) : NULL;
	cleanup_strv char **argv = NULL;
	struct image_progress progress = {.name = name, .quiet = parsed_bool(args, "json", false)};
	struct json_object *result;

	if (!store || (with_agent && !agent))
		return NULL;
	strv_append(&argv, *words);
	strv_append(&argv, "--store");
	strv_append(&argv, store);
	if (with_agent) {
		strv_append(&argv, "--agent");
		strv_append(&argv, agent);
	}
	while (*++words)
		strv_append(&argv, *words);
	result = image_run(&(struct image_run){.args = (const char *const *)argv,
					       .progress = image_progress_show,
					       .arg = &progress,
					       .interruptible = true,
					       .gives_stdin = true},
			   err);
	image_progress_end(&progress);
	return result;
}

static void say_ready(const struct parsed *args, struct json_object *result, const char *name)
{
	if (parsed_bool(args, "json", false))
		print_json(result, stdout);
	else
		printf("Image %s is ready: slicer new vm --image %s\n", name, name);
}

static int run_build(struct cli *cli, const struct parsed *args, struct error **err)
{
	const char *as = parsed_string(args, "name"), *name = as ? as : args->args[0];
	cleanup_strv char **words = NULL, **include = parsed_strings(args, "include");

	strv_append(&words, "build");
	strv_append(&words, args->args[0]);
	if (as) {
		strv_append(&words, "--name");
		strv_append(&words, as);
	}
	for (size_t i = 0; include && include[i]; i++) {
		strv_append(&words, "--include");
		strv_append(&words, include[i]);
	}
	cleanup_json struct json_object *result = run_verb(args, words, name, true, err);
	if (!result)
		return -1;
	say_ready(args, result, name);
	return 0;
}

static int run_import(struct cli *cli, const struct parsed *args, struct error **err)
{
	const char *name = args->args[1];
	char *const words[] = {(char *)(uintptr_t) "import", (char *)(uintptr_t) "--", args->args[0], args->args[1],
			       NULL};
	cleanup_json struct json_object *result = run_verb(args, words, name, true, err);

	if (!result)
		return -1;
	say_ready(args, result, name);
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
	cleanup_json struct json_object *result =
		run_verb(args, (char *[]){(char *)(uintptr_t) "list", NULL}, NULL, false, err);
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

/* remove NAME and wipe. */
static int run_freeing(const struct parsed *args, char *const *words, const char *what, struct error **err)
{
	cleanup_json struct json_object *result = run_verb(args, words, NULL, false, err);
	cleanup_free char *freed = result ? size_format(show_u64(result, "freed")) : NULL;

	if (!result)
		return -1;
	if (parsed_bool(args, "json", false))
		print_json(result, stdout);
	else
		printf("%s removed, %s freed\n", what, freed);
	return 0;
}

static int run_remove(struct cli *cli, const struct parsed *args, struct error **err)
{
	char *const words[] = {(char *)(uintptr_t) "remove", args->args[0], NULL};
	cleanup_free char *what = str_fmt("Image %s", args->args[0]);

	return run_freeing(args, words, what, err);
}

static int run_wipe(struct cli *cli, const struct parsed *args, struct error **err)
{
	char *const words[] = {(char *)(uintptr_t) "wipe", NULL};

	return run_freeing(args, words, "All images", err);
}

static const struct option_spec build_options[] = {
	{.name = "include",
	 .type = OPTION_STRINGS,
	 .metavar = "PACKAGE",
	 .commas = true,
	 .help = "A further package of Debian's; repeat, or separate by commas"},
	{.name = "name", .type = OPTION_STRING, .metavar = "NAME", .help = "Name of the image (that of its recipe)"},
	{"json", 0, OPTION_BOOL, NULL, "Print JSON"},
	{0},
};

static const struct option_spec json_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print JSON"},
	{0},
};

static const struct command image_build = {
	.name = "build",
	.summary = "Make an image, or find it made already",
	.usage = "IMAGE",
	.details = "micro    busybox and bash, made in seconds; the agent is its init\n"
		   "debian   Debian with systemd and sshd, made by mmdebstrap in a minute or two\n"
		   "An image that was built with --name or --include is built again as it was.\n",
	.options = build_options,
	.run = run_build,
	.min_args = 1,
	.max_args = 1,
	.local = true,
};

static const struct command image_import = {
	.name = "import",
	.summary = "Make an image from a root filesystem",
	.usage = "TAR|DIRECTORY|- NAME",
	.details =
		"The root filesystem is a tar archive, plain or compressed (- is stdin), or a directory. It needs no kernel, no\n"
		"agent and no init: the store's kernel boots it, and where it has no init the agent is.\n"
		"  docker export CONTAINER | slicer image import - NAME\n",
	.options = json_options,
	.run = run_import,
	.min_args = 2,
	.max_args = 2,
	.local = true,
};

static const struct command image_list = {
	.name = "list",
	.aliases = "ls",
	.summary = "List images",
	.options = json_options,
	.run = run_list,
	.local = true,
};

static const struct command image_remove = {
	.name = "remove",
	.aliases = "rm",
	.summary = "Remove an image",
	.usage = "IMAGE",
	.options = json_options,
	.run = run_remove,
	.min_args = 1,
	.max_args = 1,
	.local = true,
};

static const struct command image_wipe = {
	.name = "wipe",
	.summary = "Remove all images",
	.options = json_options,
	.run = run_wipe,
	.local = true,
};

static const struct command *const image_commands[] = {&image_build,  &image_import, &image_list,
						       &image_remove, &image_wipe,   NULL};

const struct command command_image = {
	.name = "image",
	.summary = "Make, import, list and remove images",
	.commands = image_commands,
	.local = true,
};
