/* SPDX-License-Identifier: MIT */
#include "image/apt_passwords.h"

#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/apt.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define TIMEOUT_MS (60 * 1000)
#define COPY "auth.conf"

/* NAME='VALUE', as a shell takes it. */
char *apt_parse_path(const char *text, const char *name)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	cleanup_free char *prefix = str_fmt("%s='", name);

	for (size_t i = 0; lines[i]; i++) {
		const char *value = lines[i] + strlen(prefix);
		if (str_starts(lines[i], prefix) && *value == '/' && str_ends(value, "'"))
			return str_ndup(value, strlen(value) - 1);
	}
	return NULL;
}

static char **find_files(struct error **err)
{
	const char *const argv[] = {"apt-config", "shell", "ONE", "Dir::Etc::netrc/f", "MANY", "Dir::Etc::netrcparts/d",
				    NULL};
	struct tool tool = {.argv = argv, .package = "apt", .input = -1, .timeout_ms = TIMEOUT_MS};
	cleanup_free char *out = NULL;
	cleanup_strv char **names = NULL;
	char **paths = NULL;

	if (tool_run(&tool, &out, err) < 0)
		return NULL;
	char *one = apt_parse_path(out, "ONE");
	cleanup_free char *many = apt_parse_path(out, "MANY");
	paths = mem_alloc_array(1, sizeof(*paths));
	strv_append_take(&paths, one);
	if (many && fs_list_files(many, &names, NULL) == 0)
		for (size_t i = 0; names && names[i]; i++)
			if (str_ends(names[i], ".conf"))
				strv_append_take(&paths, fs_join(many, names[i]));
	return paths;
}

/* Their content, one after the other; NULL when everybody may read it anyway, or there is none. */
static char *closed_content(char *const *paths, struct error **err)
{
	cleanup_strv char **texts = NULL;
	bool closed = false;
	struct stat st;

	for (size_t i = 0; paths[i]; i++) {
		char *text = NULL;
		if (stat(paths[i], &st) < 0)
			continue;
		closed |= !(st.st_mode & S_IROTH);
		if (fs_read_file(paths[i], FILE_LIMIT, &text, NULL, err) < 0) {
			free(text);
			return NULL;
		}
		strv_append_take(&texts, text);
	}
	return closed ? strv_join(texts, "\n") : NULL;
}

static int copy(const struct work *work, const char *text, char ***argv, struct error **err)
{
	cleanup_free char *path = fs_join(work->dir, COPY), *none = fs_join(work->dir, COPY ".d");

	if (fs_write_atomic(path, text, strlen(text), 0600, err) < 0 || fs_mkdir_p(none, 0755, err) < 0 ||
	    work_give(work, COPY, err) < 0)
		return -1;
	strv_append(argv, "-o");
	strv_append_fmt(argv, "Dir::Etc::netrc=%s/" COPY, work_path(work));
	strv_append(argv, "-o");
	strv_append_fmt(argv, "Dir::Etc::netrcparts=%s/" COPY ".d", work_path(work));
	return 0;
}

int apt_give_passwords(const struct work *work, char ***argv, struct error **err)
{
	cleanup_error struct error *why = NULL;
	cleanup_strv char **paths = NULL;

	if (!work->confined)
		return 0;
	paths = find_files(err);
	if (!paths)
		return -1;
	cleanup_free char *text = closed_content(paths, &why);
	if (why)
		return error_move(err, &why);
	return text ? copy(work, text, argv, err) : 0;
}
