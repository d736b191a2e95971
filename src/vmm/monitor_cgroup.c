/* SPDX-License-Identifier: MIT */
#include "vmm/monitor_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

enum {
	ENTER_TRIES = 10,
	CPU_PERIOD_US = 100 * 1000,
	CPU_WEIGHT = 100, /* of one vCPU; the kernel's default for a group */
	CPU_WEIGHT_MAX = 10000,
	EVENTS_MAX = 4096, /* bytes of memory.events */
};

/* Errors do not name the group: they are the same for all VMs of a daemon, and are said once (vm/launch.c).
 *
 * The end of another VM removes the groups above this one whenever they are empty: then once more. */
static int make_and_enter(const char *path, struct error **err)
{
	cleanup_free char *procs = fs_join(path, "cgroup.procs"), *parent = fs_dirname(path);

	for (int tries = 0; tries < ENTER_TRIES; tries++) {
		cleanup_error struct error *error = NULL;
		cleanup_close int fd = -1;

		if (fs_mkdir_p(path, 0755, &error) < 0 && error->code != ERR_NOT_FOUND)
			return error_errno(err, error->sys_errno, "cannot make one in %s", parent);
		fd = open(procs, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, "0", 1) == 1)
			return 0;
		if (errno != ENOENT && errno != ENODEV)
			break;
	}
	return error_errno(err, errno, "cannot enter one in %s", parent);
}

int monitor_enter_cgroup(const char *path, struct error **err)
{
	mode_t mask = umask(022); /* which processes a VM has is no secret */
	int rc = make_and_enter(path, err);

	umask(mask);
	return rc < 0 ? error_wrap(err, "no control group of its own") : 0;
}

static bool group_write(const char *path, const char *file, const char *text)
{
	cleanup_free char *name = fs_join(path, file);
	cleanup_close int fd = open(name, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* From the root of the hierarchy down to the group's parent; in a group that has processes itself it is refused, which shows
 * when the limit is set. */
static void enable_controllers(const char *group)
{
	static const char *const controllers[] = {"+cpu", "+io", "+memory", "+pids"};
	cleanup_free char *parent = fs_dirname(group), *control = fs_join(parent, "cgroup.subtree_control");

	if (!fs_exists(control))
		return;
	enable_controllers(parent);
	for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
		group_write(parent, "cgroup.subtree_control", controllers[i]);
}

int monitor_limit_cgroup(const struct monitor_cgroup *c, struct error **err)
{
	uint64_t weight = c->cpus * CPU_WEIGHT > CPU_WEIGHT_MAX ? CPU_WEIGHT_MAX : c->cpus * CPU_WEIGHT;
	const struct {
		const char *controller, *file;
		uint64_t given; /* 0: no limit */
		char *text;
	} limits[] = {
		{"memory", "memory.max", c->memory_bytes, str_fmt("%llu", (unsigned long long)c->memory_bytes)},
		/* A thread besides the vCPUs moves its data. */
		{"cpu", "cpu.max", c->cpus,
		 str_fmt("%llu %d", (unsigned long long)(c->cpus + 1) * CPU_PERIOD_US, CPU_PERIOD_US)},
		{"cpu", "cpu.weight", c->cpus, str_fmt("%llu", (unsigned long long)weight)},
		{"pids", "pids.max", c->threads, str_fmt("%llu", (unsigned long long)c->threads)},
		{"io", "io.weight", c->cpus, str_fmt("default %d", CPU_WEIGHT)},
	};
	cleanup_strv char **missing = NULL;
	cleanup_free char *list = NULL;

	enable_controllers(c->path);
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		if (limits[i].given && !group_write(c->path, limits[i].file, limits[i].text) &&
		    !strv_contains(missing, limits[i].controller))
			strv_append(&missing, limits[i].controller);
		free(limits[i].text);
	}
	if (!missing)
		return 0;
	list = strv_join(missing, ", ");
	return error_set(err, ERR_UNSUPPORTED,
			 "not limited by a control group: %s (cgroup2 has no such controllers on this host)", list);
}

bool monitor_cgroup_was_oom(const char *path)
{
	cleanup_free char *file = fs_join(path, "memory.events"), *text = NULL;
	cleanup_strv char **lines = NULL;

	if (fs_read_file(file, EVENTS_MAX, &text, NULL, NULL) < 0)
		return false;
	lines = strv_split(text, '\n');
	for (char **l = lines; *l; l++)
		if (str_starts(*l, "oom_kill ") && !str_eq(*l, "oom_kill 0"))
			return true;
	return false;
}
