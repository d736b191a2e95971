/* SPDX-License-Identifier: MIT */
/* What the host's apt knows about Debian's archive as a whole. */
#include "image/apt.h"

#include <stdlib.h>

#include "base/str.h"
#include "image/tool.h"

#define TIMEOUT_MS (60 * 1000)

static char *ask_apt(const char *const *argv, struct error **err)
{
	struct tool tool = {.argv = argv, .package = "apt", .input = -1, .timeout_ms = TIMEOUT_MS};
	char *out = NULL;

	return tool_run(&tool, &out, err) < 0 ? NULL : out;
}

static bool is_of_release(const char *suite, const char *codename)
{
	static const char *const suffixes[] = {"", "-updates", "-security"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		cleanup_free char *name = str_fmt("%s%s", codename, suffixes[i]);
		if (str_eq(suite, name))
			return true;
	}
	return false;
}

/* Lines "Debian|SUITE|main|URI"; the URI is what sources.list(5) takes. */
char **apt_parse_targets(const char *text, const char *codename)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	char **sources = NULL;

	for (size_t i = 0; lines[i]; i++) {
		cleanup_strv char **f = strv_split(lines[i], '|');
		if (strv_len(f) != 4 || !str_eq(f[0], "Debian") || !str_eq(f[2], "main") ||
		    !is_of_release(f[1], codename) || strpbrk(f[3], " \t[]"))
			continue;
		cleanup_free char *source = str_fmt("deb %s %s main", f[3], f[1]);
		if (!strv_contains(sources, source))
			strv_append(&sources, source);
	}
	return sources;
}

char **apt_debian_sources(const char *codename, struct error **err)
{
	const char *const argv[] = {"apt-get",
				    "indextargets",
				    "--format",
				    "$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)",
				    "Created-By: Packages",
				    NULL};
	cleanup_free char *out = ask_apt(argv, err);

	if (!out)
		return NULL;
	char **sources = apt_parse_targets(out, codename);
	if (!sources)
		error_set(err, ERR_NOT_FOUND,
			  "apt knows no archive of Debian \"%s\": run `apt-get update`, or add it to "
			  "/etc/apt/sources.list",
			  codename);
	return sources;
}

char *apt_fetch_options(struct error **err)
{
	static const char *const wanted[] = {"Acquire::http", "Acquire::Check-", "Acquire::Retries", "Acquire::Force"};
	const char *const argv[] = {"apt-config", "dump", "Acquire", NULL};
	cleanup_free char *out = ask_apt(argv, err);
	cleanup_strv char **lines = out ? strv_split(out, '\n') : NULL;
	cleanup_strv char **kept = NULL;

	if (!out)
		return NULL;
	for (size_t i = 0; lines[i]; i++)
		for (size_t j = 0; j < ARRAY_LEN(wanted); j++)
			if (str_starts(lines[i], wanted[j]))
				strv_append_fmt(&kept, "%s\n", lines[i]);
	return kept ? strv_join(kept, "") : str_dup("");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* From "'URL' FILE SIZE HASH" the last three: where a mirror is does not matter. */
char *apt_parse_closure(const char *text, size_t *ret_n, struct error **err)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	cleanup_strv char **files = NULL;

	for (size_t i = 0; lines[i]; i++) {
		const char *file = lines[i][0] == '\'' ? strchr(lines[i], ' ') : NULL;
		if (file)
			strv_append(&files, file + 1);
	}
	if (!files) {
		error_set(err, ERR_PROTOCOL, "the answer of apt-get names no files");
		return NULL;
	}
	if (ret_n)
		*ret_n = strv_len(files);
	qsort(files, strv_len(files), sizeof(*files), compare);
	cleanup_free char *joined = strv_join(files, "\n");
	return sha256_hex(joined, strlen(joined));
}

/* An empty status file stands for a system without packages. */
char *apt_closure(char *const *packages, size_t *ret_n, struct error **err)
{
	static const char *const fixed[] = {"apt-get",
					    "install",
					    "--print-uris",
					    "-qq",
					    "-y",
					    "-o",
					    "Dir::State::status=/dev/null",
					    "-o",
					    "APT::Install-Recommends=false",
					    "?essential",
					    "?priority(required)",
					    "apt"};
	cleanup_strv char **argv = NULL;

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		strv_append(&argv, fixed[i]);
	for (; *packages; packages++)
		strv_append(&argv, *packages);
	cleanup_free char *out = ask_apt((const char *const *)argv, err);
	if (!out) {
		error_wrap(err, "apt cannot find all packages of the image (run `apt-get update`, or check "
				"/etc/apt/sources.list)");
		return NULL;
	}
	return apt_parse_closure(out, ret_n, err);
}
