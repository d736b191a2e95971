/* SPDX-License-Identifier: MIT */
/* modules.dep and modules.builtin, one after the other with a NUL between them; the output of apt and of busybox. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "image/apt.h"
#include "image/modules.h"
#include "image/rootfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void try_modules(const char *dep, const char *builtin)
{
	cleanup_error struct error *err = NULL;
	cleanup_strv char **order = NULL;

	if (modules_boot_order(dep, builtin, &order, &err) < 0) {
		require(err && !order);
		return;
	}
	for (size_t i = 0; i < strv_len(order); i++) {
		cleanup_free char *plain = modules_plain_path(order[i]);

		require(strlen(plain) <= strlen(order[i]));
		for (size_t k = 0; k < i; k++)
			require(!str_eq(order[i], order[k]));
	}
}

static void require_all_differ(char *const *list)
{
	for (size_t i = 0; list && list[i]; i++)
		require(!strv_contains(list + i + 1, list[i]));
}

static void try_targets(const char *text)
{
	cleanup_strv char **sources = apt_parse_targets(text, "bookworm");

	require_all_differ(sources);
	for (char **s = sources; s && *s; s++) {
		cleanup_strv char **words = strv_split(*s, ' ');

		/* A line of sources.list(5), and no options in it */
		require(strv_len(words) == 4 && str_eq(words[0], "deb") && str_eq(words[3], "main"));
		require(str_starts(words[2], "bookworm") && !strpbrk(*s, "\t\n[]"));
	}
}

/* The order in which apt names the files must not matter. */
static void try_closure(const char *text)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	size_t n = 0, again_n = 0, last = strv_len(lines) - 1;
	cleanup_error struct error *err = NULL;
	cleanup_free char *hash = apt_parse_closure(text, &n, &err);

	for (size_t i = 0; i < last - i && i < last; i++) {
		char *line = lines[i];

		lines[i] = lines[last - i];
		lines[last - i] = line;
	}
	cleanup_free char *reversed = strv_join(lines, "\n");
	cleanup_free char *again = apt_parse_closure(reversed, &again_n, NULL);
	require(!hash == !!err && str_eq(hash, again) && n == again_n);
	require(!hash || (strlen(hash) == 64 && n > 0 && n <= last + 1));
}

static void try_applets(const char *text)
{
	cleanup_strv char **paths = rootfs_applet_links(text);

	require_all_differ(paths);
	for (char **p = paths; p && *p; p++) {
		cleanup_strv char **parts = strv_split(*p, '/');

		require(strv_len(parts) == 3 && str_eq(parts[0], "usr") && *parts[2]);
		require(str_eq(parts[1], "bin") || str_eq(parts[1], "sbin"));
		require(!str_eq(parts[2], "su") && !str_eq(parts[2], "init"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = str_ndup((const char *)data, size);
	cleanup_free char *name = apt_parse_depends(text, "linux-image-", NULL);
	struct apt_package package = {0};
	size_t first = strlen(text);

	try_targets(text);
	try_closure(text);
	try_applets(text);
	require(!name || str_starts(name, "linux-image-"));
	if (apt_parse_uri(text, &package, NULL) == 0)
		require(package.hash != NULL);
	apt_package_clear(&package);
	if (first < size) {
		cleanup_free char *rest = str_ndup((const char *)data + first + 1, size - first - 1);

		try_modules(text, rest);
	} else {
		try_modules(text, "");
	}
	return 0;
}
