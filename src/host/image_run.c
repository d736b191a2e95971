/* SPDX-License-Identifier: MIT */
#include "host/image_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/helper.h"
#include "base/proc.h"
#include "base/str.h"

enum { LINE_MAX_BYTES = 4 * 1024 * 1024 };

/* A run of slicer-image, which speaks JSON lines (image/report.h). */
struct run {
	image_progress_fn progress;
	void *arg;
	struct json_object *result;
	struct error *error;
};

static enum error_code code_of(const char *name)
{
	static const struct {
		const char *name;
		enum error_code code;
	} codes[] = {
		{"invalid", ERR_INVALID},     {"not_found", ERR_NOT_FOUND}, {"conflict", ERR_CONFLICT},
		{"forbidden", ERR_FORBIDDEN}, {"no_space", ERR_NO_SPACE},   {"timeout", ERR_TIMEOUT},
		{"unavailable", ERR_UNAVAILABLE}, {"protocol", ERR_PROTOCOL},   {"too_large", ERR_TOO_LARGE},
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

	if (!line || js_get_string(line, "type", &type, err) || js_get_string(line, "message", &message, err) ||
	    js_get_string(line, "code", &code, err))
		return error_wrap(err, "slicer-image said what is not of its protocol");
	if (str_eq(type, "progress") && r->progress && message)
		r->progress(r->arg, message);
	else if (str_eq(type, "result") && !r->result)
		r->result = TAKE_PTR(line);
	else if (str_eq(type, "error") && !r->error)
		error_set(&r->error, code_of(code), "%s", message ? message : "slicer-image failed");
	return 0;
}

static int read_lines(struct run *r, int take_fd, struct error **err)
{
	FILE *in = fdopen(take_fd, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n = 0;
	int rc = 0;

	while (!rc && (n = getline(&line, &size, in)) > 0)
		rc = n > LINE_MAX_BYTES ? error_set(err, ERR_PROTOCOL, "slicer-image sent too long a line")
					: on_line(r, line, (size_t)n, err);
	free(line);
	fclose(in);
	return rc;
}

static pid_t start(char *const *argv, int *ret_out, struct error **err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return error_errno(err, errno, "cannot create a pipe");
	pid = proc_spawn(&(struct proc_spec){.argv = argv, .fds = (struct proc_fd[]){{fds[1], 1}}, .nfds = 1,
					     .die_with_parent = true}, NULL, err);
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*ret_out = fds[0];
	return pid;
}

static int run(struct run *r, const char *const *args, struct error **err)
{
	cleanup_free char *exe = helper_path("slicer-image", err);
	cleanup_strv char **argv = NULL;
	int fd = -1, status = 0, rc;
	pid_t pid;

	if (!exe)
		return -1;
	strv_append(&argv, exe);
	for (; *args; args++)
		strv_append(&argv, *args);
	pid = start(argv, &fd, err);
	if (pid < 0)
		return -1;
	rc = read_lines(r, fd, err);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc)
		return -1;
	if (r->error)
		return error_move(err, &r->error);
	if (WIFSIGNALED(status))
		return error_set(err, ERR_IO, "slicer-image was killed by signal %d: run it again", WTERMSIG(status));
	if (status || !r->result)
		return error_set(err, ERR_IO, "slicer-image ended without a result; its own messages are above");
	return 0;
}

struct json_object *image_run(const char *const *args, image_progress_fn progress, void *arg, struct error **err)
{
	struct run r = {.progress = progress, .arg = arg};

	if (run(&r, args, err))
		js_put(&r.result);
	error_free(&r.error);
	return r.result;
}
