/* SPDX-License-Identifier: MIT */
#include "cli/exec_frames.h"

#include <signal.h>

#include "base/json.h"
#include "base/str.h"

struct exec_reader {
	const struct exec_events *events;
	void *arg;
	char *line;
	size_t n, size;
	bool exited;
	bool untyped; /* frames of old agents: output and exit code in any, no last one */
};

struct exec_reader *exec_reader_new(const struct exec_events *events, void *arg)
{
	struct exec_reader *r = NEW(struct exec_reader);

	r->events = events;
	r->arg = arg;
	return r;
}

void exec_reader_free(struct exec_reader **r)
{
	if (!*r)
		return;
	free((*r)->line);
	free(*r);
	*r = NULL;
}

/* 128+n for a child that was killed, whether or not the agent says so itself. */
static int exit_code_of(int64_t code, const char *signal_name)
{
	if (signal_name && *signal_name && code < 128) {
		const char *name = str_starts(signal_name, "SIG") ? signal_name + 3 : signal_name;

		for (int n = 1; n < 32; n++)
			if (str_eq(sigabbrev_np(n), name))
				return 128 + n;
	}
	return code < 0 || code > 255 ? 255 : (int)code;
}

static int emit(struct exec_reader *r, int fd, const char *text, bool base64, struct error **err)
{
	cleanup_free unsigned char *bytes = NULL;
	size_t n = 0;

	if (!text || !*text)
		return 0;
	if (!base64) {
		r->events->on_output(r->arg, fd, text, strlen(text));
		return 0;
	}
	if (base64_decode(text, strlen(text), &bytes, &n, err))
		return -1;
	r->events->on_output(r->arg, fd, bytes, n);
	return 0;
}

/* What a frame may say; strings are borrowed from it. */
struct frame {
	const char *type, *encoding, *data, *out, *errout, *signal, *error;
	int64_t exit_code;
};

static int read_frame(struct json_object *obj, struct frame *f, struct error **err)
{
	const struct {
		const char *key;
		const char **value;
	} strings[] = {
		{"type", &f->type},	{"encoding", &f->encoding}, {"data", &f->data},	  {"stdout", &f->out},
		{"stderr", &f->errout}, {"signal", &f->signal},	    {"error", &f->error},
	};

	if (!json_object_is_type(obj, json_type_object))
		return error_set(err, ERR_PROTOCOL, "a frame is not an object");
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		if (js_get_string(obj, strings[i].key, strings[i].value, err))
			return -1;
	return js_get_i64(obj, "exit_code", &f->exit_code, err);
}

static int on_frame(struct exec_reader *r, const struct frame *f, struct error **err)
{
	bool typed = f->type && *f->type;
	bool base64 = str_eq(f->encoding, "base64");
	bool failed = f->error && *f->error;

	if (emit(r, 1, f->out, base64, err) || emit(r, 2, f->errout, base64, err))
		return -1;
	if (!(f->out && *f->out) && !(f->errout && *f->errout) &&
	    emit(r, str_eq(f->type, "stderr") ? 2 : 1, f->data, base64, err))
		return -1;
	r->untyped = r->untyped || !typed;
	if (str_eq(f->type, "exit") || failed || (!typed && f->exit_code)) {
		int code = exit_code_of(f->exit_code, f->signal);

		r->exited = true;
		r->events->on_exit(r->arg, failed && code == 0 ? 1 : code, failed ? f->error : NULL);
	}
	return 0;
}

static int on_line(struct exec_reader *r, struct error **err)
{
	cleanup_json struct json_object *obj = NULL;
	cleanup_error struct error *why = NULL;
	struct frame frame = {0};

	if (r->n == 0 || r->exited)
		return 0;
	obj = js_parse(r->line, r->n, &why);
	if (obj && !read_frame(obj, &frame, &why) && !on_frame(r, &frame, &why))
		return 0;
	return error_set(err, ERR_PROTOCOL, "the guest's answer is malformed: %s", error_message(why));
}

static int append(struct exec_reader *r, const char *data, size_t n, struct error **err)
{
	if (n > EXEC_FRAME_MAX - r->n)
		return error_set(err, ERR_PROTOCOL, "the guest's answer is malformed: a line of more than %d bytes",
				 EXEC_FRAME_MAX);
	if (r->n + n + 1 > r->size) {
		r->size = (r->n + n + 1) * 2;
		r->line = mem_realloc(r->line, r->size);
	}
	memcpy(r->line + r->n, data, n);
	r->n += n;
	r->line[r->n] = 0;
	return 0;
}

int exec_reader_feed(struct exec_reader *r, const void *data, size_t n, struct error **err)
{
	const char *at = data, *end = at + n;

	while (at < end && !r->exited) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if (append(r, at, (size_t)((newline ? newline : end) - at), err))
			return -1;
		if (!newline)
			return 0;
		if (on_line(r, err))
			return -1;
		r->n = 0;
		at = newline + 1;
	}
	return 0;
}

int exec_reader_finish(struct exec_reader *r, struct error **err)
{
	if (r->exited)
		return 0;
	if (!r->untyped || r->n)
		return error_set(err, ERR_PROTOCOL, "the connection ended before the command did");
	r->exited = true;
	r->events->on_exit(r->arg, 0, NULL);
	return 0;
}
