/* SPDX-License-Identifier: MIT */
/* HTTP/2 against a peer that does what it likes: frames made by hand on the other end of the
 * socket. */
#include <errno.h>
#include "io_fixture.h"
#include "io/http2.h"

/* RFC 9113 §6 */
enum { F_DATA = 0, F_HEADERS = 1, F_RST = 3, F_SETTINGS = 4, F_PUSH = 5, F_PING = 6, F_GOAWAY = 7, F_WINDOW = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

static struct {
	int fd; /* the hostile end */
	struct http2_session *session;
	struct http_exchange *x;
	struct endpoint end;
	unsigned done, responses, requests;
	int code, status, response_code;
	bool over, answered;
} t;

/* A string with its length, NUL bytes within included. */
#define BYTES(s) (s), sizeof(s) - 1

static void on_done(void *arg, const struct error *error)
{
	t.done++;
	t.code = error ? (int)error->code : 0;
	t.over = true;
	http2_session_free(&t.session);
}

static void on_request(void *arg, struct http_exchange *x)
{
	t.requests++;
	http_reply(&x, 200, NULL, "", 0);
}

static void on_response(void *arg, struct http_exchange *x, const struct error *error)
{
	t.responses++;
	t.answered = true;
	t.status = error ? 0 : http_exchange_response(x)->status;
	t.response_code = error ? (int)error->code : 0;
}

static void put(const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t sent = write(t.fd, p, n);

		if (sent < 0 && errno == EPIPE)
			return;
		if (sent < 0 && errno == EAGAIN && !t.over) {
			run_for(1);
			continue;
		}
		if (sent < 0)
			return;
		p += sent;
		n -= (size_t)sent;
	}
}

static void frame(unsigned type, unsigned flags, uint32_t id, const void *payload, size_t n)
{
	const unsigned char head[9] = {(unsigned char)(n >> 16),  (unsigned char)(n >> 8),  (unsigned char)n,
				       (unsigned char)type,	  (unsigned char)flags,	    (unsigned char)(id >> 24),
				       (unsigned char)(id >> 16), (unsigned char)(id >> 8), (unsigned char)id};

	put(head, sizeof(head));
	put(payload, n);
}

static void rst(uint32_t id, unsigned code)
{
	const unsigned char payload[4] = {0, 0, 0, (unsigned char)code};

	frame(F_RST, 0, id, payload, 4);
}

/* Our client, one exchange under way; the hostile server has sent its SETTINGS. */
static void start_client(void)
{
	int fd[2];

	socket_pair(fd);
	t.fd = fd[1];
	t.session = http2_client_new(loop, stream_fd_new(loop, fd[0], -1), on_done, NULL);
	t.x = http2_client_open(t.session, http_head_new_request("GET", "/"));
	http_exchange_on_response(t.x, on_response, NULL);
	t.end = (struct endpoint){.s = http_exchange_stream(t.x), .sent = UINT64_MAX};
	stream_set_events(t.end.s, &endpoint_events, &t.end);
	run_for(2);
}

static void start_server(void)
{
	int fd[2];

	socket_pair(fd);
	t.fd = fd[1];
	t.session = http2_server_new(loop, stream_fd_new(loop, fd[0], -1), on_request, on_done, NULL);
}

static int setup(void **state)
{
	memset(&t, 0, sizeof(t));
	t.fd = -1;
	return setup_loop(state);
}

static int teardown(void **state)
{
	stream_free(&t.end.s);
	http2_session_free(&t.session);
	fd_closep(&t.fd);
	return teardown_loop(state);
}

static void expect_session_end(int code)
{
	wait_for(&t.over);
	assert_int_equal(t.done, 1);
	assert_int_equal(t.code, code);
	if (t.x) {
		wait_for(&t.end.closed);
		assert_int_not_equal(t.end.code, 0);
	}
}

static void test_garbage(void **state)
{
	static const char *const texts[] = {"HTTP/1.1 400 Bad Request\r\n\r\n and so on and on",
					    "\377\377\377\377\377\377\377\377\377\377"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		start_client();
		put(texts[i], strlen(texts[i]));
		expect_session_end(ERR_PROTOCOL);
		teardown(state);
		setup(state);
	}
}

static void test_window_overrun(void **state)
{
	cleanup_free char *data = mem_alloc(16384);

	start_client();
	t.end.stalled = true;
	frame(F_SETTINGS, 0, 0, NULL, 0);
	frame(F_SETTINGS, ACK, 0, NULL, 0);
	frame(F_HEADERS, END_HEADERS, 1, "\x88", 1);
	for (int i = 0; i < 4; i++)
		frame(F_DATA, 0, 1, data, 16384);
	run_for(20);
	assert_int_equal(t.status, 200);
	assert_false(t.over); /* the whole window may be used */
	assert_int_equal(evbuffer_get_length(stream_input(t.end.s)), STREAM_WINDOW);
	frame(F_DATA, 0, 1, data, 1);
	expect_session_end(ERR_PROTOCOL);
}

/* Questions whose answers are never read must not pile up. */
static void flood(unsigned type, const void *payload, size_t n)
{
	long before;

	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	before = rss_kib();
	for (int i = 0; i < 1000000 && !t.over; i++)
		frame(type, 0, 0, payload, n);
	expect_session_end(ERR_PROTOCOL);
	if (!WITH_ASAN)
		assert_in_range(rss_kib() - before + 100000, 0, 100000 + 4096);
}

static void test_ping_flood(void **state)
{
	flood(F_PING, "12345678", 8);
}

static void test_settings_flood(void **state)
{
	flood(F_SETTINGS, "\0\1\0\0\1\0", 6);
}

static void head_with_fields(unsigned n)
{
	cleanup_free char *block = mem_alloc(1 + n * 5);

	block[0] = '\x88'; /* :status 200; then literal fields "a: b" without indexing (RFC 7541 §6.2.2) */
	for (unsigned i = 0; i < n; i++)
		memcpy(block + 1 + 5 * (size_t)i, "\0\1a\1b", 5);
	frame(F_HEADERS, END_HEADERS | END_STREAM, 1, block, 1 + 5 * (size_t)n);
}

static void test_field_limit(void **state)
{
	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	head_with_fields(HTTP_MAX_FIELDS);
	wait_for(&t.end.closed);
	assert_int_equal(t.status, 200);
	assert_int_equal(t.end.code, 0);
	teardown(state);
	setup(state);
	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	head_with_fields(HTTP_MAX_FIELDS + 1);
	wait_for(&t.end.closed);
	assert_int_equal(t.response_code, ERR_PROTOCOL);
	assert_int_equal(t.responses, 1);
	assert_int_equal(http2_session_streams(t.session), 0);
	assert_false(t.over); /* only that exchange failed */
}

static void test_bad_response_heads(void **state)
{
	static const struct {
		const char *block;
		size_t n;
	} cases[] = {
		{BYTES("\0\1a\1b")},		   /* no :status */
		{BYTES("\x88\0\1A\1b")},	   /* upper case name */
		{BYTES("\x88\0\1a\3b\nc")},	   /* control character in a value */
		{BYTES("\x88\0\1a\3b\0c")},	   /* NUL in a value */
		{BYTES("\x08\3abc")},		   /* :status abc */
		{BYTES("\x88\0\12connection\1x")}, /* hop-by-hop */
		{BYTES("\x88\x0f\x0d\2-1")},	   /* content-length: -1 */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start_client();
		frame(F_SETTINGS, 0, 0, NULL, 0);
		frame(F_HEADERS, END_HEADERS | END_STREAM, 1, cases[i].block, cases[i].n);
		wait_for(&t.end.closed);
		assert_int_equal(t.response_code, ERR_PROTOCOL);
		assert_false(t.over);
		teardown(state);
		setup(state);
	}
}

static void test_informational(void **state)
{
	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	for (int i = 0; i < 1000; i++)
		frame(F_HEADERS, END_HEADERS, 1, "\x08\003103\0\1a\1b", 10);
	frame(F_HEADERS, END_HEADERS | END_STREAM, 1, "\x88", 1);
	wait_for(&t.end.closed);
	assert_int_equal(t.status, 200);
	assert_int_equal(t.responses, 1);
}

static void test_connection_errors(void **state)
{
	static const struct {
		unsigned type, flags, id;
		const char *payload;
		size_t n;
	} cases[] = {
		{F_HEADERS, END_HEADERS, 99, BYTES("\x88")}, /* a stream nobody opened */
		{F_HEADERS, END_HEADERS, 2, BYTES("\x88")},
		{F_PUSH, END_HEADERS, 1, BYTES("\0\0\0\2\x82\x84\x86\x41\1a")}, /* push is off */
		{F_DATA, 0, 0, BYTES("x")},
		{F_WINDOW, 0, 0, BYTES("\x7f\xff\xff\xff")},			/* 2^31 - 1 more */
		{F_HEADERS, END_HEADERS, 1, BYTES("\xff\xff\xff\xff\xff\xff")}, /* not HPACK */
		{F_SETTINGS, 0, 0, BYTES("\0\4\xff\xff\xff\xff")},		/* window over 2^31 - 1 */
		{F_PING, 0, 0, BYTES("1")},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start_client();
		frame(F_SETTINGS, 0, 0, NULL, 0);
		frame(cases[i].type, cases[i].flags, cases[i].id, cases[i].payload, cases[i].n);
		expect_session_end(ERR_PROTOCOL);
		teardown(state);
		setup(state);
	}
}

static void test_reset_codes(void **state)
{
	static const struct {
		unsigned code;
		int expected;
	} cases[] = {{8, ERR_CANCELLED}, {7, ERR_UNAVAILABLE}, {2, ERR_PROTOCOL}, {0, ERR_CANCELLED}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start_client();
		frame(F_SETTINGS, 0, 0, NULL, 0);
		rst(1, cases[i].code);
		wait_for(&t.end.closed);
		assert_int_equal(t.response_code, cases[i].expected);
		assert_int_equal(t.end.code, cases[i].expected);
		teardown(state);
		setup(state);
	}
}

static void test_goaway_for_all(void **state)
{
	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	frame(F_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
	wait_for(&t.over);
	wait_for(&t.end.closed);
	assert_int_equal(t.end.code, ERR_UNAVAILABLE);
	assert_int_equal(t.code, 0);
}

static void test_cut_in_frame(void **state)
{
	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	put("\0\0\10\6\0", 5);
	fd_closep(&t.fd);
	wait_for(&t.over);
	wait_for(&t.end.closed);
	assert_int_equal(t.end.code, ERR_UNAVAILABLE);
	assert_int_not_equal(t.code, 0);
}

static void test_ping_deadline(void **state)
{
	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	http2_session_keepalive(t.session, 10, 50);
	for (int i = 0; i < 3; i++) /* other traffic is no answer: it only puts the end off */
		frame(F_PING, 0, 0, "12345678", 8);
	expect_session_end(ERR_TIMEOUT);
}

/* The answer may be behind a lot that comes slowly. */
static void test_ping_behind_bytes(void **state)
{
	double begin = now_s();

	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	http2_session_keepalive(t.session, 10, 1000);
	while (now_s() - begin < 1.5) {
		frame(F_PING, 0, 0, "12345678", 8);
		run_for(20);
	}
	assert_false(t.over);
	expect_session_end(ERR_TIMEOUT);
}

/* Or the ping itself is behind what the peer takes slowly. */
static void test_ping_behind_our_bytes(void **state)
{
	struct http_head *head = http_head_new_request("POST", "/");
	struct endpoint end = {.total = 64 * MIB};
	double begin = now_s();
	char buf[32 * 1024];

	start_client();
	frame(F_SETTINGS, 0, 0, "\0\4\x7f\xff\xff\xff", 6);
	frame(F_WINDOW, 0, 0, "\x7f\xff\0\0", 4);
	run_for(5);
	head->content_length = -1;
	endpoint_start(&end, http_exchange_stream(http2_client_open(t.session, head)));
	run_for(50);
	http2_session_keepalive(t.session, 10, 1000);
	while (now_s() - begin < 1.5) {
		if (read(t.fd, buf, sizeof(buf)) < 0)
			assert_int_equal(errno, EAGAIN);
		run_for(20);
	}
	assert_false(t.over);
	expect_session_end(ERR_TIMEOUT);
	wait_for(&end.closed);
}

/* This process stands still beyond the deadline, and the peer did, too: it answers a moment later. */
static void test_ping_after_standstill(void **state)
{
	static const char ping[] = "\0\0\10\6\0";
	char buf[4096];
	ssize_t n = 0;

	start_client();
	frame(F_SETTINGS, 0, 0, NULL, 0);
	http2_session_keepalive(t.session, 10, 200);
	while (n <= 0 || !memmem(buf, (size_t)n, ping, 5)) {
		run_for(1);
		n = read(t.fd, buf, sizeof(buf));
	}
	usleep(1500 * 1000);
	run_for(100);
	assert_false(t.over);
	frame(F_PING, ACK, 0, "\0\0\0\0\0\0\0", 8);
	run_for(100);
	assert_false(t.over);
	expect_session_end(ERR_TIMEOUT); /* by the next one */
}

/* The peer reads nothing: what we hold for it is bounded, and the writer is told to wait. */
static void test_peer_reads_nothing(void **state)
{
	struct http_head *head = http_head_new_request("POST", "/");
	struct endpoint end = {.total = 64 * MIB};
	struct http_exchange *x;

	start_client();
	frame(F_SETTINGS, 0, 0, "\0\4\x7f\xff\xff\xff", 6); /* it asks for 2 GiB at once */
	frame(F_WINDOW, 0, 0, "\x7f\xff\0\0", 4);
	run_for(5);
	head->content_length = -1;
	x = http2_client_open(t.session, head);
	endpoint_start(&end, http_exchange_stream(x));
	run_for(50);
	assert_true(stream_full(end.s));
	assert_true(end.sent < 4 * MIB);
	assert_false(end.closed);
	stream_free(&end.s);
}

static void test_server_preface(void **state)
{
	start_server();
	put("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	expect_session_end(ERR_PROTOCOL);
}

static void test_server_bad_requests(void **state)
{
	static const struct {
		const char *block;
		size_t n;
	} cases[] = {
		{BYTES("\x82\x86\x41\1a")},		 /* no :path */
		{BYTES("\x82\x86\x41\1a\x04\1x")},	 /* a path without a slash */
		{BYTES("\x82\x86\x84\x84\x41\1a")},	 /* two paths */
		{BYTES("\x02\7CONNECT\x41\1a")},	 /* no tunnels */
		{BYTES("\x82\x86\x84\x41\1a\0\2te\1x")}, /* te other than trailers */
	};
	bool never = false;

	start_server();
	put("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	frame(F_SETTINGS, 0, 0, NULL, 0);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		frame(F_HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, cases[i].block, cases[i].n);
	run_for(20);
	assert_int_equal(t.requests, 0);
	assert_false(t.over);
	assert_int_equal(http2_session_streams(t.session), 0);
	frame(F_HEADERS, END_HEADERS | END_STREAM, 21, "\x82\x86\x84\x41\1a", 6);
	loop_run_until(loop, &never, 20, NULL);
	assert_int_equal(t.requests, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_garbage),
		T(test_window_overrun),
		T(test_ping_flood),
		T(test_settings_flood),
		T(test_field_limit),
		T(test_bad_response_heads),
		T(test_informational),
		T(test_connection_errors),
		T(test_reset_codes),
		T(test_goaway_for_all),
		T(test_cut_in_frame),
		T(test_ping_deadline),
		T(test_ping_behind_bytes),
		T(test_ping_behind_our_bytes),
		T(test_ping_after_standstill),
		T(test_peer_reads_nothing),
		T(test_server_preface),
		T(test_server_bad_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
