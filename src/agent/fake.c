/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "agent/fake.h"
#include "agent/supervisor.h"

struct fake_options {
	const char *root, *control, *agent, *config, *state;
};

static const struct option long_options[] = {
	{"root", required_argument, NULL, 'r'},	 {"control", required_argument, NULL, 'c'},
	{"agent", required_argument, NULL, 'a'}, {"config", required_argument, NULL, 'f'},
	{"state", required_argument, NULL, 's'}, {NULL, 0, NULL, 0},
};

static int parse(int argc, char **argv, struct fake_options *o, struct error **err)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		switch (c) {
		case 'r':
			o->root = optarg;
			break;
		case 'c':
			o->control = optarg;
			break;
		case 'a':
			o->agent = optarg;
			break;
		case 'f':
			o->config = optarg;
			break;
		case 's':
			o->state = optarg;
			break;
		default:
			return error_set(err, ERR_INVALID, "unknown option");
		}
	}
	if (!o->control || !o->agent || optind != argc)
		return error_set(err, ERR_INVALID,
				 "usage: slicer-agent fake --control SOCKET --agent SOCKET "
				 "[--config FILE] [--root DIR] [--state DIR]");
	return 0;
}

/* Which agent serves this guest, for tests that want to signal or measure it. */
static int write_pid(const char *state, struct error **err)
{
	cleanup_free char *path = fs_join(state, "agent.pid");
	cleanup_free char *text = str_fmt("%d\n", getpid());

	return fs_write_atomic(path, text, strlen(text), 0644, err);
}

static int enter_root(const char *root, struct error **err)
{
	if (!root || str_eq(root, "/"))
		return 0;
	if (chroot(root) < 0 || chdir("/") < 0)
		return error_errno(err, errno, "%s", root);
	return 0;
}

static int run(const struct fake_options *o, struct error **err)
{
	cleanup_guest_config struct guest_config *config = NULL;
	struct server_options options = {
		.control = {.path = o->control, .socket = true},
		.agent = {.path = o->agent, .socket = true},
		.fake = true,
	};

	config = o->config ? guest_config_load(o->config, err) : NEW(struct guest_config);
	if (!config || (o->state && write_pid(o->state, err) < 0) || enter_root(o->root, err) < 0)
		return -1;
	options.config = config;
	while (supervisor_run(&options) == SERVER_EXIT_REBOOT)
		log_info("slicer-agent: the fake guest reboots");
	return 0;
}

int fake_main(int argc, char **argv)
{
	struct fake_options o = {0};
	cleanup_error struct error *error = NULL;

	if (parse(argc, argv, &o, &error) == 0 && run(&o, &error) == 0)
		return 0;
	log_error("slicer-agent: error: %s", error_message(error));
	return error_exit_code(error);
}
