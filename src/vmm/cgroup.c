/* SPDX-License-Identifier: MIT */
#include "vmm/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

enum {
	MOUNTINFO_MAX = 16 << 20,
	PROCS_MAX = 1 << 20, /* bytes of a list of pids */
	NAME_MAX_BYTES = 512,
	REMOVE_MS = 2000,
	REMOVE_STEP_MS = 5,
	DEPTH_MAX = 8, /* of what was made below a VM's group */
};

/* Is `line` a mount at `where`; then whether of type cgroup2. "ID PARENT DEV ROOT MOUNTPOINT OPTIONS… - TYPE SOURCE …" */
static bool mount_at(const char *line, size_t n, const char *where, bool *ret)
{
	cleanup_free char *copy = str_ndup(line, n);
	cleanup_strv char **fields = strv_split(copy, ' ');
	size_t nfields = strv_len(fields);

	if (nfields < 5 || !str_eq(fields[4], where))
		return false;
	*ret = false;
	for (size_t i = 5; i + 1 < nfields; i++) {
		if (str_eq(fields[i], "-")) {
			*ret = str_eq(fields[i + 1], "cgroup2");
			break;
		}
	}
	return true;
}

const char *cgroup_find_root(const char *mountinfo)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		bool found = false;

		/* What was mounted last at a place hides the others. */
		for (const char *at = mountinfo; *at;) {
			size_t n = strcspn(at, "\n");

			mount_at(at, n, places[i], &found);
			at += n + (at[n] == '\n');
		}
		if (found)
			return places[i];
	}
	return NULL;
}

static const char *find_root(void)
{
	cleanup_free char *text = NULL;
	size_t n;

	if (fs_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, &n, NULL) < 0)
		return NULL;
	return cgroup_find_root(text);
}

static bool name_is_valid(const char *name)
{
	cleanup_strv char **parts = strv_split(name, '/');

	if (strv_len(parts) != 2)
		return false;
	for (char **p = parts; *p; p++)
		if (!**p || **p == '.' || strspn(*p, NAME_BYTES) != strlen(*p))
			return false;
	return true;
}

char *cgroup_reserve(const char *run_dir, const char *name, struct error **err)
{
	cleanup_free char *note = fs_join(run_dir, "cgroup");
	const char *root;

	if (!name_is_valid(name)) {
		error_set(err, ERR_INVALID, "\"%s\" cannot be the name of a control group", name);
		return NULL;
	}
	if (geteuid() != 0) {
		error_set(err, ERR_FORBIDDEN, "no control group of its own: that needs root");
		return NULL;
	}
	root = find_root();
	if (!root) {
		error_set(err, ERR_UNSUPPORTED,
			  "no control group of its own: this host has no cgroup2 in /sys/fs/cgroup");
		return NULL;
	}
	if (fs_write_atomic(note, name, strlen(name), 0600, err) < 0)
		return NULL;
	return str_fmt("%s/slicer/%s", root, name);
}

/* Of kernels before 5.14, which cannot kill a group at once. What forks meanwhile is met in the next round. */
static void kill_listed(const char *path)
{
	cleanup_free char *procs = fs_join(path, "cgroup.procs"), *text = NULL;
	cleanup_strv char **pids = NULL;
	uint64_t pid;
	size_t n;

	if (fs_read_file(procs, PROCS_MAX, &text, &n, NULL) < 0)
		return;
	pids = strv_split(text, '\n');
	for (char **p = pids; *p; p++)
		if (str_to_u64(*p, 2, INT32_MAX, "pid", &pid, NULL) == 0 && (pid_t)pid != getpid())
			kill((pid_t)pid, SIGKILL);
}

static void kill_group(const char *path)
{
	cleanup_free char *file = fs_join(path, "cgroup.kill");
	cleanup_close int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) < 0)
		kill_listed(path);
}

/* The group and those below it, which a VMM without limits of its own may have made; the files in it go with it. Returns
 * whether nothing is left. */
static bool remove_group(const char *path, int depth)
{
	DIR *dir;
	struct dirent *entry;

	kill_group(path);
	if (rmdir(path) == 0 || errno == ENOENT)
		return true;
	dir = depth < DEPTH_MAX ? opendir(path) : NULL;
	while (dir && (entry = readdir(dir))) {
		cleanup_free char *below = fs_join(path, entry->d_name);

		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			remove_group(below, depth + 1);
	}
	if (dir)
		closedir(dir);
	return rmdir(path) == 0 || errno == ENOENT;
}

static int remove_below(const char *root, const char *name, struct error **err)
{
	cleanup_free char *path = str_fmt("%s/slicer/%s", root, name), *daemon = fs_dirname(path),
			  *all = fs_dirname(daemon);
	int64_t deadline = clock_ms() + REMOVE_MS;

	while (!remove_group(path, 0)) {
		if (clock_ms() >= deadline)
			return error_set(err, ERR_TIMEOUT, "what runs in the control group %s does not end", path);
		poll(NULL, 0, REMOVE_STEP_MS);
	}
	/* Unless others are in there. */
	if (rmdir(daemon) == 0)
		rmdir(all);
	return 0;
}

int cgroup_remove_named(const char *name, struct error **err)
{
	const char *root = find_root();

	return root && name_is_valid(name) ? remove_below(root, name, err) : 0;
}

int cgroup_remove(const char *run_dir, struct error **err)
{
	cleanup_free char *note = fs_join(run_dir, "cgroup"), *name = NULL;
	cleanup_error struct error *error = NULL;
	size_t n;

	if (fs_read_file(note, NAME_MAX_BYTES, &name, &n, &error) < 0)
		return error->code == ERR_NOT_FOUND ? 0 : error_move(err, &error);
	if (cgroup_remove_named(name, err) < 0)
		return -1;
	return fs_unlink(note, err);
}

char **cgroup_list(const char *daemon_id)
{
	const char *root = find_root();
	cleanup_free char *path = root ? str_fmt("%s/slicer/%s", root, daemon_id) : NULL;
	char **names = NULL;

	return path && fs_list_dirs(path, &names, NULL) == 0 ? names : NULL;
}
