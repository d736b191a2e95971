/* SPDX-License-Identifier: MIT */
/* Which daemons there are, and do they live? A daemon holds STATE/daemon.lock open as long as it
 * runs; where STATE is says RUN/../<id>.json, and the lock's path in /proc/PID/fd. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "host/net_scan.h"

#define LOCK_SUFFIX "/daemon.lock"
#define STATE_DIR "/.slicer/"
#define DELETED " (deleted)"

enum { ANNOUNCEMENT_MAX = 64 * 1024, RECORD_MAX = 1 << 20, EVENTS_MAX = 4096 };

static struct net_daemon *find_or_add(struct net_scan *s, const char *id)
{
	struct net_daemon *d = (struct net_daemon *)net_scan_daemon(s, id);

	if (d)
		return d;
	s->daemons = mem_realloc(s->daemons, (s->ndaemons + 1) * sizeof(*s->daemons));
	d = &s->daemons[s->ndaemons++];
	*d = (struct net_daemon){.id = str_dup(id)};
	return d;
}

static void read_announcement(struct net_scan *s, struct net_daemon *d)
{
	cleanup_free char *path = str_fmt("%s/%s.json", s->run_base, d->id);
	cleanup_json struct json_object *obj = js_parse_file(path, ANNOUNCEMENT_MAX, NULL);
	const char *config = NULL, *state = NULL;

	if (!obj || js_get_string(obj, "config", &config, NULL) < 0 || js_get_string(obj, "state", &state, NULL) < 0)
		return;
	d->config = str_dup(config);
	/* A state directory is named by the id. */
	if (state && *state == '/' && str_ends(state, d->id))
		d->state = str_dup(state);
}

/* Daemons that are known by their run directory or their announcement only. */
static void list_run_base(struct net_scan *s)
{
	DIR *dir = opendir(s->run_base);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		cleanup_free char *id = str_dup(entry->d_name);

		if (str_ends(id, ".json"))
			id[strlen(id) - strlen(".json")] = '\0';
		else if (entry->d_type != DT_DIR)
			continue;
		if (net_name_is_sane(id) && !strchr(id, '.'))
			find_or_add(s, id);
	}
	if (dir)
		closedir(dir);
	else if (errno == EACCES)
		strv_append_fmt(&s->unseen, "Only root can look into %s", s->run_base);
}

/* "/srv/.slicer/vm-1a2b3c/daemon.lock" → its directory; NULL: another file. The caller's. */
static char *lock_directory(const char *path)
{
	size_t n = strlen(path);

	if (str_ends(path, DELETED))
		n -= strlen(DELETED);
	if (n <= strlen(LOCK_SUFFIX) ||
	    strncmp(path + n - strlen(LOCK_SUFFIX), LOCK_SUFFIX, strlen(LOCK_SUFFIX)) != 0 || !strstr(path, STATE_DIR))
		return NULL;
	return str_ndup(path, n - strlen(LOCK_SUFFIX));
}

static bool same_network(const char *pid)
{
	cleanup_free char *path = str_fmt("/proc/%s/ns/net", pid);
	struct stat theirs, own;

	return stat(path, &theirs) == 0 && stat("/proc/self/ns/net", &own) == 0 && theirs.st_ino == own.st_ino;
}

/* One that is of no interest here, because it has nothing in this network namespace, is not added.
 */
static void found_lock(struct net_scan *s, const char *pid, const char *state)
{
	cleanup_free char *id = fs_basename(state);
	struct net_daemon *d = (struct net_daemon *)net_scan_daemon(s, id);

	if (!d && !same_network(pid))
		return;
	d = find_or_add(s, id);
	d->life = NET_LIFE_UP;
	d->pid = (int)strtol(pid, NULL, 10);
	if (!d->state)
		d->state = str_dup(state);
}

/* False when its files cannot be listed. */
static bool look_at_process(struct net_scan *s, const char *pid)
{
	cleanup_free char *path = str_fmt("/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	bool allowed = dir || errno != EACCES;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char target[PATH_MAX];
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		cleanup_free char *state = NULL;

		if (n <= 0)
			continue;
		target[n] = '\0';
		state = lock_directory(target);
		if (state)
			found_lock(s, pid, state);
	}
	if (dir)
		closedir(dir);
	return allowed;
}

/* True when all processes could be looked at. */
static bool find_locks(struct net_scan *s)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool all = dir;

	while (dir && (entry = readdir(dir)))
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name) &&
		    (pid_t)strtol(entry->d_name, NULL, 10) != getpid() && !look_at_process(s, entry->d_name))
			all = false;
	if (dir)
		closedir(dir);
	return all;
}

/* In another pid namespace than the first there may be processes that are not in /proc
 * (namespaces(7)). */
static bool sees_all_processes(void)
{
	enum { FIRST_PID_NAMESPACE = 0xEFFFFFFC }; /* PROC_PID_INIT_INO of the kernel */
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == FIRST_PID_NAMESPACE;
}

void net_scan_daemons(struct net_scan *s)
{
	bool all;

	for (size_t i = 0; i < s->nthings; i++)
		find_or_add(s, s->things[i].daemon_id);
	list_run_base(s);
	for (size_t i = 0; i < s->ndaemons; i++)
		read_announcement(s, &s->daemons[i]);
	all = find_locks(s) && sees_all_processes();
	/* Without a process that has it open the lock is free; the one who removes things takes it.
	 */
	for (size_t i = 0; i < s->ndaemons; i++) {
		struct net_daemon *d = &s->daemons[i];

		if (d->life != NET_LIFE_UP && (all || (d->state && access(d->state, R_OK | W_OK | X_OK) == 0)))
			d->life = NET_LIFE_DOWN;
	}
}

static bool processes_run(const char *record)
{
	cleanup_json struct json_object *obj = js_parse_file(record, RECORD_MAX, NULL);
	cleanup_free char *boot = host_boot_id(NULL);
	struct json_object *p = NULL;
	const char *of_boot = NULL;
	uint64_t pid = 0, start = 0;

	if (!obj || js_get_object(obj, "processes", &p, NULL) < 0 || !p ||
	    js_get_string(p, "boot_id", &of_boot, NULL) < 0 || !str_eq(of_boot, boot))
		return false;
	if (js_get_u64(p, "vmm_pid", INT32_MAX, &pid, NULL) == 0 &&
	    js_get_u64(p, "vmm_start", UINT64_MAX, &start, NULL) == 0 && pid && proc_is_alive((pid_t)pid, start))
		return true;
	return js_get_u64(p, "monitor_pid", INT32_MAX, &pid, NULL) == 0 &&
	       js_get_u64(p, "monitor_start", UINT64_MAX, &start, NULL) == 0 && pid && proc_is_alive((pid_t)pid, start);
}

static bool monitor_answers(const char *socket)
{
	cleanup_close int fd = fd_connect_unix(socket, NULL);

	return fd >= 0;
}

/* cgroup.events (cgroup-v2.rst): "populated 1" when anything runs in it or below. */
static bool group_has_processes(const struct net_scan *s, const char *id, const char *vm)
{
	for (size_t i = 0; i < s->nthings; i++) {
		const struct net_thing *t = &s->things[i];
		cleanup_free char *path = t->kind == NET_KIND_CGROUP ? fs_join(t->name, "cgroup.events") : NULL,
				  *text = NULL;
		size_t n;

		if (path && str_eq(t->daemon_id, id) && str_eq(t->owner, vm) &&
		    fs_read_file(path, EVENTS_MAX, &text, &n, NULL) == 0 && strstr(text, "populated 1"))
			return true;
	}
	return false;
}

bool net_vm_runs(const struct net_scan *s, const struct net_daemon *d, const char *vm)
{
	cleanup_free char *socket = str_fmt("%s/%s/%s/monitor.sock", s->run_base, d->id, vm);
	cleanup_free char *record = d->state ? str_fmt("%s/vms/%s/record.json", d->state, vm) : NULL;

	return (record && processes_run(record)) || monitor_answers(socket) || group_has_processes(s, d->id, vm);
}
