/* SPDX-License-Identifier: MIT */
/* vm add */
#include <inttypes.h>

#include "base/fs.h"
#include "base/units.h"
#include "cli/output.h"
#include "cli/verbs.h"

enum { USERDATA_MAX = 1024 * 1024, KEY_FILE_MAX = 64 * 1024 };
static const int64_t default_wait_ns = 300LL * 1000000000;
static const int64_t launch_timeout_ms = 300 * 1000; /* without wait: until it is scheduled */

/* The group that is asked for, or the only one; borrowed from *groups. */
static struct json_object *pick_group(struct json_object *groups, const char *wanted, struct error **err)
{
	size_t n = json_object_is_type(groups, json_type_array) ? json_object_array_length(groups) : 0;
	cleanup_strv char **names = NULL;
	cleanup_free char *all = NULL;

	for (size_t i = 0; i < n; i++) {
		struct json_object *group = json_object_array_get_idx(groups, i);

		if (wanted ? str_eq(show_string(group, "name"), wanted) : n == 1)
			return group;
		strv_append(&names, show_string(group, "name"));
	}
	all = strv_join(names, ", ");
	if (n == 0)
		error_set(err, ERR_NOT_FOUND, "the daemon has no host group; add one to its configuration");
	else if (wanted)
		error_set(err, ERR_NOT_FOUND, "there is no host group \"%s\"; there is: %s", wanted, all);
	else
		error_set(err, ERR_INVALID, "there are %zu host groups, say which one: %s", n, all);
	return NULL;
}

static int add_ram(struct json_object *body, const struct parsed *args, struct error **err)
{
	static const struct {
		const char *option;
		uint64_t unit;
	} units[] = {{"ram-gb", 1ULL << 30}, {"ram-mb", 1ULL << 20}, {"ram-bytes", 1}};
	int given = 0;

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (!parsed_given(args, units[i].option))
			continue;
		if (given++)
			return error_set(err, ERR_INVALID, "give one of --ram-gb, --ram-mb and --ram-bytes");
		js_add_u64(body, "ram_bytes", parsed_int(args, units[i].option, 0) * units[i].unit);
	}
	return 0;
}

static int add_userdata(struct json_object *body, const struct parsed *args, struct error **err)
{
	const char *file = parsed_string(args, "userdata-file");
	cleanup_free char *text = NULL;
	size_t n = 0;

	if (!file) {
		js_add_string(body, "userdata", parsed_string(args, "userdata"));
		return 0;
	}
	if (parsed_given(args, "userdata"))
		return error_set(err, ERR_INVALID, "--userdata and --userdata-file exclude each other");
	if (fs_read_file(file, USERDATA_MAX, &text, &n, err))
		return error_wrap(err, "cannot read the userdata");
	if (strlen(text) != n)
		return error_set(err, ERR_INVALID, "%s is not a text file: it has a NUL byte", file);
	js_add_string(body, "userdata", text);
	return 0;
}

/* Tags with the friendly name among them, which can be given in one way only. */
static int add_tags(struct json_object *body, const struct parsed *args, struct error **err)
{
	cleanup_strv char **tags = parsed_strings(args, "tag");
	const char *name = parsed_string(args, "name");

	for (char **tag = tags; name && tag && *tag; tag++)
		if (str_starts(*tag, "name="))
			return error_set(err, ERR_INVALID, "--name and --tag %s exclude each other", *tag);
	if (name)
		strv_append_fmt(&tags, "name=%s", name);
	if (tags)
		js_add_strv(body, "tags", tags);
	return 0;
}

/* Each --ssh-key is a public key or a file of them. */
static int add_ssh_keys(struct json_object *body, const struct parsed *args, struct error **err)
{
	cleanup_strv char **given = parsed_strings(args, "ssh-key"), **keys = NULL;

	for (char **key = given; key && *key; key++) {
		cleanup_free char *text = NULL;
		size_t n = 0;

		if (strchr(*key, ' ')) {
			strv_append(&keys, *key);
			continue;
		}
		if (fs_read_file(*key, KEY_FILE_MAX, &text, &n, err))
			return error_wrap(err, "--ssh-key is neither a public key nor a file of one");
		strv_append(&keys, str_trim(text));
	}
	if (keys)
		js_add_strv(body, "ssh_keys", keys);
	return 0;
}

static struct json_object *make_body(const struct parsed *args, struct error **err)
{
	cleanup_json struct json_object *body = json_object_new_object();
	cleanup_strv char **secrets = parsed_strings(args, "secrets");
	bool persistent = parsed_bool(args, "persistent", true);

	if (parsed_bool(args, "rm", false)) {
		if (parsed_given(args, "persistent") && persistent) {
			error_set(err, ERR_INVALID, "--rm and --persistent exclude each other");
			return NULL;
		}
		persistent = false;
	}
	if (parsed_given(args, "cpus"))
		js_add_u64(body, "cpus", parsed_int(args, "cpus", 0));
	if (parsed_given(args, "gpus"))
		js_add_u64(body, "gpu_count", parsed_int(args, "gpus", 0));
	if (add_ram(body, args, err) || add_userdata(body, args, err) || add_tags(body, args, err) ||
	    add_ssh_keys(body, args, err))
		return NULL;
	js_add_string(body, "import_user", parsed_string(args, "import-user"));
	if (parsed_given(args, "secrets"))
		js_add_strv(body, "secrets", secrets);
	js_add_bool(body, "persistent", persistent);
	return TAKE_PTR(body);
}

/* "agent", "userdata" or NULL. */
static int wait_mode(const struct parsed *args, const char **ret, struct error **err)
{
	const char *ready = parsed_string(args, "ready");

	*ret = NULL;
	if (ready && !str_eq(ready, "agent") && !str_eq(ready, "userdata"))
		return error_set(err, ERR_INVALID, "--ready is agent or userdata, not \"%s\"", ready);
	if (parsed_bool(args, "wait", false) || parsed_bool(args, "shell", false))
		*ret = "agent";
	if (ready)
		*ret = ready;
	if (parsed_bool(args, "wait-userdata", false))
		*ret = "userdata";
	if (!*ret && parsed_given(args, "timeout"))
		return error_set(err, ERR_INVALID, "--timeout needs --wait or --wait-userdata");
	return 0;
}

/* "2GB", "1.5GB", "512MB" */
static char *show_ram(uint64_t bytes)
{
	cleanup_free char *text = size_format(bytes);
	size_t n = strlen(text);

	return n > 2 && text[n - 2] == 'i' ? str_fmt("%.*sB", (int)n - 2, text) : TAKE_PTR(text);
}

static void print_created(const struct parsed *args, struct json_object *group, struct json_object *body,
			  struct json_object *vm)
{
	uint64_t ram = show_u64(body, "ram_bytes"), cpus = show_u64(body, "cpus");
	uint64_t gpus = parsed_given(args, "gpus") ? show_u64(body, "gpu_count") : show_u64(group, "gpu_count");
	cleanup_free char *ram_text = show_ram(ram ? ram : show_u64(group, "ram_bytes"));

	printf("VM created\n");
	printf("  Hostname: %s\n", show_string(vm, "hostname"));
	printf("  Group:    %s\n", show_string(group, "name"));
	printf("  IP:       %s\n", show_string(vm, "ip"));
	printf("  Specs:    %" PRIu64 " vCPU, %s RAM, GPUs: %" PRIu64 "\n", cpus ? cpus : show_u64(group, "cpus"),
	       ram_text, gpus);
	printf("  Persistent: %s\n", show_bool(vm, "persistent") ? "true" : "false");
	printf("  Created:  %s\n", show_string(vm, "created_at"));
}

static struct json_object *create(struct client *c, const struct parsed *args, struct json_object *group,
				  struct json_object *body, struct error **err)
{
	cleanup_free char *target = target_new("/hostgroup/%s/nodes", show_string(group, "name"));
	cleanup_free char *json = js_to_string(body);
	int64_t wait_ns = parsed_duration(args, "timeout", default_wait_ns);
	cleanup_free char *timeout = duration_format(wait_ns);
	const char *wait = NULL;

	if (wait_mode(args, &wait, err))
		return NULL;
	target_add(&target, "wait", wait);
	target_add(&target, "timeout", wait ? timeout : NULL);
	return client_json(c, "POST", target, json, launch_timeout_ms + (wait ? wait_ns / 1000000 : 0), err);
}

static int open_shell(struct client *c, struct json_object *vm, struct error **err)
{
	cleanup_free char *hostname = str_dup(show_string(vm, "hostname"));
	struct shell_options options = {.uid = -1, .gid = -1};

	fflush(stdout);
	return shell_session(c, &hostname, &options, err);
}

/* That it has run to its end is what was waited for; how it ended is worth a word. */
static void tell_userdata(struct client *c, struct json_object *vm)
{
	cleanup_free char *hostname = str_dup(show_string(vm, "hostname"));
	cleanup_json struct json_object *health =
		vm_json(c, &hostname, "GET", "/health", NULL, CLIENT_TIMEOUT_MS, NULL);

	if (health)
		warn_userdata(health, hostname);
}

static int run_add(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_json struct json_object *groups = NULL, *vm = NULL, *body = NULL;
	struct json_object *group;
	const char *wait;

	body = make_body(args, err);
	if (!body || wait_mode(args, &wait, err) || client_open(&c, args, err))
		return -1;
	groups = client_json(&c, "GET", "/hostgroup", NULL, CLIENT_TIMEOUT_MS, err);
	if (!groups)
		return -1;
	group = pick_group(groups, args->nargs ? args->args[0] : NULL, err);
	if (!group)
		return -1;
	vm = create(&c, args, group, body, err);
	if (!vm)
		return -1;
	if (parsed_bool(args, "json", false))
		print_json(vm, stdout);
	else
		print_created(args, group, body, vm);
	if (wait && str_eq(wait, "userdata"))
		tell_userdata(&c, vm);
	return parsed_bool(args, "shell", false) ? open_shell(&c, vm, err) : 0;
}

static const struct option_spec add_options[] = {
	{"cpus", 0, OPTION_INT, "N", "Virtual CPUs; at most the group's", "cpu vcpu", .min = 1, .max = 1024},
	{"ram-gb", 0, OPTION_INT, "N", "Memory in GiB; at most the group's", "ram", .min = 1, .max = 1 << 20},
	{"ram-mb", 0, OPTION_INT, "N", "Memory in MiB", .min = 1, .max = 1 << 30},
	{"ram-bytes", 0, OPTION_INT, "N", "Memory in bytes", .min = 1, .max = 1ULL << 50},
	{"gpus", 0, OPTION_INT, "N", "GPUs; at most the group's", .max = 64},
	{"name", 'n', OPTION_STRING, "NAME", "Friendly name, usable instead of the hostname"},
	{"tag", 0, OPTION_STRINGS, "K=V", "Tag"},
	{"userdata", 0, OPTION_STRING, "SCRIPT", "Shell script to run as root at first boot"},
	{"userdata-file", 0, OPTION_STRING, "FILE", "File with that script"},
	{"ssh-key", 0, OPTION_STRINGS, "KEY", "Public SSH key, or a file of them"},
	{"import-user", 0, OPTION_STRING, "USER", "GitHub user whose SSH keys may log in", "github"},
	{"secrets", 0, OPTION_STRINGS, "A,B", "Secrets that the VM may read; \"\" for none", "secret", .commas = true},
	{"persistent", 0, OPTION_BOOL, NULL, "Keep the disk when the VM stops (default true)"},
	{"rm", 0, OPTION_BOOL, NULL, "Remove the VM and its disk when it stops"},
	{"wait", 0, OPTION_BOOL, NULL, "Return when the VM's agent answers"},
	{"wait-userdata", 0, OPTION_BOOL, NULL, "Return when the userdata has run"},
	{"ready", 0, OPTION_STRING, "WHAT", "Wait for \"agent\" or \"userdata\""},
	{"timeout", 0, OPTION_DURATION, "TIME", "How long to wait (default 5m); then the VM is removed again"},
	{"shell", 0, OPTION_BOOL, NULL, "Open a shell in the VM"},
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

const struct command command_vm_add = {
	.name = "add",
	.aliases = "launch create new",
	.summary = "Create and start a VM",
	.usage = "[GROUP]",
	.options = add_options,
	.run = run_add,
	.max_args = 1,
};
