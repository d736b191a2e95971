/* SPDX-License-Identifier: MIT */
/* WebSocket: the two views against each other, and against frames made by hand. */
#include <errno.h>
#include "io_fixture.h"
#include "io/ws.h"

/* A string with its length, NUL bytes within included. */
#define BYTES(s) (s), sizeof(s) - 1

struct peer {
	struct ws *ws;
	size_t messages, bytes, last_n;
	bool last_binary, closed, writable, got;
	bool free_in_message, echo;
	unsigned code, closings;
	int error;
};

static void on_message(void *arg, bool binary, const void *data, size_t n)
{
	struct peer *p = arg;

	assert_memory_equal(data, pattern_at(0), n < PATTERN ? n : PATTERN);
	p->messages++;
	p->bytes += n;
	p->last_n = n;
	p->last_binary = binary;
	p->got = true;
	if (p->echo)
		ws_send(p->ws, data, n);
	if (p->free_in_message)
		ws_free(&p->ws);
}

static void on_writable(void *arg)
{
	((struct peer *)arg)->writable = true;
}

static void on_closed(void *arg, unsigned code, const struct error *error)
{
	struct peer *p = arg;

	p->closed = true;
	p->closings++;
	p->code = code;
	p->error = error ? (int)error->code : 0;
	ws_free(&p->ws);
}

static const struct ws_events events = {on_message, on_writable, on_closed};
enum { MAX_MESSAGE = 2 * MIB };

static void connect_peers(struct peer *server, struct peer *client)
{
	struct stream *pair[2];

	stream_pair(pair);
	server->ws = ws_new(loop, pair[0], false, MAX_MESSAGE, &events, server);
	client->ws = ws_new(loop, pair[1], true, MAX_MESSAGE, &events, client);
}

/* A server (or client) of ours, and the other end of its socket. */
static int connect_raw(struct peer *p, bool client)
{
	int fd[2];

	socket_pair(fd);
	p->ws = ws_new(loop, stream_fd_new(loop, fd[0], -1), client, MAX_MESSAGE, &events, p);
	return fd[1];
}

static void put(int fd, const void *data, size_t n)
{
	assert_int_equal(write(fd, data, n), n);
}

/* Reads what is there within a moment. */
static size_t get(int fd, unsigned char *ret, size_t n)
{
	ssize_t got;

	run_for(20);
	got = read(fd, ret, n);
	return got > 0 ? (size_t)got : 0;
}

static void test_handshake(void **state)
{
	cleanup_http_head struct http_head *request = http_head_new_request("GET", "/shell");
	cleanup_http_head struct http_head *response = NULL;
	cleanup_free char *key = NULL;

	ws_request_fields(request, &key);
	response = ws_accept_head(request, NULL);
	assert_non_null(response);
	assert_int_equal(response->status, 101);
	assert_int_equal(ws_check_response(response, key, NULL), 0);
	assert_int_equal(ws_check_response(response, "AAAAAAAAAAAAAAAAAAAAAA==", NULL), -1);
	response->status = 200;
	assert_int_equal(ws_check_response(response, key, NULL), -1);
}

/* RFC 6455 §1.3 */
static void test_accept_of_the_rfc(void **state)
{
	cleanup_http_head struct http_head *request = http_head_new_request("GET", "/chat");
	cleanup_http_head struct http_head *response = NULL;

	http_head_add(request, "Upgrade", "h2c, WebSocket");
	http_head_add(request, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
	http_head_add(request, "Sec-WebSocket-Version", "13");
	response = ws_accept_head(request, NULL);
	assert_non_null(response);
	assert_string_equal(http_head_get(response, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_refused_requests(void **state)
{
	static const struct {
		const char *method, *upgrade, *key, *version;
		int status;
	} cases[] = {
		{"POST", "websocket", "dGhlIHNhbXBsZSBub25jZQ==", "13", 400},
		{"GET", "h2c", "dGhlIHNhbXBsZSBub25jZQ==", "13", 400},
		{"GET", NULL, "dGhlIHNhbXBsZSBub25jZQ==", "13", 400},
		{"GET", "websocket", NULL, "13", 400},
		{"GET", "websocket", "dGhlIHNhbXBsZQ==", "13", 400},
		{"GET", "websocket", "dGhlIHNhbXBsZSBub25jZQ==", NULL, 400},
		{"GET", "websocket", "dGhlIHNhbXBsZSBub25jZQ==", "8", 426},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_http_head struct http_head *request = http_head_new_request(cases[i].method, "/");
		cleanup_error struct error *error = NULL;

		if (cases[i].upgrade)
			http_head_add(request, "upgrade", cases[i].upgrade);
		if (cases[i].key)
			http_head_add(request, "sec-websocket-key", cases[i].key);
		if (cases[i].version)
			http_head_add(request, "sec-websocket-version", cases[i].version);
		assert_null(ws_accept_head(request, &error));
		assert_int_equal(error->code, ERR_INVALID);
		assert_int_equal(ws_refusal_status(request), cases[i].status);
	}
}

static void test_message_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, MIB, MAX_MESSAGE};
	struct peer server = {.echo = true}, client = {0};
	cleanup_free unsigned char *data = mem_alloc(MAX_MESSAGE);

	connect_peers(&server, &client);
	for (size_t i = 0; i < MAX_MESSAGE; i += PATTERN)
		memcpy(data + i, pattern_at(0), MAX_MESSAGE - i < PATTERN ? MAX_MESSAGE - i : PATTERN);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		client.got = false;
		ws_send(client.ws, data, sizes[i]);
		wait_for(&client.got);
		assert_int_equal(client.last_n, sizes[i]);
		assert_true(client.last_binary);
		assert_int_equal(client.messages, i + 1);
	}
	ws_close(client.ws, 1000, "bye");
	wait_for(&client.closed);
	wait_for(&server.closed);
	assert_int_equal(server.code, 1000);
	assert_int_equal(client.code, 1000);
	assert_int_equal(server.error + client.error, 0);
	assert_int_equal(server.closings + client.closings, 2);
}

static void test_too_large(void **state)
{
	struct peer server = {0}, client = {0};
	cleanup_free unsigned char *data = mem_alloc(MAX_MESSAGE + 1);

	connect_peers(&server, &client);
	ws_send(client.ws, data, MAX_MESSAGE + 1);
	wait_for(&server.closed);
	wait_for(&client.closed);
	assert_int_equal(server.messages, 0);
	assert_int_equal(server.error, ERR_TOO_LARGE);
	assert_int_equal(client.code, 1009);
}

/* In pieces, and with a ping between fragments: all masks are 0, so payloads are as they look. */
static void test_fragments(void **state)
{
	static const char ping_frame[] = "\x89\x84\0\0\0\0ping";
	struct peer server = {0};
	unsigned char got[64], bytes[64];
	int fd = connect_raw(&server, false);
	size_t n = 0;

	memcpy(bytes + n, "\x02\x82\0\0\0\0", 6); /* binary, not the last */
	memcpy(bytes + n + 6, pattern_at(0), 2);
	n += 8;
	memcpy(bytes + n, ping_frame, sizeof(ping_frame) - 1);
	n += sizeof(ping_frame) - 1;
	memcpy(bytes + n, "\0\x80\0\0\0\0", 6); /* empty continuation */
	n += 6;
	memcpy(bytes + n, "\x80\x81\0\0\0\0", 6);
	memcpy(bytes + n + 6, pattern_at(2), 1);
	n += 7;
	for (size_t i = 0; i < n; i++) {
		put(fd, bytes + i, 1);
		run_for(1);
	}
	wait_for(&server.got);
	assert_int_equal(server.messages, 1);
	assert_int_equal(server.last_n, 3);
	assert_int_equal(get(fd, got, sizeof(got)), 6);
	assert_memory_equal(got, "\x8a\4ping", 6);
	put(fd, "\x81\x80\0\0\0\0", 6); /* an empty text */
	server.got = false;
	wait_for(&server.got);
	assert_false(server.last_binary);
	put(fd, "\x88\x80\0\0\0\0", 6); /* close without a code: answered by one without */
	assert_int_equal(get(fd, got, sizeof(got)), 2);
	assert_memory_equal(got, "\x88\0", 2);
	close(fd);
	wait_for(&server.closed);
	assert_int_equal(server.code, 1005);
	assert_int_equal(server.error, 0);
}

static void test_protocol_errors(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool client;
	} cases[] = {
		{BYTES("\x82\1x"), false},	     /* a client that does not mask */
		{BYTES("\x82\x81\0\0\0\0x"), true},  /* a server that does */
		{BYTES("\xc2\x81\0\0\0\0x"), false}, /* reserved bit */
		{BYTES("\x83\x81\0\0\0\0x"), false}, /* unknown kinds */
		{BYTES("\x8b\x80\0\0\0\0"), false},
		{BYTES("\x80\x81\0\0\0\0x"), false},		    /* continues nothing */
		{BYTES("\x02\x80\0\0\0\0\x82\x80\0\0\0\0"), false}, /* a message in a message */
		{BYTES("\x09\x80\0\0\0\0"), false},		    /* fragmented ping */
		{BYTES("\x89\xfe\0\x7e\0\0\0\0"), false},	    /* ping of 126 bytes */
		{BYTES("\x82\xfe\0\1\0\0\0\0x"), false},	    /* length not in its shortest form */
		{BYTES("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x"), false}, /* 2^64 - 1 bytes */
		{BYTES("\x88\x81\0\0\0\0x"), false},				     /* half a close code */
		{BYTES("\x88\x82\0\0\0\0\x03\xed"), false},			     /* 1005 and 1006 are never sent */
		{BYTES("\x88\x82\0\0\0\0\x03\xee"), false},
		{BYTES("\x88\x82\0\0\0\0\0\1"), false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct peer p = {0};
		unsigned char got[256];
		int fd = connect_raw(&p, cases[i].client);

		put(fd, cases[i].bytes, cases[i].n);
		assert_true(get(fd, got, sizeof(got)) >= 4);
		assert_int_equal(got[0], 0x88);
		if (!cases[i].client)
			assert_int_equal(got[2] << 8 | got[3], 1002);
		close(fd);
		wait_for(&p.closed);
		assert_int_equal(p.code, 1006);
		assert_int_equal(p.error, ERR_PROTOCOL);
		assert_int_equal(p.messages, 0);
	}
}

static void test_peer_vanishes(void **state)
{
	struct peer p = {0};
	int fd = connect_raw(&p, false);

	put(fd, "\x82\x85\0\0\0\0ab", 8);
	run_for(5);
	close(fd);
	wait_for(&p.closed);
	assert_int_equal(p.code, 1006);
	assert_int_equal(p.error, ERR_CANCELLED);
}

static void test_close_limit(void **state)
{
	struct peer p = {0};
	unsigned char got[64];
	double begin = now_s();
	int fd = connect_raw(&p, false);

	ws_close(p.ws, 1001, "going");
	assert_int_equal(get(fd, got, sizeof(got)), 9);
	assert_memory_equal(got, "\x88\7\x03\xe9going", 9);
	put(fd, "\x82\x81\0\0\0\0x", 7); /* no message any more, and no answer to our close */
	wait_for(&p.closed);
	assert_true(now_s() - begin > 1.5 && now_s() - begin < 25);
	assert_int_equal(p.error, ERR_TIMEOUT);
	assert_int_equal(p.messages, 0);
	close(fd);
}

static void test_free_in_message(void **state)
{
	struct peer server = {.free_in_message = true}, client = {0};

	connect_peers(&server, &client);
	for (int i = 0; i < 5; i++)
		ws_send(client.ws, pattern_at(0), 100);
	wait_for(&client.closed);
	assert_int_equal(server.messages, 1);
	assert_int_equal(server.closings, 0);
	assert_int_equal(client.code, 1006);
}

static void test_pause(void **state)
{
	struct peer server = {0}, client = {0};
	size_t sent = 0;

	connect_peers(&server, &client);
	ws_pause(server.ws, true);
	while (!ws_full(client.ws) && sent < 100000) {
		for (int i = 0; i < 16; i++, sent++)
			ws_send(client.ws, pattern_at(0), 1000);
		run_for(1);
	}
	assert_true(ws_full(client.ws)); /* the peer feels it */
	assert_true(sent < 2000);
	assert_int_equal(server.messages, 0);
	ws_pause(server.ws, false);
	wait_for(&client.writable);
	while (server.messages < sent)
		run_for(1);
	ws_free(&client.ws);
	wait_for(&server.closed);
	assert_int_equal(server.messages, sent);
}

/* Pings whose answers are not read do not pile up. */
static void test_ping_flood(void **state)
{
	struct peer p = {0};
	int fd = connect_raw(&p, false);
	long before;
	unsigned i;

	run_for(5);
	before = rss_kib();
	for (i = 0; i < 200000; i++)
		while (write(fd, "\x89\x84\0\0\0\0ping", 10) < 0 && errno == EAGAIN)
			run_for(1);
	if (!WITH_ASAN)
		assert_in_range(rss_kib() - before + 100000, 0, 100000 + 4096);
	assert_false(p.closed);
	ws_free(&p.ws);
	close(fd);
}

/* ---- the byte view ---- */

static void ws_streams(struct stream *ret[2])
{
	struct stream *pair[2];

	stream_pair(pair);
	ret[0] = ws_stream_new(loop, pair[0], false);
	ret[1] = ws_stream_new(loop, pair[1], true);
}

static void stream_both_ways(uint64_t total)
{
	struct endpoint a = {.total = UINT64_MAX}, b = {.total = UINT64_MAX};
	struct stream *s[2];
	double begin = now_s();

	ws_streams(s);
	a.total = b.total = UINT64_MAX - 1;
	endpoint_start(&a, s[0]);
	endpoint_start(&b, s[1]);
	while (a.received < total || b.received < total)
		run_for(5);
	a.total = a.sent; /* no half-close: the first to end stops both */
	endpoint_write(&a);
	wait_for(&b.closed);
	wait_for(&a.closed);
	assert_int_equal(a.code, 0);
	assert_int_equal(b.code, 0);
	assert_true(b.eof && a.eof);
	assert_int_equal(b.received, a.total);
	if (getenv("SLICER_TEST_VERBOSE"))
		print_message("WebSocket, %u MiB: %.0f MiB/s each way\n", (unsigned)(total / MIB),
			      (double)total / MIB / (now_s() - begin));
}

static void test_stream(void **state)
{
	long before;

	stream_both_ways(4 * MIB);
	before = rss_kib();
	stream_both_ways(WITH_ASAN ? 32 * MIB : 256 * MIB);
	if (!WITH_ASAN)
		assert_in_range(rss_kib() - before + 100000, 0, 100000 + 4096);
}

static void test_stream_one_way(void **state)
{
	struct endpoint a = {.total = 3 * MIB + 1}, b = {.sent = UINT64_MAX};
	struct stream *s[2];

	ws_streams(s);
	endpoint_start(&b, s[0]);
	endpoint_start(&a, s[1]);
	wait_for(&a.closed);
	wait_for(&b.closed);
	assert_int_equal(b.received, 3 * MIB + 1);
	assert_int_equal(a.code + b.code, 0);
	assert_true(b.eof);
}

/* One frame that says 1 TiB passes through the window. */
static void test_stream_huge_frame(void **state)
{
	struct endpoint e = {.sent = UINT64_MAX};
	int fd[2];
	uint64_t sent = 0;
	long before = rss_kib();

	socket_pair(fd);
	endpoint_start(&e, ws_stream_new(loop, stream_fd_new(loop, fd[0], -1), false));
	put(fd[1], "\x82\xff\0\0\1\0\0\0\0\0\0\0\0\0", 14);
	while (sent < 16 * MIB) {
		ssize_t n = write(fd[1], pattern_at(sent), 16384);

		if (n < 0)
			run_for(1);
		else
			sent += (uint64_t)n;
	}
	while (e.received < sent)
		run_for(1);
	assert_int_equal(e.received, sent);
	if (!WITH_ASAN)
		assert_in_range(rss_kib() - before + 100000, 0, 100000 + 4096);
	close(fd[1]);
	wait_for(&e.closed);
	assert_int_equal(e.code, ERR_CANCELLED);
}

static void test_stream_stalled(void **state)
{
	struct endpoint a = {.total = UINT64_MAX - 1}, b = {.sent = UINT64_MAX, .stalled = true};
	struct stream *s[2];

	ws_streams(s);
	endpoint_start(&b, s[0]);
	endpoint_start(&a, s[1]);
	run_for(50);
	assert_true(stream_full(a.s));
	assert_true(evbuffer_get_length(stream_input(b.s)) < STREAM_WINDOW + 8192);
	assert_true(a.sent < 2 * MIB);
	stream_free(&a.s);
	b.stalled = false;
	endpoint_on_readable(&b);
	wait_for(&b.closed);
	assert_int_equal(b.code, ERR_CANCELLED);
}

static void test_stream_closed_by_peer(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int code;
		bool eof;
	} cases[] = {
		{BYTES("\x88\x82\0\0\0\0\x03\xe8"), 0, true},
		{BYTES("\x88\x82\0\0\0\0\x03\xe9"), 0, true},
		{BYTES("\x88\x80\0\0\0\0"), 0, true},
		{BYTES("\x88\x82\0\0\0\0\x03\xf3"), ERR_PROTOCOL, false}, /* 1011 */
		{BYTES("\x81\x81\0\0\0\0x"), ERR_PROTOCOL, false},	  /* text */
		{BYTES("\x82\1x"), ERR_PROTOCOL, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct endpoint e = {.sent = UINT64_MAX};
		unsigned char got[256];
		int fd[2];

		socket_pair(fd);
		endpoint_start(&e, ws_stream_new(loop, stream_fd_new(loop, fd[0], -1), false));
		put(fd[1], cases[i].bytes, cases[i].n);
		assert_true(get(fd[1], got, sizeof(got)) >= 2);
		assert_int_equal(got[0], 0x88);
		assert_int_equal(e.eof, cases[i].eof);
		close(fd[1]);
		wait_for(&e.closed);
		assert_int_equal(e.code, cases[i].code);
		assert_int_equal(e.closings, 1);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_loop, teardown_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_handshake),
		T(test_accept_of_the_rfc),
		T(test_refused_requests),
		T(test_message_sizes),
		T(test_too_large),
		T(test_fragments),
		T(test_protocol_errors),
		T(test_peer_vanishes),
		T(test_close_limit),
		T(test_free_in_message),
		T(test_pause),
		T(test_ping_flood),
		T(test_stream),
		T(test_stream_one_way),
		T(test_stream_huge_frame),
		T(test_stream_stalled),
		T(test_stream_closed_by_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
