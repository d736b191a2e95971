/* SPDX-License-Identifier: MIT */
#include "image/report.h"

#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

static const char *const code_names[] = {
	[ERR_INTERNAL] = "internal",
	[ERR_INVALID] = "invalid",
	[ERR_UNAUTHORIZED] = "unauthorized",
	[ERR_FORBIDDEN] = "forbidden",
	[ERR_NOT_FOUND] = "not_found",
	[ERR_TIMEOUT] = "timeout",
	[ERR_CONFLICT] = "conflict",
	[ERR_GONE] = "gone",
	[ERR_TOO_LARGE] = "too_large",
	[ERR_NO_SPACE] = "no_space",
	[ERR_IO] = "io",
	[ERR_PROTOCOL] = "protocol",
	[ERR_UNSUPPORTED] = "unsupported",
	[ERR_UNAVAILABLE] = "unavailable",
	[ERR_CANCELLED] = "cancelled",
};

/* A reader that left ends this program by SIGPIPE: nobody waits for the work any more. */
static void write_line(struct json_object *take)
{
	cleanup_json struct json_object *line = take;
	cleanup_free char *text = js_to_string(line);
	cleanup_free char *with_newline = str_fmt("%s\n", text);

	fd_write_all(STDOUT_FILENO, with_newline, strlen(with_newline), NULL);
}

static struct json_object *progress_line(const char *step, const char *message)
{
	struct json_object *line = json_object_new_object();

	js_add_string(line, "type", "progress");
	js_add_string(line, "step", step);
	js_add_string(line, "message", message);
	return line;
}

void report_progress(const char *step, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cleanup_free char *message = str_vfmt(fmt, ap);
	va_end(ap);
	write_line(progress_line(step, message));
}

void report_percent(const char *step, unsigned percent, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cleanup_free char *message = str_vfmt(fmt, ap);
	va_end(ap);
	struct json_object *line = progress_line(step, message);
	js_add_u64(line, "percent", percent);
	write_line(line);
}

void report_result(struct json_object *take)
{
	cleanup_json struct json_object *result = take;
	struct json_object *line = json_object_new_object();

	js_add_string(line, "type", "result");
	json_object_object_foreach(result, key, value) js_add(line, key, json_object_get(value));
	write_line(line);
}

void report_error(const struct error *error)
{
	struct json_object *line = json_object_new_object();
	const char *code = error && error->code < ARRAY_LEN(code_names) ? code_names[error->code] : NULL;

	js_add_string(line, "type", "error");
	js_add_string(line, "code", code ? code : "internal");
	js_add_string(line, "message", error_message(error));
	write_line(line);
}
