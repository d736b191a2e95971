/* SPDX-License-Identifier: MIT */
/* Starting a VM: its fds are opened, its monitor is started with them, and the VMM's answer is
 * awaited. All in a worker thread. */
#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/accel.h"
#include "vmm/cgroup.h"
#include "vmm/launch_fds.h"
#include "vmm/launch_spec.h"
#include "vmm/monitor_client.h"

/* A VMM that ends is noticed at once; one that is slow, as many are that start at once, has about as long as the API waits. */
enum { LAUNCH_DEADLINE_MS = 50 * 1000, READY_LINE_MAX = 8192, LAST_WORDS_MS = 2000 };

static char *launch_monitor_exe(const struct vmm_spec *spec)
{
	const char *env = getenv("SLICER_MONITOR");

	if (spec->monitor_exe)
		return str_dup(spec->monitor_exe);
	return str_dup(env && *env ? env : SLICER_LIBEXECDIR "/slicer-monitor");
}

/* The monitor detaches itself: what is started here ends at once. */
static int launch_monitor(const struct vmm_spec *spec, const struct launch_fds *fds, struct error **err)
{
	cleanup_free char *exe = launch_monitor_exe(spec);
	char *const argv[] = {exe, (char *)spec->name, NULL};
	char *const env[] = {NULL};
	const struct proc_spec child = {
		.exe = exe, .argv = argv, .env = env, .fds = fds->fds, .nfds = fds->n, .cwd = "/", .new_session = true};
	pid_t pid = proc_spawn(&child, NULL, err);

	if (pid < 0)
		return error_wrap(err, "monitor");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int launch_read_ready(int fd, struct deadline *deadline, char *line, size_t size, struct error **err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t have = 0;

	for (;;) {
		ssize_t n;

		if (deadline_poll(deadline, &p, 1) <= 0)
			return error_set(err, ERR_TIMEOUT, "the monitor did not get ready in time");
		n = read(fd, line + have, size - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "monitor");
		have += (size_t)n;
		line[have] = '\0';
		if (n == 0 || have == size - 1)
			return 0;
	}
}

static void launch_add_note(struct vmm_process *process, const char *note)
{
	size_t n = strlen(process->note);

	snprintf(process->note + n, sizeof(process->note) - n, "%s%s", n ? "; " : "", note);
}

static int launch_parse_ready(const char *line, struct vmm_process *ret, struct error **err)
{
	cleanup_json struct json_object *obj = NULL;
	const char *failure = NULL, *note = NULL;
	uint64_t monitor = 0, vmm = 0;

	if (!*line)
		return error_set(err, ERR_IO, "the monitor ended before it was ready");
	obj = js_parse(line, strlen(line), err);
	if (!obj || js_get_string(obj, "error", &failure, err) < 0 || js_get_string(obj, "note", &note, err) < 0 ||
	    js_get_u64(obj, "monitor_pid", INT32_MAX, &monitor, err) < 0 ||
	    js_get_u64(obj, "vmm_pid", INT32_MAX, &vmm, err) < 0 ||
	    js_get_u64(obj, "monitor_start", INT64_MAX, &ret->monitor_start, err) < 0 ||
	    js_get_u64(obj, "vmm_start", INT64_MAX, &ret->vmm_start, err) < 0)
		return error_wrap(err, "monitor's ready line");
	if (failure)
		return error_set(err, ERR_IO, "%s", failure);
	if (!monitor || !vmm)
		return error_set(err, ERR_PROTOCOL, "the monitor's ready line has no pids");
	if (note)
		launch_add_note(ret, note);
	ret->monitor_pid = (pid_t)monitor;
	ret->vmm_pid = (pid_t)vmm;
	return 0;
}

/* A VMM that ends while it starts says why on its stderr; the monitor keeps that in the exit
 * record. */
static void launch_add_last_words(const struct vmm_spec *spec, const struct vmm_process *process, struct error **err)
{
	struct vmm_exit record;
	int64_t deadline = clock_ms() + LAST_WORDS_MS;

	if (!err || !*err || (*err)->code != ERR_IO)
		return;
	while (proc_is_alive(process->monitor_pid, process->monitor_start) && clock_ms() < deadline)
		poll(NULL, 0, 5);
	if (vmm_exit_read(spec->exit_record, &record, NULL) < 0)
		return;
	error_free(err);
	if (*record.vmm_message)
		error_set(err, ERR_IO, "it ended while starting: %s", record.vmm_message);
	else if (record.signalled)
		error_set(err, ERR_IO, "it ended while starting, by %s", record.signal);
	else
		error_set(err, ERR_IO, "it ended while starting, with exit code %d", record.exit_code);
	vmm_exit_clear(&record);
}

static int launch_await(const struct vmm_ops *ops, const struct vmm_spec *spec, struct deadline *deadline, int ready,
			struct vmm_process *ret, struct error **err)
{
	char line[READY_LINE_MAX] = "";

	if (launch_read_ready(ready, deadline, line, sizeof(line), err) < 0 || launch_parse_ready(line, ret, err) < 0)
		return -1;
	if (ops->await_up(spec->run_dir, deadline, err) == 0)
		return 0;
	launch_add_last_words(spec, ret, err);
	return -1;
}

/* NULL: it stays in the daemon's, and the note says why. */
static char *launch_cgroup(const struct vmm_spec *spec, struct vmm_process *ret)
{
	cleanup_error struct error *error = NULL;
	char *path = spec->cgroup ? cgroup_reserve(spec->run_dir, spec->cgroup, &error) : NULL;

	if (error)
		launch_add_note(ret, error->message);
	return path;
}

static int launch_start(const struct vmm_ops *ops, const struct vmm_spec *spec, struct launch_fds *fds,
			struct vmm_process *ret, struct error **err)
{
	cleanup_free char *cgroup = launch_cgroup(spec, ret);
	struct vmm_command command = {0};
	int rc = ops->prepare(spec, &fds->vmm, &command, err);

	if (rc == 0)
		rc = launch_add_spec(spec, &command, fds, cgroup, err);
	if (rc == 0)
		rc = launch_monitor(spec, fds, err);
	vmm_command_clear(&command);
	launch_fds_close_given(fds);
	return rc;
}

static int launch_all(const struct vmm_ops *ops, const struct vmm_spec *spec, struct vmm_process *ret,
		      struct error **err)
{
	struct deadline deadline = deadline_in(LAUNCH_DEADLINE_MS);
	struct launch_fds fds;
	int rc;

	*ret = (struct vmm_process){0};
	if (fs_unlink(spec->exit_record, err) < 0) /* of the run before */
		return error_wrap(err, "cannot start %s", spec->name);
	rc = launch_fds_open(spec, &fds, err);
	if (rc == 0) {
		rc = launch_start(ops, spec, &fds, ret, err);
		if (rc == 0)
			rc = launch_await(ops, spec, &deadline, fds.ready, ret, err);
		launch_fds_clear(&fds);
	}
	if (rc == 0)
		return 0;
	/* A conflict is somebody else's socket: a VM that runs. It is not ours to end. */
	if (!err || !*err || (*err)->code != ERR_CONFLICT) {
		vmm_destroy(spec->run_dir, ret->monitor_pid ? ret : NULL, NULL);
		fs_unlink(spec->exit_record, NULL);
	}
	*ret = (struct vmm_process){0};
	return error_wrap(err, "cannot start %s (%s)", spec->name, ops->name);
}

int vmm_launch(const struct vmm_ops *ops, const struct vmm_spec *given, struct vmm_process *ret, struct error **err)
{
	struct vmm_probe probe = *given->probe;
	struct vmm_spec spec = *given;

	probe.tsc_khz = accel_clock_khz(probe.clock);
	spec.probe = &probe;
	return launch_all(ops, &spec, ret, err);
}
