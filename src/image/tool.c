/* SPDX-License-Identifier: MIT */
#include "image/tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"
#include "image/interrupt.h"

#define OUTPUT_LIMIT (1024 * 1024)
#define LINE_LIMIT 512 /* longer ones are handed on in pieces */
#define WATCH_MS 200
#define NO_SPACE_TEXT "No space left on device"

static char **english_environment(const char *const *more)
{
	char **env = NULL;

	for (char **e = environ; *e; e++)
		if (!str_starts(*e, "LC_") && !str_starts(*e, "LANG"))
			strv_append(&env, *e);
	strv_append(&env, "LC_ALL=C");
	for (; more && *more; more++)
		strv_append(&env, *more);
	return env;
}

static int output_file(const char *name, struct error **err)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd < 0 ? error_errno(err, errno, "memfd_create") : fd;
}

/* What a program wrote to a memfd: its beginning, or its end when that is cut. */
static char *read_output(int fd, bool tail)
{
	off_t size = lseek(fd, 0, SEEK_END);
	size_t want = size < 0 ? 0 : size > OUTPUT_LIMIT ? OUTPUT_LIMIT : (size_t)size;
	char *text = mem_alloc(want + 1);
	ssize_t n = pread(fd, text, want, tail && size > OUTPUT_LIMIT ? size - OUTPUT_LIMIT : 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

/* apt and what is built on it: the first complaint is the cause, later ones are consequences. */
static char *telling_line(char *text)
{
	cleanup_strv char **lines = strv_split(str_trim(text), '\n');
	const char *line = lines[strv_len(lines) - 1];

	for (size_t i = 0; lines[i]; i++) {
		if (str_starts(lines[i], "E: ")) {
			line = lines[i] + strlen("E: ");
			break;
		}
	}
	return str_escape(line, strlen(line));
}

/* What is being written to a memfd, read line by line. */
struct watch {
	int fd;
	off_t at; /* of the first line that was not handed on */
	void (*on_line)(void *arg, const char *line);
	void *arg;
};

static void watch_lines(struct watch *w)
{
	char buffer[LINE_LIMIT + 1];
	ssize_t n;

	while (w->on_line && (n = pread(w->fd, buffer, LINE_LIMIT, w->at)) > 0) {
		char *newline = memchr(buffer, '\n', (size_t)n);
		if (!newline && n < LINE_LIMIT)
			return;
		size_t length = newline ? (size_t)(newline - buffer) : (size_t)n;
		buffer[length] = '\0';
		w->at += (off_t)(newline ? length + 1 : length);
		w->on_line(w->arg, buffer);
	}
}

/* Waits for the end of a child, and kills it at the deadline or when this program is interrupted. Returns its wait status. */
static int wait_child(pid_t pid, int pidfd, int64_t timeout_ms, struct watch *watch, int *ret_status,
		      struct error **err)
{
	int64_t deadline = clock_ms() + timeout_ms;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	bool late = false;
	int n;

	for (;;) {
		int64_t left = deadline - clock_ms();
		n = poll(&p, 1, left <= 0 ? 0 : left > WATCH_MS ? WATCH_MS : (int)left);
		watch_lines(watch);
		late = n == 0 && clock_ms() >= deadline;
		if (n > 0 || late || (n < 0 && errno != EINTR) || interrupt_check(NULL) < 0)
			break;
	}
	if (n <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "waitpid");
	if (interrupt_check(err) < 0)
		return -1;
	if (late)
		return error_set(err, ERR_TIMEOUT, "it did not end within %lld s", (long long)(timeout_ms / 1000));
	return 0;
}

static int judge(int status, int errors, struct error **err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	cleanup_free char *text = read_output(errors, true);
	if (strstr(text, NO_SPACE_TEXT))
		return error_set(err, ERR_NO_SPACE, "%s", NO_SPACE_TEXT);
	cleanup_free char *line = telling_line(text);
	if (WIFSIGNALED(status))
		return error_set(err, ERR_IO, "it was killed by signal %d%s%s", WTERMSIG(status), *line ? ": " : "",
				 line);
	return error_set(err, ERR_IO, "it ended with status %d%s%s", WEXITSTATUS(status), *line ? ": " : "", line);
}

static int spawn_and_wait(const struct tool *tool, const char *exe, int out, int errors, struct error **err)
{
	cleanup_strv char **env = english_environment(tool->env);
	struct proc_fd fds[3] = {{.from = out, .to = 1}, {.from = errors, .to = 2}, {.from = tool->input, .to = 0}};
	struct proc_spec spec = {
		.exe = exe,
		.argv = (char *const *)tool->argv, /* execve(2) does not change them */
		.env = env,
		.fds = fds,
		.nfds = tool->input >= 0 ? 3 : 2,
		.cwd = tool->cwd,
		.die_with_parent = true,
	};
	struct watch watch = {.fd = errors, .on_line = tool->on_line, .arg = tool->arg};
	cleanup_close int pidfd = -1;
	int status = 0;
	pid_t pid = proc_spawn(&spec, &pidfd, err);

	if (pid < 0 || wait_child(pid, pidfd, tool->timeout_ms, &watch, &status, err) < 0)
		return -1;
	return judge(status, errors, err);
}

int tool_missing(const char *program, const char *package, struct error **err)
{
	return error_set(err, ERR_UNSUPPORTED, "%s is not installed: run `apt-get install %s`", program, package);
}

int tool_run(const struct tool *tool, char **ret_out, struct error **err)
{
	const char *name = tool->name ? tool->name : tool->argv[0];
	cleanup_free char *exe = tool->exe ? str_dup(tool->exe) : proc_find_program(tool->argv[0]);

	if (!exe)
		return tool_missing(name, tool->package, err);
	cleanup_close int out = output_file("stdout", err);
	if (out < 0)
		return -1;
	cleanup_close int errors = output_file("stderr", err);
	if (errors < 0)
		return -1;
	if (spawn_and_wait(tool, exe, tool->output > 0 ? tool->output : out, errors, err) < 0)
		return error_wrap(err, "%s", name);
	if (ret_out)
		*ret_out = read_output(out, false);
	return 0;
}
