/* SPDX-License-Identifier: MIT */
#include "image/apt.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/tool.h"

#define QUERY_TIMEOUT_MS (60 * 1000)
#define DOWNLOAD_TIMEOUT_MS (15 * 60 * 1000)
#define NAME_LIMIT 200

void apt_package_clear(struct apt_package *package)
{
	free(package->name);
	free(package->hash);
	*package = (struct apt_package){0};
}

/* Debian policy, 5.6.1: lower-case letters, digits, + - . */
static bool is_package_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+-.");

	return n >= 2 && n <= NAME_LIMIT && name[n] == '\0';
}

/* "'URL' FILE SIZE HASH", one line per package; lines without the quote are remarks. */
int apt_parse_uri(const char *text, struct apt_package *ret, struct error **err)
{
	cleanup_strv char **lines = strv_split(text, '\n');

	for (size_t i = 0; lines[i]; i++) {
		if (lines[i][0] != '\'')
			continue;
		cleanup_strv char **fields = strv_split(lines[i], ' ');
		if (strv_len(fields) < 4 || !strchr(fields[3], ':') || strlen(fields[3]) > NAME_LIMIT)
			break;
		ret->hash = str_dup(fields[3]);
		return 0;
	}
	return error_set(err, ERR_PROTOCOL, "the answer of apt-get names no file with a hash");
}

char *apt_parse_depends(const char *text, const char *prefix, struct error **err)
{
	cleanup_strv char **lines = strv_split(text, '\n');

	for (size_t i = 0; lines[i]; i++) {
		char *line = str_trim(lines[i]);
		if (!str_starts(line, "Depends: "))
			continue;
		line += strlen("Depends: ");
		if (str_starts(line, prefix) && is_package_name(line))
			return str_dup(line);
	}
	error_set(err, ERR_PROTOCOL, "it depends on no package %s*", prefix);
	return NULL;
}

/* Debian's apt drops to user _apt as root; that user cannot write to our directories. */
#define SANDBOX "-o", "APT::Sandbox::User=root"

static int no_package(const char *name, struct error **err)
{
	return error_set(err, ERR_NOT_FOUND,
			 "apt knows no package %s: run `apt-get update`, or check /etc/apt/sources.list", name);
}

/* The failure of a query means an unknown package, but not if apt itself is missing or stuck. */
static int query_failed(const char *name, struct error **query, struct error **err)
{
	if (*query && (*query)->code == ERR_IO)
		return no_package(name, err);
	return error_move(err, query);
}

int apt_resolve(const char *name, struct apt_package *ret, struct error **err)
{
	const char *const argv[] = {"apt-get", "download", "--print-uris", SANDBOX, name, NULL};
	struct tool tool = {.argv = argv, .package = "apt", .input = -1, .timeout_ms = QUERY_TIMEOUT_MS};
	cleanup_free char *out = NULL;
	cleanup_error struct error *query = NULL;

	if (tool_run(&tool, &out, &query) < 0)
		return query_failed(name, &query, err);
	if (apt_parse_uri(out, ret, err) < 0)
		return error_wrap(err, "package %s", name);
	ret->name = str_dup(name);
	return 0;
}

char *apt_dependency(const char *meta, const char *prefix, struct error **err)
{
	const char *const argv[] = {"apt-cache", "depends", meta, NULL};
	struct tool tool = {.argv = argv, .package = "apt", .input = -1, .timeout_ms = QUERY_TIMEOUT_MS};
	cleanup_free char *out = NULL;
	cleanup_error struct error *query = NULL;

	if (tool_run(&tool, &out, &query) < 0) {
		query_failed(meta, &query, err);
		return NULL;
	}
	if (!*out) {
		no_package(meta, err);
		return NULL;
	}
	char *name = apt_parse_depends(out, prefix, err);
	if (!name)
		error_wrap(err, "package %s", meta);
	return name;
}

static char *only_deb(const char *dir, struct error **err)
{
	DIR *d = opendir(dir);
	char *path = NULL;

	if (!d) {
		error_errno(err, errno, "open %s", dir);
		return NULL;
	}
	for (struct dirent *entry; !path && (entry = readdir(d));)
		if (str_ends(entry->d_name, ".deb"))
			path = fs_join(dir, entry->d_name);
	closedir(d);
	if (!path)
		error_set(err, ERR_PROTOCOL, "apt-get left no .deb in %s", dir);
	return path;
}

char *apt_download(const char *name, const char *dir, struct error **err)
{
	const char *const argv[] = {"apt-get", "-q", "download", SANDBOX, name, NULL};
	struct tool tool = {.argv = argv, .package = "apt", .cwd = dir, .input = -1, .timeout_ms = DOWNLOAD_TIMEOUT_MS};

	if (fs_mkdir_p(dir, 0700, err) < 0)
		return NULL;
	if (tool_run(&tool, NULL, err) < 0) {
		error_wrap(err, "download of package %s", name);
		return NULL;
	}
	return only_deb(dir, err);
}
