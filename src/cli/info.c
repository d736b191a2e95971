/* SPDX-License-Identifier: MIT */
/* info, version */
#include <sys/utsname.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

static int run_info(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_json struct json_object *server = NULL;
	bool json = parsed_bool(args, "json", false);

	if (!json) {
		printf("Client:\n  Version:    %s\n", SLICER_VERSION);
		fflush(stdout); /* before what may go wrong from here on */
	}
	if (client_open(&c, args, err))
		return -1;
	server = client_json(&c, "GET", "/info", NULL, CLIENT_TIMEOUT_MS, err);
	if (!server)
		return -1;
	if (json) {
		cleanup_json struct json_object *both = json_object_new_object();
		struct json_object *client = json_object_new_object();

		js_add_string(client, "version", SLICER_VERSION);
		js_add(both, "client", client);
		js_add(both, "server", json_object_get(server));
		print_json(both, stdout);
		return 0;
	}
	printf("Server:\n  URL:        %s\n  Version:    %s\n", c.endpoint.shown, show_string(server, "version"));
	if (*show_string(server, "git_commit"))
		printf("  Git commit: %s\n", show_string(server, "git_commit"));
	printf("  Platform:   %s/%s\n", show_string(server, "platform"), show_string(server, "arch"));
	return 0;
}

static int run_version(struct cli *cli, const struct parsed *args, struct error **err)
{
	struct utsname host = {0};

	if (!parsed_bool(args, "json", false)) {
		printf("slicer %s\n", SLICER_VERSION);
		return 0;
	}
	uname(&host);
	printf("{\n  \"version\": \"%s\",\n  \"machine\": \"%s\"\n}\n", SLICER_VERSION, host.machine);
	return 0;
}

static const struct option_spec json_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print JSON"},
	{0},
};

const struct command command_info = {
	.name = "info",
	.summary = "Show versions of this program and of the daemon",
	.options = json_options,
	.run = run_info,
};

const struct command command_version = {
	.name = "version",
	.summary = "Show the version of this program",
	.options = json_options,
	.run = run_version,
	.local = true,
};
