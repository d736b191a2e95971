/* SPDX-License-Identifier: MIT */
/* What a systemd unit says that runs a configuration, and how it is called. */
#include <ctype.h>

#include "base/fs.h"
#include "host/service.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_BYTES LETTERS "0123456789_.-"

enum {
	NAME_MAX_BYTES = 200, /* systemd's limit is 255 with the suffix (systemd.unit(5)) */
	USER_MAX_BYTES = 31,  /* systemd.exec(5), User= */
};

/* Every character of `which` that is in `s` is preceded by itself, or by `escape` if that is not 0. */
static char *unit_escape(const char *s, const char *which, char escape)
{
	char *ret = mem_alloc(2 * strlen(s) + 1), *at = ret;

	for (; *s; s++) {
		if (strchr(which, *s))
			*at++ = escape ? escape : *s;
		*at++ = *s;
	}
	return ret;
}

/* "%" is a specifier everywhere (systemd.unit(5), "Specifiers"). */
static char *unit_path(const char *path)
{
	return unit_escape(path, "%", 0);
}

/* One word of a command line (systemd.service(5), "Command lines"). A variable is replaced in all words but the program's. */
static char *unit_word(const char *word, bool program)
{
	cleanup_free char *literal = unit_escape(word, program ? "%" : "%$", 0);
	cleanup_free char *quotable = unit_escape(literal, "\"\\", '\\');

	return str_fmt("\"%s\"", quotable);
}

/* A line ends at a newline, goes on after a backslash at its end, and loses white space there. */
static int unit_check_path(const char *path, const char *what, struct error **err)
{
	size_t n = strlen(path);
	cleanup_free char *shown = str_escape(path, n);

	if (path[0] != '/')
		return error_set(err, ERR_INVALID, "the %s \"%s\" is not an absolute path", what, shown);
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)path[i]))
			return error_set(err, ERR_INVALID,
					 "the %s \"%s\" has a control character in its path: rename it", what, shown);
	if (path[n - 1] == '\\' || path[n - 1] == ' ')
		return error_set(err, ERR_INVALID, "the %s \"%s\" ends in a %s, which a unit cannot hold: rename it",
				 what, shown, path[n - 1] == ' ' ? "space" : "backslash");
	return 0;
}

static int unit_check_user(const char *user, struct error **err)
{
	if (user && (!strchr(LETTERS "_", user[0]) || !user[0] || strlen(user) > USER_MAX_BYTES ||
		     strspn(user, NAME_BYTES) != strlen(user)))
		return error_set(err, ERR_INVALID, "--user \"%s\" is not the name of a user", user);
	return 0;
}

/* With sudo what is run is root's: its directory in /run must not become the user's. */
static char *unit_identity(const char *user)
{
	if (user && !str_eq(user, "root"))
		return str_fmt("User=%s\n", user);
	return str_dup("RuntimeDirectory=slicer\n"
		       "RuntimeDirectoryMode=0700\n"
		       "RuntimeDirectoryPreserve=yes\n");
}

char *service_unit_text(const struct service_unit *u, struct error **err)
{
	bool sudo = u->user && !str_eq(u->user, "root");
	cleanup_free char *exe = NULL, *config = NULL, *directory = NULL, *shown = NULL, *identity = NULL;

	if (unit_check_path(u->exe, "program", err) || unit_check_path(u->config, "configuration", err) ||
	    unit_check_path(u->directory, "working directory", err) || unit_check_user(u->user, err))
		return NULL;
	exe = unit_word(u->exe, !sudo);
	config = unit_word(u->config, false);
	directory = unit_path(u->directory);
	shown = unit_path(u->config);
	identity = unit_identity(u->user);
	return str_fmt(
		"[Unit]\n"
		"Description=slicer: microVMs of %s\n"
		"Documentation=man:slicer(1)\n"
		"Wants=network-online.target\n"
		"After=network-online.target\n"
		"\n"
		"[Service]\n"
		"Type=simple\n"
		"%s"
		"WorkingDirectory=%s\n"
		"ExecStart=%s%s up %s\n"
		"ExecReload=%s%s reload %s\n"
		"Restart=on-failure\n"
		"RestartSec=2\n"
		"# A wrong configuration does not mend itself.\n"
		"RestartPreventExitStatus=2\n"
		"# The daemon stops its VMs itself, as they are configured. When it is killed they go on, and the next one\n"
		"# takes them over.\n"
		"KillMode=process\n"
		"OOMPolicy=continue\n"
		"TimeoutStopSec=%llu\n"
		"Delegate=yes\n"
		"LimitNOFILE=1048576\n"
		"TasksMax=infinity\n"
		"\n"
		"[Install]\n"
		"WantedBy=multi-user.target\n",
		shown, identity, directory, sudo ? "sudo -n " : "", exe, config, sudo ? "sudo -n " : "", exe, config,
		(unsigned long long)u->stop_seconds);
}

/* Wants and After: at the host's shutdown slots stop before their daemon. Requires and PartOf would stop them also when a daemon
 * that was killed is restarted, and VMs go on then. */
char *service_slot_text(const char *exe, const char *url, const char *daemon, struct error **err)
{
	cleanup_free char *program = NULL, *at = NULL;

	if (unit_check_path(exe, "program", err) || (url[0] == '/' && unit_check_path(url, "API socket", err)))
		return NULL;
	program = unit_word(exe, true);
	at = unit_word(url, false);
	return str_fmt("[Unit]\n"
		       "Description=slicer: slot %%i\n"
		       "Documentation=man:slicer(1)\n"
		       "Wants=%s.service\n"
		       "After=%s.service\n"
		       "\n"
		       "[Service]\n"
		       "Type=oneshot\n"
		       "RemainAfterExit=yes\n"
		       "# The daemon starts its slots itself: then there is nothing left to do.\n"
		       "ExecStart=%s --url %s vm relaunch --if-stopped --wait 60s \"%%i\"\n"
		       "ExecStop=%s --url %s vm shutdown --if-running --wait 60s \"%%i\"\n"
		       "TimeoutStopSec=150\n"
		       "\n"
		       "[Install]\n"
		       "WantedBy=%s.service\n",
		       daemon, daemon, program, at, program, at, daemon);
}

char *service_slot_owner(const char *text)
{
	const char *wants = strstr(text, "\nWants="), *end = wants ? strstr(wants, ".service\n") : NULL;
	cleanup_free char *owner = NULL;

	if (!end || !strstr(text, " vm relaunch --if-stopped "))
		return NULL;
	wants += strlen("\nWants=");
	owner = str_ndup(wants, (size_t)(end - wants));
	return strchr(owner, '\n') ? NULL : TAKE_PTR(owner);
}

/* "vm.yaml" becomes "slicer-vm". */
static char *name_of_config(const char *config)
{
	cleanup_free char *base = fs_basename(config);
	char *dot = strrchr(base, '.');

	if (dot && dot != base)
		*dot = '\0';
	for (char *at = base; *at; at++)
		if (!strchr(NAME_BYTES, *at))
			*at = '-';
	return str_starts(base, "slicer") ? str_fmt("%.*s", NAME_MAX_BYTES, base)
					  : str_fmt("slicer-%.*s", NAME_MAX_BYTES - 7, base);
}

static char *checked_name(const char *option, const char *given, const char *suffix, struct error **err)
{
	char *name = str_ends(given, suffix) ? str_ndup(given, strlen(given) - strlen(suffix)) : str_dup(given);

	if (name[0] && strchr(LETTERS "0123456789_", name[0]) && strlen(name) <= NAME_MAX_BYTES &&
	    strspn(name, NAME_BYTES) == strlen(name))
		return name;
	free(name);
	error_set(err, ERR_INVALID,
		  "%s is up to %d letters, digits, \"_\", \".\" and \"-\", and begins with none of the last two",
		  option, NAME_MAX_BYTES);
	return NULL;
}

char *service_slot_unit_name(const char *given, struct error **err)
{
	return checked_name("--slot-unit", given, "@.service", err);
}

char *service_unit_name(const char *config, const char *given, struct error **err)
{
	return given ? checked_name("--name", given, ".service", err) : name_of_config(config);
}
