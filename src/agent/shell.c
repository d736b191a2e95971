/* SPDX-License-Identifier: MIT */
/* GET /shell: a login shell on a pseudo-terminal, as frames in both directions. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/exec.h"
#include "agent/server.h"
#include "agent/shell_frame.h"

enum {
	PIECE = 16 * 1024,
	INPUT_PIECE = 4096,
	SILENCE_MS = 200, /* after the shell's exit, for jobs that still hold the terminal */
	LINGER_MS = 2000, /* for the client to end its side after the close frame */
	TTY_GROUP = 5,	  /* Debian's and Alpine's group tty */
};

struct shell {
	struct server *server;
	struct http_exchange *x;
	struct task *task;
	struct identity id;
	char *program, *cwd; /* as asked for; NULL: the user's */
	int master;
	struct watch *watch;
	struct shell_reader reader;
	struct evbuffer *pending; /* typed, not yet taken by the terminal */
	struct timer *timer;
	bool exited, finished, paused;
};

static void shell_free(struct shell *sh)
{
	if (task_is_beginning(sh->task)) { /* on_begun() comes back to it */
		http_exchange_free(&sh->x);
		return;
	}
	if (sh->task && !sh->exited)
		task_kill(sh->task);
	task_free(&sh->task);
	watch_free(&sh->watch);
	fd_closep(&sh->master);
	timer_free(&sh->timer);
	if (sh->pending)
		evbuffer_free(sh->pending);
	http_exchange_free(&sh->x);
	free(sh->program);
	free(sh->cwd);
	free(sh);
}

static void send_frame(struct shell *sh, enum shell_type type, const void *data, size_t n)
{
	unsigned char header[SHELL_HEADER];
	struct stream *s = http_exchange_stream(sh->x);

	shell_frame_header(type, (uint32_t)n, header);
	stream_write(s, header, sizeof(header));
	stream_write(s, data, n);
}

static void on_linger(void *arg)
{
	shell_free(arg);
}

static void finish(struct shell *sh)
{
	if (sh->finished)
		return;
	sh->finished = true;
	watch_free(&sh->watch);
	send_frame(sh, SHELL_SESSION_CLOSE, "", 0);
	stream_end(http_exchange_stream(sh->x));
	timer_free(&sh->timer);
	sh->timer = timer_new(sh->server->loop, on_linger, sh);
	timer_set(sh->timer, LINGER_MS);
}

static void on_silence(void *arg)
{
	struct shell *sh = arg;

	if (sh->paused) { /* the client is slow */
		timer_set(sh->timer, SILENCE_MS);
		return;
	}
	finish(sh);
}

static void on_exited(void *arg, int status)
{
	struct shell *sh = arg;

	sh->exited = true;
	if (sh->finished)
		return;
	if (!sh->watch) {
		finish(sh);
		return;
	}
	sh->timer = timer_new(sh->server->loop, on_silence, sh);
	timer_set(sh->timer, SILENCE_MS);
}

/* ---- the terminal ---- */

static void update_watch(struct shell *sh)
{
	int what = 0;

	if (!sh->watch)
		return;
	sh->paused = stream_full(http_exchange_stream(sh->x));
	if (!sh->paused)
		what |= WATCH_IN;
	if (evbuffer_get_length(sh->pending) > 0)
		what |= WATCH_OUT;
	watch_set(sh->watch, what);
}

static void write_pending(struct shell *sh)
{
	while (evbuffer_get_length(sh->pending) > 0) {
		int n = evbuffer_write_atmost(sh->pending, sh->master, INPUT_PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			evbuffer_drain(sh->pending, evbuffer_get_length(sh->pending));
	}
}

static void take_input(struct shell *sh);

static void read_terminal(struct shell *sh)
{
	char piece[PIECE];
	ssize_t n = read(sh->master, piece, sizeof(piece));

	if (n > 0) {
		send_frame(sh, SHELL_DATA, piece, (size_t)n);
		if (sh->exited)
			timer_set(sh->timer, SILENCE_MS);
		return;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* EIO: nobody has the terminal open any more. The shell's exit follows or came before. */
	watch_free(&sh->watch);
	if (sh->exited)
		finish(sh);
}

static void on_terminal(void *arg, int what)
{
	struct shell *sh = arg;

	if (what & WATCH_OUT)
		write_pending(sh);
	if (what & WATCH_IN && !stream_full(http_exchange_stream(sh->x)))
		read_terminal(sh);
	if (sh->finished)
		return;
	update_watch(sh);
	if (what & WATCH_OUT)
		take_input(sh);
}

/* ---- the client ---- */

/* False: the session is over and sh may be gone. */
static bool act(struct shell *sh, const struct shell_event *event)
{
	struct winsize size = {.ws_col = (unsigned short)event->columns, .ws_row = (unsigned short)event->rows};

	switch (event->type) {
	case SHELL_DATA:
		evbuffer_add(sh->pending, event->data, event->n);
		write_pending(sh);
		return true;
	case SHELL_WINDOW_SIZE:
		ioctl(sh->master, TIOCSWINSZ, &size);
		return true;
	case SHELL_SHUTDOWN:
	case SHELL_SESSION_CLOSE:
		task_kill(sh->task);
		finish(sh);
		return false;
	default:
		return true;
	}
}

static void take_input(struct shell *sh)
{
	struct evbuffer *in = stream_input(http_exchange_stream(sh->x));

	while (!sh->finished && evbuffer_get_length(in) > 0 && evbuffer_get_length(sh->pending) == 0) {
		size_t n = evbuffer_get_contiguous_space(in);
		struct shell_event event;
		ssize_t used = shell_reader_push(&sh->reader, evbuffer_pullup(in, (ssize_t)n), n, &event, NULL);

		if (used < 0) {
			shell_free(sh);
			return;
		}
		if (!act(sh, &event))
			break;
		evbuffer_drain(in, (size_t)used);
	}
	if (sh->finished)
		evbuffer_drain(in, evbuffer_get_length(in));
	stream_resume(http_exchange_stream(sh->x));
	update_watch(sh);
}

static void on_readable(void *arg)
{
	struct shell *sh = arg;
	struct stream *s = http_exchange_stream(sh->x);

	/* A client whose side has ended is gone: nobody can type any more. */
	if (stream_eof(s) && !sh->finished && evbuffer_get_length(stream_input(s)) == 0) {
		shell_free(sh);
		return;
	}
	take_input(sh);
}

static void on_writable(void *arg)
{
	update_watch(arg);
}

static void on_closed(void *arg, const struct error *error)
{
	shell_free(arg);
}

static const struct stream_events shell_events = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

/* ---- the start ---- */

static int open_terminal(const struct user *u, int *ret_master, struct error **err)
{
	cleanup_close int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;

	if (master < 0 || unlockpt(master) < 0)
		return error_errno(err, errno, "cannot make a terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_errno(err, errno, "cannot open a terminal");
	/* Without privilege the terminal is already the user's own. */
	if (fchown(slave, u->uid, TTY_GROUP) == 0)
		fchmod(slave, 0620);
	if (fd_set_nonblock(master, true, err) < 0)
		return -1;
	*ret_master = TAKE_FD(master);
	return TAKE_FD(slave);
}

/* In a thread. */
static int begin(void *arg, struct task *t, struct error **err)
{
	struct shell *sh = arg;
	cleanup_user struct user *u = users_lookup(sh->id.uid);
	cleanup_strv char **env = NULL, **extra = NULL, **argv = NULL;
	cleanup_free char *cwd = cwd_expand(sh->cwd, u->home, err);
	const char *shell = sh->program && *sh->program ? sh->program : u->shell;
	cleanup_close int slave = -1;

	if (!cwd)
		return -1;
	slave = open_terminal(u, &sh->master, err);
	if (slave < 0)
		return -1;
	strv_append(&extra, "TERM=xterm-256color");
	strv_append_fmt(&extra, "SHELL=%s", shell);
	env = exec_environment_of(u, extra);
	strv_append(&argv, shell);
	strv_append(&argv, "-l");
	struct task_spec spec = {
		.user = u,
		.gid = sh->id.gid,
		.argv = argv,
		.env = env,
		.cwd = cwd,
		.fds = {slave, slave, slave},
		.tty = true,
	};
	return task_exec(t, &spec, err);
}

static void refuse(struct shell *sh, const struct error *error)
{
	struct error said = *error;

	if (said.code == ERR_NOT_FOUND) /* of the shell or its directory, not of the VM */
		said.code = ERR_INVALID;
	http_reply_error(&sh->x, &said);
	shell_free(sh);
}

static void on_begun(void *arg, const struct error *error)
{
	struct shell *sh = arg;
	struct http_head *head;

	if (!sh->x) { /* the client has left meanwhile */
		shell_free(sh);
		return;
	}
	if (error) {
		refuse(sh, error);
		return;
	}
	sh->pending = evbuffer_new();
	sh->watch = watch_new(sh->server->loop, sh->master, on_terminal, sh);
	head = http_head_new_response(200);
	http_head_add(head, "content-type", "application/octet-stream");
	http_exchange_respond(sh->x, head);
	stream_set_events(http_exchange_stream(sh->x), &shell_events, sh);
	update_watch(sh);
}

void shell_handle(struct server *server, struct http_exchange *take, const struct http_query *q)
{
	static const struct stream_events beginning_events = {.on_closed = on_closed};
	static const struct task_calls calls = {.begin = begin, .begun = on_begun, .exited = on_exited};
	struct shell *sh = NEW(struct shell);
	cleanup_error struct error *error = NULL;

	sh->server = server;
	sh->x = take;
	sh->master = -1;
	if (identity_parse(q, &sh->id, &error) < 0) {
		refuse(sh, error);
		return;
	}
	sh->program = str_dup(http_query_get(q, "shell"));
	sh->cwd = str_dup(http_query_get(q, "cwd"));
	stream_set_events(http_exchange_stream(sh->x), &beginning_events, sh);
	sh->task = task_start(server->tasks, &calls, sh);
}
