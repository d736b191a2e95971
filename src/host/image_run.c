/* SPDX-License-Identifier: MIT */
#include "host/image_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"

enum { LINE_MAX_BYTES = 4 * 1024 * 1024, CHUNK = 64 * 1024, END_MS = 15 * 1000 };

/* A run of slicer-image, which speaks JSON lines (image/report.h). */
struct run {
	const struct image_run *how;
	struct json_object *result;
	struct error *error;
	pid_t pid;
	int out, signals; /* its stdout; a signalfd, or -1 */
	char *buffer;	  /* the beginning of a line */
	size_t n;
	int64_t kill_at_ms; /* it was asked to end, and is killed then; 0: not asked */
};

static enum error_code code_of(const char *name)
{
	static const struct {
		const char *name;
		enum error_code code;
	} codes[] = {
		{"invalid", ERR_INVALID},	  {"not_found", ERR_NOT_FOUND}, {"conflict", ERR_CONFLICT},
		{"forbidden", ERR_FORBIDDEN},	  {"no_space", ERR_NO_SPACE},	{"timeout", ERR_TIMEOUT},
		{"unavailable", ERR_UNAVAILABLE}, {"protocol", ERR_PROTOCOL},	{"too_large", ERR_TOO_LARGE},
		{"unsupported", ERR_UNSUPPORTED}, {"cancelled", ERR_CANCELLED}, {"internal", ERR_INTERNAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (str_eq(codes[i].name, name))
			return codes[i].code;
	return ERR_IO;
}

static int on_line(struct run *r, const char *text, size_t n, struct error **err)
{
	cleanup_json struct json_object *line = js_parse(text, n, err);
	const char *type = NULL, *message = NULL, *code = NULL;
	uint64_t percent = 101;

	if (!line || js_get_string(line, "type", &type, err) || js_get_string(line, "message", &message, err) ||
	    js_get_string(line, "code", &code, err) || js_get_u64(line, "percent", 100, &percent, err))
		return error_wrap(err, "slicer-image said what is not of its protocol");
	if (str_eq(type, "progress") && r->how->progress && message)
		r->how->progress(r->how->arg, &(struct image_update){message, percent <= 100, (unsigned)percent});
	else if (str_eq(type, "result") && !r->result)
		r->result = TAKE_PTR(line);
	else if (str_eq(type, "error") && !r->error)
		error_set(&r->error, code_of(code), "%s", message ? message : "slicer-image failed");
	return 0;
}

static int take_lines(struct run *r, struct error **err)
{
	char *at = r->buffer, *newline;

	while ((newline = memchr(at, '\n', r->n - (size_t)(at - r->buffer)))) {
		if (on_line(r, at, (size_t)(newline - at), err))
			return -1;
		at = newline + 1;
	}
	r->n -= (size_t)(at - r->buffer);
	memmove(r->buffer, at, r->n);
	if (r->n >= LINE_MAX_BYTES)
		return error_set(err, ERR_PROTOCOL, "slicer-image sent too long a line");
	return 0;
}

/* Returns 1 at the end of what it says. */
static int read_some(struct run *r, struct error **err)
{
	ssize_t n;

	r->buffer = mem_realloc(r->buffer, r->n + CHUNK);
	n = read(r->out, r->buffer + r->n, CHUNK);
	if (n <= 0)
		return n < 0 && errno == EINTR ? 0 : 1;
	r->n += (size_t)n;
	return take_lines(r, err);
}

/* The terminal's Ctrl+C goes to slicer-image as well; it takes care of what is half made, and this process waits for that. */
static void on_signal(struct run *r)
{
	struct signalfd_siginfo info;

	if (read(r->signals, &info, sizeof(info)) < 0 || r->kill_at_ms)
		return;
	kill(r->pid, SIGTERM);
	r->kill_at_ms = clock_ms() + END_MS;
}

static int follow(struct run *r, struct error **err)
{
	struct pollfd p[] = {{.fd = r->out, .events = POLLIN}, {.fd = r->signals, .events = POLLIN}};
	int rc = 0;

	while (rc == 0) {
		int64_t left = r->kill_at_ms ? r->kill_at_ms - clock_ms() : -1;

		if (r->kill_at_ms && left <= 0) {
			kill(r->pid, SIGKILL);
			return 0;
		}
		if (poll(p, ARRAY_LEN(p), (int)left) < 0 && errno != EINTR)
			return error_errno(err, errno, "poll");
		if (p[1].revents)
			on_signal(r);
		if (p[0].revents)
			rc = read_some(r, err);
	}
	return rc < 0 ? -1 : 0;
}

static int start(struct run *r, char *const *argv, struct error **err)
{
	struct proc_fd given[2] = {{.to = 1}, {.from = STDIN_FILENO, .to = STDIN_FILENO}};
	struct proc_spec spec = {
		.argv = argv, .fds = given, .nfds = r->how->gives_stdin ? 2 : 1, .die_with_parent = true};
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return error_errno(err, errno, "cannot create a pipe");
	given[0].from = fds[1];
	r->out = fds[0];
	r->pid = proc_spawn(&spec, NULL, err);
	close(fds[1]);
	return r->pid < 0 ? -1 : 0;
}

static int judge(struct run *r, int status, struct error **err)
{
	if (r->error)
		return error_move(err, &r->error);
	if (r->kill_at_ms)
		return error_set(err, ERR_CANCELLED, "interrupted");
	if (WIFSIGNALED(status))
		return error_set(err, ERR_IO, "slicer-image was killed by signal %d: run it again", WTERMSIG(status));
	if (status || !r->result)
		return error_set(err, ERR_IO, "slicer-image ended without a result; its own messages are above");
	return 0;
}

static int run_to_end(struct run *r, struct error **err)
{
	cleanup_free char *exe = helper_path("slicer-image", err);
	cleanup_strv char **argv = NULL;
	int status = 0, rc;

	if (!exe)
		return -1;
	strv_append(&argv, exe);
	for (const char *const *a = r->how->args; *a; a++)
		strv_append(&argv, *a);
	if (start(r, argv, err))
		return -1;
	rc = follow(r, err);
	fd_closep(&r->out); /* after a failure it ends at its next word */
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	return rc ? -1 : judge(r, status, err);
}

struct json_object *image_run(const struct image_run *how, struct error **err)
{
	struct run r = {.how = how, .out = -1, .signals = -1};
	sigset_t set, before;
	int rc = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (how->interruptible) {
		sigprocmask(SIG_BLOCK, &set, &before);
		r.signals = signalfd(-1, &set, SFD_CLOEXEC);
		rc = r.signals < 0 ? error_errno(err, errno, "signalfd") : 0;
	}
	if (rc || run_to_end(&r, err))
		js_put(&r.result);
	if (how->interruptible)
		sigprocmask(SIG_SETMASK, &before, NULL);
	fd_closep(&r.out);
	fd_closep(&r.signals);
	free(r.buffer);
	error_free(&r.error);
	return r.result;
}
