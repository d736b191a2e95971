/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"
#include "base/utf8.h"
#include "agent/exec.h"

char *time_now(void)
{
	return time_rfc3339(clock_realtime_ns());
}

const char *signal_name(int signo)
{
	static const char *const names[] = {
		[SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",	  [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
		[SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",	  [SIGBUS] = "SIGBUS",	 [SIGFPE] = "SIGFPE",
		[SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1",	  [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
		[SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM",	  [SIGTERM] = "SIGTERM", [SIGSTKFLT] = "SIGSTKFLT",
		[SIGCHLD] = "SIGCHLD", [SIGCONT] = "SIGCONT",	  [SIGSTOP] = "SIGSTOP", [SIGTSTP] = "SIGTSTP",
		[SIGTTIN] = "SIGTTIN", [SIGTTOU] = "SIGTTOU",	  [SIGURG] = "SIGURG",	 [SIGXCPU] = "SIGXCPU",
		[SIGXFSZ] = "SIGXFSZ", [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF", [SIGWINCH] = "SIGWINCH",
		[SIGIO] = "SIGIO",     [SIGPWR] = "SIGPWR",	  [SIGSYS] = "SIGSYS",
	};

	if (signo > 0 && (size_t)signo < ARRAY_LEN(names) && names[signo])
		return names[signo];
	return "SIGRT";
}

int exit_code_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : 1;
}

int exit_code_of_error(const struct error *error)
{
	return error->sys_errno == EACCES || error->sys_errno == EPERM || error->sys_errno == ENOEXEC ? 126 : 127;
}

static char *to_line(struct json_object *take)
{
	cleanup_free char *text = js_to_string(take);

	json_object_put(take);
	return str_fmt("%s\n", text);
}

static struct json_object *new_frame(const char *type, const char *now)
{
	struct json_object *frame = json_object_new_object();

	js_add_string(frame, "timestamp", now);
	js_add_string(frame, "type", type);
	return frame;
}

char *frame_started(pid_t pid, const char *now)
{
	struct json_object *frame = new_frame("started", now);

	js_add_i64(frame, "pid", pid);
	js_add_string(frame, "started_at", now);
	js_add_i64(frame, "exit_code", 0);
	return to_line(frame);
}

char *frame_exit(int status, const char *now)
{
	struct json_object *frame = new_frame("exit", now);

	js_add_string(frame, "ended_at", now);
	if (WIFSIGNALED(status))
		js_add_string(frame, "signal", signal_name(WTERMSIG(status)));
	js_add_i64(frame, "exit_code", exit_code_of(status));
	return to_line(frame);
}

char *frame_failed(const struct error *error, const char *now)
{
	struct json_object *frame = new_frame("exit", now);
	cleanup_free char *text = utf8_sanitize(error_message(error));

	js_add_string(frame, "error", text);
	js_add_i64(frame, "exit_code", exit_code_of_error(error));
	return to_line(frame);
}

static bool is_utf8(const char *s, size_t n)
{
	while (n > 0) {
		size_t len = (unsigned char)*s < 0x80 ? 1 : utf8_char(s, n, NULL);

		if (len == 0)
			return false;
		s += len;
		n -= len;
	}
	return true;
}

size_t utf8_whole(const char *s, size_t n)
{
	/* The last byte that begins a character, at most 3 back. */
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)s[n - back];
		size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) == 0x80)
			continue;
		return want > back ? n - back : n;
	}
	return n;
}

char *frame_output(const char *stream, const void *data, size_t n, bool base64, const char *now, size_t *ret_len)
{
	static const char end[] = "\",\"exit_code\":0}\n";
	bool text = !base64 && is_utf8(data, n);
	cleanup_free char *head = str_fmt("{\"timestamp\":\"%s\",\"type\":\"%s\",%s\"%s\":\"", now, stream,
					  text ? "" : "\"encoding\":\"base64\",", stream);
	char *line = mem_realloc(NULL, strlen(head) + (text ? JS_ESCAPED_MAX(n) : BASE64_SIZE(n)) + sizeof(end));
	char *at = stpcpy(line, head);

	at = text ? js_escape(at, data, n) : base64_append(at, data, n);
	memcpy(at, end, sizeof(end));
	*ret_len = (size_t)(at - line) + sizeof(end) - 1;
	return line;
}
