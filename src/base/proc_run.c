/* SPDX-License-Identifier: MIT */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"

#define ERROUT_KEEP ((size_t)4096)

enum { REST_MS = 1000 };

struct run {
	const char *name;
	const struct proc_call *call;
	pid_t pid;
	int pidfd, out_fd, err_fd; /* -1 when at their end */
	size_t out_limit, out_room, err_len;
	int64_t timeout_ms;
	struct deadline deadline;
	struct proc_result result;
};

void proc_result_clear(struct proc_result *r)
{
	free(r->out);
	free(r->errout);
	*r = (struct proc_result){0};
}

/* The two read functions return 1 after bytes, 0 when there are none now or any more, -1 on
 * failure. */
static int read_some(int *fd, char *buf, size_t n, size_t *ret_got, struct error **err)
{
	ssize_t got = *fd < 0 ? 0 : read(*fd, buf, n);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got < 0)
		return error_errno(err, errno, "cannot read output");
	*ret_got = (size_t)got;
	if (got == 0)
		fd_closep(fd);
	return got > 0;
}

static int read_out(struct run *r, struct error **err)
{
	char buf[16384];
	size_t got = 0;
	int more = read_some(&r->out_fd, buf, sizeof(buf), &got, err);

	if (more <= 0)
		return more;
	if (got > r->out_limit - r->result.out_len)
		return error_set(err, ERR_TOO_LARGE, "more than %zu bytes of output", r->out_limit);
	if (r->out_room - r->result.out_len < got + 1) {
		r->out_room = (r->out_room + got + 1) * 2;
		r->result.out = mem_realloc(r->result.out, r->out_room);
	}
	memcpy(r->result.out + r->result.out_len, buf, got);
	r->result.out_len += got;
	r->result.out[r->result.out_len] = '\0';
	return 1;
}

/* Keeps the last ERROUT_KEEP bytes. */
static int read_errout(struct run *r, struct error **err)
{
	char buf[ERROUT_KEEP];
	size_t got = 0, drop;
	int more = read_some(&r->err_fd, buf, sizeof(buf), &got, err);

	if (more <= 0)
		return more;
	drop = r->err_len + got > ERROUT_KEEP ? r->err_len + got - ERROUT_KEEP : 0;
	memmove(r->result.errout, r->result.errout + drop, r->err_len - drop);
	memcpy(r->result.errout + r->err_len - drop, buf, got);
	r->err_len += got - drop;
	r->result.errout[r->err_len] = '\0';
	return 1;
}

/* What it left in the pipes. A child of its own may go on writing: to stdout up to the limit, to stderr for as long as we care. */
static int read_rest(struct run *r, struct error **err)
{
	struct deadline rest = deadline_in(REST_MS);
	int more;

	while ((more = read_out(r, err)) > 0)
		;
	while (read_errout(r, NULL) > 0 && deadline_left(&rest) > 0)
		;
	return more;
}

/* Until the program has ended; a child of its own that keeps the pipes open does not hold us up. */
static int pump(struct run *r, struct error **err)
{
	bool ended = false;

	while (!ended) {
		struct pollfd fds[] = {{.fd = r->pidfd, .events = POLLIN},
				       {.fd = r->out_fd, .events = POLLIN},
				       {.fd = r->err_fd, .events = POLLIN}};
		int n = deadline_poll(&r->deadline, fds, ARRAY_LEN(fds));

		if (n < 0)
			return error_errno(err, errno, "cannot wait");
		if (n == 0)
			return error_set(err, ERR_TIMEOUT, "no end within %lld ms", (long long)r->timeout_ms);
		ended = fds[0].revents != 0;
		if ((fds[1].revents && read_out(r, err) < 0) || (fds[2].revents && read_errout(r, err) < 0))
			return -1;
	}
	return read_rest(r, err);
}

/* The last line of stderr that says something. */
static char *last_line(const char *text)
{
	cleanup_free char *copy = str_dup(text);
	char *trimmed = str_trim(copy), *nl = strrchr(trimmed, '\n');

	nl = nl ? nl + 1 : trimmed;
	return str_escape(nl, strlen(nl));
}

static int judge(const struct run *r, struct error **err)
{
	cleanup_free char *line = NULL;
	int status = r->result.status;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	line = last_line(r->result.errout);
	if (WIFSIGNALED(status))
		return error_set(err, ERR_IO, "%s was killed by signal %d%s%s", r->name, WTERMSIG(status),
				 *line ? ": " : "", line);
	return error_set(err, ERR_IO, "%s failed with status %d%s%s", r->name, WEXITSTATUS(status), *line ? ": " : "",
			 line);
}

static int reap(struct run *r, struct error **err)
{
	pid_t got;

	do
		got = waitpid(r->pid, &r->result.status, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_errno(err, errno, "cannot learn the exit status of %s", r->name);
	return 0;
}

static int make_pipe(int *ret_read, int *ret_write, struct error **err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot create a pipe");
	*ret_read = fds[0];
	*ret_write = fds[1];
	return fd_set_nonblock(fds[0], true, err);
}

static int start(struct run *r, struct error **err)
{
	const char *input = r->call->input;
	cleanup_close int out_write = -1, err_write = -1, in = -1;
	cleanup_free struct proc_fd *fds = mem_alloc_array(r->call->nfds + 3, sizeof(*fds));
	struct proc_spec spec = {
		.argv = r->call->argv, .env = r->call->env, .fds = fds, .new_session = true, .die_with_parent = true};

	if (make_pipe(&r->out_fd, &out_write, err) < 0 || make_pipe(&r->err_fd, &err_write, err) < 0)
		return -1;
	fds[spec.nfds++] = (struct proc_fd){.from = out_write, .to = 1};
	fds[spec.nfds++] = (struct proc_fd){.from = err_write, .to = 2};
	if (input) {
		/* A file rather than a pipe: nothing to pump, no SIGPIPE. */
		in = fd_memfile("stdin", input, strlen(input), true, err);
		if (in < 0)
			return -1;
		fds[spec.nfds++] = (struct proc_fd){.from = in, .to = 0};
	}
	for (size_t i = 0; i < r->call->nfds; i++)
		fds[spec.nfds++] = r->call->fds[i];
	r->pid = proc_spawn(&spec, &r->pidfd, err);
	return r->pid < 0 ? -1 : 0;
}

static int run(struct run *r, struct error **err)
{
	if (start(r, err) < 0)
		return -1;
	if (pump(r, err) < 0) {
		kill(-r->pid, SIGKILL); /* its own session: the group is it and its children */
		reap(r, NULL);
		return error_wrap(err, "%s", r->name);
	}
	return reap(r, err);
}

int proc_call(const struct proc_call *call, struct proc_result *ret, struct error **err)
{
	struct run r = {.name = call->argv[0],
			.call = call,
			.pidfd = -1,
			.out_fd = -1,
			.err_fd = -1,
			.out_limit = call->out_limit,
			.out_room = 1,
			.timeout_ms = call->timeout_ms,
			.deadline = deadline_in(call->timeout_ms)};
	int result;

	r.result.out = mem_alloc(1);
	r.result.errout = mem_alloc(ERROUT_KEEP + 1);
	if (ret)
		*ret = (struct proc_result){0};
	result = run(&r, err);
	fd_closep(&r.pidfd);
	fd_closep(&r.out_fd);
	fd_closep(&r.err_fd);
	if (result == 0) {
		result = judge(&r, err);
		if (ret) {
			*ret = r.result;
			r.result = (struct proc_result){0};
		}
	}
	proc_result_clear(&r.result);
	return result;
}

int proc_run_env(char *const *argv, char *const *env, const char *input, size_t out_limit, int64_t timeout_ms,
		 struct proc_result *ret, struct error **err)
{
	struct proc_call call = {
		.argv = argv, .env = env, .input = input, .out_limit = out_limit, .timeout_ms = timeout_ms};

	return proc_call(&call, ret, err);
}

int proc_run(char *const *argv, const char *input, size_t out_limit, int64_t timeout_ms, struct proc_result *ret,
	     struct error **err)
{
	return proc_run_env(argv, NULL, input, out_limit, timeout_ms, ret, err);
}
