/* SPDX-License-Identifier: MIT */
/* slicer reload: a running daemon takes over the slots that were added to its configuration. */
#include <stdio.h>

#include "base/fs.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/output.h"
#include "config/config.h"
#include "host/paths.h"
#include "host/reload.h"

/* Networks are made before the answer comes. */
enum { RELOAD_TIMEOUT_MS = 180 * 1000 };

/* Where the daemon of a file listens. NULL when the user says it, or when neither a file is given
 * nor slicer.yaml is here: then the daemon is found as for other commands. */
static int find_daemon(const struct parsed *args, char **ret_file, char **ret_url, struct error **err)
{
	const char *file = args->nargs ? args->args[0] : CONFIG_DEFAULT_FILE;
	struct daemon_paths paths = {0};
	bool announced;

	if (!args->nargs && (endpoint_is_given(args) || !fs_exists(file)))
		return 0;
	if (daemon_paths_find(file, &paths, err) < 0)
		return -1;
	announced = !endpoint_is_given(args) && daemon_paths_announced(&paths, ret_url);
	*ret_file = str_dup(paths.config);
	daemon_paths_clear(&paths);
	if (*ret_url || endpoint_is_given(args))
		return 0;
	if (announced)
		return error_set(err, ERR_UNAVAILABLE,
				 "the daemon of %s has no API (api.enabled: false): send it SIGHUP "
				 "instead, and read its log",
				 *ret_file);
	return error_set(err, ERR_UNAVAILABLE,
			 "no daemon of this user runs %s: start it with slicer up, run this with "
			 "sudo, or say with --url where it listens",
			 *ret_file);
}

/* A token that is written in the file is the daemon's. */
static void take_token(struct client *c, const struct parsed *args, const char *file)
{
	cleanup_config struct config *cfg = NULL;

	if (config_load_file(file, &cfg, NULL) == 0)
		endpoint_offer_token(&c->endpoint, args, cfg->api.auth.token, file);
}

static void print_added(struct json_object *answer)
{
	struct json_object *added = NULL;

	if (js_get_array(answer, "added", &added, NULL) < 0 || !added || !json_object_array_length(added)) {
		puts("Nothing was added");
		return;
	}
	for (size_t i = 0; i < json_object_array_length(added); i++)
		printf("%s: added\n", json_object_get_string(json_object_array_get_idx(added, i)));
}

/* What its log says as well. */
static void print_notes(struct json_object *answer)
{
	cleanup_strv char **notes = NULL;

	js_get_strv(answer, "notes", &notes, NULL, NULL);
	for (char **note = notes; note && *note; note++) {
		cleanup_free char *shown = str_escape(*note, strlen(*note));

		fprintf(stderr, "%s\n", shown);
	}
}

/* With --json a refusal is an object, too. */
static int refused(bool json, struct error **err)
{
	cleanup_json struct json_object *obj = json_object_new_object();

	if (!json)
		return -1;
	js_add_strv(obj, "added", NULL);
	js_add_string(obj, "error", error_message(*err));
	print_json(obj, stdout);
	return -1;
}

static int reload_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *file = NULL, *url = NULL, *target = str_dup("/reload");
	cleanup_json struct json_object *answer = NULL;
	bool json = parsed_bool(args, "json", false);

	if (find_daemon(args, &file, &url, err) < 0 || client_open_or(&c, args, url, err) < 0)
		return refused(json, err);
	if (url)
		take_token(&c, args, file);
	target_add(&target, "file", file);
	answer = client_json(&c, "POST", target, NULL, RELOAD_TIMEOUT_MS, err);
	if (!answer)
		return refused(json, err);
	if (json) {
		print_json(answer, stdout);
		return 0;
	}
	print_added(answer);
	print_notes(answer);
	return 0;
}

static const struct option_spec reload_options[] = {
	{.name = "json", .type = OPTION_BOOL, .help = "Print the API's JSON"},
	{0},
};

const struct command command_reload = {
	.name = "reload",
	.summary = "Let a running daemon take over the slots that were added to its configuration",
	.usage = "[FILE]",
	.details = "Whatever else has changed is refused, and nothing is taken over then. FILE is that "
		   "of \"slicer up\".\n",
	.options = reload_options,
	.run = reload_run,
	.max_args = 1,
};
