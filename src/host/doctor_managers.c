/* SPDX-License-Identifier: MIT */
/* Programs that configure every interface they see: systemd-networkd (netplan's renderer on
 * servers) and NetworkManager. */
#include "base/glob.h"
#include "host/doctor_checks.h"
#include "host/doctor_files.h"

#define NETWORKD_CONF "/etc/systemd/networkd.conf"
#define NM_CONF "/etc/NetworkManager/conf.d/90-slicer.conf"
#define NM_MARK "# Written by slicer doctor --fix."

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

/* An interface as systemd.network(5) matches it. */
struct candidate {
	char *name;
	const char *type, *kind;
};

enum { CANDIDATES_MAX = 64 };

static void add_candidate(struct candidate *list, size_t *n, char *take_name, const char *type,
			  const char *kind)
{
	if (*n < CANDIDATES_MAX)
		list[(*n)++] = (struct candidate){take_name, type, kind};
	else
		free(take_name);
}

/* One of each sort that slicer makes; those of the configuration by their names. */
static size_t list_candidates(const struct doctor *d, struct candidate list[CANDIDATES_MAX])
{
	size_t n = 0;

	add_candidate(list, &n, str_dup("ve-0123456789"), "ether", "veth");
	add_candidate(list, &n, str_dup("vt-0123456789"), "ether", "tun");
	for (size_t i = 0; d->config && i < d->config->ngroups; i++) {
		const struct config_network *net = &d->config->groups[i].network;

		if (net->mode != NET_BRIDGE)
			continue;
		add_candidate(list, &n, str_dup(net->bridge), "bridge", "bridge");
		add_candidate(list, &n, str_fmt("%s1", net->tap_prefix), "ether", "tun");
	}
	if (!d->config) {
		add_candidate(list, &n, str_dup("brvm0"), "bridge", "bridge");
		add_candidate(list, &n, str_dup("vmtap1"), "ether", "tun");
	}
	return n;
}

static void free_candidates(struct candidate *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].name);
}

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
static bool network_matches(const char *text, const struct candidate *c)
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

static const char *const networkd_dirs[] = {"/etc/systemd/network", "/run/systemd/network",
					    "/usr/lib/systemd/network"};

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
static char *networkd_taker(const struct doctor *d, const struct candidate *c)
{
	cleanup_free char *best = NULL, *path = NULL, *text = NULL;
	cleanup_strv char **unmanaged = NULL;

	for (size_t i = 0; i < ARRAY_LEN(networkd_dirs); i++) {
		cleanup_strv char **names = doctor_names(d, networkd_dirs[i], ".network");

		for (char **name = names; name && *name; name++) {
			cleanup_free char *file = str_fmt("%s/%s", networkd_dirs[i], *name),
					  *content = doctor_read(d, file);

			if ((best && strcmp(*name, best) >= 0) || is_hidden_by(d, i, *name) ||
			    !content || !network_matches(content, c))
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
	return strv_contains(unmanaged, "yes") ? NULL : TAKE_PTR(path);
}

static void networkd_takers(const struct doctor *d, struct doctor_result *r)
{
	struct candidate list[CANDIDATES_MAX];
	size_t n = list_candidates(d, list);

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *path = networkd_taker(d, &list[i]);

		if (path)
			strv_append_fmt(&r->detail, "%s takes interfaces like %s", path,
					list[i].name);
	}
	free_candidates(list, n);
}

/* It removes routes that it did not make, unless told otherwise. */
static bool networkd_keeps_routes(const struct doctor *d)
{
	cleanup_strv char **names = doctor_names(d, NETWORKD_CONF ".d", ".conf");
	cleanup_strv char **paths = NULL;

	strv_append(&paths, NETWORKD_CONF);
	for (char **name = names; name && *name; name++)
		strv_append_fmt(&paths, NETWORKD_CONF ".d/%s", *name);
	for (char **path = paths; *path; path++) {
		cleanup_free char *text = doctor_read(d, *path);
		cleanup_strv char **values =
		    text ? doctor_ini_values(text, "Network", "ManageForeignRoutes") : NULL;

		if (strv_contains(values, "no"))
			return true;
	}
	return false;
}

static void networkd_fix(struct doctor_result *r, bool takes, bool drops)
{
	if (takes)
		doctor_show(&r->fix, &veth_file);
	if (drops)
		doctor_show(&r->fix, &networkd_file);
	strv_append(&r->fix, "chmod 644 /etc/systemd/network/00-veth-ignore.network; systemctl "
			     "restart systemd-networkd");
	strv_append(&r->fix, "\"slicer doctor --fix\" writes these files");
	for (char **line = r->detail; line && *line; line++)
		if (!strstr(*line, " ve-"))
			strv_append_fmt(&r->fix,
					"In the [Match] section of %.*s: name the interfaces it is "
					"meant for, rather than all",
					(int)strcspn(*line, " "), *line);
}

void doctor_networkd(const struct doctor *d, struct doctor_result *r)
{
	cleanup_strv char **netplan = doctor_names(d, "/etc/netplan", ".yaml");
	const char *who =
	    netplan ? "systemd-networkd, which netplan configures," : "systemd-networkd";
	enum doctor_severity bad =
	    doctor_need(d, 1U << NET_ISOLATED | 1U << NET_BRIDGE | 1U << NET_SLOTS);
	bool drops;

	if (!doctor_runs(d, "systemd-network")) {
		doctor_say(r, DOCTOR_OK, "systemd-networkd does not run");
		return;
	}
	networkd_takers(d, r);
	drops = !networkd_keeps_routes(d);
	if (!r->detail && !drops) {
		doctor_say(r, DOCTOR_OK, "%s runs, and leaves interfaces and routes of VMs alone",
			   who);
		return;
	}
	doctor_say(r, bad == DOCTOR_ERROR ? DOCTOR_WARNING : bad,
		   "%s runs and %s: VMs may lose their network", who,
		   r->detail && drops
		       ? "takes interfaces of VMs and removes routes that are not its own"
		   : drops ? "removes routes that are not its own"
			   : "takes interfaces of VMs");
	networkd_fix(r, r->detail, drops);
}

int doctor_networkd_mend(const struct doctor *d, bool force, FILE *out, struct error **err)
{
	struct doctor_result r = {0};
	int rc = 0;

	if (!doctor_runs(d, "systemd-network"))
		return 0;
	networkd_takers(d, &r);
	if (r.detail)
		rc = doctor_write(d, &veth_file, force, out, err);
	if (rc == 0 && !networkd_keeps_routes(d))
		rc = doctor_write(d, &networkd_file, force, out, err);
	if (rc == 0 && r.detail)
		fputs("Now: systemctl restart systemd-networkd\n", out);
	doctor_result_clear(&r);
	return rc;
}

/* NetworkManager.conf(5), keyfile.unmanaged-devices: interface-name takes shell globs, "+=" adds to
 * what other files say. */
static char *manager_text(const struct doctor *d)
{
	cleanup_strv char **globs = NULL;
	cleanup_free char *list = NULL;

	strv_append(&globs, "interface-name:ve-*");
	strv_append(&globs, "interface-name:vt-*");
	strv_append(&globs, "interface-name:vb-*");
	for (size_t i = 0; d->config && i < d->config->ngroups; i++) {
		const struct config_network *net = &d->config->groups[i].network;

		if (net->mode != NET_BRIDGE)
			continue;
		strv_append_fmt(&globs, "interface-name:%s", net->bridge);
		strv_append_fmt(&globs, "interface-name:%s*", net->tap_prefix);
	}
	if (!d->config) {
		strv_append(&globs, "interface-name:brvm*");
		strv_append(&globs, "interface-name:vmtap*");
	}
	list = strv_join(globs, ";");
	return str_fmt(NM_MARK "\n[keyfile]\nunmanaged-devices+=%s\n", list);
}

static void unmanaged_of(const struct doctor *d, const char *path, char ***ret)
{
	cleanup_free char *text = doctor_read(d, path);
	cleanup_strv char **values =
	    text ? doctor_ini_values(text, "keyfile", "unmanaged-devices") : NULL;

	for (char **value = values; value && *value; value++) {
		cleanup_strv char **specs = strv_split(*value, strchr(*value, ';') ? ';' : ',');

		for (char **spec = specs; *spec; spec++)
			strv_append(ret, *spec);
	}
}

/* All that NetworkManager is told to leave alone. */
static char **unmanaged_devices(const struct doctor *d)
{
	static const char *const dirs[] = {"/usr/lib/NetworkManager/conf.d",
					   "/run/NetworkManager/conf.d",
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
		if (str_eq(*specs, "*") ||
		    (str_starts(*specs, by_name) && glob_match(*specs + strlen(by_name), name)))
			return true;
	return false;
}

/* The kinds of interfaces that it is not told to leave alone. */
static char **manager_takes(const struct doctor *d)
{
	cleanup_strv char **specs = unmanaged_devices(d);
	struct candidate list[CANDIDATES_MAX];
	size_t n = list_candidates(d, list);
	char **taken = NULL;

	for (size_t i = 0; i < n; i++)
		if (!is_unmanaged(specs, list[i].name))
			strv_append_fmt(&taken, "It is not told to leave interfaces like %s alone",
					list[i].name);
	free_candidates(list, n);
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
	const struct doctor_file file = {.path = NM_CONF, .text = text, .mark = NM_MARK};

	if (!taken)
		return 0;
	if (doctor_write(d, &file, force, out, err))
		return -1;
	fputs("Now: systemctl reload NetworkManager\n", out);
	return 0;
}
