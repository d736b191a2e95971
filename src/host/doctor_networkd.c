/* SPDX-License-Identifier: MIT */
/* systemd-networkd, by itself or as netplan's renderer on servers: would it take interfaces of VMs?
 */
#include "base/glob.h"
#include "host/doctor_checks.h"
#include "host/doctor_files.h"
#include "host/doctor_interfaces.h"

#define NETWORKD_CONF "/etc/systemd/networkd.conf"

static const struct doctor_file veth_file = {
	.path = "/etc/systemd/network/00-veth-ignore.network",
	.text = "[Match]\n"
		"Name=ve-* veth*\n"
		"Driver=veth\n"
		"\n"
		"[Link]\n"
		"Unmanaged=yes\n"
		"\n"
		"[Network]\n"
		"KeepConfiguration=yes\n",
};

static const struct doctor_file networkd_file = {
	.path = NETWORKD_CONF,
	.text = "[Network]\n"
		"KeepConfiguration=yes\n"
		"ManageForeignRoutes=no\n"
		"#SpeedMeter=no\n"
		"#SpeedMeterIntervalSec=10sec\n"
		"#ManageForeignRoutingPolicyRules=yes\n"
		"#ManageForeignRoutes=yes\n"
		"#RouteTable=\n"
		"#IPv6PrivacyExtensions=no\n"
		"\n"
		"[DHCPv4]\n"
		"#DUIDType=vendor\n"
		"#DUIDRawData=\n"
		"\n"
		"[DHCPv6]\n"
		"#DUIDType=vendor\n"
		"#DUIDRawData=\n",
};

/* What the file above does not name: systemd's own files take vt-* for taps of its VMs. */
#define IGNORE_FILE "/etc/systemd/network/00-slicer-ignore.network"

/* A list of patterns separated by spaces; a leading "!" turns it round. */
static bool patterns_match(const char *patterns, const char *value)
{
	bool negated = *patterns == '!', found = false;
	cleanup_strv char **words = strv_split(patterns + negated, ' ');

	for (char **w = words; *w && !found; w++)
		found = **w && glob_match(*w, value);
	return found != negated;
}

/* Does a .network file apply to it? Keys that depend on more than the name (a MAC address, a path)
 * do not match what slicer makes. */
static bool network_matches(const char *text, const struct doctor_candidate *c)
{
	const struct {
		const char *key, *value;
	} keys[] = {{"Name", c->name}, {"Type", c->type}, {"Driver", c->kind}, {"Kind", c->kind}};
	cleanup_strv char **present = doctor_ini_keys(text, "Match");
	size_t understood = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		cleanup_strv char **values = doctor_ini_values(text, "Match", keys[i].key);
		cleanup_free char *all = strv_join(values, " ");

		understood += strv_len(values);
		if (values && !patterns_match(all, keys[i].value))
			return false;
	}
	return understood && understood == strv_len(present);
}

/* The last of them that is a truth value is the one wanted (systemd.syntax(7)). */
static bool last_is(char *const *values, bool wanted)
{
	static const char *const words[2][6] = {{"no", "false", "off", "0", "n", "f"},
						{"yes", "true", "on", "1", "y", "t"}};
	bool is = false;

	for (; values && *values; values++)
		for (size_t i = 0; i < ARRAY_LEN(words[0]); i++)
			if (strcasecmp(*values, words[wanted][i]) == 0)
				is = true;
			else if (strcasecmp(*values, words[!wanted][i]) == 0)
				is = false;
	return is;
}

static const char *const networkd_dirs[] = {"/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network"};

/* A file of the same name in a directory before hides it. */
static bool is_hidden_by(const struct doctor *d, size_t dirs, const char *name)
{
	for (size_t i = 0; i < dirs; i++) {
		cleanup_free char *path = str_fmt("%s/%s", networkd_dirs[i], name);

		if (doctor_exists(d, path))
			return true;
	}
	return false;
}

/* The path of the file that networkd takes for an interface: the first by name of those that match.
 * NULL: it leaves the interface alone. The caller's. */
static char *networkd_taker(const struct doctor *d, const struct doctor_candidate *c)
{
	cleanup_free char *best = NULL, *path = NULL, *text = NULL;
	cleanup_strv char **unmanaged = NULL;

	for (size_t i = 0; i < ARRAY_LEN(networkd_dirs); i++) {
		cleanup_strv char **names = doctor_names(d, networkd_dirs[i], ".network");

		for (char **name = names; name && *name; name++) {
			cleanup_free char *file = str_fmt("%s/%s", networkd_dirs[i], *name),
					  *content = doctor_read(d, file);

			if ((best && strcmp(*name, best) >= 0) || is_hidden_by(d, i, *name) || !content ||
			    !network_matches(content, c))
				continue;
			free(best);
			free(path);
			free(text);
			best = str_dup(*name);
			path = TAKE_PTR(file);
			text = TAKE_PTR(content);
		}
	}
	unmanaged = text ? doctor_ini_values(text, "Link", "Unmanaged") : NULL;
	return last_is(unmanaged, true) ? NULL : TAKE_PTR(path);
}

static void networkd_takers(const struct doctor *d, struct doctor_result *r)
{
	struct doctor_candidate *list;
	size_t n = doctor_candidates(d, &list);

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *path = networkd_taker(d, &list[i]);

		if (path)
			strv_append_fmt(&r->detail, "%s takes interfaces like %s", path, list[i].name);
	}
	doctor_candidates_free(list, n);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* networkd.conf(5): the file, then those of all directories in the order of their names, each from the first that has it. The
 * caller's. */
static char **networkd_conf_files(const struct doctor *d)
{
	static const char *const dirs[] = {NETWORKD_CONF ".d", "/run/systemd/networkd.conf.d",
					   "/usr/lib/systemd/networkd.conf.d"};
	cleanup_strv char **names = NULL;
	char **paths = NULL;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		cleanup_strv char **found = doctor_names(d, dirs[i], ".conf");

		for (char **name = found; name && *name; name++)
			if (!strv_contains(names, *name))
				strv_append(&names, *name);
	}
	if (names)
		qsort(names, strv_len(names), sizeof(*names), compare_names);
	strv_append(&paths, NETWORKD_CONF);
	for (char **name = names; name && *name; name++)
		for (size_t i = 0, found = 0; i < ARRAY_LEN(dirs) && !found; i++) {
			cleanup_free char *path = str_fmt("%s/%s", dirs[i], *name);

			found = doctor_exists(d, path);
			if (found)
				strv_append(&paths, path);
		}
	return paths;
}

/* It removes routes that it did not make, unless told otherwise. */
static bool networkd_keeps_routes(const struct doctor *d)
{
	cleanup_strv char **paths = networkd_conf_files(d), **all = NULL;

	for (char **path = paths; *path; path++) {
		cleanup_free char *text = doctor_read(d, *path);
		cleanup_strv char **values = text ? doctor_ini_values(text, "Network", "ManageForeignRoutes") : NULL;

		for (char **value = values; value && *value; value++)
			strv_append(&all, *value);
	}
	return last_is(all, false);
}

static char *ignore_text(const struct doctor *d)
{
	cleanup_strv char **globs = doctor_name_globs(d);
	cleanup_free char *list = strv_join(globs, " ");

	return str_fmt(DOCTOR_MARK "\n[Match]\nName=%s\n\n[Link]\nUnmanaged=yes\n", list);
}

enum { NETWORKD_FILES = 3 };

/* The files that are needed; `text` is the last one's. Returns how many. */
static size_t networkd_files(const struct doctor *d, char *const *taken, const char *text,
			     struct doctor_file ret[NETWORKD_FILES])
{
	bool veth = false, others = false;
	size_t n = 0;

	for (; taken && *taken; taken++) {
		bool is_veth = strstr(*taken, " ve-");

		veth = veth || is_veth;
		others = others || !is_veth;
	}
	if (veth)
		ret[n++] = veth_file;
	if (!networkd_keeps_routes(d))
		ret[n++] = networkd_file;
	if (others)
		ret[n++] = (struct doctor_file){.path = IGNORE_FILE, .text = text, .mark = DOCTOR_MARK};
	return n;
}

static void networkd_fix(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *text = ignore_text(d);
	struct doctor_file files[NETWORKD_FILES];
	size_t n = networkd_files(d, r->detail, text, files);

	for (size_t i = 0; i < n; i++)
		doctor_show(&r->fix, &files[i]);
	strv_append(&r->fix, "chmod 644 /etc/systemd/network/00-*.network; systemctl restart systemd-networkd");
	strv_append(&r->fix, "\"slicer doctor --fix\" writes these files");
}

void doctor_networkd(const struct doctor *d, struct doctor_result *r)
{
	cleanup_strv char **netplan = doctor_names(d, "/etc/netplan", ".yaml");
	const char *who = netplan ? "systemd-networkd, which netplan configures," : "systemd-networkd";
	enum doctor_severity bad = doctor_need(d, 1U << NET_ISOLATED | 1U << NET_BRIDGE | 1U << NET_SLOTS);
	bool drops;

	if (!doctor_runs(d, "systemd-network")) {
		doctor_say(r, DOCTOR_OK, "systemd-networkd does not run");
		return;
	}
	networkd_takers(d, r);
	drops = !networkd_keeps_routes(d);
	if (!r->detail && !drops) {
		doctor_say(r, DOCTOR_OK, "%s runs, and leaves interfaces and routes of VMs alone", who);
		return;
	}
	doctor_say(r, bad == DOCTOR_ERROR ? DOCTOR_WARNING : bad, "%s runs and %s: VMs may lose their network", who,
		   r->detail && drops ? "takes interfaces of VMs and removes routes that are not its own"
		   : drops	      ? "removes routes that are not its own"
				      : "takes interfaces of VMs");
	networkd_fix(d, r);
}

int doctor_networkd_mend(const struct doctor *d, bool force, FILE *out, struct error **err)
{
	cleanup_free char *text = ignore_text(d);
	struct doctor_file files[NETWORKD_FILES];
	struct doctor_result r = {0};
	cleanup_error struct error *first = NULL;
	size_t n;

	if (!doctor_runs(d, "systemd-network"))
		return 0;
	networkd_takers(d, &r);
	n = networkd_files(d, r.detail, text, files);
	for (size_t i = 0; i < n; i++) {
		cleanup_error struct error *why = NULL;

		if (doctor_write(d, &files[i], force, out, &why) && !first)
			error_move(&first, &why);
	}
	if (n)
		fputs("Now: systemctl restart systemd-networkd\n", out);
	doctor_result_clear(&r);
	return first ? error_move(err, &first) : 0;
}
