/* SPDX-License-Identifier: MIT */
#include "host/doctor_files.h"

#include <dirent.h>

#include "base/fs.h"

#define KEPT_SUFFIX ".before-slicer"

static int is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

char **doctor_names(const struct doctor *d, const char *dir, const char *suffix)
{
	cleanup_free char *path = doctor_path(d, dir);
	struct dirent **entries = NULL;
	char **names = NULL;
	int n = scandir(path, &entries, is_visible, alphasort);

	for (int i = 0; i < n; i++) {
		if (str_ends(entries[i]->d_name, suffix))
			strv_append(&names, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return names;
}

/* Calls each for the "key=value" lines of a section; value has no white space around it. */
typedef void ini_fn(const char *key, const char *value, void *arg);

static void ini_line(char *line, ini_fn *each, void *arg)
{
	char *equals = strchr(line, '=');
	size_t n;

	if (!equals || *line == '#' || *line == ';')
		return;
	*equals = '\0';
	n = strlen(line);
	while (n && (line[n - 1] == '+' || line[n - 1] == ' '))
		line[--n] = '\0';
	each(line, str_trim(equals + 1), arg);
}

static void ini_each(const char *text, const char *section, ini_fn *each, void *arg)
{
	cleanup_strv char **lines = strv_split(text, '\n');
	cleanup_free char *head = str_fmt("[%s]", section);
	bool inside = false;

	for (char **l = lines; *l; l++) {
		char *line = str_trim(*l);

		if (*line == '[')
			inside = str_eq(line, head);
		else if (inside)
			ini_line(line, each, arg);
	}
}

struct ini_wanted {
	const char *key; /* NULL: all, their names instead of their values */
	char **found;
};

static void ini_take(const char *key, const char *value, void *arg)
{
	struct ini_wanted *w = arg;

	if (!w->key)
		strv_append(&w->found, key);
	else if (str_eq(key, w->key))
		strv_append(&w->found, value);
}

char **doctor_ini_values(const char *text, const char *section, const char *key)
{
	struct ini_wanted w = {.key = key};

	ini_each(text, section, ini_take, &w);
	return w.found;
}

char **doctor_ini_keys(const char *text, const char *section)
{
	struct ini_wanted w = {0};

	ini_each(text, section, ini_take, &w);
	return w.found;
}

void doctor_show(char ***lines, const struct doctor_file *f)
{
	cleanup_strv char **text = strv_split(f->text, '\n');

	strv_append_fmt(lines, "Write %s:", f->path);
	for (char **line = text; *line && (line[1] || **line); line++)
		strv_append_fmt(lines, "    %s", *line);
}

/* What is there already: does it need to be written, and may it be? */
static int may_write(const struct doctor *d, const struct doctor_file *f, const char *full, bool force,
		     bool *ret_needed, struct error **err)
{
	cleanup_free char *old = doctor_read(d, f->path), *wanted = str_dup(f->text),
			  *kept = str_fmt("%s" KEPT_SUFFIX, full);

	*ret_needed = !str_eq(old, str_trim(wanted));
	if (!*ret_needed || !fs_exists(full) || (old && f->mark && str_starts(old, f->mark)))
		return 0;
	if (!force)
		return error_set(err, ERR_CONFLICT,
				 "%s is there already, with another content: add the lines above to it, or let "
				 "--fix --force replace it and keep it as %s" KEPT_SUFFIX,
				 f->path, f->path);
	return fs_exists(kept) ? 0 : fs_copy_file(full, kept, 0644, err);
}

int doctor_write(const struct doctor *d, const struct doctor_file *f, bool force, FILE *out, struct error **err)
{
	cleanup_free char *full = doctor_path(d, f->path), *dir = fs_dirname(full);
	cleanup_strv char **shown = NULL;
	bool needed, ok;

	ok = may_write(d, f, full, force, &needed, err) == 0;
	if (ok && !needed)
		return 0;
	doctor_show(&shown, f);
	for (char **line = shown; *line; line++)
		fprintf(out, "%s\n", *line);
	if (!ok)
		return -1;
	if (fs_mkdir_p(dir, 0755, err) || fs_write_atomic(full, f->text, strlen(f->text), 0644, err))
		return -1;
	fprintf(out, "%s is written\n", f->path);
	return 0;
}
