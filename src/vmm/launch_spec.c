/* SPDX-License-Identifier: MIT */
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/launch_spec.h"

enum {
	HELPER_THREADS = 16, /* of passt and the filter, which share a user */
	HELPER_BYTES = 128 << 20,
};

static void launch_add_ids(struct json_object *obj, uid_t uid, gid_t gid)
{
	bool root = geteuid() == 0;

	js_add_u64(obj, "uid", root ? uid : geteuid());
	js_add_u64(obj, "gid", root ? gid : getegid());
}

static bool launch_is_helpers(const struct launch_fds *fds, int number)
{
	return number == fds->helper || number == fds->frames[0] || number == fds->frames[1];
}

static struct json_object *launch_vmm_json(const struct vmm_spec *spec, const struct vmm_command *command,
					   const struct launch_fds *fds)
{
	struct json_object *obj = json_object_new_object(), *numbers = json_object_new_array();

	for (size_t i = 0; i < fds->n; i++) {
		if (fds->fds[i].to >= LAUNCH_FD_FIRST && !launch_is_helpers(fds, fds->fds[i].to))
			json_object_array_add(numbers, json_object_new_int(fds->fds[i].to));
	}
	js_add_strv(obj, "argv", command->argv);
	js_add_strv(obj, "env", command->env);
	launch_add_ids(obj, spec->uid, spec->gid);
	js_add(obj, "fds", numbers);
	js_add_bool(obj, "kvm", command->kvm);
	js_add_bool(obj, "privileged", command->privileged);
	if (!command->privileged && !spec->unjailed)
		js_add(obj, "jail", jail_spec_to_json(&command->jail));
	return obj;
}

static struct json_object *launch_helper_json(const struct vmm_spec *spec, char *const *argv, const int *fds,
					      size_t nfds, const struct jail_spec *jail)
{
	struct json_object *obj = json_object_new_object(), *numbers = json_object_new_array();

	for (size_t i = 0; i < nfds; i++)
		json_object_array_add(numbers, json_object_new_int(fds[i]));
	js_add_strv(obj, "argv", argv);
	launch_add_ids(obj, spec->net.helper_uid, spec->net.helper_gid);
	js_add(obj, "fds", numbers);
	if (!spec->unjailed)
		js_add(obj, "jail", jail_spec_to_json(jail));
	return obj;
}

/* passt: the program and, where the processor knows AVX2, the one behind it; libraries; and what says which resolvers the
 * host has. It makes namespaces of its own within, and talks to the world by the host's network. */
static void network_helper_paths(struct jail_spec *s, const char *program)
{
	jail_spec_add_libraries(s);
	strv_append(&s->paths, "/etc/resolv.conf");
	strv_append_fmt(&s->paths, "%s.avx2", program);
	strv_append(&s->devices, "null");
	strv_append(&s->devices, "urandom");
}

/* The network helper, and the filter of frames between it and the VMM (monitor_frames.h). */
static void launch_add_helpers(struct json_object *helpers, const struct vmm_spec *spec, const struct launch_fds *fds)
{
	cleanup_strv char **argv = NULL, **filter = NULL;
	struct jail_spec filter_jail = {.threads = HELPER_THREADS};
	struct jail_spec seen = {.threads = HELPER_THREADS, .host_network = true, .own_sandbox = true};

	network_helper_paths(&seen, spec->net.helper_argv[0]);
	for (char *const *a = spec->net.helper_argv; a && *a; a++) {
		if (str_eq(*a, "@FD@"))
			strv_append_fmt(&argv, "%d", fds->helper);
		else
			strv_append(&argv, *a);
	}
	json_object_array_add(helpers, launch_helper_json(spec, argv, &fds->helper, 1, &seen));
	jail_spec_clear(&seen);
	if (SLICER_MONITOR_IS_DYNAMIC)
		jail_spec_add_libraries(&filter_jail);
	strv_append(&filter, "/proc/self/exe"); /* the monitor's, wherever it is */
	strv_append(&filter, "--frames");
	strv_append_fmt(&filter, "%d", fds->frames[0]);
	strv_append_fmt(&filter, "%d", fds->frames[1]);
	json_object_array_add(helpers, launch_helper_json(spec, filter, fds->frames, 2, &filter_jail));
	jail_spec_clear(&filter_jail);
}

/* The guest's memory, what the VMM needs to run it and its helpers; threads of all, the monitor's and the keepers' among them. */
static struct json_object *launch_cgroup_json(const struct vmm_spec *spec, const struct vmm_command *command,
					      const char *path)
{
	struct json_object *obj = json_object_new_object();

	js_add_string(obj, "path", path);
	if (command->privileged)
		return obj;
	js_add_u64(obj, "memory_bytes", spec->ram_bytes + command->overhead_bytes + HELPER_BYTES);
	js_add_u64(obj, "cpus", spec->vcpus);
	js_add_u64(obj, "threads", command->jail.threads + 2 * HELPER_THREADS);
	return obj;
}

struct json_object *launch_spec_json(const struct vmm_spec *spec, const struct vmm_command *command,
				     const struct launch_fds *fds, const char *cgroup)
{
	struct json_object *obj = json_object_new_object(), *console = json_object_new_object();
	struct json_object *helpers = json_object_new_array();

	js_add_u64(obj, "version", 1);
	js_add_string(obj, "vm", spec->name);
	js_add(obj, "vmm", launch_vmm_json(spec, command, fds));
	if (fds->helper >= 0)
		launch_add_helpers(helpers, spec, fds);
	js_add(obj, "helpers", helpers);
	js_add_u64(console, "pipe_fd", LAUNCH_FD_CONSOLE);
	js_add_string(console, "path", spec->console_path);
	js_add_u64(console, "limit", spec->console_limit);
	js_add(obj, "console", console);
	if (cgroup)
		js_add(obj, "cgroup", launch_cgroup_json(spec, command, cgroup));
	js_add_string(obj, "exit_record", spec->exit_record);
	js_add_u64(obj, "control_fd", LAUNCH_FD_CONTROL);
	js_add_u64(obj, "ready_fd", LAUNCH_FD_READY);
	return obj;
}

int launch_add_spec(const struct vmm_spec *spec, const struct vmm_command *command, struct launch_fds *fds,
		    const char *cgroup, struct error **err)
{
	cleanup_json struct json_object *obj = launch_spec_json(spec, command, fds, cgroup);
	cleanup_free char *text = js_to_string(obj);
	int fd = fd_memfile("slicer-monitor-spec", text, strlen(text), true, err);

	if (fd < 0)
		return -1;
	launch_fds_add(fds, fd, LAUNCH_FD_SPEC);
	return 0;
}
