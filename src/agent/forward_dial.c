/* SPDX-License-Identifier: MIT */
#include "agent/forward_dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

enum {
	NAME_MAX_LEN = 253, /* RFC 1035 §2.3.4 */
	ANSWER_MAX = 4096,  /* of getent; the first address is what counts */
};

/*   resolving ──address──▶ connecting ──writable──▶ done      each ──failure, deadline──▶ done */
struct dial {
	struct loop *loop;
	struct task_factory *tasks;
	struct upstream to;
	struct task *getent;
	int answer_fd, task_fd; /* its stdout, and its end of that until it has begun */
	bool given_up;		/* freed by its owner, but getent is still beginning */
	int fd;
	struct watch *watch; /* while connecting */
	struct timer *limit;
	struct timer *report;
	struct error *error;
	dial_fn *fn;
	void *arg;
};

/* ---- the text ---- */

static bool is_host(const char *s, size_t n)
{
	if (n == 0 || n > NAME_MAX_LEN || s[0] == '-') /* it becomes an argument */
		return false;
	for (size_t i = 0; i < n; i++) {
		bool alnum = (s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z');

		if (!alnum && s[i] != '.' && s[i] != '-' && s[i] != '_')
			return false;
	}
	return true;
}

static int parse_unix(const char *path, struct upstream *ret, struct error **err)
{
	if (path[0] != '/')
		return error_set(err, ERR_INVALID, "upstream: the path of a Unix socket must begin with \"/\"");
	ret->path = str_dup(path);
	return 0;
}

int upstream_parse(const char *text, struct upstream *ret, struct error **err)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	*ret = (struct upstream){0};
	if (strlen(text) > UPSTREAM_MAX)
		return error_set(err, ERR_INVALID, "upstream: longer than %d bytes", UPSTREAM_MAX);
	if (str_starts(text, "unix:"))
		return parse_unix(text + strlen("unix:"), ret, err);
	if (!colon || !is_host(text, (size_t)(colon - text))) {
		cleanup_free char *shown = str_escape(text, strlen(text));

		return error_set(
			err, ERR_INVALID,
			"upstream: \"%s\" is neither HOST:PORT, with an IPv4 address or a name, nor unix:/PATH", shown);
	}
	if (str_to_u64(colon + 1, 1, UINT16_MAX, "upstream: the port", &port, err) < 0)
		return -1;
	ret->host = str_ndup(text, (size_t)(colon - text));
	ret->port = (uint16_t)port;
	return 0;
}

void upstream_clear(struct upstream *u)
{
	free(u->host);
	free(u->path);
	*u = (struct upstream){0};
}

/* ---- connecting ---- */

static void dial_done(struct dial *d)
{
	watch_free(&d->watch);
	timer_cancel(d->limit);
	timer_set(d->report, 0);
}

static void dial_report(void *arg)
{
	struct dial *d = arg;

	d->fn(d->arg, d->error ? -1 : TAKE_FD(d->fd), d->error);
}

static char *dial_shown(const struct dial *d)
{
	return d->to.path ? str_dup(d->to.path) : str_fmt("%s:%u", d->to.host, d->to.port);
}

static void dial_failed(struct dial *d, int errnum)
{
	cleanup_free char *shown = dial_shown(d);

	if (!d->error)
		error_errno(&d->error, errnum, "the guest cannot connect to %s", shown);
	dial_done(d);
}

static void dial_connected(void *arg, int what)
{
	struct dial *d = arg;
	int errnum = 0;
	socklen_t size = sizeof(errnum);

	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
		errnum = errno;
	if (errnum)
		dial_failed(d, errnum);
	else
		dial_done(d);
}

static void dial_tcp(struct dial *d, struct in_addr ip)
{
	const struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(d->to.port), .sin_addr = ip};
	int on = 1;

	d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd >= 0)
		setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (d->fd < 0 || (connect(d->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EINPROGRESS)) {
		dial_failed(d, errno);
		return;
	}
	d->watch = watch_new(d->loop, d->fd, dial_connected, d);
	watch_set(d->watch, WATCH_OUT);
}

static void dial_unix(struct dial *d)
{
	d->fd = fd_connect_unix(d->to.path, &d->error);
	if (d->fd < 0)
		error_wrap(&d->error, "in the guest");
	dial_done(d);
}

/* ---- names ---- */

/* "10.1.2.3       STREAM name": the first line's first word. */
static bool first_address(char *text, struct in_addr *ret)
{
	text[strcspn(text, " \t\n")] = '\0';
	return inet_pton(AF_INET, text, ret) == 1;
}

static void dial_resolved(void *arg, int status)
{
	struct dial *d = arg;
	char text[ANSWER_MAX + 1];
	ssize_t n = read(d->answer_fd, text, ANSWER_MAX); /* what fits into the pipe is there: it has ended */
	struct in_addr ip;

	if (d->error) /* it took too long, and was killed */
		return;
	text[n > 0 ? n : 0] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && first_address(text, &ip)) {
		dial_tcp(d, ip);
		return;
	}
	error_set(&d->error, ERR_NOT_FOUND, "the guest does not know the name \"%s\"", d->to.host);
	dial_done(d);
}

/* In a thread. */
static int dial_begin(void *arg, struct task *t, struct error **err)
{
	static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	const struct dial *d = arg;
	const char *argv[] = {"getent", "ahostsv4", d->to.host, NULL};
	cleanup_user struct user *root = users_lookup(0);
	const struct task_spec spec = {
		.user = root,
		.gid = USERS_DEFAULT_ID,
		.argv = (char *const *)argv,
		.env = (char *const *)env,
		.cwd = "/",
		.fds = {-1, d->task_fd, -1},
	};

	return task_exec(t, &spec, err);
}

static void dial_begun(void *arg, const struct error *error)
{
	struct dial *d = arg;

	fd_closep(&d->task_fd);
	if (d->given_up) {
		dial_free(&d);
	} else if (d->error) { /* it took too long */
		if (!error)
			task_kill(d->getent);
	} else if (error) {
		d->error = error_copy(error);
		error_wrap(&d->error, "look up \"%s\" in the guest (an IP address needs no lookup)", d->to.host);
		dial_done(d);
	}
}

static int dial_resolve(struct dial *d)
{
	static const struct task_calls calls = {.begin = dial_begin, .begun = dial_begun, .exited = dial_resolved};
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(&d->error, errno, "make a pipe");
	d->answer_fd = fds[0];
	d->task_fd = fds[1];
	fcntl(d->answer_fd, F_SETFL, O_NONBLOCK);
	d->getent = task_start(d->tasks, &calls, d);
	return 0;
}

/* ---- the object ---- */

static void dial_expired(void *arg)
{
	struct dial *d = arg;
	cleanup_free char *shown = dial_shown(d);

	if (d->getent && !task_is_beginning(d->getent))
		task_kill(d->getent);
	error_set(&d->error, ERR_TIMEOUT, "the guest cannot connect to %s: no answer within %d s", shown,
		  DIAL_TIMEOUT_MS / 1000);
	dial_done(d);
}

static void dial_start(struct dial *d)
{
	struct in_addr ip;

	if (d->to.path)
		dial_unix(d);
	else if (inet_pton(AF_INET, str_eq(d->to.host, "localhost") ? "127.0.0.1" : d->to.host, &ip) == 1)
		dial_tcp(d, ip);
	else if (dial_resolve(d) < 0)
		dial_done(d);
}

struct dial *dial_new(struct loop *loop, struct task_factory *tasks, const struct upstream *u, dial_fn *fn, void *arg)
{
	struct dial *d = NEW(struct dial);

	d->loop = loop;
	d->tasks = tasks;
	d->to = (struct upstream){.host = str_dup(u->host), .path = str_dup(u->path), .port = u->port};
	d->answer_fd = d->task_fd = d->fd = -1;
	d->fn = fn;
	d->arg = arg;
	d->report = timer_new(loop, dial_report, d);
	d->limit = timer_new(loop, dial_expired, d);
	timer_set_deadline(d->limit, DIAL_TIMEOUT_MS);
	dial_start(d);
	return d;
}

void dial_free(struct dial **dp)
{
	struct dial *d = TAKE_PTR(*dp);

	if (!d)
		return;
	watch_free(&d->watch);
	timer_free(&d->report);
	timer_free(&d->limit);
	d->given_up = task_is_beginning(d->getent);
	if (d->given_up)
		return;
	task_free(&d->getent);
	fd_closep(&d->answer_fd);
	fd_closep(&d->task_fd);
	fd_closep(&d->fd);
	error_free(&d->error);
	upstream_clear(&d->to);
	free(d);
}
