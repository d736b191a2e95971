/* SPDX-License-Identifier: MIT */
/* POST /exec: a process whose output goes out as NDJSON frames while the request's body may still come in, or as one
 * document at the end (buffered). */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/exec.h"
#include "agent/exec_output.h"
#include "agent/feed.h"
#include "agent/server.h"

enum {
	SILENCE_MS = 200, /* after the child's exit, for others that hold its pipes */
	DRAIN_MS = 2000,  /* at most, when they go on writing */
	LINGER_MS = 100,  /* between looks whether the answer is out, when the request's body does not end */
	LINGER_ROUNDS = 600,
};

struct exec {
	struct server *server;
	struct http_exchange *x;
	struct exec_request request;
	struct task *task;
	int pipes[3][2]; /* until it has begun */
	struct feed *stdin_feed;
	struct output *out[2]; /* stdout, stderr */
	struct timer *timer;   /* silence after the exit; then lingering */
	char *started_at, *ended_at;
	int64_t drain_until_ms;
	int status;
	unsigned lingered;
	bool exited, finished;
};

static void close_pipes(struct exec *e)
{
	for (int i = 0; i < 3; i++) {
		fd_closep(&e->pipes[i][0]);
		fd_closep(&e->pipes[i][1]);
	}
}

static void exec_free(struct exec *e)
{
	if (task_is_beginning(e->task)) { /* on_begun() comes back to it */
		http_exchange_free(&e->x);
		return;
	}
	close_pipes(e);
	if (e->task && !e->finished)
		task_kill(e->task);
	task_free(&e->task);
	feed_free(&e->stdin_feed);
	output_free(&e->out[0]);
	output_free(&e->out[1]);
	timer_free(&e->timer);
	http_exchange_free(&e->x);
	exec_request_clear(&e->request);
	free(e->started_at);
	free(e->ended_at);
	free(e);
}

static void write_line(struct exec *e, char *take_line)
{
	stream_write(http_exchange_stream(e->x), take_line, strlen(take_line));
	free(take_line);
}

/* ---- the end ---- */

static void reply_buffered(struct exec *e)
{
	bool base64 = e->request.base64 || !output_is_text(e->out[0]) || !output_is_text(e->out[1]);
	cleanup_json struct json_object *doc = json_object_new_object();
	cleanup_free char *text = NULL;

	js_add(doc, "stdout", output_to_json(e->out[0], base64));
	js_add(doc, "stderr", output_to_json(e->out[1], base64));
	js_add_i64(doc, "exit_code", exit_code_of(e->status));
	if (base64)
		js_add_string(doc, "encoding", "base64");
	js_add_i64(doc, "pid", task_pid(e->task));
	js_add_string(doc, "started_at", e->started_at);
	js_add_string(doc, "ended_at", e->ended_at);
	if (WIFSIGNALED(e->status))
		js_add_string(doc, "signal", signal_name(WTERMSIG(e->status)));
	text = js_to_string(doc);
	http_reply(&e->x, 200, "application/json", text, strlen(text));
	exec_free(e);
}

/* The answer is complete; the request's body may go on for ever, but not for us. */
static void on_linger(void *arg)
{
	struct exec *e = arg;

	if (++e->lingered > 1 && (stream_pending(http_exchange_stream(e->x)) == 0 || e->lingered > LINGER_ROUNDS)) {
		exec_free(e);
		return;
	}
	timer_set(e->timer, LINGER_MS);
}

static void finish(struct exec *e)
{
	struct stream *s = http_exchange_stream(e->x);

	e->finished = true;
	if (e->request.buffered) {
		reply_buffered(e);
		return;
	}
	for (int i = 0; i < 2; i++) { /* others may go on writing: nobody hears them */
		output_flush(e->out[i]);
		output_free(&e->out[i]);
	}
	write_line(e, frame_exit(e->status, e->ended_at));
	feed_free(&e->stdin_feed);
	e->stdin_feed = feed_new(e->server->loop, s, -1, NULL, NULL);
	stream_end(s);
	timer_free(&e->timer);
	e->timer = timer_new(e->server->loop, on_linger, e);
	timer_set(e->timer, LINGER_MS);
	feed_run(e->stdin_feed);
}

static void check_end(struct exec *e)
{
	if (e->exited && !e->finished && output_ended(e->out[0]) && output_ended(e->out[1]))
		finish(e);
}

static bool is_childs_out(const struct exec *e)
{
	return output_marked_done(e->out[0]) && output_marked_done(e->out[1]);
}

/* Others hold the pipes. Nothing came for a while; but when we are slow, or the client is, what the child wrote itself may still
 * be in there. */
static void on_silence(void *arg)
{
	struct exec *e = arg;

	if (output_paused(e->out[0]) || output_paused(e->out[1]) || !is_childs_out(e)) {
		timer_set(e->timer, SILENCE_MS);
		return;
	}
	finish(e);
}

static void on_exited(void *arg, int status)
{
	struct exec *e = arg;

	e->exited = true;
	e->status = status;
	e->ended_at = time_now();
	e->drain_until_ms = clock_ms() + DRAIN_MS;
	output_mark(e->out[0]);
	output_mark(e->out[1]);
	e->timer = timer_new(e->server->loop, on_silence, e);
	timer_set(e->timer, SILENCE_MS);
	check_end(e);
}

/* ---- output ---- */

static void too_much(struct exec *e)
{
	cleanup_error struct error *error = NULL;

	error_set(&error, ERR_TOO_LARGE, "the command wrote more than %d MiB; run it without buffered",
		  EXEC_BUFFER_LIMIT / (1024 * 1024));
	http_reply_error(&e->x, error);
	exec_free(e);
}

static void on_output(void *arg, struct output *o)
{
	struct exec *e = arg;

	if (e->finished)
		return;
	if (e->request.buffered && output_size(o) > EXEC_BUFFER_LIMIT) {
		too_much(e);
		return;
	}
	if (e->exited) {
		if (!output_ended(o) && clock_ms() < e->drain_until_ms)
			timer_set(e->timer, SILENCE_MS);
		if (clock_ms() >= e->drain_until_ms && is_childs_out(e)) {
			finish(e);
			return;
		}
	}
	check_end(e);
}

static void on_readable(void *arg)
{
	struct exec *e = arg;

	feed_run(e->stdin_feed);
}

static void on_writable(void *arg)
{
	struct exec *e = arg;

	if (e->finished)
		return;
	output_resume(e->out[0]);
	output_resume(e->out[1]);
}

static void on_closed(void *arg, const struct error *error)
{
	exec_free(arg);
}

static const struct stream_events exec_events = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

/* ---- the start ---- */

/* In a thread. */
static int begin(void *arg, struct task *t, struct error **err)
{
	struct exec *e = arg;
	cleanup_user struct user *u = users_lookup(e->request.id.uid);
	cleanup_strv char **env = exec_environment_of(u, e->request.env);
	cleanup_free char *cwd = cwd_expand(e->request.cwd, u->home, err);
	struct task_spec spec = {
		.user = u,
		.gid = e->request.id.gid,
		.argv = e->request.argv,
		.env = env,
		.cwd = cwd,
		.fds = {e->pipes[0][0], e->pipes[1][1], e->pipes[2][1]},
	};

	return cwd ? task_exec(t, &spec, err) : -1;
}

/* Our ends are non-blocking, the child's are not. */
static int make_pipes(struct exec *e, struct error **err)
{
	for (int i = e->request.with_stdin ? 0 : 1; i < 3; i++) {
		if (pipe2(e->pipes[i], O_CLOEXEC) < 0)
			return error_errno(err, errno, "cannot make a pipe");
		if (fd_set_nonblock(e->pipes[i][i == 0 ? 1 : 0], true, err) < 0)
			return -1;
	}
	return 0;
}

static void respond_stream(struct exec *e)
{
	struct http_head *head = http_head_new_response(200);

	http_head_add(head, "content-type", "application/x-ndjson");
	http_exchange_respond(e->x, head);
}

static bool is_client_error(const struct error *error)
{
	return error->code == ERR_INVALID;
}

/* A command that cannot run is a result, not an error of the request. */
static void reply_failed(struct exec *e, const struct error *error)
{
	if (is_client_error(error)) {
		http_reply_error(&e->x, error);
	} else if (e->request.buffered) {
		cleanup_json struct json_object *doc = json_object_new_object();
		cleanup_free char *text = NULL;

		js_add_string(doc, "stdout", "");
		js_add_string(doc, "stderr", "");
		js_add_i64(doc, "exit_code", exit_code_of_error(error));
		js_add_string(doc, "error", error_message(error));
		text = js_to_string(doc);
		http_reply(&e->x, 200, "application/json", text, strlen(text));
	} else {
		cleanup_free char *now = time_now();
		cleanup_free char *line = frame_failed(error, now);

		http_reply(&e->x, 200, "application/x-ndjson", line, strlen(line));
	}
	exec_free(e);
}

static void connect_pipes(struct exec *e)
{
	struct stream *s = http_exchange_stream(e->x);
	struct stream *to = e->request.buffered ? NULL : s;

	e->stdin_feed = feed_new(e->server->loop, s, TAKE_FD(e->pipes[0][1]), NULL, NULL);
	e->out[0] = output_new(e->server->loop, TAKE_FD(e->pipes[1][0]), "stdout", to, e->request.base64);
	e->out[1] = output_new(e->server->loop, TAKE_FD(e->pipes[2][0]), "stderr", to, e->request.base64);
	output_start(e->out[0], on_output, e);
	output_start(e->out[1], on_output, e);
}

static void on_begun(void *arg, const struct error *error)
{
	struct exec *e = arg;

	if (!e->x) { /* the client has left meanwhile */
		exec_free(e);
		return;
	}
	if (error) {
		reply_failed(e, error);
		return;
	}
	connect_pipes(e);
	close_pipes(e);
	if (!e->request.buffered) {
		respond_stream(e);
		write_line(e, frame_started(task_pid(e->task), e->started_at));
	}
	stream_set_events(http_exchange_stream(e->x), &exec_events, e);
}

void exec_handle(struct server *server, struct http_exchange *take, const struct http_query *q)
{
	static const struct stream_events beginning_events = {.on_closed = on_closed};
	static const struct task_calls calls = {.begin = begin, .begun = on_begun, .exited = on_exited};
	struct exec *e = NEW(struct exec);
	cleanup_error struct error *error = NULL;

	memset(e->pipes, -1, sizeof(e->pipes));
	e->server = server;
	e->x = take;
	if (exec_request_parse(q, &e->request, &error) < 0) {
		http_reply_error(&e->x, error);
		exec_free(e);
		return;
	}
	e->started_at = time_now();
	if (make_pipes(e, &error) < 0) {
		reply_failed(e, error);
		return;
	}
	stream_set_events(http_exchange_stream(e->x), &beginning_events, e);
	e->task = task_start(server->tasks, &calls, e);
}
