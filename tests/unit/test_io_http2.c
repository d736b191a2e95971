/* SPDX-License-Identifier: MIT */
/* HTTP/2 client and server against each other over a socket pair. */
#include <event2/event.h>
#include "io_fixture.h"
#include "io/http2.h"

struct side {
	struct http2_session *session;
	unsigned done, alive_at_done;
	int code; /* of done's error; 0 for none */
	bool over;
};

static struct {
	struct side client, server;
	struct http_exchange *held[2048]; /* requests to /stall and /hold */
	size_t nheld;
	unsigned requests;
	int server_code; /* how the last echo ended */
	bool server_closed;
	bool free_server_in_request;
} t;

static void on_done(void *arg, const struct error *error)
{
	struct side *side = arg;

	side->done++;
	side->code = error ? (int)error->code : 0;
	side->over = true;
	side->alive_at_done = http2_session_streams(side->session);
	http2_session_free(&side->session);
}

static void serve_echo(struct http_exchange *x)
{
	struct echo *e;

	http_exchange_respond(x, http_head_new_response(200));
	e = echo_start(http_exchange_take_stream(&x));
	e->code = &t.server_code;
	e->closed = &t.server_closed;
}

static void serve_head(struct http_exchange *x, int status, int64_t length)
{
	struct http_head *head = http_head_new_response(status);
	struct stream *s;

	head->content_length = length;
	http_head_add(head, "X-Name", "value");
	http_exchange_respond(x, head);
	s = http_exchange_stream(x);
	stream_write(s, "dropped", 7);
	stream_end(s);
	t.held[t.nheld++] = x;
}

static void on_body(void *arg, struct http_exchange *x, const char *body, size_t n, const struct error *error)
{
	if (error)
		http_reply_error(&x, error);
	else
		http_reply(&x, 200, "text/plain", body, n);
}

static void on_request(void *arg, struct http_exchange *x)
{
	const struct http_head *request = http_exchange_request(x);

	t.requests++;
	if (t.free_server_in_request) {
		http2_session_free(&t.server.session);
		http_exchange_free(&x);
	} else if (str_eq(request->target, "/echo")) {
		serve_echo(x);
	} else if (str_eq(request->target, "/body")) {
		http_read_body(x, 100000, on_body, NULL);
	} else if (str_eq(request->target, "/reply")) {
		assert_int_equal(request->content_length, 0);
		assert_string_equal(http_head_get(request, "host"), "localhost");
		assert_string_equal(http_head_get(request, "x-asked"), "yes");
		assert_null(http_head_get(request, "connection"));
		http_reply(&x, 404, "text/plain", "hello", 5);
	} else if (str_eq(request->target, "/head")) {
		serve_head(x, 200, 12345);
	} else if (str_eq(request->target, "/204")) {
		serve_head(x, 204, -1);
	} else if (str_eq(request->target, "/drop")) {
		http_exchange_free(&x);
	} else { /* /hold */
		t.held[t.nheld++] = x;
	}
}

static int setup(void **state)
{
	struct stream *pair[2];

	memset(&t, 0, sizeof(t));
	if (setup_loop(state) < 0)
		return -1;
	stream_pair(pair);
	t.server.session = http2_server_new(loop, pair[0], on_request, on_done, &t.server);
	t.client.session = http2_client_new(loop, pair[1], on_done, &t.client);
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < t.nheld; i++)
		http_exchange_free(&t.held[i]);
	http2_session_free(&t.client.session);
	http2_session_free(&t.server.session);
	run_for(20);
	return teardown_loop(state);
}

/* ---- a client's view of one exchange ---- */

struct asked {
	struct http_exchange *x;
	struct endpoint end;
	unsigned responses;
	int status, response_code;
	bool answered;
	bool free_in_response, free_session_in_response;
};

static void on_response(void *arg, struct http_exchange *x, const struct error *error)
{
	struct asked *a = arg;

	a->responses++;
	a->answered = true;
	a->status = error ? 0 : http_exchange_response(x)->status;
	a->response_code = error ? (int)error->code : 0;
	if (a->free_session_in_response)
		http2_session_free(&t.client.session);
	if (a->free_in_response)
		stream_free(&a->end.s);
}

static struct http_head *request(const char *method, const char *target, int64_t length)
{
	struct http_head *head = http_head_new_request(method, target);

	head->content_length = length;
	return head;
}

static void ask_head(struct asked *a, struct http_head *head)
{
	bool body = head->content_length != 0;

	a->x = http2_client_open(t.client.session, head);
	http_exchange_on_response(a->x, on_response, a);
	if (body) {
		endpoint_start(&a->end, http_exchange_stream(a->x));
	} else {
		a->end.s = http_exchange_stream(a->x);
		stream_set_events(a->end.s, &endpoint_events, &a->end);
	}
}

static void ask(struct asked *a, const char *target, uint64_t total)
{
	a->end.total = total;
	ask_head(a, request("POST", target, -1));
}

/* ---- tests ---- */

static void test_reply(void **state)
{
	struct http_head *head = request("GET", "/reply", 0);
	struct asked a = {.end.keep = true, .end.stalled = true};

	http_head_add(head, "X-Asked", "yes");
	http_head_add(head, "Connection", "close");
	ask_head(&a, head);
	wait_for(&a.end.closed);
	assert_int_equal(a.responses, 1);
	assert_int_equal(a.status, 404);
	assert_int_equal(a.end.code, 0);
	assert_int_equal(http_exchange_response(a.x)->content_length, 5);
	assert_string_equal(http_head_get(http_exchange_response(a.x), "content-type"), "text/plain");
	assert_int_equal(evbuffer_get_length(stream_input(a.end.s)), 5);
	assert_memory_equal(evbuffer_pullup(stream_input(a.end.s), 5), "hello", 5);
	assert_int_equal(http2_session_streams(t.client.session), 0);
	assert_int_equal(http2_session_streams(t.server.session), 0);
	http_exchange_free(&a.x);
}

static void test_request_body(void **state)
{
	struct asked a = {.end.total = 100000};

	ask_head(&a, request("PUT", "/body", 100000));
	wait_for(&a.end.closed);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.end.received, 100000);
}

/* The server answers and leaves while the upload goes on: the client has the whole answer, and no
 * failure. */
static void test_early_answer(void **state)
{
	struct asked a = {.end.total = 8 * MIB, .end.stalled = true};

	ask_head(&a, request("PUT", "/body", 8 * MIB));
	wait_for(&a.end.closed);
	assert_int_equal(a.status, 413);
	assert_true(a.end.eof);
	assert_int_equal(a.end.code, 0);
	assert_int_equal(http2_session_streams(t.server.session), 0);
}

static void test_no_body_answers(void **state)
{
	static const struct {
		const char *method, *target;
		int status;
	} cases[] = {{"HEAD", "/head", 200}, {"GET", "/204", 204}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct asked a = {0};

		ask_head(&a, request(cases[i].method, cases[i].target, 0));
		wait_for(&a.end.closed);
		assert_int_equal(a.status, cases[i].status);
		assert_int_equal(a.end.received, 0);
		assert_int_equal(a.end.code, 0);
	}
}

static void test_bad_request_head(void **state)
{
	struct http_head *heads[] = {
		request("GET", "no-slash", 0), request("G T", "/", 0), request("CONNECT", "/", 0),
		request("GET", "/", 0),	       request("GET", "/", 0),
	};
	cleanup_free char *big = mem_alloc(HTTP_MAX_HEAD + 1);

	memset(big, 'a', HTTP_MAX_HEAD);
	http_head_add(heads[3], "x", "new\nline");
	http_head_add(heads[4], "x", big);
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct asked a = {0};

		ask_head(&a, heads[i]);
		assert_int_equal(a.responses, 0); /* never from within the call */
		wait_for(&a.end.closed);
		assert_int_equal(a.response_code, ERR_INVALID);
	}
	assert_int_equal(t.requests, 0);
}

static void echo_through(uint64_t total)
{
	struct asked a = {0};
	double begin = now_s();

	ask(&a, "/echo", total);
	wait_for(&a.end.closed);
	assert_int_equal(a.end.code, 0);
	assert_int_equal(a.end.received, total);
	wait_for(&t.server_closed);
	assert_int_equal(t.server_code, 0);
	if (getenv("SLICER_TEST_VERBOSE"))
		print_message("HTTP/2 echo of %u MiB: %.0f MiB/s each way\n", (unsigned)(total / MIB),
			      (double)total / MIB / (now_s() - begin));
}

static void test_echo(void **state)
{
	long before;

	echo_through(4 * MIB);
	before = rss_kib();
	echo_through(64 * MIB);
	if (!WITH_ASAN)
		assert_in_range(rss_kib() - before + 100000, 0, 100000 + 4096);
	echo_through(0);
	echo_through(1);
	echo_through(STREAM_WINDOW);
	echo_through(STREAM_WINDOW + 1);
}

/* Stalled streams hold their own window and nothing else. */
static void test_stalled_streams(void **state)
{
	enum { STREAMS = 200, STALLED = 8 };
	struct asked *a = mem_alloc_array(STREAMS, sizeof(*a));
	uint64_t total = WITH_ASAN ? MIB / 4 : MIB;

	for (size_t i = 0; i < STREAMS; i++) {
		a[i].end.stalled = i < STALLED;
		ask(&a[i], i % 2 && i < STALLED ? "/hold" : "/echo", total);
	}
	for (size_t i = STALLED; i < STREAMS; i++) {
		wait_for(&a[i].end.closed);
		assert_int_equal(a[i].end.received, total);
		assert_int_equal(a[i].end.code, 0);
	}
	for (size_t i = 0; i < STALLED; i++) {
		assert_false(a[i].end.closed);
		assert_true(evbuffer_get_length(stream_input(a[i].end.s)) <= STREAM_WINDOW);
		assert_true(stream_pending(a[i].end.s) < 2 * STREAM_WINDOW);
	}
	assert_int_equal(http2_session_streams(t.client.session), STALLED);
	a[0].end.stalled = false; /* and one that wakes up runs to its end */
	endpoint_on_readable(&a[0].end);
	wait_for(&a[0].end.closed);
	assert_int_equal(a[0].end.received, total);
	for (size_t i = 1; i < STALLED; i++)
		stream_free(&a[i].end.s);
	free(a);
}

static void test_resets(void **state)
{
	static const char *const targets[] = {"/echo", "/hold", "/drop", "/204"};
	unsigned seed = 42;

	for (unsigned i = 0; i < 1000; i++) {
		struct asked *a = NEW(struct asked);

		ask(a, targets[rand_r(&seed) % 4], rand_r(&seed) % (3 * STREAM_WINDOW));
		for (unsigned turns = rand_r(&seed) % 12; turns > 0; turns--) {
			event_base_loop(loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
		}
		stream_free(&a->end.s);
		free(a);
		if (t.nheld > 10)
			http_exchange_free(&t.held[--t.nheld]);
	}
	while (t.nheld)
		http_exchange_free(&t.held[--t.nheld]);
	run_for(100);
	assert_int_equal(http2_session_streams(t.client.session), 0);
	assert_int_equal(http2_session_streams(t.server.session), 0);
	assert_int_equal(t.client.done + t.server.done, 0);
	echo_through(100000);
}

static void test_cancel_by_client(void **state)
{
	struct asked a = {.end.total = UINT64_MAX};

	ask(&a, "/echo", UINT64_MAX - 1);
	wait_for(&a.answered);
	stream_free(&a.end.s);
	wait_for(&t.server_closed);
	assert_int_equal(t.server_code, ERR_CANCELLED);
	assert_int_equal(http2_session_streams(t.server.session), 0);
}

static void test_cancel_by_server(void **state)
{
	struct asked a = {0}, b = {0};

	ask(&a, "/drop", UINT64_MAX - 1);
	wait_for(&a.end.closed);
	assert_int_equal(a.response_code, ERR_CANCELLED); /* before the head it goes there ... */
	assert_int_equal(a.end.code, ERR_CANCELLED);	  /* ... and to the stream */
	ask(&b, "/hold", 10);
	while (!t.nheld)
		run_for(1);
	http_exchange_respond(t.held[0], http_head_new_response(200));
	wait_for(&b.answered);
	http_exchange_free(&t.held[0]);
	t.nheld = 0;
	wait_for(&b.end.closed);
	assert_int_equal(b.end.code, ERR_CANCELLED);
}

static void test_session_freed_by_peer(void **state)
{
	struct asked a[20] = {0};

	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask(&a[i], i % 2 ? "/echo" : "/hold", UINT64_MAX - 1);
	run_for(50);
	http2_session_free(&t.server.session);
	assert_false(t.server_closed); /* not from within the call */
	wait_for(&t.client.over);
	assert_int_equal(t.client.done, 1);
	assert_int_not_equal(t.client.code, 0);
	assert_int_equal(t.client.alive_at_done, 0);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		assert_true(a[i].end.closed || a[i].response_code == ERR_UNAVAILABLE); /* before done() */
		wait_for(&a[i].end.closed);
		assert_int_equal(a[i].end.code, ERR_UNAVAILABLE);
		assert_int_equal(a[i].end.closings, 1);
		assert_int_equal(a[i].responses, 1);
	}
	wait_for(&t.server_closed);
	assert_int_equal(t.server_code, ERR_UNAVAILABLE);
}

static void test_session_freed_by_owner(void **state)
{
	struct asked a = {0}, b = {0};

	ask(&a, "/echo", UINT64_MAX - 1);
	wait_for(&a.answered);
	ask(&b, "/hold", 5);
	http2_session_free(&t.client.session);
	assert_false(a.end.closed);
	wait_for(&a.end.closed);
	wait_for(&b.end.closed);
	assert_int_equal(a.end.code, ERR_UNAVAILABLE);
	assert_int_equal(b.response_code, ERR_UNAVAILABLE);
	wait_for(&t.server.over);
	assert_int_equal(t.server.done, 1);
}

static void test_free_in_callbacks(void **state)
{
	struct asked a = {.free_in_response = true}, b = {.free_session_in_response = true, .free_in_response = true};

	ask(&a, "/echo", MIB);
	wait_for(&a.answered);
	ask(&b, "/echo", MIB);
	wait_for(&b.answered);
	assert_null(t.client.session);
	assert_int_equal(t.client.done, 0);
	wait_for(&t.server.over);
}

static void test_free_session_in_request(void **state)
{
	struct asked a = {0}, b = {0};

	t.free_server_in_request = true;
	ask(&a, "/echo", MIB);
	ask(&b, "/echo", MIB);
	wait_for(&a.end.closed);
	wait_for(&b.end.closed);
	assert_int_equal(t.requests, 1);
	assert_int_equal(a.end.code, ERR_UNAVAILABLE);
	assert_int_equal(t.server.done, 0);
}

static void test_goaway(void **state)
{
	struct asked a = {0}, b = {0};

	ask(&a, "/echo", 4 * MIB);
	wait_for(&a.answered);
	http2_session_goaway(t.client.session);
	ask(&b, "/echo", 1);
	wait_for(&b.end.closed);
	assert_int_equal(b.response_code, ERR_UNAVAILABLE);
	wait_for(&t.client.over);
	wait_for(&t.server.over);
	assert_int_equal(a.end.received, 4 * MIB);
	assert_int_equal(a.end.code, 0);
	assert_int_equal(t.client.code, 0);
	assert_int_equal(t.server.code, 0);
	assert_int_equal(t.client.done + t.server.done, 2);
}

static void test_goaway_by_server(void **state)
{
	struct asked a = {0};

	ask(&a, "/echo", MIB);
	wait_for(&a.answered);
	http2_session_goaway(t.server.session);
	wait_for(&t.client.over);
	wait_for(&t.server.over);
	assert_int_equal(a.end.received, MIB);
	assert_int_equal(t.client.code, 0);
	assert_int_equal(t.server.code, 0);
}

static void test_too_many_streams(void **state)
{
	struct asked *a = mem_alloc_array(HTTP2_MAX_STREAMS + 1, sizeof(*a));

	for (size_t i = 0; i < HTTP2_MAX_STREAMS + 1; i++)
		ask(&a[i], "/hold", 1);
	wait_for(&a[HTTP2_MAX_STREAMS].end.closed);
	assert_int_equal(a[HTTP2_MAX_STREAMS].response_code, ERR_UNAVAILABLE);
	while (t.requests < HTTP2_MAX_STREAMS)
		run_for(1);
	assert_int_equal(http2_session_streams(t.server.session), HTTP2_MAX_STREAMS);
	for (size_t i = 0; i < HTTP2_MAX_STREAMS; i++) {
		assert_false(a[i].end.closed);
		stream_free(&a[i].end.s);
	}
	free(a);
}

static void test_keepalive(void **state)
{
	struct asked a = {0};

	http2_session_keepalive(t.client.session, 5, 2000);
	http2_session_keepalive(t.server.session, 5, 2000);
	run_for(100);
	ask(&a, "/echo", MIB);
	wait_for(&a.end.closed);
	assert_int_equal(a.end.received, MIB);
	http2_session_keepalive(t.client.session, 0, 0);
	run_for(20);
	assert_int_equal(t.client.done + t.server.done, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reply),
		T(test_request_body),
		T(test_early_answer),
		T(test_no_body_answers),
		T(test_bad_request_head),
		T(test_echo),
		T(test_stalled_streams),
		T(test_resets),
		T(test_cancel_by_client),
		T(test_cancel_by_server),
		T(test_session_freed_by_peer),
		T(test_session_freed_by_owner),
		T(test_free_in_callbacks),
		T(test_free_session_in_request),
		T(test_goaway),
		T(test_goaway_by_server),
		T(test_too_many_streams),
		T(test_keepalive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
