/* SPDX-License-Identifier: MIT */
#include "cli/ignore.h"

#include "base/fs.h"
#include "base/glob.h"
#include "base/str.h"

struct rule {
	char *pattern;	     /* of a whole path */
	bool include;	     /* "!": not excluded after all */
	bool directory_only; /* ended by a slash */
};

struct ignore {
	struct rule *rules;
	size_t n;
};

/* Cuts unescaped trailing spaces, as git does. */
static void trim_end(char *line)
{
	size_t n = strlen(line);

	if (n && line[n - 1] == '\r')
		line[--n] = 0;
	while (n && line[n - 1] == ' ' && !(n > 1 && line[n - 2] == '\\'))
		line[--n] = 0;
}

static void add_rule(struct ignore *ig, char *line)
{
	struct rule rule = {0};
	size_t n;

	trim_end(line);
	if (!*line || *line == '#')
		return;
	if (*line == '!') {
		rule.include = true;
		line++;
	}
	n = strlen(line);
	if (n && line[n - 1] == '/') {
		rule.directory_only = true;
		line[n - 1] = 0;
	}
	if (!*line)
		return;
	/* A slash at the beginning or in the middle ties the pattern to the root; without one it matches at any depth. */
	if (*line == '/')
		rule.pattern = str_dup(line + 1);
	else
		rule.pattern = strchr(line, '/') ? str_dup(line) : str_fmt("**/%s", line);
	ig->rules = mem_realloc(ig->rules, (ig->n + 1) * sizeof(*ig->rules));
	ig->rules[ig->n++] = rule;
}

struct ignore *ignore_parse(const char *text)
{
	struct ignore *ig = NEW(struct ignore);
	cleanup_strv char **lines = strv_split(text, '\n');

	for (char **line = lines; *line; line++)
		add_rule(ig, *line);
	return ig;
}

struct ignore *ignore_load(const char *dir, struct error **err)
{
	cleanup_free char *path = fs_join(dir, ".slicerignore");
	cleanup_free char *text = NULL;
	size_t n = 0;

	if (!fs_exists(path))
		return NEW(struct ignore);
	if (fs_read_file(path, IGNORE_FILE_MAX, &text, &n, err))
		return NULL;
	return ignore_parse(text);
}

void ignore_free(struct ignore **ig)
{
	if (!*ig)
		return;
	for (size_t i = 0; i < (*ig)->n; i++)
		free((*ig)->rules[i].pattern);
	free((*ig)->rules);
	free(*ig);
	*ig = NULL;
}

/* "dir/" + "**" in the end matches what is in dir, not dir itself, which glob_match_path() would. */
static bool rule_matches(const struct rule *rule, const char *path)
{
	size_t n = strlen(rule->pattern);

	if (n > 3 && !strcmp(rule->pattern + n - 3, "/**")) {
		cleanup_free char *dir = str_ndup(rule->pattern, n - 3);

		if (glob_match_path(dir, path))
			return false;
	}
	return glob_match_path(rule->pattern, path);
}

bool ignore_matches(const struct ignore *ig, const char *path, bool directory)
{
	for (size_t i = ig->n; i-- > 0;) {
		const struct rule *rule = &ig->rules[i];

		if ((!rule->directory_only || directory) && rule_matches(rule, path))
			return !rule->include;
	}
	return false;
}
