/* SPDX-License-Identifier: MIT */
/* How the checks see the host. */
#include <dirent.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "host/doctor.h"

enum { READ_LIMIT = 4 << 20, VERSION_LIMIT = 64 * 1024, VERSION_MS = 5000 };

char *doctor_path(const struct doctor *d, const char *path)
{
	return str_fmt("%s%s", d->root, path);
}

char *doctor_read(const struct doctor *d, const char *path)
{
	cleanup_free char *full = doctor_path(d, path), *text = NULL;
	size_t n;

	if (fs_read_file(full, READ_LIMIT, &text, &n, NULL))
		return NULL;
	return str_dup(str_trim(text));
}

bool doctor_exists(const struct doctor *d, const char *path)
{
	cleanup_free char *full = doctor_path(d, path);

	return fs_exists(full);
}

char *doctor_program(const struct doctor *d, const char *name)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/sbin"};

	if (!*d->root)
		return proc_find_program(name);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		cleanup_free char *path = str_fmt("%s%s/%s", d->root, dirs[i], name);

		if (access(path, X_OK) == 0)
			return TAKE_PTR(path);
	}
	return NULL;
}

char *doctor_version(const char *program)
{
	char *const argv[] = {(char *)program, (char *)"--version", NULL};
	struct proc_result r = {0};
	char *line = NULL;

	if (proc_run(argv, NULL, VERSION_LIMIT, VERSION_MS, &r, NULL) == 0)
		line = str_ndup(r.out, strcspn(r.out, "\n"));
	proc_result_clear(&r);
	return line;
}

static bool is_pid(const char *name)
{
	return *name && strspn(name, "0123456789") == strlen(name);
}

bool doctor_runs(const struct doctor *d, const char *comm)
{
	cleanup_free char *proc = doctor_path(d, "/proc");
	DIR *dir = opendir(proc);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		cleanup_free char *path = str_fmt("/proc/%s/comm", entry->d_name);
		cleanup_free char *name = is_pid(entry->d_name) ? doctor_read(d, path) : NULL;

		found = str_eq(name, comm);
	}
	if (dir)
		closedir(dir);
	return found;
}

enum doctor_severity doctor_need(const struct doctor *d, unsigned modes)
{
	if (!d->config)
		return DOCTOR_WARNING;
	for (size_t i = 0; i < d->config->ngroups; i++)
		if (modes & 1U << d->config->groups[i].network.mode)
			return DOCTOR_ERROR;
	return DOCTOR_NOTE;
}
