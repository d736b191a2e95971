/* SPDX-License-Identifier: MIT */
/* slicer service generate: a systemd unit for a configuration, printed or installed. */
#include "host/service.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "config/config.h"
#include "host/listen.h"

#define UNIT_DIR "/etc/systemd/system"
#define SLOT_UNIT UNIT_DIR "/microvm@.service"

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
		return error_set(err, ERR_CONFLICT, "%s exists already: --force overwrites it, --name chooses another",
				 path);
	if (!fs_exists("/run/systemd/system")) /* sd_booted(3) */
		return error_set(err, ERR_UNSUPPORTED,
				 "this host is not run by systemd: without --install the unit is only printed");
	return 0;
}

/* Instances of the slots are started with the daemon, so that systemd knows of them. */
static int service_enable_slots(const struct config *cfg, const char *text, struct error **err)
{
	if (fs_write_atomic(SLOT_UNIT, text, strlen(text), 0644, err) || service_systemctl("daemon-reload", NULL, err))
		return error_wrap(err, "install " SLOT_UNIT);
	for (size_t i = 0; i < cfg->ngroups; i++)
		for (size_t k = 0; k < cfg->groups[i].nslots; k++) {
			cleanup_free char *unit = str_fmt("microvm@%s.service", cfg->groups[i].slots[k].name);

			if (service_systemctl("enable", unit, err))
				return -1;
		}
	return 0;
}

static int service_install(const char *name, const char *text, const struct config *slotted, const char *slot_text,
			   bool force, struct error **err)
{
	cleanup_free char *path = str_fmt(UNIT_DIR "/%s.service", name);
	cleanup_free char *unit = str_fmt("%s.service", name);

	if (service_can_install(path, force, err) || (slot_text && service_can_install(SLOT_UNIT, force, err)))
		return -1;
	if (slot_text && service_enable_slots(slotted, slot_text, err))
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
		return error_set(err, ERR_NOT_FOUND,
				 "there is no %s: name a configuration, or make one (slicer new NAME > FILE)",
				 u->config);
	if (stat(u->directory, &st) || !S_ISDIR(st.st_mode))
		return error_set(err, ERR_NOT_FOUND, "the working directory %s is not there", u->directory);
	return 0;
}

static bool has_slots(const struct config *cfg)
{
	for (size_t i = 0; cfg && i < cfg->ngroups; i++)
		if (cfg->groups[i].nslots)
			return true;
	return false;
}

/* NULL without error: the configuration has no slots. */
static char *slots_unit(const struct config *cfg, const struct service_unit *u, const char *daemon, struct error **err)
{
	cleanup_free char *url = has_slots(cfg) && cfg->api.enabled ? listen_url(cfg, u->directory) : NULL;

	return url ? service_slot_text(u->exe, url, daemon, err) : NULL;
}

static int service_generate(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_free char *config = fs_absolute(args->nargs ? args->args[0] : CONFIG_DEFAULT_FILE);
	cleanup_free char *name = service_unit_name(config, parsed_string(args, "name"), err);
	const char *given = parsed_string(args, "working-directory");
	cleanup_free char *directory = given ? fs_absolute(given) : getcwd(NULL, 0);
	cleanup_free char *exe = fs_self_exe();
	cleanup_free char *text = NULL, *slot_text = NULL;
	cleanup_config struct config *cfg = NULL;
	cleanup_error struct error *why = NULL;
	bool slots = parsed_bool(args, "slots", false);
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
	/* A wrong configuration is for slicer up to refuse. */
	if (config_load_file(config, &cfg, slots ? err : NULL) && slots)
		return -1;
	slot_text = slots_unit(cfg, &unit, name, &why);
	if (why)
		return error_move(err, &why);
	if (slots && !slot_text)
		return error_set(err, ERR_UNSUPPORTED, "%s has no slots, or no API to start them by", config);
	if (parsed_bool(args, "install", false))
		return service_install(name, text, cfg, slot_text, parsed_bool(args, "force", false), err);
	fputs(slots ? slot_text : text, stdout);
	return 0;
}

static const struct option_spec generate_options[] = {
	{.name = "install", .type = OPTION_BOOL, .help = "Write the unit to " UNIT_DIR ", enable and start it"},
	{.name = "slots",
	 .type = OPTION_BOOL,
	 .help = "Print the template of the units of the slots, microvm@.service"},
	{.name = "force", .type = OPTION_BOOL, .help = "Overwrite a unit of that name"},
	{.name = "name", .type = OPTION_STRING, .metavar = "NAME", .help = "Name of the unit (slicer-FILE)"},
	{.name = "user",
	 .type = OPTION_STRING,
	 .metavar = "USER",
	 .help = "Run as this user, slicer itself by sudo (root)"},
	{.name = "working-directory",
	 .type = OPTION_STRING,
	 .metavar = "DIR",
	 .help = "Where disks and records are kept (here)"},
	{.name = "timeout-stop-sec",
	 .type = OPTION_INT,
	 .metavar = "SECONDS",
	 .min = 1,
	 .max = 3600,
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
