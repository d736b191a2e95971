/* SPDX-License-Identifier: MIT */
/* vm shell */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cli/shell_frames.h"
#include "cli/signals.h"
#include "cli/std_io.h"
#include "cli/tty.h"
#include "cli/verbs.h"
#include "cli/ws_open.h"
#include "io/ws.h"

enum {
	HEARTBEAT_MS = 30 * 1000,
	DETACH_KEY = 0x1d,	   /* Ctrl+] */
	END_OF_FILE_KEY = 0x04,	   /* Ctrl+D */
	END_OF_FILE_MS = 500,	   /* between presses of it */
	MESSAGE_MAX = 1024 * 1024, /* what a server may send at once */
};

struct shell {
	struct client *client;
	const struct shell_options *options;
	struct ws_open *open;
	struct ws *ws;
	struct input *input;
	struct output *output;
	struct timer *heartbeat;
	struct timer *end_of_file;
	struct signals *signals;
	struct loop_signal *resized;
	struct tty tty;
	bool is_tty;	  /* standard input */
	int status;	  /* of the answer to the upgrade; 0: none */
	bool over, ended; /* the session; everything, output written */
	int exit_code;
	struct error *error;
};

static void finish(struct shell *s)
{
	s->ended = true;
	loop_stop(s->client->loop);
}

static void fail(struct shell *s, struct error *take)
{
	if (s->error || s->over)
		error_free(&take);
	else
		s->error = take;
	finish(s);
}

/* The session is over; ends when its last output is written. */
static void session_over(struct shell *s)
{
	s->over = true;
	if (output_empty(s->output))
		finish(s);
}

static void send_frame(struct shell *s, enum shell_frame type, const void *payload, size_t n)
{
	unsigned char message[SHELL_MESSAGE_MAX];

	if (s->ws)
		ws_send(s->ws, message, shell_encode(message, type, payload, n));
}

static void send_data(struct shell *s, const char *data, size_t n)
{
	while (n > 0) {
		size_t piece = n < SHELL_DATA_MAX ? n : SHELL_DATA_MAX;

		send_frame(s, SHELL_DATA, data, piece);
		data += piece;
		n -= piece;
	}
}

static void send_size(void *arg)
{
	unsigned char payload[8];
	uint32_t columns, rows;

	tty_size(&columns, &rows);
	shell_put_u32(payload, columns);
	shell_put_u32(payload + 4, rows);
	send_frame(arg, SHELL_WINDOW_SIZE, payload, sizeof(payload));
}

static void on_heartbeat(void *arg)
{
	struct shell *s = arg;

	send_frame(s, SHELL_HEARTBEAT, NULL, 0);
	timer_set(s->heartbeat, HEARTBEAT_MS);
}

/* The user leaves: the guest's shell is told to end. */
static void detach(struct shell *s)
{
	send_frame(s, SHELL_SHUTDOWN, NULL, 0);
	s->over = true;
	if (s->ws)
		ws_close(s->ws, 1000, "client detached"); /* on_closed comes within 2 s */
	else
		finish(s);
}

/* A script on standard input ends as if its typist pressed Ctrl+D until the shell is gone: a shell that just starts, or a
 * program in between, loses one. */
static void press_end_of_file(void *arg)
{
	static const char key = END_OF_FILE_KEY;
	struct shell *s = arg;

	if (s->over)
		return;
	send_data(s, &key, 1);
	timer_set(s->end_of_file, END_OF_FILE_MS);
}

static void on_input(void *arg, const void *data, size_t n)
{
	struct shell *s = arg;
	const char *key = s->is_tty && n ? memchr(data, DETACH_KEY, n) : NULL;

	if (s->over)
		return;
	if (n == 0) {
		press_end_of_file(s);
		return;
	}
	send_data(s, data, key ? (size_t)(key - (const char *)data) : n);
	if (key)
		detach(s);
	else if (ws_full(s->ws))
		input_run(s->input, false);
}

static void on_writable(void *arg)
{
	struct shell *s = arg;

	input_run(s->input, true);
}

static void on_output_written(void *arg)
{
	struct shell *s = arg;

	if (output_failed(s->output)) {
		s->exit_code = 128 + SIGPIPE;
		session_over(s);
	} else if (s->over) {
		if (!s->ws)
			finish(s);
	} else if (s->ws) {
		ws_pause(s->ws, false);
	}
}

static void on_message(void *arg, bool binary, const void *data, size_t n)
{
	struct shell *s = arg;
	const unsigned char *payload = NULL;
	size_t length = 0;
	int type = binary ? shell_decode(data, n, &payload, &length) : 0;

	if (s->over)
		return;
	if (type == SHELL_DATA) {
		output_write(s->output, payload, length);
		if (output_failed(s->output))
			on_output_written(s);
		else if (output_full(s->output))
			ws_pause(s->ws, true);
	} else if (type == SHELL_SESSION_CLOSE || type == SHELL_SHUTDOWN) {
		session_over(s);
	}
}

static void on_ws_closed(void *arg, unsigned code, const struct error *why)
{
	struct shell *s = arg;
	cleanup_free char *reason = str_escape(ws_reason(s->ws), strlen(ws_reason(s->ws)));
	struct error *error = NULL;

	ws_free(&s->ws);
	if (s->over || code == 1000) {
		session_over(s);
		return;
	}
	if (!why && reason[0])
		error_set(&error, ERR_UNAVAILABLE, "the shell was lost: %s", reason);
	else
		error_set(&error, ERR_UNAVAILABLE, "the connection to the shell was lost: %s",
			  why ? error_message(why) : "the VM or the daemon closed it");
	fail(s, error);
}

static const struct ws_events ws_events = {on_message, on_writable, on_ws_closed};

static void on_opened(void *arg, struct stream *take_raw, int status, const struct error *error)
{
	struct shell *s = arg;

	s->status = status;
	if (error) {
		fail(s, error_copy(error));
		return;
	}
	s->ws = ws_new(s->client->loop, take_raw, true, MESSAGE_MAX, &ws_events, s);
	fprintf(stderr, "Connected! Press Ctrl+] to exit.\n");
	tty_make_raw(&s->tty, STDIN_FILENO);
	send_size(s);
	if (s->options->bootstrap) {
		cleanup_free char *line = str_fmt("%s\n", s->options->bootstrap);

		send_data(s, line, strlen(line));
	}
	timer_set(s->heartbeat, HEARTBEAT_MS);
	input_run(s->input, true);
}

static void on_signal(void *arg, int signo)
{
	struct shell *s = arg;

	s->exit_code = 128 + signo;
	s->over = true;
	finish(s);
}

static void open_request(struct shell *s, const char *vm)
{
	const struct shell_options *o = s->options;
	cleanup_free char *target = target_new("/vm/%s/shell", vm);

	if (o->uid >= 0)
		target_add_int(&target, "uid", (uint64_t)o->uid);
	if (o->gid >= 0)
		target_add_int(&target, "gid", (uint64_t)o->gid);
	target_add(&target, "shell", o->shell);
	target_add(&target, "cwd", o->cwd);
	s->open = ws_open_new(s->client, client_head(s->client, "GET", target), on_opened, s);
}

static void shell_clear(struct shell *s)
{
	tty_restore(&s->tty, STDIN_FILENO);
	ws_open_free(&s->open);
	ws_free(&s->ws);
	input_free(&s->input);
	output_free(&s->output);
	timer_free(&s->heartbeat);
	timer_free(&s->end_of_file);
	signals_free(&s->signals);
	loop_signal_free(&s->resized);
	error_free(&s->error);
}

static int attempt(struct client *c, const char *vm, const struct shell_options *options, int *ret_status,
		   struct error **err)
{
	struct shell s = {.client = c, .options = options, .is_tty = isatty(STDIN_FILENO)};
	int rc = -1;

	s.input = input_new(c->loop, STDIN_FILENO, on_input, &s);
	s.output = output_new(c->loop, STDOUT_FILENO, on_output_written, &s);
	s.heartbeat = timer_new(c->loop, on_heartbeat, &s);
	s.end_of_file = timer_new(c->loop, press_end_of_file, &s);
	s.signals = signals_new(c->loop, on_signal, &s);
	s.resized = loop_signal_new(c->loop, SIGWINCH, send_size, &s);
	open_request(&s, vm);
	if (!loop_run(c->loop, &s.error) && !s.error)
		rc = s.exit_code;
	if (s.tty.raw)
		fputs("\r\n", stderr);
	*ret_status = s.status;
	if (s.error)
		error_move(err, &s.error);
	shell_clear(&s);
	return rc;
}

int shell_session(struct client *c, char **vm, const struct shell_options *options, struct error **err)
{
	cleanup_error struct error *first = NULL;
	char *hostname;
	int status = 0, rc;

	fprintf(stderr, "Connecting to VM: %s\n", *vm);
	rc = attempt(c, *vm, options, &status, &first);
	if (!first)
		return rc;
	hostname = status == 404 ? vm_by_friendly_name(c, *vm) : NULL;
	if (!hostname)
		return error_move(err, &first);
	free(*vm);
	*vm = hostname;
	return attempt(c, *vm, options, &status, err);
}

static int64_t id_option(const struct parsed *args, const char *name)
{
	return parsed_given(args, name) ? (int64_t)parsed_int(args, name, 0) : -1;
}

static int run_shell(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	const struct shell_options options = {
		.uid = id_option(args, "uid"),
		.gid = id_option(args, "gid"),
		.shell = parsed_string(args, "shell"),
		.cwd = parsed_string(args, "cwd"),
		.bootstrap = parsed_string(args, "bootstrap"),
	};

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	return vm ? shell_session(&c, &vm, &options, err) : -1;
}

static const struct option_spec shell_options_table[] = {
	{"uid", 'u', OPTION_INT, "UID", "User to log in; 0 is root (default: the guest's default user)"},
	{"gid", 0, OPTION_INT, "GID", "Group"},
	{"cwd", 'w', OPTION_STRING, "DIR", "Working directory (default: the user's home)", "workdir"},
	{"shell", 0, OPTION_STRING, "PATH", "Shell (default: the user's)"},
	{"bootstrap", 0, OPTION_STRING, "COMMAND", "Type this command first"},
	{0},
};

const struct command command_vm_shell = {
	.name = "shell",
	.summary = "Open a shell in a VM",
	.usage = "[VM]",
	.details = "Ctrl+] leaves the shell. Standard input may be a script.\n",
	.options = shell_options_table,
	.run = run_shell,
	.max_args = 1,
};
