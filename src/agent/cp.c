/* SPDX-License-Identifier: MIT */
/* GET|POST /cp, the server's side: carries the body between the request and the worker's pipe. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/cp.h"
#include "agent/feed.h"
#include "agent/server.h"

enum { PIECE = 32 * 1024 };

struct copy {
	struct server *server;
	struct http_exchange *x;
	struct cp_request request;
	struct task *task;
	struct feed *feed;  /* uploads: body → worker */
	struct watch *body; /* downloads: worker → body */
	int body_fd;
	struct watch *ctl;
	int ctl_fd;
	int task_fd, task_ctl_fd; /* the worker's ends, until it has begun */
	bool responded, exited;
	int status;
};

static void copy_free(struct copy *c)
{
	if (task_is_beginning(c->task)) { /* on_begun() comes back to it */
		http_exchange_free(&c->x);
		return;
	}
	feed_free(&c->feed);
	watch_free(&c->body);
	fd_closep(&c->body_fd);
	/* Without a commit the worker sees both ends close, removes its temporary file and exits. */
	watch_free(&c->ctl);
	fd_closep(&c->ctl_fd);
	fd_closep(&c->task_fd);
	fd_closep(&c->task_ctl_fd);
	if (c->task && !c->request.upload)
		task_kill(c->task);
	task_free(&c->task);
	http_exchange_free(&c->x);
	cp_request_clear(&c->request);
	free(c);
}

static void fail(struct copy *c, const struct error *error)
{
	if (!c->responded)
		http_reply_error(&c->x, error);
	copy_free(c); /* an answer that has begun is cut off: the peer sees a reset */
}

static void fail_died(struct copy *c)
{
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_INTERNAL, "the copy of %s ended unexpectedly", c->request.path);
	fail(c, error);
}

/* ---- downloads ---- */

static void body_ended(struct copy *c)
{
	if (!c->exited || c->body_fd >= 0)
		return;
	if (c->status != 0) {
		fail_died(c);
		return;
	}
	stream_end(http_exchange_stream(c->x)); /* on_closed frees */
}

static void on_body(void *arg, int what)
{
	struct copy *c = arg;
	struct stream *s = http_exchange_stream(c->x);
	char piece[PIECE];
	ssize_t n;

	if (!c->responded || stream_full(s)) {
		watch_set(c->body, 0);
		return;
	}
	n = read(c->body_fd, piece, sizeof(piece));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		stream_write(s, piece, (size_t)n);
		return;
	}
	watch_free(&c->body);
	fd_closep(&c->body_fd);
	body_ended(c);
}

static void respond(struct copy *c, const struct cp_reply *reply)
{
	struct http_head *head = http_head_new_response(200);
	cleanup_free char *mode = str_fmt("%04o", reply->mode);
	cleanup_free char *name = base64url_encode(reply->name, strlen(reply->name));

	http_head_add(head, "content-type", reply->directory ? "application/x-tar" : "application/octet-stream");
	if (!reply->directory)
		http_head_add(head, "x-slicer-file-mode", mode);
	if (c->request.v1)
		http_head_add(head, "x-slicer-source-type", reply->directory ? "directory" : "file");
	if (c->request.v1 && *name)
		http_head_add(head, "x-slicer-source-name-base64", name);
	head->content_length = reply->size;
	http_exchange_respond(c->x, head);
	c->responded = true;
	watch_set(c->body, WATCH_IN);
}

/* ---- the worker's word ---- */

static void on_reply(struct copy *c, const struct cp_reply *reply)
{
	struct error error = {.code = reply->code, .sys_errno = reply->sys_errno};

	if (reply->code != 0) {
		error.message = str_ndup(reply->message, strnlen(reply->message, sizeof(reply->message)));
		fail(c, &error);
		free(error.message);
		return;
	}
	if (!c->request.upload) {
		respond(c, reply);
		return;
	}
	http_reply(&c->x, 200, "text/plain", "", 0);
	copy_free(c);
}

static void on_ctl(void *arg, int what)
{
	struct copy *c = arg;
	struct cp_reply reply;
	ssize_t n = recv(c->ctl_fd, &reply, sizeof(reply), 0);

	/* A worker that ended without reading our word: said first, and once; its own word follows. */
	if (n < 0 && errno == ECONNRESET)
		n = recv(c->ctl_fd, &reply, sizeof(reply), 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n == sizeof(reply)) {
		on_reply(c, &reply);
		return;
	}
	watch_free(&c->ctl);
	fd_closep(&c->ctl_fd);
	if (!c->responded)
		fail_died(c);
}

static void on_exited(void *arg, int status)
{
	struct copy *c = arg;

	c->exited = true;
	c->status = status;
	if (!c->request.upload && c->responded)
		body_ended(c);
}

/* ---- the exchange ---- */

static void on_readable(void *arg)
{
	struct copy *c = arg;

	feed_run(c->feed);
}

/* All of the body is in the pipe: the worker may make it final. */
static void on_fed(void *arg)
{
	struct copy *c = arg;

	/* A worker that failed is gone already; what it had to say is in the socket. */
	send(c->ctl_fd, &(char){CP_COMMIT}, 1, MSG_NOSIGNAL);
}

static void on_writable(void *arg)
{
	struct copy *c = arg;

	if (c->body)
		watch_set(c->body, WATCH_IN);
}

static void on_closed(void *arg, const struct error *error)
{
	copy_free(arg);
}

static const struct stream_events copy_events = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

/* ---- the start ---- */

/* In a thread. */
static int begin(void *arg, struct task *t, struct error **err)
{
	struct copy *c = arg;
	cleanup_user struct user *u = users_lookup(c->request.id.uid);
	char *path = path_expand(c->request.path, u->home);
	size_t n = strlen(path);
	struct task_spec spec = {
		.user = u,
		.gid = c->request.id.gid,
		.fds = {-1, -1, -1},
		.work = cp_worker,
		.arg = &c->request,
		.ctl_fd = c->task_ctl_fd,
	};

	free(c->request.path);
	c->request.path = path;
	/* "dir/." names the contents of dir; files below it are the same. */
	if (c->request.upload && n > 2 && str_eq(path + n - 2, "/."))
		path[n - 2] = '\0';
	spec.fds[c->request.upload ? 0 : 1] = c->task_fd;
	return task_exec(t, &spec, err);
}

static void connect_ends(struct copy *c)
{
	struct loop *loop = c->server->loop;
	struct stream *s = http_exchange_stream(c->x);

	if (c->request.upload) {
		c->feed = feed_new(loop, s, TAKE_FD(c->body_fd), on_fed, c);
	} else {
		c->feed = feed_new(loop, s, -1, NULL, NULL);
		c->body = watch_new(loop, c->body_fd, on_body, c);
	}
	c->ctl = watch_new(loop, c->ctl_fd, on_ctl, c);
	watch_set(c->ctl, WATCH_IN);
}

static void on_begun(void *arg, const struct error *error)
{
	struct copy *c = arg;

	if (!c->x) { /* the client has left meanwhile */
		copy_free(c);
		return;
	}
	if (error) {
		fail(c, error);
		return;
	}
	fd_closep(&c->task_fd);
	fd_closep(&c->task_ctl_fd);
	connect_ends(c);
	stream_set_events(http_exchange_stream(c->x), &copy_events, c);
}

static int make_ends(struct copy *c, struct error **err)
{
	int ends[2], ctl[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot make a pipe");
	c->body_fd = ends[c->request.upload ? 1 : 0];
	c->task_fd = ends[c->request.upload ? 0 : 1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) < 0)
		return error_errno(err, errno, "cannot make a socket");
	c->ctl_fd = ctl[0];
	c->task_ctl_fd = ctl[1];
	return fd_set_nonblock(c->body_fd, true, err) < 0 ? -1 : fd_set_nonblock(c->ctl_fd, true, err);
}

void cp_handle(struct server *server, struct http_exchange *take, const struct http_query *q)
{
	static const struct stream_events beginning_events = {.on_closed = on_closed};
	static const struct task_calls calls = {.begin = begin, .begun = on_begun, .exited = on_exited};
	struct copy *c = NEW(struct copy);
	cleanup_error struct error *error = NULL;

	c->server = server;
	c->x = take;
	c->body_fd = c->ctl_fd = c->task_fd = c->task_ctl_fd = -1;
	if (cp_request_parse(http_exchange_request(take), q, &c->request, &error) < 0 || make_ends(c, &error) < 0) {
		fail(c, error);
		return;
	}
	stream_set_events(http_exchange_stream(c->x), &beginning_events, c);
	c->task = task_start(server->tasks, &calls, c);
}
