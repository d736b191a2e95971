/* SPDX-License-Identifier: MIT */
/* The daemon's session with an agent, against a scripted guest on real Unix sockets. */
#include "io_fixture.h"
#include <stdio.h>
#include <sys/stat.h>
#include "base/fs.h"
#include "io/control.h"
#include "vm/session.h"

#define INSTANCE(digit) "0000000000000000000000000000000" digit
#define READY                                                                                                          \
	"{\"event\":\"ready\",\"agent_version\":\"1\",\"boot_id\":\"b-1\",\"user\":\"ubuntu\",\"init\":\"/sbin/init\"}\n"

/* What the guest does wrong, for the next so many times. */
struct mischief {
	unsigned mute, garbage, long_line, wrong_echo, bad_http, refuse_events, close_agent;
	bool stale, flood, twice;
	struct timer *slow; /* `await` comes when it is over */
};

static struct guest {
	char dir[64], control_path[96], agent_path[96];
	int listen[2];
	struct watch *watch[2];
	struct stream *control, *agent;
	struct control_reader reader;
	struct http2_session *http;
	struct http_exchange *events;
	char instance[33], nonce[CONTROL_NONCE_LEN + 1], first_nonce[CONTROL_NONCE_LEN + 1];
	unsigned controls, agents, resets, hellos, pings;
	struct mischief does;
} g;

enum callback { READY_CB = 1, LOST_CB, EVENT_CB, BYE_CB };

static struct owner {
	struct session *session;
	unsigned ready, lost, events, byes;
	bool reboot, is_ready, was_lost, had_event, had_bye, freed, shown_ready;
	char shown_ip[16];
	enum callback free_in;
} o;

/* ---- the guest ---- */

static void guest_drop_agent(void)
{
	http_exchange_free(&g.events);
	http2_session_free(&g.http);
	stream_free(&g.agent);
}

static void guest_say(const char *text)
{
	stream_write(g.control, text, strlen(text));
}

static void guest_hello(void)
{
	struct control_line line = {.verb = CONTROL_HELLO_GUEST, .protocol = CONTROL_PROTOCOL};
	cleanup_free char *text = NULL;

	snprintf(line.agent_version, sizeof(line.agent_version), "0.1.0");
	snprintf(line.boot_id, sizeof(line.boot_id), "6b0ad4c1-3a7e-4a4c-8a55-0123456789ab");
	memcpy(line.instance, g.instance, sizeof(line.instance));
	text = control_format(&line);
	g.hellos++;
	guest_say(text);
}

static void guest_flood(void)
{
	for (unsigned i = 0; i < 200; i++) {
		snprintf(g.instance, sizeof(g.instance), "%032x", i + 1);
		guest_hello();
	}
}

static void guest_event(const char *text)
{
	stream_write(http_exchange_stream(g.events), text, strlen(text));
}

static void events_gone(void *arg, const struct error *error)
{
	http_exchange_free(&g.events);
}

static void guest_request(void *arg, struct http_exchange *x)
{
	static const struct stream_events events = {.on_closed = events_gone};
	bool refuse = g.does.refuse_events > 0;

	if (!str_eq(http_exchange_request(x)->target, "/v1/events")) {
		g.pings++;
		http_reply(&x, 200, "text/plain", "pong", 4);
		return;
	}
	if (refuse) {
		g.does.refuse_events--;
		http_reply(&x, 500, NULL, "", 0);
		return;
	}
	http_exchange_free(&g.events);
	g.events = x;
	stream_set_events(http_exchange_stream(x), &events, NULL);
	http_exchange_respond(x, http_head_new_response(200));
	guest_event(READY);
}

static void guest_http_done(void *arg, const struct error *error)
{
	http_exchange_free(&g.events);
	http2_session_free(&g.http);
}

static void guest_echo(void)
{
	char line[CONTROL_NONCE_LEN + 2];

	snprintf(line, sizeof(line), "%s\n", g.nonce);
	if (g.does.stale) {
		g.does.stale = false;
		stream_write(g.agent, "HTTP/2 of somebody else\n", 24);
		stream_write(g.agent, g.nonce, 20); /* and a piece of the right answer */
		stream_write(g.agent, "\n\0\xff", 3);
	}
	if (g.does.wrong_echo) {
		g.does.wrong_echo--;
		line[3] = line[3] == '0' ? '1' : '0';
		stream_write(g.agent, line, strlen(line));
		return;
	}
	stream_write(g.agent, line, strlen(line));
	if (g.does.bad_http) {
		static const char junk[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nand then some more of it";

		g.does.bad_http--;
		stream_write(g.agent, junk, sizeof(junk));
		return;
	}
	g.http = http2_server_new(loop, TAKE_PTR(g.agent), guest_request, guest_http_done, NULL);
}

static void agent_readable(void *arg)
{
	struct evbuffer *in = stream_input(g.agent);
	char got[CONTROL_NONCE_LEN + 1];

	if (stream_eof(g.agent)) {
		guest_drop_agent();
		return;
	}
	if (g.nonce[0] && evbuffer_get_length(in) >= sizeof(got)) {
		evbuffer_remove(in, got, sizeof(got));
		assert_memory_equal(got, g.nonce, CONTROL_NONCE_LEN);
		assert_int_equal(got[CONTROL_NONCE_LEN], '\n');
		guest_echo();
		return;
	}
	stream_resume(g.agent);
}

static void agent_closed(void *arg, const struct error *error)
{
	guest_drop_agent();
}

static void guest_await(void *arg)
{
	struct control_line await = {.verb = CONTROL_AWAIT};
	cleanup_free char *answer = NULL;

	memcpy(await.nonce, g.nonce, sizeof(g.nonce));
	answer = control_format(&await);
	guest_say(answer);
}

static void guest_line(const char *text, size_t n)
{
	struct control_line line;

	assert_int_equal(control_parse(text, n, &line, NULL), 0);
	if (line.verb == CONTROL_HELLO_HOST) {
		if (g.does.mute)
			g.does.mute--;
		else
			guest_hello();
		return;
	}
	assert_int_equal(line.verb, CONTROL_RESET);
	g.resets++;
	memcpy(g.nonce, line.nonce, sizeof(g.nonce));
	if (!g.first_nonce[0])
		memcpy(g.first_nonce, line.nonce, sizeof(g.nonce));
	if (g.does.slow)
		timer_set(g.does.slow, 6000);
	else
		guest_await(NULL);
	if (g.does.twice)
		guest_hello();
	if (g.does.close_agent) {
		g.does.close_agent--;
		guest_drop_agent();
	}
}

static void control_readable(void *arg)
{
	struct evbuffer *in = stream_input(g.control);
	char chunk[CONTROL_MAX_LINE];

	while (g.control && evbuffer_get_length(in) > 0) {
		ev_ssize_t n = evbuffer_copyout(in, chunk, sizeof(chunk));
		const char *line;
		size_t len;
		bool bad = false;

		evbuffer_drain(in, control_reader_push(&g.reader, chunk, (size_t)n, &line, &len, &bad));
		assert_false(bad);
		if (line)
			guest_line(line, len);
	}
	if (stream_eof(g.control))
		stream_free(&g.control);
	else
		stream_resume(g.control);
}

static void control_closed(void *arg, const struct error *error)
{
	stream_free(&g.control);
}

static void accept_control(void *arg, int what)
{
	static const struct stream_events events = {.on_readable = control_readable, .on_closed = control_closed};
	int fd = accept4(g.listen[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cleanup_free char *wide = NULL;

	if (fd < 0)
		return;
	g.controls++;
	stream_free(&g.control);
	memset(&g.reader, 0, sizeof(g.reader));
	g.control = stream_fd_new(loop, fd, -1);
	stream_set_events(g.control, &events, NULL);
	if (g.does.garbage) {
		g.does.garbage--;
		guest_say("hello 1 \x1b[2J\n");
	}
	if (g.does.long_line) {
		g.does.long_line--;
		wide = mem_alloc(5000);
		memset(wide, 'x', 4999);
		guest_say(wide);
		guest_say("\n");
	}
	if (g.does.flood) {
		g.does.flood = false;
		guest_flood();
	}
}

static void accept_agent(void *arg, int what)
{
	static const struct stream_events events = {.on_readable = agent_readable, .on_closed = agent_closed};
	int fd = accept4(g.listen[1], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	g.agents++;
	guest_drop_agent();
	g.agent = stream_fd_new(loop, fd, -1);
	stream_set_events(g.agent, &events, NULL);
}

/* ---- the session's owner ---- */

static bool owner_frees(enum callback in)
{
	if (o.free_in != in)
		return false;
	session_free(&o.session);
	o.freed = true;
	return true;
}

static void on_ready(void *arg)
{
	assert_true(session_is_ready(o.session));
	o.ready++;
	o.is_ready = true;
	owner_frees(READY_CB);
}

static void on_lost(void *arg)
{
	o.lost++;
	o.was_lost = true;
	owner_frees(LOST_CB);
}

static void on_event(void *arg)
{
	o.events++;
	o.had_event = true;
	owner_frees(EVENT_CB);
}

/* What an owner would show that only looks when it is told to. */
static void on_touch(void *arg)
{
	if (!o.session)
		return;
	o.shown_ready = session_is_ready(o.session);
	snprintf(o.shown_ip, sizeof(o.shown_ip), "%s", session_facts(o.session)->ip);
}

static void assert_shown_is_true(void)
{
	if (!o.session)
		return;
	assert_int_equal(o.shown_ready, session_is_ready(o.session));
	assert_string_equal(o.shown_ip, session_facts(o.session)->ip);
}

static void on_bye(void *arg, bool reboot)
{
	o.byes++;
	o.had_bye = true;
	o.reboot = reboot;
	owner_frees(BYE_CB);
}

static const struct session_events session_events = {
	.on_ready = on_ready, .on_lost = on_lost, .on_event = on_event, .on_touch = on_touch, .on_bye = on_bye};

static int setup(void **state)
{
	memset(&g, 0, sizeof(g));
	memset(&o, 0, sizeof(o));
	setup_loop(state);
	snprintf(g.dir, sizeof(g.dir), "/tmp/slicer-session-XXXXXX");
	assert_non_null(mkdtemp(g.dir));
	snprintf(g.control_path, sizeof(g.control_path), "%s/control.sock", g.dir);
	snprintf(g.agent_path, sizeof(g.agent_path), "%s/agent.sock", g.dir);
	snprintf(g.instance, sizeof(g.instance), INSTANCE("a"));
	g.listen[0] = fd_listen_unix(g.control_path, 0600, NULL);
	g.listen[1] = fd_listen_unix(g.agent_path, 0600, NULL);
	g.watch[0] = watch_new(loop, g.listen[0], accept_control, NULL);
	g.watch[1] = watch_new(loop, g.listen[1], accept_agent, NULL);
	watch_set(g.watch[0], WATCH_IN);
	watch_set(g.watch[1], WATCH_IN);
	return 0;
}

static int teardown(void **state)
{
	assert_shown_is_true();
	session_free(&o.session);
	guest_drop_agent();
	stream_free(&g.control);
	for (unsigned i = 0; i < 2; i++) {
		watch_free(&g.watch[i]);
		fd_closep(&g.listen[i]);
	}
	assert_int_equal(fs_remove_tree(g.dir, NULL), 0);
	return teardown_loop(state);
}

static void begin(void)
{
	o.session = session_new(loop, g.control_path, g.agent_path, &session_events, NULL);
}

static void become_ready(void)
{
	begin();
	wait_for(&o.is_ready);
	o.is_ready = false;
}

/* ---- the tests ---- */

static void pong(void *arg, struct http_exchange *x, const struct error *error)
{
	assert_null(error);
	assert_int_equal(http_exchange_response(x)->status, 200);
	*(bool *)arg = true;
}

static void test_ready_and_facts(void **state)
{
	const struct session_facts *facts;
	struct http_exchange *x;
	struct error *error = NULL;
	bool answered = false;

	begin();
	assert_false(session_is_ready(o.session));
	assert_false(session_was_heard(o.session));
	assert_null(session_open(o.session, http_head_new_request("GET", "/"), &error));
	assert_int_equal(error->code, ERR_UNAVAILABLE);
	error_free(&error);
	wait_for(&o.is_ready);
	assert_true(session_was_heard(o.session));
	assert_int_equal(g.resets, 1);
	facts = session_facts(o.session);
	assert_string_equal(facts->agent_version, "0.1.0");
	assert_string_equal(facts->boot_id, "b-1");
	assert_string_equal(facts->user, "ubuntu");
	assert_string_equal(facts->ip, "");
	assert_true(facts->has_init);
	assert_false(facts->userdata_done);
	assert_int_equal(session_streams(o.session), 0);
	x = session_open(o.session, http_head_new_request("GET", "/ping"), NULL);
	http_exchange_on_response(x, pong, &answered);
	stream_end(http_exchange_stream(x));
	assert_int_equal(session_streams(o.session), 1);
	wait_for(&answered);
	http_exchange_free(&x);
	assert_int_equal(g.pings, 1);
	assert_int_equal(o.lost, 0);
}

static void test_events(void **state)
{
	become_ready();
	guest_event("{\"event\":\"from-the-future\",\"x\":[1,2]}\n{\"event\":\"userdata\",\"exit_code\":3}\n");
	wait_for(&o.had_event);
	assert_true(session_facts(o.session)->userdata_done);
	assert_int_equal(session_facts(o.session)->userdata_exit_code, 3);
	o.had_event = false;
	guest_event("{\"event\":\"address\",\"ip\":\"192.168.7.9\"}\n");
	wait_for(&o.had_event);
	assert_string_equal(session_facts(o.session)->ip, "192.168.7.9");
	guest_say("bye reboot\n");
	wait_for(&o.had_bye);
	assert_true(o.reboot);
	assert_int_equal(o.lost, 0);
	assert_int_equal(g.resets, 1);
}

static void test_escapes_what_the_guest_says(void **state)
{
	become_ready();
	guest_event("{\"event\":\"ready\",\"user\":\"\\u001b[2Jroot\\u0000x\"}\n");
	run_for(50);
	assert_int_equal(o.ready, 1);
	assert_null(strchr(session_facts(o.session)->user, '\x1b'));
}

/* Each of these ends the session, and a good one follows. */
static void test_bad_events_begin_anew(void **state)
{
	static const char *const bad[] = {
		"not json\n",
		"{\"event\":\"userdata\",\"exit_code\":\"0\"}\n",
		"{\"event\":\"userdata\",\"exit_code\":99999}\n",
		"{\"event\":\"address\",\"ip\":\"::1\"}\n",
		"{\"event\":\"address\"}\n",
		"{\"event\":7}\n",
	};

	become_ready();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		o.was_lost = o.is_ready = false;
		guest_event(bad[i]);
		wait_for(&o.was_lost);
		wait_for(&o.is_ready);
		assert_int_equal(o.ready, i + 2);
		assert_int_equal(o.lost, i + 1);
	}
	assert_int_equal(g.resets, ARRAY_LEN(bad) + 1);
	assert_string_equal(session_facts(o.session)->ip, "");
}

static void test_an_event_without_end(void **state)
{
	cleanup_free char *wide = mem_alloc(100001);

	become_ready();
	memset(wide, 'x', 100000);
	guest_event(wide);
	wait_for(&o.was_lost);
	wait_for(&o.is_ready);
}

static void test_event_stream_refused_or_ended(void **state)
{
	g.does.refuse_events = 1;
	become_ready();
	assert_int_equal(g.resets, 2);
	stream_end(http_exchange_stream(g.events));
	wait_for(&o.was_lost);
	wait_for(&o.is_ready);
	assert_int_equal(g.resets, 3);
}

static void test_stale_bytes_before_the_echo(void **state)
{
	g.does.stale = true;
	become_ready();
	assert_int_equal(g.resets, 1);
}

/* Takes the whole time of a handshake. */
static void test_wrong_nonce(void **state)
{
	double start = now_s();

	g.does.wrong_echo = 1;
	become_ready();
	assert_int_equal(g.resets, 2);
	assert_string_not_equal(g.nonce, g.first_nonce);
	assert_true(now_s() - start > 4.5);
}

/* It needs longer than the first handshake has, each time. */
static void test_slow_guest(void **state)
{
	g.does.slow = timer_new(loop, guest_await, NULL);
	become_ready();
	assert_int_equal(g.resets, 2);
	timer_free(&g.does.slow);
}

static void test_garbage_on_the_control_port(void **state)
{
	g.does.garbage = 2;
	become_ready();
	assert_int_equal(g.controls, 3);
	assert_int_equal(o.ready, 1);
}

static void test_a_line_that_is_too_long(void **state)
{
	g.does.long_line = 1;
	become_ready();
	assert_int_equal(g.controls, 2);
}

static void test_garbage_in_place_of_http2(void **state)
{
	g.does.bad_http = 2;
	become_ready();
	assert_int_equal(g.resets, 3);
	assert_int_equal(o.lost, 0); /* it was never ready */
}

static void test_no_answer_to_hello(void **state)
{
	g.does.mute = 1;
	become_ready(); /* asked once more */
	assert_int_equal(g.resets, 1);
}

/* A guest cannot have us begin as often as it likes. */
static void test_flood_of_hellos(void **state)
{
	g.does.flood = true;
	become_ready();
	assert_true(g.hellos >= 200);
	assert_in_range(g.resets, 1, 5);
}

static void test_hello_of_the_same_instance(void **state)
{
	g.does.twice = true;
	become_ready();
	guest_hello();
	guest_hello();
	run_for(150);
	assert_int_equal(g.resets, 1);
	assert_int_equal(o.lost, 0);
	assert_true(session_is_ready(o.session));
}

static void test_hello_of_another_instance(void **state)
{
	become_ready();
	run_for(150);
	session_expect_boot(o.session);
	assert_false(session_was_heard(o.session));
	snprintf(g.instance, sizeof(g.instance), INSTANCE("b"));
	guest_hello();
	wait_for(&o.was_lost);
	assert_string_equal(session_lost_why(o.session), "it was started anew");
	wait_for(&o.is_ready);
	assert_true(session_was_heard(o.session));
	assert_int_equal(g.resets, 2);
	assert_int_equal(o.ready, 2);
}

static void test_sockets_that_close(void **state)
{
	g.does.close_agent = 1;
	become_ready();
	assert_int_equal(g.resets, 2);
	guest_drop_agent();
	wait_for(&o.was_lost);
	wait_for(&o.is_ready);
	o.was_lost = o.is_ready = false;
	assert_string_not_equal(session_lost_why(o.session), "");
	stream_free(&g.control);
	wait_for(&o.was_lost);
	assert_string_equal(session_lost_why(o.session), "its control port was closed");
	wait_for(&o.is_ready);
	assert_int_equal(g.controls, 2);
}

static void test_nobody_listens_yet(void **state)
{
	watch_free(&g.watch[0]);
	fd_closep(&g.listen[0]);
	begin();
	run_for(100);
	g.listen[0] = fd_listen_unix(g.control_path, 0600, NULL);
	g.watch[0] = watch_new(loop, g.listen[0], accept_control, NULL);
	watch_set(g.watch[0], WATCH_IN);
	wait_for(&o.is_ready);
}

static void test_paused(void **state)
{
	begin();
	session_set_paused(o.session, true);
	run_for(200);
	assert_int_equal(g.controls, 0);
	session_set_paused(o.session, false);
	wait_for(&o.is_ready);
	session_set_paused(o.session, true);
	run_for(50);
	assert_true(session_is_ready(o.session));
	session_set_paused(o.session, false);
	run_for(50);
	assert_int_equal(o.lost, 0);
	session_set_paused(NULL, true);
}

static void test_free_in_each_callback(void **state)
{
	static const char *const provoke[] = {
		[LOST_CB] = "not json\n", [EVENT_CB] = "{\"event\":\"userdata\",\"exit_code\":0}\n"};

	for (o.free_in = READY_CB; o.free_in <= BYE_CB; o.free_in++) {
		o.freed = o.is_ready = false;
		begin();
		wait_for(o.free_in == READY_CB ? &o.freed : &o.is_ready);
		if (o.free_in == BYE_CB)
			guest_say("bye poweroff\n");
		else if (o.free_in != READY_CB)
			guest_event(provoke[o.free_in]);
		wait_for(&o.freed);
		assert_null(o.session);
		run_for(20);
	}
	assert_int_equal(o.ready, 4);
}

static void test_free_at_any_time(void **state)
{
	for (unsigned i = 0; i < 40; i++) {
		begin();
		run_for(i % 8);
		session_free(&o.session);
	}
	assert_int_equal(o.lost, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_ready_and_facts),
		TEST(test_events),
		TEST(test_escapes_what_the_guest_says),
		TEST(test_bad_events_begin_anew),
		TEST(test_an_event_without_end),
		TEST(test_event_stream_refused_or_ended),
		TEST(test_stale_bytes_before_the_echo),
		TEST(test_wrong_nonce),
		TEST(test_slow_guest),
		TEST(test_garbage_on_the_control_port),
		TEST(test_a_line_that_is_too_long),
		TEST(test_garbage_in_place_of_http2),
		TEST(test_no_answer_to_hello),
		TEST(test_flood_of_hellos),
		TEST(test_hello_of_the_same_instance),
		TEST(test_hello_of_another_instance),
		TEST(test_sockets_that_close),
		TEST(test_nobody_listens_yet),
		TEST(test_paused),
		TEST(test_free_in_each_callback),
		TEST(test_free_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
