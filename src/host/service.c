/* SPDX-License-Identifier: MIT */
/* slicer service generate: a systemd unit for a configuration. */
#include "host/service.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"

enum { SYSTEMCTL_LIMIT_MS = 60 * 1000 };

/* An argument of ExecStart: quoted, with what systemd would expand doubled (systemd.service(5), "Command lines"). */
static char *service_quote(const char *s)
{
	char *ret = str_dup("\"");

	for (; *s; s++) {
		const char *escape = *s == '"' || *s == '\\' ? "\\" : *s == '%' ? "%" : *s == '$' ? "$" : "";
		char *longer = str_fmt("%s%s%c", ret, escape, *s);

		free(ret);
		ret = longer;
	}
	char *closed = str_fmt("%s\"", ret);
	free(ret);
	return closed;
}

char *service_unit_text(const struct service_unit *u)
{
	cleanup_free char *exe = service_quote(u->exe), *config = service_quote(u->config);

	return str_fmt("[Unit]\n"
		       "Description=slicer: microVMs of %s\n"
		       "Documentation=man:slicer(1)\n"
		       "Wants=network-online.target\n"
		       "After=network-online.target\n"
		       "\n"
		       "[Service]\n"
		       "Type=simple\n"
		       "WorkingDirectory=%s\n"
		       "ExecStart=%s%s up %s\n"
		       "Restart=on-failure\n"
		       "RestartSec=2\n"
		       "# The daemon stops its VMs itself; when it is killed or upgraded they go on without it.\n"
		       "KillMode=process\n"
		       "Delegate=yes\n"
		       "RuntimeDirectory=slicer\n"
		       "RuntimeDirectoryMode=0700\n"
		       "RuntimeDirectoryPreserve=yes\n"
		       "TimeoutStopSec=%llu\n"
		       "LimitNOFILE=1048576\n"
		       "TasksMax=infinity\n"
		       "%s%s%s"
		       "\n"
		       "[Install]\n"
		       "WantedBy=multi-user.target\n",
		       u->config, u->directory, u->user ? "sudo -E " : "", exe, config,
		       (unsigned long long)u->stop_seconds, u->user ? "User=" : "", u->user ? u->user : "",
		       u->user ? "\n" : "");
}

/* "vm.yaml" becomes "slicer-vm". */
static char *service_name(const char *config, const char *given)
{
	cleanup_free char *base = fs_basename(config);
	char *dot = strrchr(base, '.');

	if (given)
		return str_dup(str_ends(given, ".service") ? "" : given);
	if (dot && dot != base)
		*dot = '\0';
	return str_starts(base, "slicer") ? str_dup(base) : str_fmt("slicer-%s", base);
}

static int service_check_name(const char *name, struct error **err)
{
	if (!name[0] || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != strlen(name))
		return error_set(err, ERR_INVALID, "--name is letters, digits, \"_\", \".\" and \"-\", without \".service\"");
	return 0;
}

static int service_systemctl(const char *verb, const char *unit, struct error **err)
{
	char *argv[] = {(char *)"systemctl", (char *)verb, (char *)unit, NULL};

	return proc_run(argv, NULL, 64 * 1024, SYSTEMCTL_LIMIT_MS, NULL, err);
}

static int service_install(const char *name, const char *text, bool force, struct error **err)
{
	cleanup_free char *path = str_fmt("/etc/systemd/system/%s.service", name);
	cleanup_free char *unit = str_fmt("%s.service", name);

	if (geteuid() != 0)
		return error_set(err, ERR_FORBIDDEN, "--install writes to /etc/systemd/system: run it with sudo");
	if (fs_exists(path) && !force)
		return error_set(err, ERR_CONFLICT, "%s exists already; --force overwrites it", path);
	if (fs_write_atomic(path, text, strlen(text), 0644, err) || service_systemctl("daemon-reload", NULL, err) ||
	    service_systemctl("enable", unit, err) || service_systemctl("restart", unit, err))
		return error_wrap(err, "install %s", path);
	printf("%s is installed, enabled and started\n", path);
	return 0;
}

static int service_generate(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_free char *config = fs_absolute(args->nargs ? args->args[0] : "slicer.yaml");
	cleanup_free char *name = service_name(config, parsed_string(args, "name"));
	const char *directory = parsed_string(args, "working-directory");
	cleanup_free char *cwd = directory ? fs_absolute(directory) : getcwd(NULL, 0);
	cleanup_free char *exe = fs_self_exe();
	struct service_unit unit = {
		.exe = exe ? exe : "/usr/bin/slicer",
		.config = config,
		.directory = cwd,
		.user = parsed_string(args, "user"),
		.stop_seconds = parsed_int(args, "timeout-stop-sec", 120),
	};
	cleanup_free char *text = NULL;

	if (service_check_name(name, err))
		return -1;
	if (!fs_exists(config))
		return error_set(err, ERR_NOT_FOUND, "there is no %s: make one with slicer new", config);
	text = service_unit_text(&unit);
	if (parsed_bool(args, "install", false))
		return service_install(name, text, parsed_bool(args, "force", false), err);
	fputs(text, stdout);
	return 0;
}

static const struct option_spec generate_options[] = {
	{.name = "install", .type = OPTION_BOOL, .help = "Write the unit to /etc/systemd/system, enable and start it"},
	{.name = "force", .type = OPTION_BOOL, .help = "Overwrite a unit of that name"},
	{.name = "name", .type = OPTION_STRING, .metavar = "NAME", .help = "Name of the unit (default slicer-FILE)"},
	{.name = "user", .type = OPTION_STRING, .metavar = "USER", .help = "Run as this user, slicer itself by sudo"},
	{.name = "working-directory", .type = OPTION_STRING, .metavar = "DIR", .help = "Where disks and records are kept (default: here)"},
	{.name = "timeout-stop-sec", .type = OPTION_INT, .metavar = "SECONDS", .min = 1, .max = 3600,
	 .help = "How long VMs may take to stop (default 120)"},
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
