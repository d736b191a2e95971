/* SPDX-License-Identifier: MIT */
#include "cli/exec_stream.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cli/exec_frames.h"
#include "cli/signals.h"
#include "cli/std_io.h"

enum {
	REFUSAL_MAX = 64 * 1024,
	/* Input is not touched before the answer's head is there, so that it can be sent again to the VM's real name. Daemons
	 * that answer only when they have all of the input get it after this time. */
	INPUT_DELAY_MS = 500,
};

struct exec {
	struct client *client;
	struct http_exchange *exchange;
	struct stream *stream; /* the exchange's; borrowed */
	struct exec_reader *reader;
	struct input *input; /* NULL: none is wanted */
	struct timer *input_delay;
	struct output *outputs[2]; /* stdout, stderr */
	struct signals *signals;
	int status;	    /* of the answer; 0 before it */
	bool broke_off;	    /* in the middle of the answer */
	bool exited, ended; /* the command; everything */
	int exit_code;
	struct error *error;
};

static void finish(struct exec *e)
{
	e->ended = true;
	loop_stop(e->client->loop);
}

static void fail(struct exec *e, struct error *take)
{
	if (e->error || e->ended)
		error_free(&take);
	else
		e->error = take;
	finish(e);
}

static bool outputs_full(const struct exec *e)
{
	return output_full(e->outputs[0]) || output_full(e->outputs[1]);
}

/* The command has ended and all that it wrote is written. */
static void finish_if_flushed(struct exec *e)
{
	if (e->exited && output_empty(e->outputs[0]) && output_empty(e->outputs[1]))
		finish(e);
}

static void on_frame_output(void *arg, int fd, const void *data, size_t n)
{
	struct exec *e = arg;

	output_write(e->outputs[fd - 1], data, n);
}

static void on_frame_exit(void *arg, int exit_code, const char *error)
{
	struct exec *e = arg;

	e->exited = true;
	e->exit_code = exit_code;
	if (error) {
		cleanup_free char *text = str_escape(error, strlen(error));
		cleanup_free char *line = str_fmt("slicer: error: %s\n", text);

		output_write(e->outputs[1], line, strlen(line));
	}
}

static const struct exec_events frame_events = {on_frame_output, on_frame_exit};

/* Nobody reads our standard output: that ends the command, quietly. Lost messages on stderr do not. */
static bool stdout_gone(struct exec *e)
{
	int failed = output_failed(e->outputs[0]);

	if (!failed)
		return false;
	e->exit_code = 128 + SIGPIPE;
	if (failed == EPIPE) {
		finish(e);
	} else {
		struct error *error = NULL;

		error_errno(&error, failed, "cannot write to standard output");
		fail(e, error);
	}
	return true;
}

/* Moves frames from the answer to the outputs while these take them. */
static void pump(struct exec *e)
{
	struct evbuffer *in = stream_input(e->stream);
	struct error *error = NULL;
	char piece[8 * 1024];
	int n;

	while (!e->ended && !e->exited && !outputs_full(e)) {
		n = evbuffer_remove(in, piece, sizeof(piece));
		if (n <= 0)
			break;
		if (exec_reader_feed(e->reader, piece, (size_t)n, &error)) {
			fail(e, error);
			return;
		}
		if (stdout_gone(e))
			return;
	}
	if (e->ended || outputs_full(e))
		return;
	if (!e->exited && stream_eof(e->stream) && evbuffer_get_length(in) == 0 &&
	    exec_reader_finish(e->reader, &error)) {
		fail(e, error);
		return;
	}
	if (e->exited)
		finish_if_flushed(e);
	else
		stream_resume(e->stream);
}

static void on_output_written(void *arg)
{
	struct exec *e = arg;

	if (e->ended || stdout_gone(e))
		return;
	if (e->exited)
		finish_if_flushed(e);
	else if (e->status && e->status < 400)
		pump(e);
}

static void on_input(void *arg, const void *data, size_t n)
{
	struct exec *e = arg;
	struct error *error = NULL;

	/* Without an end the command does not take the beginning for the whole: the connection breaks off. */
	if (n == 0 && input_failed(e->input)) {
		error_errno(&error, input_failed(e->input), "cannot read standard input");
		fail(e, error);
		return;
	}
	if (n == 0) {
		stream_end(e->stream);
		return;
	}
	stream_write(e->stream, data, n);
	if (stream_full(e->stream))
		input_run(e->input, false);
}

static void start_input(void *arg)
{
	struct exec *e = arg;

	if (e->input && e->status < 400)
		input_run(e->input, true);
}

static void on_writable(void *arg)
{
	start_input(arg);
}

static void refuse(struct exec *e)
{
	struct evbuffer *in = stream_input(e->stream);
	size_t n = evbuffer_get_length(in);
	cleanup_free char *body = mem_alloc(n + 1);
	struct error *error = NULL;

	evbuffer_remove(in, body, n);
	client_refused(e->client, e->status, body, &error);
	fail(e, error);
}

static void on_readable(void *arg)
{
	struct exec *e = arg;

	if (e->ended || !e->status)
		return;
	if (e->status < 400)
		pump(e);
	else if (stream_eof(e->stream) || evbuffer_get_length(stream_input(e->stream)) > REFUSAL_MAX)
		refuse(e);
	else
		stream_resume(e->stream);
}

static void on_closed(void *arg, const struct error *why)
{
	struct exec *e = arg;
	struct error *error = NULL;

	if (e->ended || e->exited)
		return;
	if (e->status >= 400) {
		refuse(e);
		return;
	}
	if (e->status && !why) {
		pump(e);
		return;
	}
	e->broke_off = e->status;
	if (!why)
		error_set(&error, ERR_PROTOCOL, "the connection ended before the command did");
	else if (e->status)
		error_set(&error, why->code, "the connection ended before the command did: %s", error_message(why));
	else
		client_unreachable(e->client, why, &error);
	fail(e, error);
}

static const struct stream_events stream_events = {on_readable, on_writable, on_closed};

static void on_response(void *arg, struct http_exchange *x, const struct error *why)
{
	struct exec *e = arg;
	struct error *error = NULL;

	if (e->ended)
		return;
	if (why) {
		client_unreachable(e->client, why, &error);
		fail(e, error);
		return;
	}
	e->status = http_exchange_response(x)->status;
	start_input(e);
	on_readable(e);
}

static void on_signal(void *arg, int signo)
{
	struct exec *e = arg;

	e->exit_code = 128 + signo;
	e->exited = true;
	finish(e);
}

static void open_request(struct exec *e, const char *vm, const char *query, bool send_stdin)
{
	cleanup_free char *base = target_new("/vm/%s", vm);
	cleanup_free char *target = str_fmt("%s%s", base, query);
	struct http_head *head = client_head(e->client, "POST", target);

	http_head_add(head, "accept", "application/x-ndjson");
	if (send_stdin)
		head->content_length = -1;
	e->exchange = http1_client_open(e->client->http, head);
	e->stream = http_exchange_stream(e->exchange);
	http_exchange_on_response(e->exchange, on_response, e);
	stream_set_events(e->stream, &stream_events, e);
	if (send_stdin) {
		e->input = input_new(e->client->loop, STDIN_FILENO, on_input, e);
		e->input_delay = timer_new(e->client->loop, start_input, e);
		timer_set(e->input_delay, INPUT_DELAY_MS);
	} else {
		stream_end(e->stream);
	}
}

static void exec_clear(struct exec *e)
{
	http_exchange_free(&e->exchange);
	input_free(&e->input);
	if (e->input_delay)
		timer_free(&e->input_delay);
	output_free(&e->outputs[0]);
	output_free(&e->outputs[1]);
	exec_reader_free(&e->reader);
	signals_free(&e->signals);
	error_free(&e->error);
}

/* One try; *ret_status tells how it was answered. */
static int attempt(struct client *c, const char *vm, const char *query, bool send_stdin, int *ret_status,
		   struct error **err)
{
	struct exec e = {.client = c};
	int rc = -1;

	e.reader = exec_reader_new(&frame_events, &e);
	e.outputs[0] = output_new(c->loop, STDOUT_FILENO, on_output_written, &e);
	e.outputs[1] = output_new(c->loop, STDERR_FILENO, on_output_written, &e);
	e.signals = signals_new(c->loop, on_signal, &e);
	open_request(&e, vm, query, send_stdin);
	if (!loop_run(c->loop, &e.error) && !e.error)
		rc = e.exit_code;
	*ret_status = e.status;
	if (e.error)
		error_move(err, &e.error);
	exec_clear(&e);
	if (e.broke_off)
		vm_explain_loss(c, vm, "the connection ended before the command did", err);
	return rc;
}

int exec_stream(struct client *c, char **vm, const char *query, bool send_stdin, struct error **err)
{
	cleanup_error struct error *first = NULL;
	char *hostname;
	int status = 0;
	int rc = attempt(c, *vm, query, send_stdin, &status, &first);

	if (!first)
		return rc;
	hostname = status == 404 ? vm_by_friendly_name(c, *vm) : NULL;
	if (!hostname)
		return error_move(err, &first);
	free(*vm);
	*vm = hostname;
	return attempt(c, *vm, query, send_stdin, &status, err);
}
