/* SPDX-License-Identifier: MIT */
/* slicer new NAME: prints the shortest configuration that does what the options ask for, with the
 * usual defaults as comments. What is printed has been read back and checked as `slicer up` would.
 */
#include <errno.h>
#include "base/str.h"
#include "config/config.h"
#include "config/fields.h"
#include "config/ip4.h"
#include "config/syntax.h"
#include "host/new.h"
#include "host/new_yaml.h"
#include "host/up_check.h"

/* clang-format off */
static const struct option_spec new_options[] = {
	{"count", 0, OPTION_INT, "N", "VMs to start; 0 leaves it to the API (1)"},
	{"cpu", 0, OPTION_INT, "N", "Virtual CPUs of a VM (2)", "cpus vcpu"},
	{"ram", 0, OPTION_INT, "GIB", "Memory of a VM in GiB (4)", "ram-gb ram_gb"},
	{"net", 0, OPTION_STRING, "MODE",
	 "Network: bridge, isolated, macvtap, user or cni (bridge)"},
	{"cidr", 0, OPTION_STRING, "CIDR",
	 "Subnet for bridge (192.168.137.0/24) or the LAN of macvtap; gateway is .1"},
	{"range", 0, OPTION_STRING, "A-B", "First and last address for VMs"},
	{"address", 0, OPTION_STRINGS, "IP", "A fixed address for a VM", "addresses"},
	{"isolated-range", 0, OPTION_STRING, "CIDR",
	 "Subnet for isolated VMs, cut into /30 blocks"},
	{"allow", 0, OPTION_STRINGS, "DEST",
	 "Isolated: IP, CIDR, IP:PORT or LAN that VMs may reach"},
	{"drop", 0, OPTION_STRINGS, "DEST",
	 "Isolated: IP, CIDR, IP:PORT or LAN that VMs may not reach"},
	{"parent", 0, OPTION_STRING, "NIC", "Macvtap: interface of the host"},
	{"tap-prefix", 0, OPTION_STRING, "NAME",
	 "Bridge: what the names of the VMs' interfaces begin with"},
	{"forward", 0, OPTION_STRINGS, "SPEC", "User network: HOSTPORT:GUESTPORT"},
	{"forward-defaults", 0, OPTION_BOOL, NULL, "User network: SSH, HTTP, HTTPS as 2222:22, 8080:80, 8443:443"},
	{"dns", 0, OPTION_STRINGS, "IP", "Name server of the VMs (8.8.8.8, 1.1.1.1)"},
	{"image", 0, OPTION_STRING, "IMAGE", "Image of the VMs (" CONFIG_DEFAULT_IMAGE ")"},
	{"min", 0, OPTION_BOOL, NULL, "Use the smallest image (" CONFIG_SMALLEST_IMAGE ")"},
	{"hypervisor", 0, OPTION_STRING, "NAME", "qemu, firecracker or cloud-hypervisor (qemu)"},
	{"accel", 0, OPTION_STRING, "NAME", "auto, kvm or tcg (auto)"},
	{"storage", 0, OPTION_STRING, "KIND", "overlay, image, devmapper or zfs (overlay)"},
	{"storage-size", 0, OPTION_STRING, "SIZE", "Size of a VM's disk, such as 25G"},
	{"persistent", 0, OPTION_BOOL, NULL, "Keep the disks of stopped VMs"},
	{"ca", 0, OPTION_BOOL, NULL, "Make a certificate authority that the VMs trust"},
	{"userdata", 0, OPTION_STRING, "SCRIPT", "Script that runs at the first boot"},
	{"userdata-file", 0, OPTION_STRING, "FILE", "The same from a file"},
	{"github", 0, OPTION_STRING, "USER", "GitHub user whose keys may log in", "import-user"},
	{"ssh-key", 0, OPTION_STRINGS, "FILE",
	 "Public key that may log in: a .pub file, or the key"},
	{"find-ssh-keys", 0, OPTION_BOOL, NULL, "Add the keys of ~/.ssh/*.pub (true)"},
	{"ssh-port", 0, OPTION_INT, "PORT", "Serial over SSH; 0 is off (0)"},
	{"api-bind", 0, OPTION_STRING, "ADDR",
	 "Address of the API, or path of a Unix socket (127.0.0.1)"},
	{"socket", 0, OPTION_STRING, "PATH", "The API on a Unix socket"},
	{"api-port", 0, OPTION_INT, "PORT", "TCP port of the API (8080)"},
	{"api-auth", 0, OPTION_BOOL, NULL, "Ask API clients for the token"},
	{"graceful-shutdown", 0, OPTION_BOOL, NULL,
	 "Let guests shut down when the daemon stops (true)"},
	{0},
};

/* Which key an option becomes, in the order of the file. */
struct row {
	const char *option;
	const char *key;
	enum { NUMBER, TEXT, LIST, BOOL } form;
};

static const struct row group_rows[] = {
	{"count", "count", NUMBER},
	{"cpu", "vcpu", NUMBER},
	{"ram", "ram_gb", NUMBER},
	{"storage", "storage", TEXT},
	{"storage-size", "storage_size", TEXT},
	{"persistent", "persistent", BOOL},
	{"dns", "dns_servers", LIST},
	{"userdata", "userdata", TEXT},
	{"userdata-file", "userdata_file", TEXT},
};
static const struct row network_rows[] = {
	{"range", "range", TEXT},	    {"isolated-range", "range", TEXT},
	{"address", "addresses", LIST}, {"allow", "allow", LIST},
	{"drop", "drop", LIST},	    {"parent", "parent", TEXT},
};
static const struct row top_rows[] = {
	{"hypervisor", "hypervisor", TEXT}, {"accel", "accel", TEXT},
	{"image", "image", TEXT},		{"graceful-shutdown", "graceful_shutdown", BOOL},
	{"github", "github_user", TEXT},
};
static const struct row api_rows[] = {
	{"api-bind", "bind_address", TEXT},
	{"socket", "bind_address", TEXT},
	{"api-port", "port", NUMBER},
};
/* clang-format on */

static void write_row(FILE *out, int indent, const struct parsed *p, const struct row *row)
{
	cleanup_strv char **list = NULL;

	if (!parsed_given(p, row->option))
		return;
	switch (row->form) {
	case NUMBER:
		fprintf(out, "%*s%s: %llu\n", indent, "", row->key, (unsigned long long)parsed_int(p, row->option, 0));
		break;
	case TEXT:
		yaml_text(out, indent, row->key, parsed_string(p, row->option));
		break;
	case LIST:
		list = parsed_strings(p, row->option);
		yaml_list(out, indent, row->key, list);
		break;
	case BOOL:
		yaml_raw(out, indent, row->key, parsed_bool(p, row->option, false) ? "true" : "false");
		break;
	}
}

static void write_rows(FILE *out, int indent, const struct parsed *p, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		write_row(out, indent, p, &rows[i]);
}

static bool any_given(const struct parsed *p, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (parsed_given(p, rows[i].option))
			return true;
	return false;
}

static const char *net_mode(const struct parsed *p)
{
	return parsed_given(p, "net") ? parsed_string(p, "net") : "bridge";
}

/* The gateway is the first address of the subnet. */
static int write_gateway(FILE *out, int indent, const char *text, struct error **err)
{
	char gateway[IP4_TEXT_MAX];
	struct ip4_cidr c;

	if (ip4_parse_cidr(text, &c, err) < 0)
		return error_wrap(err, "--cidr");
	if (c.prefix > 30)
		return error_set(err, ERR_INVALID, "--cidr: the subnet %s has no room for a gateway and a VM", text);
	c.addr = ip4_network(c) + 1;
	ip4_format_cidr(c, gateway);
	yaml_text(out, indent, "gateway", gateway);
	return 0;
}

static int write_bridge(FILE *out, int indent, const struct parsed *p, struct error **err)
{
	cleanup_free char *bridge = config_default_bridge(p->args[0]);
	cleanup_free char *tap = config_default_tap_prefix(p->args[0]);

	yaml_text(out, indent, "bridge", bridge);
	yaml_text(out, indent, "tap_prefix", parsed_given(p, "tap-prefix") ? parsed_string(p, "tap-prefix") : tap);
	return write_gateway(out, indent, parsed_given(p, "cidr") ? parsed_string(p, "cidr") : CONFIG_DEFAULT_CIDR,
			     err);
}

/* Ports that a developer's VM is mostly reached by, above 1024, which need no root. */
static const char *const forward_defaults[] = {"2222:22", "8080:80", "8443:443"};

static void write_forwards(FILE *out, int indent, const struct parsed *p)
{
	cleanup_strv char **list = parsed_strings(p, "forward");

	for (size_t i = 0; parsed_bool(p, "forward-defaults", false) && i < ARRAY_LEN(forward_defaults); i++)
		if (!strv_contains(list, forward_defaults[i]))
			strv_append(&list, forward_defaults[i]);
	if (list)
		yaml_list(out, indent, "forwards", list);
}

static int write_network(FILE *out, int indent, const struct parsed *p, struct error **err)
{
	const char *mode = net_mode(p);

	if (str_eq(mode, "cni"))
		return 0;
	fprintf(out, "%*snetwork:\n", indent, "");
	if (str_eq(mode, "bridge")) {
		if (write_bridge(out, indent + 2, p, err) < 0)
			return -1;
	} else {
		yaml_text(out, indent + 2, "mode", mode);
		if (parsed_given(p, "cidr") && write_gateway(out, indent + 2, parsed_string(p, "cidr"), err) < 0)
			return -1;
	}
	write_rows(out, indent + 2, p, network_rows, ARRAY_LEN(network_rows));
	write_forwards(out, indent + 2, p);
	return 0;
}

/* A default that could be changed, as a comment; none for keys that the options have set. */
static void write_default(FILE *out, int indent, const struct parsed *p, const char *option,
			  const struct object_type *type, const char *key, const char *otherwise)
{
	const struct field *f = object_field(type, key);
	const char *value = f->preset ? f->preset : otherwise;

	if (parsed_given(p, option))
		return;
	if (f->type == FIELD_STRV) {
		cleanup_strv char **parts = strv_split(value, ',');
		cleanup_free char *list = strv_join(parts, ", ");

		fprintf(out, "%*s# %s: [%s]\n", indent, "", key, list);
	} else {
		fprintf(out, "%*s# %s: %s\n", indent, "", key, value);
	}
}

static int write_group_defaults(FILE *out, const struct parsed *p, struct error **err)
{
	cleanup_free char *text = NULL;
	size_t n = 0;
	FILE *lines = open_memstream(&text, &n);

	if (!lines)
		return error_errno(err, errno, "cannot write to memory");
	write_default(lines, 4, p, "count", &config_group_type, "count", NULL);
	write_default(lines, 4, p, "cpu", &config_group_type, "vcpu", NULL);
	write_default(lines, 4, p, "ram", &config_group_type, "ram_gb", NULL);
	write_default(lines, 4, p, "storage", &config_group_type, "storage", NULL);
	if (!parsed_given(p, "storage"))
		write_default(lines, 4, p, "storage-size", &config_group_type, "storage_size", "16G");
	write_default(lines, 4, p, "dns", &config_group_type, "dns_servers", NULL);
	fclose(lines);
	if (n > 0)
		fprintf(out, "    # Defaults; take the \"#\" away to change one:\n%s", text);
	return 0;
}

/* Port 8080 of the defaults is the API's as well, unless that is told where to listen. */
static bool api_moves(const struct parsed *p)
{
	return parsed_bool(p, "forward-defaults", false) && !any_given(p, api_rows, ARRAY_LEN(api_rows));
}

static void write_top_defaults(FILE *out, const struct parsed *p)
{
	if (!parsed_given(p, "min"))
		write_default(out, 2, p, "image", &config_type, "image", CONFIG_DEFAULT_IMAGE);
	write_default(out, 2, p, "hypervisor", &config_type, "hypervisor", NULL);
	write_default(out, 2, p, "accel", &config_type, "accel", NULL);
	write_default(out, 2, p, "graceful-shutdown", &config_type, "graceful_shutdown", NULL);
	if (!any_given(p, api_rows, ARRAY_LEN(api_rows)) && !parsed_given(p, "api-auth") && !api_moves(p))
		fprintf(out, "  # api:\n  #   bind_address: 127.0.0.1\n  #   port: 8080\n");
}

static int write_ssh_keys(FILE *out, const struct parsed *p, struct error **err)
{
	cleanup_strv char **given = parsed_strings(p, "ssh-key"), **keys = NULL;

	if (new_read_keys(given, &keys, err) < 0)
		return -1;
	if (parsed_bool(p, "find-ssh-keys", true))
		new_find_keys(&keys);
	if (keys)
		yaml_list(out, 2, "ssh_keys", keys);
	return 0;
}

static void write_services(FILE *out, const struct parsed *p)
{
	bool auth = parsed_given(p, "api-auth");

	if (auth || api_moves(p) || any_given(p, api_rows, ARRAY_LEN(api_rows))) {
		fprintf(out, "  api:\n");
		write_rows(out, 4, p, api_rows, ARRAY_LEN(api_rows));
		if (api_moves(p))
			yaml_text(out, 4, "bind_address", "./slicer.sock");
	}
	if (auth)
		fprintf(out, "    auth:\n      enabled: %s\n", parsed_bool(p, "api-auth", true) ? "true" : "false");
	if (parsed_int(p, "ssh-port", 0))
		fprintf(out, "  ssh:\n    port: %llu\n", (unsigned long long)parsed_int(p, "ssh-port", 0));
}

static int write_config(FILE *out, const struct parsed *p, struct error **err)
{
	fprintf(out, "config:\n  host_groups:\n  - ");
	yaml_text(out, 0, "name", p->args[0]);
	write_rows(out, 4, p, group_rows, ARRAY_LEN(group_rows));
	if (parsed_bool(p, "ca", false))
		fprintf(out, "    ca:\n      generate: true\n");
	if (write_network(out, 4, p, err) < 0 || write_group_defaults(out, p, err) < 0)
		return -1;
	write_rows(out, 2, p, top_rows, ARRAY_LEN(top_rows));
	if (parsed_bool(p, "min", false))
		yaml_text(out, 2, "image", CONFIG_SMALLEST_IMAGE);
	if (write_ssh_keys(out, p, err) < 0)
		return -1;
	write_services(out, p);
	write_top_defaults(out, p);
	return 0;
}

/* Options that say the same or belong to another network mode; what the file itself tells is left
 * to config_check. */
static int check_options(const struct parsed *p, struct error **err)
{
	static const char *const pairs[][2] = {
		{"min", "image"},
		{"socket", "api-bind"},
		{"range", "isolated-range"},
		{"userdata", "userdata-file"},
	};
	static const char *const modes[] = {"bridge", "isolated", "macvtap", "user", "cni"};
	const char *mode = net_mode(p);
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (parsed_given(p, pairs[i][0]) && parsed_given(p, pairs[i][1]))
			return error_set(err, ERR_INVALID, "--%s and --%s exclude each other", pairs[i][0],
					 pairs[i][1]);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		known = known || str_eq(mode, modes[i]);
	if (!known)
		return error_set(err, ERR_INVALID, "--net: \"%s\" is none of bridge, isolated, macvtap, user, cni",
				 mode);
	if (parsed_given(p, "isolated-range") && !str_eq(mode, "isolated"))
		return error_set(err, ERR_INVALID, "--isolated-range needs --net isolated");
	if (parsed_given(p, "tap-prefix") && !str_eq(mode, "bridge"))
		return error_set(err, ERR_INVALID, "--tap-prefix needs --net bridge");
	if (parsed_given(p, "cidr") && !str_eq(mode, "bridge") && !str_eq(mode, "macvtap"))
		return error_set(err, ERR_INVALID, "--cidr needs --net bridge or macvtap%s",
				 str_eq(mode, "isolated") ? "; isolated networks take --isolated-range" : "");
	if ((parsed_given(p, "forward") || parsed_given(p, "forward-defaults")) && !str_eq(mode, "user"))
		return error_set(err, ERR_INVALID,
				 "--forward needs --net user; for other networks there is `slicer vm forward`");
	for (size_t i = 0; str_eq(mode, "cni") && i < ARRAY_LEN(network_rows); i++)
		if (parsed_given(p, network_rows[i].option))
			return error_set(err, ERR_INVALID, "--%s has no meaning with --net cni",
					 network_rows[i].option);
	return 0;
}

static int check_result(const char *text, size_t n, struct error **err)
{
	cleanup_config struct config *cfg = NULL;
	cleanup_error struct error *later = NULL;

	if (config_parse(text, n, NULL, &cfg, err) < 0 || config_check(cfg, err) < 0)
		return error_wrap(err, "the options make no valid configuration");
	/* It is what was asked for, and right where there is more than this version: no reason not to write it. */
	cfg->name = str_fmt("%s.yaml", cfg->groups[0].name); /* as the help has it */
	if (up_check_version(cfg, &later))
		fprintf(stderr, "slicer: warning: \"slicer up\" is going to refuse this: %s\n", error_message(later));
	return 0;
}

static int new_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_free char *text = NULL;
	size_t n = 0;
	FILE *out;
	int rc;

	if (syntax_group_name(args->args[0], err) < 0)
		return error_wrap(err, "NAME");
	if (check_options(args, err) < 0)
		return -1;
	out = open_memstream(&text, &n);
	if (!out)
		return error_errno(err, errno, "cannot write to memory");
	rc = write_config(out, args, err);
	fclose(out);
	if (rc < 0 || check_result(text, n, err) < 0)
		return -1;
	if (fwrite(text, 1, n, stdout) != n || fflush(stdout))
		return error_errno(err, errno, "cannot write the configuration");
	return 0;
}

const struct command command_new = {
	.name = "new",
	.summary = "Print a configuration for slicer up",
	.usage = "NAME",
	.details = "Prints the configuration of one host group called NAME, whose VMs will be NAME-1, "
		   "NAME-2 and so on:\n"
		   "  slicer new vm --count 3 > vm.yaml\n"
		   "  slicer up vm.yaml\n",
	.options = new_options,
	.run = new_run,
	.min_args = 1,
	.max_args = 1,
	.local = true,
};
