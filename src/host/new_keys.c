/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include "base/fs.h"
#include "base/str.h"
#include "config/syntax.h"
#include "host/new_yaml.h"

#define KEY_FILE_MAX 16384

static void append_new(char ***keys, const char *line)
{
	if (!strv_contains(*keys, line))
		strv_append(keys, line);
}

static void append_lines(char ***keys, const char *text)
{
	cleanup_strv char **lines = strv_split(text, '\n');

	for (size_t i = 0; lines[i]; i++) {
		const char *line = str_trim(lines[i]);

		if (*line && *line != '#')
			append_new(keys, line);
	}
}

static bool is_key_text(const char *s)
{
	return strchr(s, ' ') && (str_starts(s, "ssh-") || str_starts(s, "ecdsa-") || str_starts(s, "sk-"));
}

static char *expand_home(const char *path)
{
	const char *home = getenv("HOME");

	return str_starts(path, "~/") && home ? fs_join(home, path + 2) : str_dup(path);
}

static int read_key_file(const char *path, char ***keys, struct error **err)
{
	cleanup_free char *text = NULL;
	size_t n;

	if (fs_read_file(path, KEY_FILE_MAX, &text, &n, err) < 0)
		return -1;
	if (strlen(text) != n || syntax_ssh_key(text, err) < 0)
		return error_wrap(err, "%s", path);
	append_lines(keys, text);
	return 0;
}

int new_read_keys(char *const *given, char ***keys, struct error **err)
{
	for (size_t i = 0; i < strv_len(given); i++) {
		cleanup_free char *path = expand_home(given[i]);
		int rc = is_key_text(given[i]) ? syntax_ssh_key(given[i], err) : read_key_file(path, keys, err);

		if (rc < 0)
			return error_wrap(err, "--ssh-key");
		if (is_key_text(given[i]))
			append_lines(keys, given[i]);
	}
	return 0;
}

static int only_public_keys(const struct dirent *entry)
{
	return str_ends(entry->d_name, ".pub") && !str_ends(entry->d_name, "-cert.pub");
}

void new_find_keys(char ***keys)
{
	const char *home = getenv("HOME");
	cleanup_free char *dir = home ? fs_join(home, ".ssh") : NULL;
	struct dirent **entries = NULL;
	int n = dir ? scandir(dir, &entries, only_public_keys, alphasort) : 0;

	for (int i = 0; i < n; i++) {
		cleanup_free char *path = fs_join(dir, entries[i]->d_name);

		read_key_file(path, keys, NULL);
		free(entries[i]);
	}
	free(entries);
}
