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
#include "host/up_check.h"

#define UNIT_DIR "/etc/systemd/system"
#define PACKAGE_UNIT_DIR "/usr/lib/systemd/system"
#define PACKAGE_SLOTS "/etc/slicer/slots.yaml"
#define SLOT_UNIT_DEFAULT "microvm"

enum { SYSTEMCTL_LIMIT_MS = 60 * 1000, STOP_DEFAULT_SECONDS = 120 };

/* What is installed, and where. */
struct install {
	const char *name;      /* of the daemon's unit, without ".service" */
	const char *text;      /* of the daemon's unit */
	const char *slots;     /* the name of the template of the slots' units, without "@.service" */
	const char *slot_text; /* NULL: no slots */
	const struct config *cfg;
	bool force;
};

static int service_systemctl(const char *verb, const char *unit, struct error **err)
{
	char *argv[] = {(char *)"systemctl", (char *)verb, (char *)unit, NULL};

	return proc_run(argv, NULL, 64 * 1024, SYSTEMCTL_LIMIT_MS, NULL, err);
}

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

/* The template of that name that instances would be of now; the caller's. NULL: none, also when it is the package's and unused. */
static char *installed_template(const char *slots)
{
	cleanup_free char *own = str_fmt(UNIT_DIR "/%s@.service", slots);
	cleanup_free char *packaged = str_fmt(PACKAGE_UNIT_DIR "/%s@.service", slots);

	if (fs_exists(own))
		return TAKE_PTR(own);
	return fs_exists(packaged) && fs_exists(PACKAGE_SLOTS) ? TAKE_PTR(packaged) : NULL;
}

/* --force is no answer to somebody else's template: theirs would start nothing any more. */
static int service_can_install_slots(const struct install *in, struct error **err)
{
	cleanup_free char *path = installed_template(in->slots);
	cleanup_free char *text = NULL, *owner = NULL;

	if (!path)
		return 0;
	if (fs_read_file(path, 64 * 1024, &text, NULL, err) < 0)
		return -1;
	owner = service_slot_owner(text);
	if (owner && str_eq(owner, in->name))
		return 0;
	if (!owner)
		return error_set(err, ERR_CONFLICT,
				 "%s is not slicer's: remove it, or choose another name by --slot-unit", path);
	return error_set(err, ERR_CONFLICT,
			 "units %s@SLOT are the slots of %s.service already: name these by another template, such as "
			 "--slot-unit %s-slot, or put all slots into one configuration (if %s is no more, remove %s)",
			 in->slots, owner, in->name, owner, str_starts(path, UNIT_DIR) ? path : PACKAGE_SLOTS);
}

/* Instances of the slots are started with the daemon, so that systemd knows of them. */
static int service_enable_slots(const struct install *in, struct error **err)
{
	cleanup_free char *path = str_fmt(UNIT_DIR "/%s@.service", in->slots);

	if (fs_write_atomic(path, in->slot_text, strlen(in->slot_text), 0644, err) ||
	    service_systemctl("daemon-reload", NULL, err))
		return error_wrap(err, "install %s", path);
	for (size_t i = 0; i < in->cfg->ngroups; i++)
		for (size_t k = 0; k < in->cfg->groups[i].nslots; k++) {
			cleanup_free char *unit = str_fmt("%s@%s.service", in->slots, in->cfg->groups[i].slots[k].name);

			if (service_systemctl("enable", unit, err))
				return -1;
		}
	return 0;
}

/* All that can be known to fail is said before anything is written. */
static int service_install(const struct install *in, struct error **err)
{
	cleanup_free char *path = str_fmt(UNIT_DIR "/%s.service", in->name);
	cleanup_free char *unit = str_fmt("%s.service", in->name);

	if (service_can_install(path, in->force, err) || (in->slot_text && service_can_install_slots(in, err)))
		return -1;
	if (in->slot_text && service_enable_slots(in, err))
		return -1;
	if (fs_write_atomic(path, in->text, strlen(in->text), 0644, err) ||
	    service_systemctl("daemon-reload", NULL, err) || service_systemctl("enable", unit, err) ||
	    service_systemctl("restart", unit, err))
		return error_wrap(err, "install %s", path);
	printf("%s is installed, enabled and started; journalctl -u %s shows what it says\n", path, in->name);
	if (in->slot_text)
		printf("each slot is a unit: systemctl start, stop or restart %s@SLOT\n", in->slots);
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

/* What would have no effect without it, and what has none yet. */
static int service_check_options(const struct parsed *args, struct error **err)
{
	static const char *const names[] = {"force", "slot-unit"};

	for (size_t i = 0; i < ARRAY_LEN(names) && !parsed_bool(args, "install", false); i++)
		if (parsed_given(args, names[i]))
			return error_set(err, ERR_INVALID, "--%s goes with --install", names[i]);
	if (parsed_bool(args, "suspend-on-shutdown", false))
		return error_set(err, ERR_UNSUPPORTED, SUSPEND_ON_SHUTDOWN_LATER);
	return 0;
}

static char *slot_unit_name(const struct parsed *args, struct error **err)
{
	const char *given = parsed_string(args, "slot-unit");

	return service_slot_unit_name(given ? given : SLOT_UNIT_DEFAULT, err);
}

static int service_generate(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_free char *config = fs_absolute(args->nargs ? args->args[0] : CONFIG_DEFAULT_FILE);
	cleanup_free char *name = service_unit_name(config, parsed_string(args, "name"), err);
	const char *given = parsed_string(args, "working-directory");
	cleanup_free char *directory = given ? fs_absolute(given) : getcwd(NULL, 0);
	cleanup_free char *exe = fs_self_exe();
	cleanup_free char *slot_unit = slot_unit_name(args, err);
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

	if (!name || !slot_unit || service_check_options(args, err) || service_check_paths(&unit, err))
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
		return service_install(&(struct install){.name = name,
							 .text = text,
							 .slots = slot_unit,
							 .slot_text = slot_text,
							 .cfg = cfg,
							 .force = parsed_bool(args, "force", false)},
				       err);
	fputs(slots ? slot_text : text, stdout);
	return 0;
}

static const struct option_spec generate_options[] = {
	{.name = "install", .type = OPTION_BOOL, .help = "Write the unit to " UNIT_DIR ", enable and start it"},
	{.name = "slots",
	 .type = OPTION_BOOL,
	 .help = "Print the template of the units of the slots, microvm@.service"},
	{.name = "slot-unit",
	 .type = OPTION_STRING,
	 .metavar = "NAME",
	 .help = "Name of that template when it is installed (" SLOT_UNIT_DEFAULT ")"},
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
	{.name = "license-file",
	 .type = OPTION_STRING,
	 .metavar = "FILE",
	 .help = "Ignored: no license is needed; for scripts written for Slicer"},
	{.name = "suspend-on-shutdown", .type = OPTION_BOOL, .help = "Not in this version yet"},
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
