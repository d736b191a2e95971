/* SPDX-License-Identifier: MIT */
#include "host/paths.h"

#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"

enum { ID_NAME_MAX = 32, ANNOUNCEMENT_MAX = 64 * 1024, LOCK_WAIT_MS = 2000, LOCK_PAUSE_US = 20000 };

/* $var/rest, or $HOME/otherwise/rest. */
static char *paths_xdg(const char *var, const char *otherwise, const char *rest)
{
	const char *dir = getenv(var), *home = getenv("HOME");

	if (dir && dir[0] == '/')
		return str_fmt("%s/%s", dir, rest);
	return str_fmt("%s/%s/%s", home ? home : "/tmp", otherwise, rest);
}

static char *paths_id(const char *config)
{
	cleanup_free char *base = fs_basename(config);
	cleanup_free char *digest = sha256_hex(config, strlen(config));
	char *dot = strrchr(base, '.');

	if (dot && dot != base)
		*dot = '\0';
	for (char *at = base; *at; at++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *at))
			*at = '_';
	return str_fmt("%.*s-%.6s", ID_NAME_MAX, base, digest);
}

char *daemon_run_base(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		return str_dup("/run/slicer");
	if (dir && dir[0] == '/')
		return fs_join(dir, "slicer");
	return str_fmt("/tmp/slicer-%u", (unsigned)getuid());
}

static char *paths_run(const char *id)
{
	cleanup_free char *base = daemon_run_base();

	return fs_join(base, id);
}

int daemon_paths_find(const char *config_file, struct daemon_paths *ret, struct error **err)
{
	char *real = realpath(config_file, NULL);
	cleanup_free char *cwd = getcwd(NULL, 0);
	bool root = geteuid() == 0;

	memset(ret, 0, sizeof(*ret));
	if (!real || !cwd) {
		free(real);
		return error_errno(err, errno, "cannot open %s", config_file);
	}
	ret->config = real;
	ret->id = paths_id(real);
	ret->state = str_fmt("%s/.slicer/%s", cwd, ret->id);
	ret->run = paths_run(ret->id);
	ret->log = root ? str_dup("/var/log/slicer") : paths_xdg("XDG_STATE_HOME", ".local/state", "slicer/log");
	ret->token = root ? str_dup("/var/lib/slicer/auth/token")
			  : paths_xdg("XDG_STATE_HOME", ".local/state", "slicer/token");
	return 0;
}

/* Below /tmp somebody else may have made it first. */
static int paths_check_own(const char *path, struct error **err)
{
	struct stat st;

	if (lstat(path, &st))
		return error_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return error_set(err, ERR_FORBIDDEN, "%s is not a directory that only this user can write: remove it",
				 path);
	return 0;
}

static int paths_check_run(const char *run, struct error **err)
{
	cleanup_free char *parent = fs_dirname(run);

	return paths_check_own(parent, err) || paths_check_own(run, err) ? -1 : 0;
}

int daemon_paths_create(const struct daemon_paths *p, struct error **err)
{
	if (fs_mkdir_p(p->state, 0700, err) || fs_mkdir_p(p->run, 0700, err) || paths_check_run(p->run, err))
		return -1;
	return fs_mkdir_p(p->log, 0750, err);
}

int daemon_paths_lock(const struct daemon_paths *p, struct error **err)
{
	cleanup_free char *path = fs_join(p->state, "daemon.lock");
	int64_t deadline = clock_ms() + LOCK_WAIT_MS;

	for (;;) {
		cleanup_error struct error *attempt = NULL;
		int fd = fs_lock(path, &attempt);

		if (fd >= 0)
			return fd;
		if (attempt->code != ERR_CONFLICT || clock_ms() > deadline)
			return error_move(err, &attempt);
		usleep(LOCK_PAUSE_US);
	}
}

int daemon_paths_announce(const struct daemon_paths *p, const char *api, struct error **err)
{
	cleanup_free char *path = str_fmt("%s.json", p->run), *text = NULL;
	cleanup_json struct json_object *obj = json_object_new_object();

	js_add_string(obj, "config", p->config);
	js_add_string(obj, "state", p->state);
	js_add_string(obj, "api", api);
	text = js_to_string_pretty(obj);
	return fs_write_atomic(path, text, strlen(text), 0600, err);
}

bool daemon_paths_announced(const struct daemon_paths *p, char **ret_api)
{
	cleanup_free char *path = str_fmt("%s.json", p->run);
	cleanup_json struct json_object *obj = js_parse_file(path, ANNOUNCEMENT_MAX, NULL);
	const char *api = NULL;

	*ret_api = NULL;
	if (!obj)
		return false;
	js_get_string(obj, "api", &api, NULL);
	*ret_api = api ? str_dup(api) : NULL;
	return true;
}

void daemon_paths_leave(const struct daemon_paths *p)
{
	cleanup_free char *path = str_fmt("%s.json", p->run);

	if (rmdir(p->run) == 0 || errno == ENOENT)
		unlink(path);
}

void daemon_paths_clear(struct daemon_paths *p)
{
	free(p->config);
	free(p->id);
	free(p->state);
	free(p->run);
	free(p->log);
	free(p->token);
	memset(p, 0, sizeof(*p));
}
