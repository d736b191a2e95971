/* SPDX-License-Identifier: MIT */
#include "image/apt.h"

#include <dirent.h>
#include <errno.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/apt_passwords.h"
#include "image/hash.h"
#include "image/tool.h"
#include "image/work.h"

#define QUERY_TIMEOUT_MS (60 * 1000)
#define DOWNLOAD_TIMEOUT_MS (15 * 60 * 1000)
#define NAME_LIMIT 200
#define DEB_LIMIT ((uint64_t)4 << 30)
#define SHA256 "SHA256:"

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

static bool is_sha256(const char *hash)
{
	if (!str_starts(hash, SHA256))
		return false;
	hash += strlen(SHA256);
	return strlen(hash) == 64 && hash[strspn(hash, "0123456789abcdef")] == '\0';
}

/* "'URL' FILE SIZE HASH", one line per package; lines without the quote are remarks. */
int apt_parse_uri(const char *text, struct apt_package *ret, struct error **err)
{
	cleanup_strv char **lines = strv_split(text, '\n');

	for (size_t i = 0; lines[i]; i++) {
		uint64_t size = 0;
		if (lines[i][0] != '\'')
			continue;
		cleanup_strv char **fields = strv_split(lines[i], ' ');
		if (strv_len(fields) < 4 || str_to_u64(fields[2], 1, DEB_LIMIT, "size", &size, NULL) < 0 ||
		    !is_sha256(fields[3]))
			break;
		ret->hash = str_dup(fields[3]);
		ret->size = size;
		return 0;
	}
	return error_set(err, ERR_PROTOCOL, "the answer of apt-get names no file with a SHA256");
}

/* The value of a field of deb-control(5) whose line begins with `name`; borrowed. */
static const char *find_field(char *const *lines, const char *name)
{
	for (; *lines; lines++)
		if (str_starts(*lines, name))
			return *lines + strlen(name);
	return NULL;
}

static int parse_meta(const char *text, struct apt_package *ret, struct error **err)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	const char *hex = find_field(lines, "SHA256: "), *size = find_field(lines, "Size: ");
	cleanup_free char *hash = str_fmt(SHA256 "%s", hex ? hex : "");

	if (!is_sha256(hash) || !size || str_to_u64(size, 1, DEB_LIMIT, "size", &ret->size, NULL) < 0)
		return error_set(err, ERR_PROTOCOL, "the answer of apt-cache names no file with a SHA256");
	ret->hash = TAKE_PTR(hash);
	return 0;
}

/* "Depends: one (= 1), two | three" */
char *apt_parse_depends(const char *text, const char *prefix, struct error **err)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	const char *value = find_field(lines, "Depends: ");
	cleanup_strv char **parts = strv_split(value ? value : "", ',');

	for (size_t i = 0; parts[i]; i++) {
		char *name = str_trim(parts[i]);
		name[strcspn(name, " ")] = '\0';
		if (str_starts(name, prefix) && is_package_name(name))
			return str_dup(name);
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
	const char *const argv[] = {"apt-get", "download", "--print-uris", SANDBOX, "-o", "Acquire::ForceHash=SHA256",
				    name,      NULL};
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

static int parse_shown(const char *text, const char *prefix, struct apt_package *ret, char **ret_real,
		       struct error **err)
{
	if (parse_meta(text, ret, err) < 0)
		return -1;
	*ret_real = apt_parse_depends(text, prefix, err);
	return *ret_real ? 0 : -1;
}

int apt_resolve_meta(const char *name, const char *prefix, struct apt_package *ret, char **ret_real, struct error **err)
{
	const char *const argv[] = {"apt-cache", "show", "--no-all-versions", name, NULL};
	struct tool tool = {.argv = argv, .package = "apt", .input = -1, .timeout_ms = QUERY_TIMEOUT_MS};
	cleanup_free char *out = NULL;
	cleanup_error struct error *query = NULL;

	if (tool_run(&tool, &out, &query) < 0)
		return query_failed(name, &query, err);
	if (!*out)
		return no_package(name, err);
	if (parse_shown(out, prefix, ret, ret_real, err) < 0)
		return error_wrap(err, "package %s", name);
	ret->name = str_dup(name);
	return 0;
}

/* The name of the .deb that apt left, whatever it may be. */
static char *find_deb(const char *dir, struct error **err)
{
	DIR *d = opendir(dir);
	char *name = NULL;

	if (!d) {
		error_errno(err, errno, "open %s", dir);
		return NULL;
	}
	for (struct dirent *entry; !name && (entry = readdir(d));)
		if (str_ends(entry->d_name, ".deb"))
			name = str_dup(entry->d_name);
	closedir(d);
	if (!name)
		error_set(err, ERR_PROTOCOL, "apt-get left no .deb in %s", dir);
	return name;
}

/* Against what the lists say, whose signature apt has checked. */
static int check_deb(const struct apt_package *package, const char *path, struct error **err)
{
	cleanup_free char *hex = hash_file(path, err);

	if (!hex)
		return -1;
	if (str_eq(hex, package->hash + strlen(SHA256)))
		return 0;
	return error_set(err, ERR_PROTOCOL, "what apt-get downloaded is not what its lists name (%s): try again",
			 package->hash);
}

static int take_deb(const struct apt_package *package, const struct work *work, const char *to, struct error **err)
{
	cleanup_free char *name = find_deb(work->dir, err);

	return name && work_take(work, name, to, package->size, err) == 0 ? check_deb(package, to, err) : -1;
}

static int download(const struct apt_package *package, const struct writer *w, const char *to, struct error **err)
{
	static const char *const fixed[] = {"apt-get", "-q", "download", SANDBOX, NULL};
	cleanup_work struct work work = WORK_NONE;
	cleanup_strv char **argv = strv_copy((char *const *)(uintptr_t)fixed);

	if (work_open(&work, w, "download", err) < 0 || apt_give_passwords(&work, &argv, err) < 0)
		return -1;
	strv_append(&argv, package->name);
	struct tool tool = {
		.argv = (const char *const *)argv, .package = "apt", .input = -1, .timeout_ms = DOWNLOAD_TIMEOUT_MS};
	if (work_run(&work, &tool, NULL, err) < 0 || take_deb(package, &work, to, err) < 0)
		return -1;
	return work_close(&work, err);
}

int apt_download(const struct apt_package *package, const struct writer *w, const char *to, struct error **err)
{
	return download(package, w, to, err) < 0 ? error_wrap(err, "download of package %s", package->name) : 0;
}
