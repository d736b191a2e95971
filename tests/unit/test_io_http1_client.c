/* SPDX-License-Identifier: MIT */
/* The HTTP/1.1 client, with our server and with scripted ones. */
#include "io_http1_fixture.h"

struct result {
	struct http_exchange *x;
	int status, code;
	bool answered, over, failed, keep;
	struct evbuffer *body;
};

static void result_free(struct result *r)
{
	http_exchange_free(&r->x);
	if (r->body)
		evbuffer_free(r->body);
	r->body = NULL;
}

static void on_readable(void *arg)
{
	struct result *r = arg;
	struct stream *s = http_exchange_stream(r->x);

	evbuffer_add_buffer(r->body, stream_input(s));
	stream_resume(s);
}

static void on_closed(void *arg, const struct error *error)
{
	struct result *r = arg;

	r->over = true;
	r->failed = error != NULL;
	r->code = error ? (int)error->code : 0;
	if (!r->keep)
		http_exchange_free(&r->x);
}

static void on_response(void *arg, struct http_exchange *x, const struct error *error)
{
	struct result *r = arg;

	assert_false(r->answered);
	r->answered = true;
	if (error) {
		r->code = (int)error->code;
		r->failed = true;
		r->over = true;
		http_exchange_free(&r->x);
		return;
	}
	assert_ptr_equal(x, r->x);
	r->status = http_exchange_response(x)->status;
}

static const struct stream_events result_events = {.on_readable = on_readable, .on_closed = on_closed};

static struct http_head *request(const char *method, const char *target, int64_t length)
{
	struct http_head *h = http_head_new_request(method, target);

	h->content_length = length;
	return h;
}

static void start(struct result *r, struct http1_client *c, struct http_head *take)
{
	*r = (struct result){.body = evbuffer_new()};
	r->x = http1_client_open(c, take);
	http_exchange_on_response(r->x, on_response, r);
	stream_set_events(http_exchange_stream(r->x), &result_events, r);
}

static const char *body_of(struct result *r)
{
	evbuffer_add(r->body, "", 1);
	return (const char *)evbuffer_pullup(r->body, -1);
}

static void get(struct http1_client *c, const char *target, int status, const char *body)
{
	struct result r;

	start(&r, c, request("GET", target, 0));
	wait_for(&r.over);
	assert_false(r.failed);
	assert_int_equal(r.status, status);
	assert_string_equal(body_of(&r), body);
	result_free(&r);
}

static void test_get(void **state)
{
	struct http1_client *c;

	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	for (int i = 0; i < 3; i++)
		get(c, "/x?y=z", 200, "hello\n");
	assert_int_equal(http1_server_connections(t.server), 1);
	http1_client_free(&c);
	run_for(20);
	assert_int_equal(http1_server_connections(t.server), 0);
}

static void test_unix_and_name(void **state)
{
	struct http1_client *c;

	start_unix(NULL);
	c = http1_client_new_unix(loop, t.unix_path);
	get(c, "/", 200, "hello\n");
	http1_client_free(&c);
	http1_server_free(&t.server);
	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "localhost", t.port); /* ::1 may come first: nobody listens there */
	get(c, "/", 200, "hello\n");
	http1_client_free(&c);
}

static void test_post(void **state)
{
	struct http1_client *c;
	struct result r;

	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	start(&r, c, request("POST", "/body", -1));
	stream_write(http_exchange_stream(r.x), "abc", 3);
	stream_write(http_exchange_stream(r.x), "def", 3);
	stream_end(http_exchange_stream(r.x));
	wait_for(&r.over);
	assert_string_equal(body_of(&r), "abcdef");
	result_free(&r);
	start(&r, c, request("PUT", "/body", 3));
	stream_write(http_exchange_stream(r.x), "xyz", 3);
	stream_end(http_exchange_stream(r.x));
	wait_for(&r.over);
	assert_string_equal(body_of(&r), "xyz");
	result_free(&r);
	start(&r, c, request("POST", "/body", 0));
	wait_for(&r.over);
	assert_string_equal(body_of(&r), "");
	result_free(&r);
	start(&r, c, request("HEAD", "/", 0));
	wait_for(&r.over);
	assert_int_equal(r.status, 200);
	assert_string_equal(body_of(&r), "");
	result_free(&r);
	get(c, "/", 200, "hello\n");
	assert_int_equal(http1_server_connections(t.server), 1);
	http1_client_free(&c);
}

static void test_failures(void **state)
{
	struct http1_client *c = http1_client_new_unix(loop, "/nonexistent/socket");
	struct result r;
	uint16_t port;
	int fd = listen_tcp(&port);

	start(&r, c, request("GET", "/", 0));
	assert_false(r.over); /* never from within the call */
	wait_for(&r.over);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	result_free(&r);
	start(&r, c, request("GET", "bad", 0));
	wait_for(&r.over);
	assert_int_equal(r.code, ERR_INVALID);
	result_free(&r);
	start(&r, c, request("GET", "/", 0));
	result_free(&r); /* before it was reported */
	http1_client_free(&c);
	close(fd);
	c = http1_client_new_tcp(loop, "127.0.0.1", port);
	start(&r, c, request("GET", "/", 0));
	wait_for(&r.over);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	result_free(&r);
	start(&r, c, request("GET", "/", 0));
	http1_client_free(&c);
	wait_for(&r.over);
	assert_int_equal(r.code, ERR_CANCELLED);
	result_free(&r);
}

/* A server that answers with the given bytes, whole or cut at `cut`, then closes. */
struct script {
	struct stream *s;
	const char *text;
	size_t cut;
	bool seen;
};

static void script_on_readable(void *arg)
{
	struct script *p = arg;

	evbuffer_drain(stream_input(p->s), evbuffer_get_length(stream_input(p->s)));
	stream_resume(p->s);
	if (p->seen)
		return;
	p->seen = true;
	stream_write(p->s, p->text, p->cut);
}

static void play(struct result *r, const char *method, const char *text, size_t cut)
{
	static const struct stream_events events = {.on_readable = script_on_readable};
	int fd[2];
	struct http1_client *c;
	struct script p = {.text = text, .cut = cut};

	socket_pair(fd);
	p.s = stream_fd_new(loop, fd[0], -1);
	stream_set_events(p.s, &events, &p);
	c = http1_client_new_fd(loop, fd[1]);
	start(r, c, request(method, "/", 0));
	wait_for(&p.seen);
	run_for(0);
	run_for(0);
	stream_write(p.s, text + cut, strlen(text) - cut);
	stream_end(p.s);
	wait_for(&r->over);
	stream_free(&p.s);
	http1_client_free(&c);
}

static void test_responses(void **state)
{
	static const struct {
		const char *method, *text;
		int status, code;
		const char *body;
	} cases[] = {
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, 0, "abc"},
		{"GET", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", 200, 0, "abc"},
		{"GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, 0, "until the end"},
		{"GET", "HTTP/1.1 200 OK\r\n\r\n", 200, 0, ""},
		{"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 X\r\nA: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n", 204, 0,
		 ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, 0, ""},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, 0, ""},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, 0, ""},
		{"GET",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n3\r\nabc\r\n3;x\r\ndef\r\n0\r\nT: u\r\n\r\n",
		 200, 0, "abcdef"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 200, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 200, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 200, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Le", 0, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", 0, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 20 OK\r\n\r\n", 0, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 2000 OK\r\n\r\n", 0, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/2.0 200 OK\r\n\r\n", 0, ERR_PROTOCOL, NULL},
		{"GET", "ICY 200 OK\r\n\r\n", 0, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 101 Switch\r\n\r\n", 0, ERR_PROTOCOL, NULL},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0, ERR_PROTOCOL,
		 NULL},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0, ERR_PROTOCOL, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t cut = 1; cut <= strlen(cases[i].text); cut++) {
			struct result r;

			play(&r, cases[i].method, cases[i].text, cut);
			assert_int_equal(r.status, cases[i].status);
			assert_int_equal(r.code, cases[i].code);
			if (!cases[i].code)
				assert_string_equal(body_of(&r), cases[i].body);
			result_free(&r);
		}
	}
}

static void test_no_answer(void **state)
{
	struct result r;

	play(&r, "GET", "", 0);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	result_free(&r);
}

/* The kept connection was closed by the server: GET is tried again, what may not be repeated fails.
 */
static void test_stale(void **state)
{
	static const struct http1_limits limits = {.idle_timeout_ms = 60};
	struct http1_client *c;
	struct result r;

	start_tcp(&limits);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	for (int i = 0; i < 30; i++) { /* around the moment of the close */
		get(c, "/", 200, "hello\n");
		run_for(60 + i);
	}
	get(c, "/", 200, "hello\n");
	http1_server_free(&t.server); /* the close waits in the socket */
	start(&r, c, request("POST", "/", -1));
	stream_write(http_exchange_stream(r.x), "x", 1);
	wait_for(&r.over);
	assert_true(r.failed);
	result_free(&r);
	http1_client_free(&c);
}

static void test_stale_retry(void **state)
{
	struct http1_client *c;

	for (int i = 0; i < 5; i++) {
		start_unix(NULL);
		c = http1_client_new_unix(loop, t.unix_path);
		get(c, "/", 200, "hello\n");
		http1_server_free(&t.server);
		free(t.unix_path);
		start_unix(NULL);
		get(c, "/", 200, "hello\n"); /* the loop has not seen the close yet */
		http1_client_free(&c);
		http1_server_free(&t.server);
		unlink(t.unix_path);
		free(TAKE_PTR(t.unix_path));
	}
}

static void test_upgrade(void **state)
{
	struct http1_client *c;
	struct result r;
	struct http_head *h = request("GET", "/upgrade", 0);
	struct endpoint e = {.total = MIB};

	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	http_head_add(h, "Upgrade", "test");
	start(&r, c, h);
	wait_for(&r.answered);
	assert_int_equal(r.status, 101);
	endpoint_start(&e, http1_client_upgraded(&r.x));
	wait_for(&e.closed);
	assert_int_equal(e.code, 0);
	assert_int_equal(e.received, MIB);
	result_free(&r);
	http1_client_free(&c);
}

/* 64 MiB in each direction at once; the memory stays. */
static void echo_bulk(int64_t length)
{
	struct http1_client *c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	struct http_exchange *x = http1_client_open(c, request("POST", "/echo", length));
	struct endpoint e = {.total = 64 * MIB};
	long before = 0;

	endpoint_start(&e, http_exchange_take_stream(&x));
	while (!e.closed) {
		run_for(1);
		if (!before && e.received > 4 * MIB)
			before = rss_kib();
	}
	assert_int_equal(e.code, 0);
	assert_int_equal(e.received, 64 * MIB);
	if (!WITH_ASAN)
		assert_true(rss_kib() - before < 4096);
	http1_client_free(&c);
}

static void test_echo_chunked(void **state)
{
	start_tcp(NULL);
	echo_bulk(-1);
}

static void test_echo_length(void **state)
{
	start_tcp(NULL);
	echo_bulk(64 * MIB);
}

/* Runs until nothing more is sent: on a loaded host that takes as long as it takes. */
static void run_until_still(const uint64_t *sent)
{
	uint64_t before;

	for (int i = 0; i < 100; i++) {
		before = *sent;
		run_for(200);
		if (before && *sent == before)
			return;
	}
	fail_msg("it goes on sending");
}

/* A reader that stops for a while holds the server's answer without memory. */
static void test_slow_reader(void **state)
{
	struct http1_client *c;
	struct http_exchange *x;
	struct endpoint e = {.total = 32 * MIB, .stalled = true};
	long before;

	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	x = http1_client_open(c, request("POST", "/echo", -1));
	endpoint_start(&e, http_exchange_take_stream(&x));
	run_until_still(&e.sent);
	before = rss_kib();
	assert_true(e.sent < 32 * MIB);
	e.stalled = false;
	endpoint_on_readable(&e);
	wait_for(&e.closed);
	assert_int_equal(e.received, 32 * MIB);
	if (!WITH_ASAN)
		assert_true(rss_kib() - before < 4096);
	http1_client_free(&c);
}

static void test_keep_alive_10k(void **state)
{
	struct http1_client *c;
	long before = 0;
	double begin = now_s();

	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	for (int i = 0; i < 10000; i++) {
		get(c, "/", 200, "hello\n");
		if (i == 1000)
			before = rss_kib();
	}
	print_message("10,000 requests in %.2f s, client included\n", now_s() - begin);
	assert_int_equal(http1_server_connections(t.server), 1);
	if (!WITH_ASAN)
		assert_true(rss_kib() - before < 1024);
	http1_client_free(&c);
}

/* That is said, once: a label of 64 characters is in no DNS, so nobody is asked. */
static void test_no_such_name(void **state)
{
	struct http1_client *c = http1_client_new_tcp(
		loop, "x123456789012345678901234567890123456789012345678901234567890123.invalid", 80);
	struct result r;

	alarm(20); /* what goes round in the connecting does not come back to the loop */
	start(&r, c, request("GET", "/", 0));
	wait_for(&r.over);
	alarm(0);
	assert_int_equal(r.code, ERR_UNAVAILABLE);
	result_free(&r);
	http1_client_free(&c);
}

/* The refusal is read although the upload fails under way. */
static void test_early_refusal(void **state)
{
	struct http1_client *c;
	struct result r;
	char block[4096] = {};

	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	start(&r, c, request("POST", "/body", 100 * MIB));
	while (!r.over) {
		while (!r.over && !stream_full(http_exchange_stream(r.x)))
			stream_write(http_exchange_stream(r.x), block, sizeof(block));
		run_for(1);
		if (r.answered && evbuffer_get_length(r.body) > 0)
			break;
	}
	assert_int_equal(r.status, 413);
	result_free(&r);
	http1_client_free(&c);
}

/* Freeing in each callback. */
static void free_in_response(void *arg, struct http_exchange *x, const struct error *error)
{
	struct result *r = arg;

	r->over = true;
	http_exchange_free(&r->x);
}

static void free_in_readable(void *arg)
{
	struct result *r = arg;

	r->over = true;
	http_exchange_free(&r->x);
}

static void test_free_in_callbacks(void **state)
{
	static const struct stream_events events = {.on_readable = free_in_readable};
	struct http1_client *c;
	struct result r = {};

	start_tcp(NULL);
	c = http1_client_new_tcp(loop, "127.0.0.1", t.port);
	r.x = http1_client_open(c, request("GET", "/", 0));
	http_exchange_on_response(r.x, free_in_response, &r);
	wait_for(&r.over);
	r = (struct result){.x = http1_client_open(c, request("GET", "/", 0))};
	stream_set_events(http_exchange_stream(r.x), &events, &r);
	wait_for(&r.over);
	r = (struct result){.x = http1_client_open(c, request("GET", "/reset", 0))};
	http_exchange_on_response(r.x, free_in_response, &r);
	wait_for(&r.over);
	get(c, "/", 200, "hello\n");
	http1_client_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_http1, teardown_http1)
		T(test_get),	     T(test_unix_and_name),  T(test_post),	    T(test_failures),
		T(test_responses),   T(test_no_answer),	     T(test_no_such_name),  T(test_stale),
		T(test_stale_retry), T(test_upgrade),	     T(test_echo_chunked),  T(test_echo_length),
		T(test_slow_reader), T(test_keep_alive_10k), T(test_early_refusal), T(test_free_in_callbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
