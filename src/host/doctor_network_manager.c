/* SPDX-License-Identifier: MIT */
/* NetworkManager: would it take interfaces of VMs? */
#include "base/glob.h"
#include "host/doctor_checks.h"
#include "host/doctor_files.h"
#include "host/doctor_interfaces.h"

#define NM_CONF "/etc/NetworkManager/conf.d/90-slicer.conf"

/* NetworkManager.conf(5), keyfile.unmanaged-devices: interface-name takes shell globs, "+=" adds to
 * what other files say. */
static char *manager_text(const struct doctor *d)
{
	cleanup_strv char **globs = doctor_name_globs(d), **specs = NULL;
	cleanup_free char *list = NULL;

	strv_append(&specs, "interface-name:ve-*");
	for (char **glob = globs; *glob; glob++)
		strv_append_fmt(&specs, "interface-name:%s", *glob);
	list = strv_join(specs, ";");
	return str_fmt(DOCTOR_MARK "\n[keyfile]\nunmanaged-devices+=%s\n", list);
}

static void unmanaged_of(const struct doctor *d, const char *path, char ***ret)
{
	cleanup_free char *text = doctor_read(d, path);
	cleanup_strv char **values = text ? doctor_ini_values(text, "keyfile", "unmanaged-devices") : NULL;

	for (char **value = values; value && *value; value++) {
		cleanup_strv char **specs = strv_split(*value, strchr(*value, ';') ? ';' : ',');

		for (char **spec = specs; *spec; spec++)
			strv_append(ret, *spec);
	}
}

/* All that NetworkManager is told to leave alone. */
static char **unmanaged_devices(const struct doctor *d)
{
	static const char *const dirs[] = {"/usr/lib/NetworkManager/conf.d", "/run/NetworkManager/conf.d",
					   "/etc/NetworkManager/conf.d"};
	char **specs = NULL;

	unmanaged_of(d, "/etc/NetworkManager/NetworkManager.conf", &specs);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		cleanup_strv char **names = doctor_names(d, dirs[i], ".conf");

		for (char **name = names; name && *name; name++) {
			cleanup_free char *path = str_fmt("%s/%s", dirs[i], *name);

			unmanaged_of(d, path, &specs);
		}
	}
	return specs;
}

static bool is_unmanaged(char *const *specs, const char *name)
{
	static const char by_name[] = "interface-name:";

	for (; specs && *specs; specs++)
		if (str_eq(*specs, "*") || (str_starts(*specs, by_name) && glob_match(*specs + strlen(by_name), name)))
			return true;
	return false;
}

/* The kinds of interfaces that it is not told to leave alone. */
static char **manager_takes(const struct doctor *d)
{
	cleanup_strv char **specs = unmanaged_devices(d);
	struct doctor_candidate *list;
	size_t n = doctor_candidates(d, &list);
	char **taken = NULL;

	for (size_t i = 0; i < n; i++)
		if (!is_unmanaged(specs, list[i].name))
			strv_append_fmt(&taken, "It is not told to leave interfaces like %s alone", list[i].name);
	doctor_candidates_free(list, n);
	return taken;
}

void doctor_network_manager(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *text = manager_text(d);
	const struct doctor_file file = {.path = NM_CONF, .text = text};

	if (!doctor_runs(d, "NetworkManager")) {
		doctor_say(r, DOCTOR_OK, "NetworkManager does not run");
		return;
	}
	r->detail = manager_takes(d);
	if (!r->detail) {
		doctor_say(r, DOCTOR_OK, "NetworkManager runs, and leaves interfaces of VMs alone");
		return;
	}
	doctor_say(r, DOCTOR_NOTE, "NetworkManager runs, and may configure interfaces of VMs");
	doctor_show(&r->fix, &file);
	strv_append(&r->fix, "systemctl reload NetworkManager");
	strv_append(&r->fix, "\"slicer doctor --fix\" writes this file");
}

int doctor_network_manager_mend(const struct doctor *d, bool force, FILE *out, struct error **err)
{
	cleanup_strv char **taken = doctor_runs(d, "NetworkManager") ? manager_takes(d) : NULL;
	cleanup_free char *text = manager_text(d);
	const struct doctor_file file = {.path = NM_CONF, .text = text, .mark = DOCTOR_MARK};

	if (!taken)
		return 0;
	if (doctor_write(d, &file, force, out, err))
		return -1;
	fputs("Now: systemctl reload NetworkManager\n", out);
	return 0;
}
