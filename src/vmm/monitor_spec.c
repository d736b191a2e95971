/* SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "base/str.h"
#include "vmm/monitor_spec.h"

enum { FD_MIN = 3, FD_MAX = 1023, CPUS_MAX = 4096 };

static int spec_u64(struct json_object *obj, const char *key, uint64_t min, uint64_t max, uint64_t *ret,
		    struct error **err)
{
	*ret = UINT64_MAX;
	if (js_get_u64(obj, key, max, ret, err) < 0)
		return -1;
	if (*ret == UINT64_MAX || *ret < min)
		return error_set(err, ERR_INVALID, "'%s' is missing or too small", key);
	return 0;
}

static int spec_fd(struct json_object *obj, const char *key, int *ret, struct error **err)
{
	uint64_t fd;

	if (spec_u64(obj, key, FD_MIN, FD_MAX, &fd, err) < 0)
		return -1;
	*ret = (int)fd;
	return 0;
}

static int spec_path(struct json_object *obj, const char *key, char **ret, struct error **err)
{
	const char *s = NULL;

	if (js_get_string(obj, key, &s, err) < 0)
		return -1;
	if (!s || *s != '/')
		return error_set(err, ERR_INVALID, "'%s' must be an absolute path", key);
	*ret = str_dup(s);
	return 0;
}

/* An array of integers in min..max, in the order given; absent is empty. */
static int spec_numbers(struct json_object *obj, const char *key, uint64_t max, uint64_t *ret, size_t limit,
			size_t *ret_n, struct error **err)
{
	struct json_object *list = NULL;

	*ret_n = 0;
	if (js_get_array(obj, key, &list, err) < 0)
		return -1;
	if (!list)
		return 0;
	if (json_object_array_length(list) > limit)
		return error_set(err, ERR_INVALID, "'%s' has more than %zu members", key, limit);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		int64_t v = json_object_get_int64(item);

		if (!json_object_is_type(item, json_type_int) || v < 0 || (uint64_t)v > max)
			return error_set(err, ERR_INVALID, "'%s' has a member that is no number up to %llu", key,
					 (unsigned long long)max);
		ret[(*ret_n)++] = (uint64_t)v;
	}
	return 0;
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int program_fds(struct json_object *obj, struct monitor_program *p, struct error **err)
{
	uint64_t fds[MONITOR_FDS_MAX];

	if (spec_numbers(obj, "fds", FD_MAX, fds, MONITOR_FDS_MAX, &p->nfds, err) < 0)
		return -1;
	for (size_t i = 0; i < p->nfds; i++)
		p->fds[i] = (int)fds[i];
	qsort(p->fds, p->nfds, sizeof(p->fds[0]), compare_ints);
	for (size_t i = 0; i < p->nfds; i++) {
		if (p->fds[i] < FD_MIN || (i && p->fds[i] == p->fds[i - 1]))
			return error_set(err, ERR_INVALID, "'fds' has %d twice or below %d", p->fds[i], FD_MIN);
	}
	return 0;
}

static int program_jail(struct json_object *obj, struct monitor_program *p, struct error **err)
{
	struct json_object *jail = NULL;

	if (js_get_object(obj, "jail", &jail, err) < 0)
		return -1;
	p->jailed = jail;
	if (jail && jail_spec_parse(jail, &p->jail, err) < 0)
		return error_wrap(err, "jail");
	if (p->jailed && p->privileged)
		return error_set(err, ERR_INVALID, "what is 'privileged' has no 'jail'");
	return 0;
}

static int program_parse(struct json_object *obj, struct monitor_program *p, struct error **err)
{
	uint64_t groups[MONITOR_GROUPS_MAX] = {0}, uid, gid;

	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, ERR_INVALID, "not an object");
	if (js_get_strv(obj, "argv", &p->argv, NULL, err) < 0 || js_get_strv(obj, "env", &p->env, NULL, err) < 0 ||
	    spec_u64(obj, "uid", 0, UINT32_MAX - 1, &uid, err) < 0 ||
	    spec_u64(obj, "gid", 0, UINT32_MAX - 1, &gid, err) < 0 ||
	    spec_numbers(obj, "groups", UINT32_MAX - 1, groups, MONITOR_GROUPS_MAX, &p->ngroups, err) < 0 ||
	    js_get_bool(obj, "kvm", &p->kvm, err) < 0 || js_get_bool(obj, "privileged", &p->privileged, err) < 0 ||
	    program_fds(obj, p, err) < 0 || program_jail(obj, p, err) < 0)
		return -1;
	if (!p->argv || !p->argv[0] || p->argv[0][0] != '/')
		return error_set(err, ERR_INVALID, "'argv' must begin with an absolute path");
	p->uid = (uid_t)uid;
	p->gid = (gid_t)gid;
	for (size_t i = 0; i < p->ngroups; i++)
		p->groups[i] = (gid_t)groups[i];
	return 0;
}

static int spec_helpers(struct json_object *obj, struct monitor_spec *s, struct error **err)
{
	struct json_object *list = NULL;

	if (js_get_array(obj, "helpers", &list, err) < 0)
		return -1;
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		if (i == MONITOR_HELPERS_MAX)
			return error_set(err, ERR_INVALID, "more than %d helpers", MONITOR_HELPERS_MAX);
		s->nhelpers++;
		if (program_parse(json_object_array_get_idx(list, i), &s->helpers[i], err) < 0)
			return error_wrap(err, "helper %zu", i);
	}
	return 0;
}

static int spec_console(struct json_object *obj, struct monitor_spec *s, struct error **err)
{
	struct json_object *console = NULL;

	if (js_get_object(obj, "console", &console, err) < 0)
		return -1;
	if (!console)
		return error_set(err, ERR_INVALID, "'console' is missing");
	if (spec_fd(console, "pipe_fd", &s->console_fd, err) < 0 ||
	    spec_path(console, "path", &s->console_path, err) < 0 ||
	    spec_u64(console, "limit", 4096, INT64_MAX, &s->console_limit, err) < 0)
		return error_wrap(err, "console");
	return 0;
}

static int spec_cgroup(struct json_object *obj, struct monitor_spec *s, struct error **err)
{
	struct json_object *cgroup = NULL;

	if (js_get_object(obj, "cgroup", &cgroup, err) < 0)
		return -1;
	if (!cgroup)
		return 0;
	if (spec_path(cgroup, "path", &s->cgroup.path, err) < 0 ||
	    js_get_u64(cgroup, "memory_bytes", INT64_MAX, &s->cgroup.memory_bytes, err) < 0 ||
	    js_get_u64(cgroup, "cpus", CPUS_MAX, &s->cgroup.cpus, err) < 0 ||
	    js_get_u64(cgroup, "threads", JAIL_THREADS_MAX, &s->cgroup.threads, err) < 0)
		return error_wrap(err, "cgroup");
	return 0;
}

static int spec_read(struct json_object *obj, struct monitor_spec *s, struct error **err)
{
	struct json_object *vmm = NULL;
	const char *vm = NULL;
	uint64_t version;

	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, ERR_INVALID, "not an object");
	if (spec_u64(obj, "version", 1, UINT32_MAX, &version, err) < 0)
		return -1;
	if (version != 1)
		return error_set(err, ERR_UNSUPPORTED, "version %d is not known", (int)version);
	if (js_get_string(obj, "vm", &vm, err) < 0 || js_get_object(obj, "vmm", &vmm, err) < 0)
		return -1;
	if (!vm || !vmm)
		return error_set(err, ERR_INVALID, "'vm' or 'vmm' is missing");
	s->vm = str_dup(vm);
	if (program_parse(vmm, &s->vmm, err) < 0)
		return error_wrap(err, "vmm");
	if (spec_helpers(obj, s, err) < 0 || spec_console(obj, s, err) < 0 || spec_cgroup(obj, s, err) < 0 ||
	    spec_path(obj, "exit_record", &s->exit_record, err) < 0 ||
	    spec_fd(obj, "control_fd", &s->control_fd, err) < 0)
		return -1;
	return spec_fd(obj, "ready_fd", &s->ready_fd, err);
}

int monitor_spec_parse(const char *text, size_t n, struct monitor_spec *ret, struct error **err)
{
	cleanup_json struct json_object *obj = js_parse(text, n, err);

	*ret = (struct monitor_spec){0};
	if (obj && spec_read(obj, ret, err) == 0)
		return 0;
	monitor_spec_clear(ret);
	return error_wrap(err, "monitor's specification");
}

static void program_clear(struct monitor_program *p)
{
	strv_free(&p->argv);
	strv_free(&p->env);
	jail_spec_clear(&p->jail);
}

void monitor_spec_clear(struct monitor_spec *s)
{
	program_clear(&s->vmm);
	for (size_t i = 0; i < s->nhelpers; i++)
		program_clear(&s->helpers[i]);
	mem_freep(&s->vm);
	mem_freep(&s->console_path);
	mem_freep(&s->cgroup.path);
	mem_freep(&s->exit_record);
	*s = (struct monitor_spec){0};
}
