/* SPDX-License-Identifier: MIT */
/* The HTTP/1.1 server, from raw connections: what it accepts, keeps, limits and survives. */
#include "io_http1_fixture.h"
#include <sys/resource.h>
#include "base/units.h"

static const char *one_shot(struct raw *r, const char *request)
{
	raw_open(r);
	raw_send(r, request);
	return raw_finish(r);
}

static void test_simple(void **state)
{
	struct raw r;
	const char *text;

	start_tcp(NULL);
	text = one_shot(&r, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_string_equal(text, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
				  "content-length: 6\r\nconnection: close\r\n\r\nhello\n");
	assert_string_equal(t.last_target, "/a");
	assert_false(r.failed);
	raw_close(&r);
	run_for(20);
	assert_int_equal(http1_server_connections(t.server), 0);
}

static void test_http10(void **state)
{
	struct raw r;
	const char *text;

	start_tcp(NULL);
	text = one_shot(&r, "GET / HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(text, "content-length: 6\r\nconnection: close\r\n\r\nhello\n"));
	raw_close(&r);
	/* Without a length the end is the close, not a chunk that 1.0 does not know. */
	text = one_shot(&r, "POST /echo HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc");
	assert_string_equal(text, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc");
	assert_false(r.failed);
	raw_close(&r);
}

static void test_head_request(void **state)
{
	struct raw r;
	const char *text;

	start_tcp(NULL);
	text = one_shot(&r, "HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
	assert_string_equal(text, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
				  "content-length: 6\r\nconnection: close\r\n\r\n");
	raw_close(&r);
}

static void test_absolute_form(void **state)
{
	static const struct {
		const char *target, *expected;
	} cases[] = {
		{"http://host/a/b?c=d", "/a/b?c=d"},
		{"HTTP://host:80/", "/"},
		{"http://host", "/"},
		{"//double", "//double"},
	};

	start_tcp(NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct raw r;
		char *request = str_fmt("GET %s HTTP/1.1\r\nConnection: close\r\n\r\n", cases[i].target);

		assert_non_null(strstr(one_shot(&r, request), " 200 OK"));
		assert_string_equal(t.last_target, cases[i].expected);
		raw_close(&r);
		free(request);
	}
}

static void test_pipelined(void **state)
{
	struct raw r;
	const char *text, *at;
	int n = 0;

	start_tcp(NULL);
	raw_open(&r);
	for (int i = 0; i < 200; i++)
		raw_send(&r, "POST /body HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n"
			     "POST /body HTTP/1.1\r\nTransfer-Encoding: "
			     "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	raw_send(&r, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
	text = raw_finish(&r);
	for (at = text; (at = strstr(at, "content-length: 3\r\n\r\nabc")); at++)
		n++;
	assert_int_equal(n, 400);
	assert_non_null(strstr(text, "hello\n"));
	assert_int_equal(t.requests, 401);
	raw_close(&r);
}

/* Every way to cut a request in two, and one byte at a time, gives the same. */
static void test_split(void **state)
{
	static const char request[] = "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
				      "5;name=value\r\nhello\r\n0000A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
				      "PUT /body HTTP/1.1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast";
	size_t n = sizeof(request) - 1;

	start_tcp(NULL);
	for (size_t cut = 0; cut <= n; cut++) {
		struct raw r;
		const char *text;

		raw_open(&r);
		if (cut == 0) {
			for (size_t i = 0; i < n; i++) {
				stream_write(r.s, request + i, 1);
				run_for(0);
				run_for(0);
			}
		} else {
			stream_write(r.s, request, cut);
			run_for(0);
			run_for(0);
			stream_write(r.s, request + cut, n - cut);
		}
		text = raw_finish(&r);
		assert_non_null(strstr(text, "content-length: 15\r\n\r\nhello0123456789HTTP/1.1 200"));
		assert_non_null(strstr(text, "connection: close\r\n\r\nlast"));
		raw_close(&r);
	}
}

static void test_expect_continue(void **state)
{
	struct raw r;

	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "POST /body HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	raw_expect(&r, "HTTP/1.1 100 Continue\r\n\r\n");
	raw_drain(&r);
	raw_send(&r, "abc");
	raw_expect(&r, "abc");
	assert_null(strstr(raw_text(&r), "100 Continue"));
	raw_drain(&r);
	/* The connection is kept, and the second round behaves the same. */
	raw_send(&r, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	raw_expect(&r, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
	raw_send(&r, "abc");
	raw_expect(&r, "\r\n3\r\nabc\r\n0\r\n\r\n");
	raw_close(&r);
}

static void test_expect_refused(void **state)
{
	struct raw r;
	const char *text;

	start_tcp(NULL);
	/* Too large: no "100 Continue", and the client is not asked to send on for nothing. */
	text = one_shot(&r, "POST /body HTTP/1.1\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n");
	assert_null(strstr(text, "100 Continue"));
	assert_non_null(strstr(text, "HTTP/1.1 413 "));
	assert_non_null(strstr(text, "connection: close\r\n"));
	raw_close(&r);
}

/* Answered before the body has come: a short rest is skipped and the connection kept, a long one is
 * not. */
static void test_unread_body(void **state)
{
	struct raw r;
	char *rest = mem_alloc(100001);
	const char *text;

	memset(rest, 'z', 100000);
	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "POST /a HTTP/1.1\r\nContent-Length: 200000\r\n\r\n");
	raw_expect(&r, "hello\n");
	raw_drain(&r);
	raw_send(&r, rest);
	raw_send(&r, rest);
	raw_send(&r, "GET /b HTTP/1.1\r\n\r\n");
	raw_expect(&r, "hello\n");
	assert_string_equal(t.last_target, "/b");
	raw_drain(&r);
	raw_send(&r, "POST /c HTTP/1.1\r\nContent-Length: 300000\r\n\r\n");
	text = raw_finish(&r);
	assert_non_null(strstr(text, "hello\n"));
	assert_false(r.failed);
	raw_close(&r);
	free(rest);
}

static void test_unread_chunks(void **state)
{
	struct raw r;
	char *chunk = mem_alloc(0x10000 + 1);

	memset(chunk, 'z', 0x10000);
	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
	raw_expect(&r, "hello\n");
	for (int i = 0; i < 8 && !r.over; i++) { /* 512 KiB: twice of what is skipped */
		raw_send(&r, "10000\r\n");
		raw_send(&r, chunk);
		raw_send(&r, "\r\n");
		run_for(5);
	}
	wait_for(&r.over);
	raw_close(&r);
	free(chunk);
}

/* A reply that does not fit into the window at once; also while the request's body is still coming.
 */
static void test_big_reply(void **state)
{
	struct raw r;
	char *part = mem_alloc(1001);
	size_t got = 0;

	memset(part, 'z', 1000);
	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "POST /big HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
	for (int i = 0; i < 100 || got < MIB; i++) {
		if (i < 100)
			raw_send(&r, part);
		run_for(1);
		got += evbuffer_get_length(stream_input(r.s));
		assert_false(r.over);
		raw_drain(&r);
		stream_resume(r.s);
	}
	raw_send(&r, "GET / HTTP/1.1\r\n\r\n");
	raw_expect(&r, "hello\n");
	raw_close(&r);
	/* Leaving in the middle of it frees everything. */
	raw_open(&r);
	raw_send(&r, "GET /big HTTP/1.1\r\n\r\n");
	run_for(20);
	raw_close(&r);
	run_for(50);
	assert_int_equal(http1_server_connections(t.server), 0);
	free(part);
}

static void test_bad_body(void **state)
{
	struct raw r;

	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "POST /hold HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n");
	assert_non_null(strstr(raw_finish(&r), "HTTP/1.1 400 Bad Request\r\n"));
	raw_close(&r);
	wait_for(&t.held_closed);
	assert_int_equal(t.held_error->code, ERR_PROTOCOL);
	/* After the answer has begun only the connection's end can tell. */
	raw_open(&r);
	raw_send(&r, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	raw_expect(&r, "abc\r\n");
	raw_send(&r, "x\r\n");
	wait_for(&r.over);
	assert_true(r.failed);
	wait_for(&t.echo_closed);
	assert_int_equal(t.echo_code, ERR_PROTOCOL);
	raw_close(&r);
}

static void test_reset(void **state)
{
	struct raw r;

	start_tcp(NULL);
	one_shot(&r, "GET /reset HTTP/1.1\r\n\r\n");
	assert_true(r.failed);
	raw_close(&r);
}

static void test_short_answer(void **state)
{
	struct raw r;

	start_tcp(NULL);
	one_shot(&r, "GET /short HTTP/1.1\r\n\r\n");
	assert_true(r.failed);
	raw_close(&r);
	wait_for(&t.held_closed);
	assert_int_equal(t.held_error->code, ERR_PROTOCOL);
}

static void test_half_close(void **state)
{
	struct raw r;
	const char *text;

	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "POST /body HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
	stream_end(r.s);
	text = raw_finish(&r);
	assert_non_null(strstr(text, "connection: close\r\n\r\nabc"));
	assert_false(r.failed);
	raw_close(&r);
	/* In the middle of a body it is the end of the request. */
	raw_open(&r);
	raw_send(&r, "POST /hold HTTP/1.1\r\nContent-Length: 3\r\n\r\nab");
	stream_end(r.s);
	wait_for(&t.held_closed);
	assert_int_equal(t.held_error->code, ERR_CANCELLED);
	raw_close(&r);
}

static void check_leave(const char *request, size_t extra, bool politely)
{
	struct raw r;
	char *body = mem_alloc(extra + 1);
	double begin;

	memset(body, 'z', extra);
	raw_open(&r);
	raw_send(&r, request);
	raw_send(&r, body);
	free(body);
	run_for(200);
	assert_non_null(t.held);
	assert_false(t.held_closed);
	begin = now_s();
	if (politely) { /* FIN, as when a process is killed; else RST */
		stream_end(r.s);
		wait_for(&t.held_closed);
	}
	raw_close(&r);
	wait_for(&t.held_closed);
	assert_true(now_s() - begin < 20);
	assert_int_equal(t.held_error->code, ERR_CANCELLED);
	error_free(&t.held_error);
	t.held_closed = false;
	run_for(1);
	assert_int_equal(http1_server_connections(t.server), 0);
}

/* Nobody reads the request: a client that leaves is noticed all the same. */
static void test_leave_tcp(void **state)
{
	start_tcp(NULL);
	check_leave("GET /hold HTTP/1.1\r\n\r\n", 0, false);
	check_leave("POST /hold HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 1000, false);
	check_leave("POST /hold HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 32 * MIB, false);
	check_leave("GET /source HTTP/1.1\r\n\r\n", 0, false);
	check_leave("GET /hold HTTP/1.1\r\n\r\n", 0, true);
	check_leave("POST /hold HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 1000, true);
	check_leave("POST /hold HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 150000, true);
	check_leave("POST /hold HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nfffff\r\n", 150000, true);
}

static void test_leave_unix(void **state)
{
	start_unix(NULL);
	check_leave("GET /hold HTTP/1.1\r\n\r\n", 0, false);
	check_leave("POST /hold HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 1000, false);
	check_leave("POST /hold HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 32 * MIB, false);
	check_leave("GET /source HTTP/1.1\r\n\r\n", 0, false);
}

static void test_head_timeout(void **state)
{
	static const struct http1_limits limits = {.head_timeout_ms = 100, .idle_timeout_ms = 200};
	struct raw silent, slow, idle;
	double begin = now_s();

	start_tcp(&limits);
	raw_open(&silent);
	raw_open(&slow);
	raw_open(&idle);
	raw_send(&idle, "GET / HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 600 && !slow.over; i++) { /* slowloris: a byte now and then does not help */
		raw_send(&slow, i ? "a" : "GET /");
		run_for(10);
	}
	assert_true(slow.over);
	assert_non_null(strstr(raw_finish(&slow), "HTTP/1.1 408 "));
	assert_non_null(strstr(raw_finish(&silent), "HTTP/1.1 408 "));
	assert_null(strstr(raw_finish(&idle), "408")); /* kept alive and closed without a word */
	assert_true(now_s() - begin < 9);	       /* which is less than without the limits */
	raw_close(&silent);
	raw_close(&slow);
	raw_close(&idle);
}

static void test_write_timeout(void **state)
{
	static const struct http1_limits limits = {.write_timeout_ms = 150};
	struct raw r;

	start_tcp(&limits);
	raw_open(&r);
	stream_set_events(r.s, NULL, NULL); /* so it stops reading at a full window */
	raw_send(&r, "GET /source HTTP/1.1\r\n\r\n");
	wait_for(&t.held_closed);
	assert_int_equal(t.held_error->code, ERR_CANCELLED);
	raw_close(&r);
}

static void test_too_many(void **state)
{
	static const struct http1_limits limits = {.max_connections = 2};
	struct raw a, b, c;

	start_tcp(&limits);
	raw_open(&a);
	raw_open(&b);
	run_for(20);
	raw_open(&c);
	raw_send(&c, "GET / HTTP/1.1\r\n\r\n");
	assert_non_null(strstr(raw_finish(&c), "HTTP/1.1 503 Service Unavailable\r\n"));
	assert_false(c.failed);
	assert_int_equal(http1_server_connections(t.server), 2);
	raw_close(&c);
	raw_close(&a);
	run_for(50);
	raw_open(&c);
	raw_send(&c, "GET / HTTP/1.1\r\n\r\n");
	raw_expect(&c, "200 OK");
	raw_close(&b);
	raw_close(&c);
}

static void test_fd_exhaustion(void **state)
{
	struct raw r;
	struct rlimit old, low;
	struct timespec before, after;
	int fds[1024];
	size_t n = 0;
	double cpu;

	start_tcp(NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	raw_open(&r);
	while ((fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	raw_send(&r, "GET / HTTP/1.1\r\n\r\n");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	run_for(500);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	cpu = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	assert_true(cpu < 0.2);
	assert_int_equal(t.requests, 0);
	while (n > 0)
		close(fds[--n]);
	raw_expect(&r, "200 OK");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	raw_close(&r);
}

static void test_stop_listening(void **state)
{
	struct raw idle, busy, in_request;

	start_tcp(NULL);
	raw_open(&idle);
	raw_send(&idle, "GET / HTTP/1.1\r\n\r\n");
	raw_expect(&idle, "hello");
	raw_open(&busy);
	raw_send(&busy, "POST /body HTTP/1.1\r\nContent-Length: 3\r\n\r\na");
	raw_open(&in_request);
	run_for(20);
	t.stop_in_request = true;
	raw_send(&in_request, "GET / HTTP/1.1\r\n\r\n");
	assert_non_null(strstr(raw_finish(&in_request), "connection: close\r\n\r\nhello"));
	wait_for(&idle.over);
	raw_send(&busy, "bc");
	assert_non_null(strstr(raw_finish(&busy), "connection: close\r\n\r\nabc"));
	raw_close(&idle);
	raw_close(&busy);
	raw_close(&in_request);
	run_for(20);
	assert_int_equal(http1_server_connections(t.server), 0);
}

static void test_free_in_request(void **state)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"POST /body HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
		"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"GET /hold HTTP/1.1\r\n\r\n",
		"GET /source HTTP/1.1\r\n\r\n",
		"GET /reset HTTP/1.1\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct raw r, other;

		start_tcp(NULL);
		raw_open(&other);
		run_for(5);
		t.free_in_request = true;
		one_shot(&r, requests[i]);
		wait_for(&other.over);
		run_for(5);
		raw_close(&other);
		raw_close(&r);
		t.free_in_request = false;
		error_free(&t.held_error);
	}
}

static void test_upgrade(void **state)
{
	struct raw r;

	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "GET /upgrade HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
		     "test\r\n\r\nfirst");
	raw_expect(&r, "HTTP/1.1 101 Switching Protocols\r\nupgrade: test\r\nconnection: "
		       "Upgrade\r\n\r\nfirst");
	assert_int_equal(http1_server_connections(t.server), 0);
	raw_send(&r, " second");
	stream_end(r.s);
	assert_non_null(strstr(raw_finish(&r), "first second"));
	raw_close(&r);
	/* Not asked for in due form: an ordinary request. */
	one_shot(&r, "GET /upgrade HTTP/1.1\r\nUpgrade: test\r\nConnection: close\r\n\r\n");
	assert_non_null(strstr(raw_text(&r), "200 OK"));
	raw_close(&r);
}

static void test_local(void **state)
{
	struct raw r;

	start_unix(NULL);
	raw_open(&r);
	raw_send(&r, "GET /hold HTTP/1.1\r\n\r\n");
	run_for(20);
	assert_non_null(t.held);
	assert_true(http1_exchange_is_local(t.held));
	assert_int_equal(http1_exchange_peer_uid(t.held), getuid());
	raw_close(&r);
}

/* The exchange lives on without its connection, and whatever its owner does is harmless. */
static void test_use_after_leave(void **state)
{
	struct raw r;
	struct http_exchange *x;

	start_tcp(NULL);
	raw_open(&r);
	raw_send(&r, "POST /hold HTTP/1.1\r\nContent-Length: 3\r\n\r\na");
	run_for(20);
	x = TAKE_PTR(t.held);
	stream_set_events(http_exchange_stream(x), NULL, NULL);
	raw_close(&r);
	run_for(50);
	stream_resume(http_exchange_stream(x));
	http_exchange_respond(x, http_head_new_response(200));
	stream_write(http_exchange_stream(x), "abc", 3);
	stream_end(http_exchange_stream(x));
	http_exchange_free(&x);
	raw_open(&r);
	raw_send(&r, "GET /upgrade HTTP/1.1\r\nUpgrade: a\r\n\r\nGET /hold HTTP/1.1\r\n\r\n");
	run_for(20);
	x = TAKE_PTR(t.held);
	http1_server_free(&t.server);
	assert_null(http1_upgrade(&x, http_head_new_response(101)));
	raw_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_http1, teardown_http1)
		T(test_simple),	       T(test_http10),		T(test_head_request),	 T(test_absolute_form),
		T(test_pipelined),     T(test_split),		T(test_expect_continue), T(test_expect_refused),
		T(test_unread_body),   T(test_unread_chunks),	T(test_big_reply),	 T(test_bad_body),
		T(test_reset),	       T(test_short_answer),	T(test_half_close),	 T(test_leave_tcp),
		T(test_leave_unix),    T(test_head_timeout),	T(test_write_timeout),	 T(test_too_many),
		T(test_fd_exhaustion), T(test_stop_listening),	T(test_free_in_request), T(test_upgrade),
		T(test_local),	       T(test_use_after_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
