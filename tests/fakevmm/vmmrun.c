/* SPDX-License-Identifier: MIT */
/* Launches one VM through src/vmm without a daemon, for tests: vmmrun KEY=VALUE…, prints what
 * vmm_launch() answered as JSON. vmmrun launch name=vm-1 dir=/tmp/x kernel=… initrd=… [root=…]
 * [data=…] [config=…] [ram=MiB] [vcpus=N] [net=none|user|slirp|tap:NAME|macvtap:NAME] [uid=N] [hypervisor=qemu]
 * [cmdline=…] [console=PATH] [limit=BYTES] [cgroup=ID/NAME]
 * [jail=no] [disk=BYTES] [binary=PATH] [helper=PATH] vmmrun destroy dir=/tmp/x Sockets, console.txt and
 * exit.json are made in `dir`. */
#include <inttypes.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/json.h"
#include "base/links.h"
#include "base/str.h"
#include "base/units.h"
#include "net/mac.h"
#include "net/user.h"
#include "vmm/accel.h"

static const char *option(char **argv, const char *key, const char *fallback)
{
	size_t n = strlen(key);

	for (char **a = argv; *a; a++) {
		if (str_starts(*a, key) && (*a)[n] == '=')
			return *a + n + 1;
	}
	return fallback;
}

static uint64_t number(char **argv, const char *key, uint64_t fallback)
{
	const char *s = option(argv, key, NULL);

	return s ? strtoull(s, NULL, 10) : fallback;
}

/* tap:NAME makes one, macvtap:NAME opens one. As the daemon does both. */
static int choose_tap(const char *kind, struct vmm_net *net, struct error **err)
{
	const char *name = strchr(kind, ':') + 1;

	net->kind = VMM_NET_TAP;
	net->tap_fd = str_starts(kind, "tap:") ? links_tap_create(name, (uid_t)-1, err)
					       : links_macvtap_open(name, (int)if_nametoindex(name), err);
	return net->tap_fd < 0 ? -1 : 0;
}

static int choose_net(char **argv, struct vmm_net *net, struct net_user_plan *plan, struct error **err)
{
	const char *kind = option(argv, "net", "none");
	struct net_user_host host;

	mac_from_hostname(option(argv, "name", "vm-1"), net->mac);
	net->helper_uid = net->helper_gid = (uid_t)number(argv, "helper_uid", 399999);
	if (str_eq(kind, "none"))
		return 0;
	if (strchr(kind, ':'))
		return choose_tap(kind, net, err);
	net->kind = VMM_NET_SLIRP;
	if (!str_eq(kind, "user"))
		return 0;
	net_user_probe(&host);
	net_user_plan(&host, NULL, plan);
	net_user_host_clear(&host);
	if (plan->kind == NET_USER_PASST) {
		net->kind = VMM_NET_HELPER;
		net->helper_argv = plan->helper_argv;
	} else {
		fprintf(stderr, "vmmrun: %s\n", plan->note);
	}
	return 0;
}

static void print_process(const struct vmm_process *p, const struct vmm_probe *probe, int64_t took_ns)
{
	cleanup_json struct json_object *obj = json_object_new_object();
	cleanup_free char *text = NULL;

	js_add_u64(obj, "monitor_pid", (uint64_t)p->monitor_pid);
	js_add_u64(obj, "monitor_start", p->monitor_start);
	js_add_u64(obj, "vmm_pid", (uint64_t)p->vmm_pid);
	js_add_u64(obj, "vmm_start", p->vmm_start);
	js_add_string(obj, "note", p->note);
	js_add_i64(obj, "launch_us", took_ns / 1000);
	js_add_string(obj, "accel", vmm_accel_name(probe->accel));
	js_add_string(obj, "reason", probe->reason);
	js_add_string(obj, "version", probe->version);
	js_add_u64(obj, "tsc_khz", accel_clock_khz(probe->clock));
	text = js_to_string(obj);
	puts(text);
}

/* helper=PATH: that program in passt's place and jail. */
static void replace_helper(const char *path, struct vmm_net *net)
{
	static char *words[2];

	words[0] = (char *)path;
	if (path)
		net->helper_argv = words;
}

/* Of a program that is no hypervisor: it is up when it runs. */
static int await_nothing(const char *run_dir, struct deadline *deadline, struct error **err)
{
	return 0;
}

/* binary=PATH: that program instead, with QEMU's arguments and in QEMU's jail. */
static void replace_binary(const char *path, struct vmm_ops *ops, struct vmm_probe *probe)
{
	ops->await_up = await_nothing;
	free(probe->binary);
	free(probe->binary_full);
	probe->binary = str_dup(path);
	probe->binary_full = str_dup(path);
}

static int launch(char **argv, const char *dir, struct error **err)
{
	const struct vmm_ops *ops = vmm_by_name(option(argv, "hypervisor", "qemu"), err);
	cleanup_free char *console = fs_join(dir, "console.txt"), *record = fs_join(dir, "exit.json");
	struct net_user_plan plan = {0};
	struct vmm_probe probe = {0};
	struct vmm_process process;
	struct vmm_ops used;
	int64_t before;
	struct vmm_spec spec = {
		.name = option(argv, "name", "vm-1"),
		.probe = &probe,
		.vcpus = (unsigned)number(argv, "vcpus", 1),
		.ram_bytes = number(argv, "ram", 256) << 20,
		.kernel = option(argv, "kernel", NULL),
		.initrd = option(argv, "initrd", NULL),
		.cmdline = option(argv, "cmdline", NULL),
		.root_image = option(argv, "root", NULL),
		.data_disk = option(argv, "data", NULL),
		.config_disk = option(argv, "config", NULL),
		.uid = (uid_t)number(argv, "uid", 300001),
		.gid = (gid_t)number(argv, "uid", 300001),
		.cgroup = option(argv, "cgroup", NULL),
		.run_dir = dir,
		.console_path = option(argv, "console", console),
		.console_limit = number(argv, "limit", 8 << 20),
		.exit_record = record,
		.unjailed = str_eq(option(argv, "jail", "yes"), "no"),
		.disk_bytes = number(argv, "disk", 16ULL << 30),
	};
	int rc;

	if (!ops || vmm_probe(ops, VMM_ACCEL_AUTO, NULL, &probe, err) < 0 ||
	    choose_net(argv, &spec.net, &plan, err) < 0)
		return -1;
	replace_helper(option(argv, "helper", NULL), &spec.net);
	used = *ops;
	if (option(argv, "binary", NULL))
		replace_binary(option(argv, "binary", NULL), &used, &probe);
	before = clock_ns();
	rc = vmm_launch(&used, &spec, &process, err);
	if (rc == 0)
		print_process(&process, &probe, clock_ns() - before);
	net_user_plan_clear(&plan);
	vmm_probe_clear(&probe);
	return rc;
}

int main(int argc, char **argv)
{
	cleanup_error struct error *error = NULL;
	const char *dir = option(argv, "dir", NULL);
	int rc = -1;

	if (argc < 3 || !dir)
		error_set(&error, ERR_INVALID, "usage: vmmrun launch|destroy dir=DIR KEY=VALUE...");
	else if (str_eq(argv[1], "launch"))
		rc = launch(argv, dir, &error);
	else
		rc = vmm_destroy(dir, NULL, &error);
	if (rc < 0)
		fprintf(stderr, "vmmrun: %s\n", error_message(error));
	return rc < 0 ? error_exit_code(error) : 0;
}
