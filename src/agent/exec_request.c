/* SPDX-License-Identifier: MIT */
#include "base/fs.h"
#include "base/str.h"
#include "agent/exec.h"

static int parse_id(const struct http_query *q, const char *key, uint32_t *ret, struct error **err)
{
	const char *s = http_query_get(q, key);
	uint64_t value = USERS_DEFAULT_ID;

	if (s && *s && str_to_u64(s, 0, USERS_DEFAULT_ID, key, &value, err) < 0)
		return -1;
	*ret = (uint32_t)value;
	return 0;
}

int identity_parse(const struct http_query *q, struct identity *ret, struct error **err)
{
	if (parse_id(q, "uid", &ret->uid, err) < 0 || parse_id(q, "gid", &ret->gid, err) < 0)
		return -1;
	if (ret->uid == USERS_DEFAULT_ID && ret->gid == 0)
		ret->gid = USERS_DEFAULT_ID;
	return 0;
}

void exec_request_clear(struct exec_request *r)
{
	strv_free(&r->argv);
	strv_free(&r->env);
	free(r->cwd);
	r->cwd = NULL;
}

char *shell_quote(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
	size_t quotes = 0;
	char *out, *p;

	if (*word && word[strspn(word, plain)] == '\0')
		return str_dup(word);
	for (const char *s = word; *s; s++)
		quotes += *s == '\'';
	out = p = mem_alloc(strlen(word) + quotes * 3 + 3);
	*p++ = '\'';
	for (const char *s = word; *s; s++) {
		if (*s == '\'')
			p = mempcpy(p, "'\\''", 4);
		else
			*p++ = *s;
	}
	*p = '\'';
	return out;
}

/* Without arguments the command is the shell's script as it is; several words must stay words. */
static char *script(const char *cmd, char *const *args)
{
	cleanup_strv char **words = NULL;

	if (!args || !*args)
		return str_dup(cmd);
	strv_append_take(&words, shell_quote(cmd));
	for (; *args; args++)
		strv_append_take(&words, shell_quote(*args));
	return strv_join(words, " ");
}

static void build_argv(struct exec_request *r, const char *cmd, const char *shell, char *const *args)
{
	if (!shell || !*shell) {
		strv_append(&r->argv, cmd);
		for (; args && *args; args++)
			strv_append(&r->argv, *args);
		return;
	}
	strv_append(&r->argv, shell);
	strv_append(&r->argv, "-lc");
	strv_append_take(&r->argv, script(cmd, args));
}

static int parse_flags(const struct http_query *q, struct exec_request *r, struct error **err)
{
	const char *stdio = http_query_get(q, "stdio");
	bool background = false;

	if (http_query_bool(q, "stdin", &r->with_stdin, err) < 0 ||
	    http_query_bool(q, "buffered", &r->buffered, err) < 0 ||
	    http_query_bool(q, "background", &background, err) < 0)
		return -1;
	if (stdio && *stdio && !str_eq(stdio, "text") && !str_eq(stdio, "base64"))
		return error_set(err, ERR_INVALID, "stdio: '%s' is neither 'text' nor 'base64'", stdio);
	r->base64 = str_eq(stdio, "base64");
	if (background && (r->with_stdin || r->buffered))
		return error_set(err, ERR_INVALID, "background cannot be combined with stdin or buffered");
	if (r->buffered && r->with_stdin)
		return error_set(err, ERR_INVALID, "buffered cannot be combined with stdin");
	if (background)
		return error_set(err, ERR_UNSUPPORTED, "background exec is not available yet");
	return 0;
}

static int check_env(char *const *env, struct error **err)
{
	for (; env && *env; env++) {
		const char *equals = strchr(*env, '=');

		if (!equals || equals == *env)
			return error_set(err, ERR_INVALID, "env: '%.80s' is not NAME=VALUE", *env);
	}
	return 0;
}

int exec_request_parse(const struct http_query *q, struct exec_request *ret, struct error **err)
{
	cleanup_exec_request struct exec_request r = {0};
	const char *cmd = http_query_get(q, "cmd");
	cleanup_strv char **args = http_query_all(q, "args");

	if (!cmd || !*cmd)
		return error_set(err, ERR_INVALID, "cmd is required");
	if (identity_parse(q, &r.id, err) < 0 || parse_flags(q, &r, err) < 0)
		return -1;
	r.env = http_query_all(q, "env");
	if (check_env(r.env, err) < 0)
		return -1;
	r.cwd = str_dup(http_query_get(q, "cwd"));
	build_argv(&r, cmd, http_query_get(q, "shell"), args);
	*ret = r;
	r = (struct exec_request){0};
	return 0;
}

char *path_expand(const char *path, const char *home)
{
	if (str_eq(path, "~"))
		return str_dup(home);
	if (str_starts(path, "~/"))
		return str_fmt("%s/%s", home, path + 2);
	return path[0] == '/' ? str_dup(path) : str_fmt("%s/%s", home, path);
}

char *cwd_expand(const char *cwd, const char *home, struct error **err)
{
	cleanup_strv char **parts = NULL;
	struct stat st;

	if (!cwd || !*cwd)
		return str_dup(stat(home, &st) == 0 && S_ISDIR(st.st_mode) ? home : "/");
	parts = strv_split(cwd, '/');
	if (strv_contains(parts, "..")) {
		error_set(err, ERR_INVALID, "cwd: '%.200s' must not contain '..'", cwd);
		return NULL;
	}
	return path_expand(cwd, home);
}

/* Later values of a name replace earlier ones, in place. */
static void env_put(char ***env, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (char **e = *env; e && *e; e++) {
		if (strncmp(*e, entry, n) == 0) {
			free(*e);
			*e = str_dup(entry);
			return;
		}
	}
	strv_append(env, entry);
}

/* One line of /etc/environment as pam_env reads it: KEY=VALUE, "export " and quotes around the value allowed. */
static void put_line(char ***env, char *line)
{
	char *value, *name = str_trim(line);
	size_t n;
	cleanup_free char *entry = NULL;

	if (str_starts(name, "export "))
		name = str_trim(name + 7);
	value = strchr(name, '=');
	if (*name == '#' || !value || value == name)
		return;
	*value++ = '\0';
	n = strlen(value);
	if (n >= 2 && (*value == '"' || *value == '\'') && value[n - 1] == *value) {
		value[n - 1] = '\0';
		value++;
	}
	entry = str_fmt("%s=%s", name, value);
	env_put(env, entry);
}

char **exec_environment(const struct user *u, const char *etc_environment, char *const *extra)
{
	static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
				   ":/run/current-system/sw/bin";
	cleanup_strv char **lines = etc_environment ? strv_split(etc_environment, '\n') : NULL;
	char **env = NULL;

	strv_append_fmt(&env, "HOME=%s", u->home);
	strv_append_fmt(&env, "USER=%s", u->name);
	strv_append_fmt(&env, "LOGNAME=%s", u->name);
	strv_append_fmt(&env, "SHELL=%s", u->shell);
	strv_append(&env, path);
	strv_append(&env, "LANG=C.UTF-8");
	for (char **l = lines; l && *l; l++)
		put_line(&env, *l);
	for (; extra && *extra; extra++)
		env_put(&env, *extra);
	return env;
}

char **exec_environment_of(const struct user *u, char *const *extra)
{
	cleanup_free char *text = NULL;
	size_t n;

	if (fs_read_file("/etc/environment", 64 * 1024, &text, &n, NULL) < 0)
		text = NULL;
	return exec_environment(u, text, extra);
}
