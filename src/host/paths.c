/* SPDX-License-Identifier: MIT */
#include "host/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	if (!real && errno == ENOENT && stat(config_file, &st) == 0) /* "slicer up <(...)" */
		return error_set(err, ERR_INVALID,
				 "%s is a pipe; a daemon is known by the path of its configuration: write it to a file",
				 config_file);
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

/* As often as it takes for a daemon that is ending to be gone. */
static int paths_try(int (*once)(const struct daemon_paths *p, struct error **err), const struct daemon_paths *p,
		     struct error **err)
{
	int64_t deadline = clock_ms() + LOCK_WAIT_MS;

	for (;;) {
		cleanup_error struct error *attempt = NULL;
		int fd = once(p, &attempt);

		if (fd >= 0)
			return fd;
		if (attempt->code != ERR_CONFLICT || clock_ms() > deadline)
			return error_move(err, &attempt);
		usleep(LOCK_PAUSE_US);
	}
}

static int lock_once(const struct daemon_paths *p, struct error **err)
{
	cleanup_free char *path = fs_join(p->state, "daemon.lock");

	return fs_lock(path, err);
}

int daemon_paths_lock(const struct daemon_paths *p, struct error **err)
{
	return paths_try(lock_once, p, err);
}

/* The STATE that was announced last; NULL: none. The caller's. */
static char *paths_announced_state(const struct daemon_paths *p)
{
	cleanup_free char *path = str_fmt("%s.json", p->run);
	cleanup_json struct json_object *obj = js_parse_file(path, ANNOUNCEMENT_MAX, NULL);
	const char *state = NULL;

	if (obj)
		js_get_string(obj, "state", &state, NULL);
	return state ? str_dup(state) : NULL;
}

/* Of WORKDIR/.slicer/<id>. The caller's. */
static char *paths_workdir(const char *state)
{
	cleanup_free char *parent = fs_dirname(state);

	return fs_dirname(parent);
}

/* Names the other daemon's lock, and so where it was started, and its process. */
static int refuse_claimed(const struct daemon_paths *p, struct error **err)
{
	cleanup_free char *state = paths_announced_state(p), *path = state ? fs_join(state, "daemon.lock") : NULL;
	cleanup_error struct error *why = NULL;
	int fd = path ? fs_lock(path, &why) : -1;

	fd_closep(&fd);
	if (why && why->code == ERR_CONFLICT)
		return error_move(err, &why);
	return error_set(err, ERR_CONFLICT, "another daemon of it is starting");
}

/* RUN goes with its last daemon, perhaps between open and flock. */
static int claim_once(const struct daemon_paths *p, struct error **err)
{
	struct stat here, there;
	cleanup_close int fd = -1;

	if (fs_mkdir_p(p->run, 0700, err))
		return -1;
	fd = open(p->run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", p->run);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return refuse_claimed(p, err);
	if (fstat(fd, &here) || stat(p->run, &there) || here.st_ino != there.st_ino || here.st_dev != there.st_dev)
		return error_set(err, ERR_CONFLICT, "%s is being replaced", p->run);
	return TAKE_FD(fd);
}

int daemon_paths_claim(const struct daemon_paths *p, struct error **err)
{
	cleanup_free char *parent = fs_dirname(p->state);
	int fd = paths_try(claim_once, p, err);

	/* Empty ones were made for this attempt. */
	if (fd < 0 && rmdir(p->state) == 0)
		rmdir(parent);
	return fd;
}

int daemon_paths_check_elsewhere(const struct daemon_paths *p, struct error **err)
{
	cleanup_free char *state = paths_announced_state(p), *dir = NULL;
	cleanup_strv char **vms = NULL;

	if (!state || str_eq(state, p->state) || !fs_exists(state) || fs_list_dirs(p->run, &vms, err))
		return err && *err ? -1 : 0;
	if (!vms || !*vms)
		return 0;
	dir = paths_workdir(state);
	return error_set(
		err, ERR_CONFLICT,
		"VMs of it run that were started in %s, such as %s: run slicer up there, which takes them over", dir,
		*vms);
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
