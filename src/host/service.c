/* SPDX-License-Identifier: MIT */
/* slicer service generate: a systemd unit for a configuration, printed or installed. */
#include "host/service.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "config/config.h"

#define UNIT_DIR "/etc/systemd/system"

enum { SYSTEMCTL_LIMIT_MS = 60 * 1000, STOP_DEFAULT_SECONDS = 120 };

static int service_systemctl(const char *verb, const char *unit, struct error **err)
{
	char *argv[] = {(char *)"systemctl", (char *)verb, (char *)unit, NULL};

	return proc_run(argv, NULL, 64 * 1024, SYSTEMCTL_LIMIT_MS, NULL, err);
}

/* All that can be known to fail is said before anything is written. */
static int service_can_install(const char *path, bool force, struct error **err)
{
	if (geteuid() != 0)
		return error_set(err, ERR_FORBIDDEN, "--install writes to " UNIT_DIR ": run it as root, or with sudo");
	if (!force && fs_exists(path))
		return error_set(err, ERR_CONFLICT, "%s exists already: --force overwrites it, --name chooses another", path);
	if (!fs_exists("/run/systemd/system")) /* sd_booted(3) */
		return error_set(err, ERR_UNSUPPORTED,
				 "this host is not run by systemd: without --install the unit is only printed");
	return 0;
}

static int service_install(const char *name, const char *text, bool force, struct error **err)
{
	cleanup_free char *path = str_fmt(UNIT_DIR "/%s.service", name);
	cleanup_free char *unit = str_fmt("%s.service", name);

	if (service_can_install(path, force, err))
		return -1;
	if (fs_write_atomic(path, text, strlen(text), 0644, err) || service_systemctl("daemon-reload", NULL, err) ||
	    service_systemctl("enable", unit, err) || service_systemctl("restart", unit, err))
		return error_wrap(err, "install %s", path);
	printf("%s is installed, enabled and started; journalctl -u %s shows what it says\n", path, name);
	return 0;
}

static int service_check_paths(const struct service_unit *u, struct error **err)
{
	struct stat st;

	if (!u->exe || !u->directory)
		return error_set(err, ERR_IO, "this program or the working directory cannot be found: was it removed?");
	if (!fs_exists(u->config))
		return error_set(err, ERR_NOT_FOUND, "there is no %s: slicer new makes one", u->config);
	if (stat(u->directory, &st) || !S_ISDIR(st.st_mode))
		return error_set(err, ERR_NOT_FOUND, "the working directory %s is not there", u->directory);
	return 0;
}

static int service_generate(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_free char *config = fs_absolute(args->nargs ? args->args[0] : CONFIG_DEFAULT_FILE);
	cleanup_free char *name = service_unit_name(config, parsed_string(args, "name"), err);
	const char *given = parsed_string(args, "working-directory");
	cleanup_free char *directory = given ? fs_absolute(given) : getcwd(NULL, 0);
	cleanup_free char *exe = fs_self_exe();
	cleanup_free char *text = NULL;
	const struct service_unit unit = {
		.exe = exe,
		.config = config,
		.directory = directory,
		.user = parsed_string(args, "user"),
		.stop_seconds = parsed_int(args, "timeout-stop-sec", STOP_DEFAULT_SECONDS),
	};

	if (!name || service_check_paths(&unit, err))
		return -1;
	text = service_unit_text(&unit, err);
	if (!text)
		return -1;
	if (parsed_bool(args, "install", false))
		return service_install(name, text, parsed_bool(args, "force", false), err);
	fputs(text, stdout);
	return 0;
}

static const struct option_spec generate_options[] = {
	{.name = "install", .type = OPTION_BOOL, .help = "Write the unit to " UNIT_DIR ", enable and start it"},
	{.name = "force", .type = OPTION_BOOL, .help = "Overwrite a unit of that name"},
	{.name = "name", .type = OPTION_STRING, .metavar = "NAME", .help = "Name of the unit (slicer-FILE)"},
	{.name = "user", .type = OPTION_STRING, .metavar = "USER", .help = "Run as this user, slicer itself by sudo (root)"},
	{.name = "working-directory", .type = OPTION_STRING, .metavar = "DIR",
	 .help = "Where disks and records are kept (here)"},
	{.name = "timeout-stop-sec", .type = OPTION_INT, .metavar = "SECONDS", .min = 1, .max = 3600,
	 .help = "How long all VMs together may take to stop (120)"},
	{0},
};

static const struct command command_service_generate = {
	.name = "generate",
	.summary = "Print a systemd unit that runs a configuration, or install it",
	.usage = "[FILE]",
	.options = generate_options,
	.run = service_generate,
	.max_args = 1,
	.local = true,
};

static const struct command *const service_commands[] = {&command_service_generate, NULL};

const struct command command_service = {
	.name = "service",
	.summary = "Run slicer under systemd",
	.commands = service_commands,
	.local = true,
};
