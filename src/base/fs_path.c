/* SPDX-License-Identifier: MIT */
/* Paths as text; only fs_absolute and fs_self_exe ask the system. */
#include "base/fs.h"

#include <limits.h>
#include <unistd.h>

#include "base/str.h"

/* Length of path without trailing slashes; "/" keeps its one. */
static size_t trimmed_length(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return n;
}

static size_t basename_start(const char *path, size_t n)
{
	while (n && path[n - 1] != '/')
		n--;
	return n;
}

char *fs_dirname(const char *path)
{
	size_t n = basename_start(path, trimmed_length(path));

	while (n > 1 && path[n - 1] == '/')
		n--;
	return n ? str_ndup(path, n) : str_dup(".");
}

char *fs_basename(const char *path)
{
	size_t n = trimmed_length(path), start = basename_start(path, n);

	return start == n ? str_ndup(path, n) : str_ndup(path + start, n - start);
}

char *fs_join(const char *dir, const char *name)
{
	size_t n = trimmed_length(dir);

	while (*name == '/')
		name++;
	if (!n)
		return str_dup(name);
	return str_fmt("%.*s%s%s", (int)n, dir, dir[n - 1] == '/' ? "" : "/", name);
}

/* Appends one component to an absolute path without trailing slash ("" is the root). */
static void append_component(char *path, size_t *used, const char *part)
{
	if (!*part || str_eq(part, "."))
		return;
	if (str_eq(part, "..")) {
		while (*used && path[--*used] != '/')
			;
		path[*used] = '\0';
		return;
	}
	path[(*used)++] = '/';
	memcpy(path + *used, part, strlen(part) + 1);
	*used += strlen(part);
}

char *fs_absolute(const char *path)
{
	cleanup_free char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	cleanup_free char *full = str_fmt("%s/%s", cwd ? cwd : "", path);
	cleanup_strv char **parts = strv_split(full, '/');
	char *out = mem_alloc(strlen(full) + 2);
	size_t used = 0;

	for (char **p = parts; *p; p++)
		append_component(out, &used, *p);
	if (!used)
		out[0] = '/';
	return out;
}

char *fs_self_exe(void)
{
	static const char gone[] = " (deleted)";
	char path[PATH_MAX + sizeof(gone)];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	/* After an upgrade the file behind us has been replaced: its successor is what to start
	 * next. */
	if (!fs_exists(path) && str_ends(path, gone))
		path[(size_t)n - strlen(gone)] = '\0';
	return fs_exists(path) ? str_dup(path) : NULL;
}
