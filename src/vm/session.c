/* SPDX-License-Identifier: MIT */
#include "vm/session_impl.h"

#include <sys/socket.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"

static void session_send(struct session *s, const struct control_line *line)
{
	cleanup_free char *text = control_format(line);

	stream_write(s->control, text, strlen(text));
}

static void session_touch(struct session *s)
{
	if (s->events->on_touch)
		s->events->on_touch(s->arg);
}

/* Drops all of the agent port; the next handshake connects it anew, so that nothing of the old session is in flight. */
static void session_drop_agent(struct session *s, const char *why)
{
	if (s->phase == SESSION_READY) {
		free(s->lost_why);
		s->lost_why = str_dup(why);
	}
	if (s->phase > SESSION_QUIET)
		s->phase = SESSION_QUIET;
	session_events_close(s);
	http2_session_free(&s->mux);
	stream_free(&s->agent);
	s->instance[0] = '\0';
	timer_set(s->notify, 0);
	session_touch(s);
}

static void session_disconnect(struct session *s, const char *why)
{
	session_drop_agent(s, why);
	s->phase = SESSION_CLOSED;
	stream_free(&s->control);
	timer_set(s->timer, SESSION_CONNECT_RETRY_MS);
}

void session_restart(struct session *s, const char *why)
{
	log_debug("%s: agent session: %s", s->control_path, why);
	session_drop_agent(s, why);
	timer_set(s->timer, s->backoff_ms);
	s->backoff_ms = s->backoff_ms * 2 > SESSION_RETRY_MAX_MS ? SESSION_RETRY_MAX_MS : s->backoff_ms * 2;
}

static void session_mux_done(void *arg, const struct error *error)
{
	session_restart(arg, error ? error_message(error) : "ended by the guest");
}

void session_event_ready(struct session *s)
{
	timer_cancel(s->timer);
	s->phase = SESSION_READY;
	s->backoff_ms = SESSION_RETRY_MIN_MS;
	s->handshake_ms = SESSION_HANDSHAKE_MS;
	s->ready_count++;
	timer_set(s->notify, 0);
	session_touch(s);
}

void session_event_changed(struct session *s)
{
	s->owe_event = true;
	timer_set(s->notify, 0);
	session_touch(s);
}

static void session_on_notify(void *arg)
{
	struct session *s = arg;
	bool ready = s->phase == SESSION_READY;

	if (!s->owe_bye && !s->owe_event && s->owner_has_it == ready && (!ready || s->told_ready == s->ready_count))
		return;
	timer_set(s->notify, 0);
	if (s->owe_bye) {
		s->owe_bye = false;
		s->events->on_bye(s->arg, s->bye_reboot);
	} else if (s->owner_has_it && (!ready || s->told_ready != s->ready_count)) {
		s->owner_has_it = false;
		s->events->on_lost(s->arg);
	} else if (ready && !s->owner_has_it) {
		s->owner_has_it = true;
		s->told_ready = s->ready_count;
		s->events->on_ready(s->arg);
	} else {
		s->owe_event = false;
		s->events->on_event(s->arg);
	}
}

static void session_start_mux(struct session *s)
{
	s->phase = SESSION_MUX;
	s->mux = http2_client_new(s->loop, TAKE_PTR(s->agent), session_mux_done, s);
	if (!s->paused)
		http2_session_keepalive(s->mux, SESSION_PING_MS, SESSION_PING_DEADLINE_MS);
	session_events_open(s);
}

/* Before the echo nothing on the agent port means anything: it may be left over from a session of another daemon. */
static void session_agent_readable(void *arg)
{
	struct session *s = arg;
	struct evbuffer *in = stream_input(s->agent);
	bool found = false;

	while (!found && evbuffer_get_length(in) > 0) {
		size_t n = evbuffer_get_contiguous_space(in);
		const char *data = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);

		s->discarded += n;
		if (s->phase != SESSION_ECHO)
			evbuffer_drain(in, n);
		else
			evbuffer_drain(in, control_scan_push(&s->scan, data, n, &found));
	}
	if (found)
		session_start_mux(s);
	else if (s->discarded > CONTROL_MAX_DISCARD)
		session_restart(s, "the guest sends something else than the echo");
	else if (stream_eof(s->agent))
		session_restart(s, "agent port closed");
	else
		stream_resume(s->agent);
}

static void session_agent_closed(void *arg, const struct error *error)
{
	session_restart(arg, error ? error_message(error) : "agent port closed");
}

static const struct stream_events agent_events = {
	.on_readable = session_agent_readable,
	.on_closed = session_agent_closed,
};

static void session_begin_reset(struct session *s)
{
	struct control_line line = {.verb = CONTROL_RESET};
	int fd = fd_connect_unix(s->agent_path, NULL);

	s->reset_at = clock_ms();
	s->discarded = 0;
	stream_free(&s->agent);
	if (fd < 0 || control_new_nonce(s->nonce, NULL)) {
		fd_closep(&fd);
		session_restart(s, "the agent port does not take a connection");
		return;
	}
	s->agent = stream_fd_new(s->loop, fd, -1);
	stream_set_events(s->agent, &agent_events, s);
	memcpy(line.nonce, s->nonce, sizeof(line.nonce));
	s->phase = SESSION_RESET;
	timer_set_deadline(s->timer, s->handshake_ms);
	session_send(s, &line);
}

static void session_on_hello(struct session *s, const struct control_line *line)
{
	s->heard = true;
	if (s->phase > SESSION_QUIET && str_eq(s->instance, line->instance))
		return;
	if (s->reset_at && clock_ms() - s->reset_at < SESSION_RETRY_MIN_MS) {
		if (s->phase > SESSION_QUIET)
			session_restart(s, "another instance says hello at once");
		return; /* the timer asks again */
	}
	session_drop_agent(s, "it was started anew");
	memcpy(s->instance, line->instance, sizeof(s->instance));
	memcpy(s->facts.agent_version, line->agent_version, sizeof(s->facts.agent_version));
	session_begin_reset(s);
}

static void session_on_await(struct session *s, const struct control_line *line)
{
	if (s->phase != SESSION_RESET || !str_eq(line->nonce, s->nonce))
		return;
	s->phase = SESSION_ECHO;
	control_scan_init(&s->scan, s->nonce);
	stream_write(s->agent, s->nonce, CONTROL_NONCE_LEN);
	stream_write(s->agent, "\n", 1);
}

static void session_on_bye(struct session *s, const struct control_line *line)
{
	s->owe_bye = true;
	s->bye_reboot = line->reboot;
	timer_set(s->notify, 0);
}

/* Returns whether the session is still connected. */
static bool session_on_line(struct session *s, const char *text, size_t n)
{
	struct control_line line;

	if (control_parse(text, n, &line, NULL)) {
		session_disconnect(s, "a line on its control port means nothing");
		return false;
	}
	if (line.verb == CONTROL_HELLO_GUEST)
		session_on_hello(s, &line);
	else if (line.verb == CONTROL_AWAIT)
		session_on_await(s, &line);
	else if (line.verb == CONTROL_BYE)
		session_on_bye(s, &line);
	return s->phase != SESSION_CLOSED;
}

static void session_control_readable(void *arg)
{
	struct session *s = arg;
	struct evbuffer *in = stream_input(s->control);
	char chunk[CONTROL_MAX_LINE];

	while (evbuffer_get_length(in) > 0) {
		ev_ssize_t n = evbuffer_copyout(in, chunk, sizeof(chunk));
		const char *line;
		size_t len;
		bool bad = false;
		size_t used = control_reader_push(&s->reader, chunk, (size_t)n, &line, &len, &bad);

		evbuffer_drain(in, used);
		if (bad) {
			session_disconnect(s, "what it sends on its control port is no line");
			return;
		}
		if (line && !session_on_line(s, line, len))
			return;
	}
	if (stream_eof(s->control))
		session_disconnect(s, "its control port was closed");
	else
		stream_resume(s->control);
}

static void session_control_closed(void *arg, const struct error *error)
{
	session_disconnect(arg, error ? error_message(error) : "its control port was closed");
}

static const struct stream_events control_events = {
	.on_readable = session_control_readable,
	.on_closed = session_control_closed,
};

/* Once more after a while: an answer may have got lost with a connection. A guest that does not read is not asked again. */
static void session_ask(struct session *s)
{
	const struct control_line hello = {.verb = CONTROL_HELLO_HOST, .protocol = CONTROL_PROTOCOL};

	if (stream_pending(s->control) == 0)
		session_send(s, &hello);
	timer_set(s->timer, SESSION_ASK_MS);
}

static void session_connect(struct session *s)
{
	int fd = fd_connect_unix(s->control_path, NULL);

	if (fd < 0) {
		timer_set(s->timer, SESSION_CONNECT_RETRY_MS);
		return;
	}
	memset(&s->reader, 0, sizeof(s->reader));
	s->control = stream_fd_new(s->loop, fd, -1);
	stream_set_events(s->control, &control_events, s);
	s->phase = SESSION_QUIET;
	session_ask(s);
}

/* It may just be that slow: with no more than the same time again it would never get there. */
static void session_late(struct session *s)
{
	s->handshake_ms *= 2;
	if (s->handshake_ms > SESSION_HANDSHAKE_MAX_MS)
		s->handshake_ms = SESSION_HANDSHAKE_MAX_MS;
	session_restart(s, "no answer to the handshake");
}

/* What the timer means depends on the phase: connect again, ask who is there again, or give a handshake up. */
static void session_on_timer(void *arg)
{
	struct session *s = arg;

	if (s->paused)
		return;
	if (s->phase == SESSION_CLOSED)
		session_connect(s);
	else if (s->phase == SESSION_QUIET)
		session_ask(s);
	else if (s->phase != SESSION_READY)
		session_late(s);
}

struct session *session_new(struct loop *loop, const char *control_path, const char *agent_path,
			    const struct session_events *events, void *arg)
{
	struct session *s = NEW(struct session);

	s->loop = loop;
	s->control_path = str_dup(control_path);
	s->agent_path = str_dup(agent_path);
	s->events = events;
	s->arg = arg;
	s->backoff_ms = SESSION_RETRY_MIN_MS;
	s->handshake_ms = SESSION_HANDSHAKE_MS;
	s->timer = timer_new(loop, session_on_timer, s);
	s->notify = timer_new(loop, session_on_notify, s);
	timer_set(s->timer, 0);
	return s;
}

void session_free(struct session **sp)
{
	struct session *s = *sp;

	if (!s)
		return;
	*sp = NULL;
	session_drop_agent(s, NULL);
	stream_free(&s->control);
	timer_free(&s->timer);
	timer_free(&s->notify);
	free(s->control_path);
	free(s->agent_path);
	free(s->lost_why);
	free(s);
}

bool session_is_ready(const struct session *s)
{
	return s && s->phase == SESSION_READY;
}

void session_set_paused(struct session *s, bool paused)
{
	if (!s || s->paused == paused)
		return;
	s->paused = paused;
	if (s->mux)
		http2_session_keepalive(s->mux, paused ? 0 : SESSION_PING_MS, paused ? 0 : SESSION_PING_DEADLINE_MS);
	if (!paused && s->phase != SESSION_READY)
		timer_set(s->timer, 0); /* what was under way starts over */
}

const char *session_lost_why(const struct session *s)
{
	return s->lost_why ? s->lost_why : "";
}

bool session_was_heard(const struct session *s)
{
	return s->heard;
}

void session_expect_boot(struct session *s)
{
	s->heard = false;
}

const struct session_facts *session_facts(const struct session *s)
{
	return &s->facts;
}

struct http_exchange *session_open(struct session *s, struct http_head *take_request, struct error **err)
{
	if (!session_is_ready(s)) {
		http_head_free(&take_request);
		error_set(err, ERR_UNAVAILABLE, "the agent in the VM is not connected (yet)");
		return NULL;
	}
	return http2_client_open(s->mux, take_request);
}

unsigned session_streams(const struct session *s)
{
	unsigned n = s->mux ? http2_session_streams(s->mux) : 0;

	return n > 0 && s->event_exchange ? n - 1 : n;
}
