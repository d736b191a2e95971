/* SPDX-License-Identifier: MIT */
/* The HTTP/1.1 parser alone: what it refuses, and with which status; what it makes of what it
 * takes. */
#include "io_fixture.h"
#include "io/http1_impl.h"

struct parsed {
	enum http1_result rc;
	struct http1_reject why;
	struct http_head *head;
	struct http1_framing framing;
	struct evbuffer *body, *rest;
};

/* Feeds `step` bytes at a time to a head and, behind it, a body. */
static void parse(struct parsed *p, const char *text, size_t n, size_t step)
{
	struct http1_scan scan = {};
	struct http1_body body = {};

	*p = (struct parsed){.rc = HTTP1_MORE, .body = evbuffer_new(), .rest = evbuffer_new()};
	for (size_t at = 0; at < n || at == 0; at += step) {
		evbuffer_add(p->rest, text + at, n - at < step ? n - at : step);
		if (!p->head) {
			p->rc = http1_parse_request(p->rest, &scan, &p->head, &p->framing, &p->why);
			if (p->rc == HTTP1_BAD)
				return;
			if (p->rc == HTTP1_MORE)
				continue;
			http1_body_init_request(&body, &p->framing);
		}
		p->rc = http1_body_decode(&body, p->rest, p->body, SIZE_MAX, NULL, &p->why);
		if (p->rc == HTTP1_BAD)
			return;
	}
}

static void parsed_free(struct parsed *p)
{
	http_head_free(&p->head);
	evbuffer_free(p->body);
	evbuffer_free(p->rest);
}

#define REQUEST "POST / HTTP/1.1\r\n"
#define CHUNKED REQUEST "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
	const char *text;
	int status;
} malformed[] = {
	/* request line */
	{"GET / HTTP/1.1\n\n", 400},
	{"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
	{"GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\r\n\r\n", 400},
	{"GET /\r\n\r\n", 400},
	{"GET\r\n\r\n", 400},
	{"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400},
	{" GET / HTTP/1.1\r\n\r\n", 400},
	{"GET  / HTTP/1.1\r\n\r\n", 400},
	{"GET /  HTTP/1.1\r\n\r\n", 400},
	{"GET / HTTP/1.1 \r\n\r\n", 400},
	{"GET\t/\tHTTP/1.1\r\n\r\n", 400},
	{"GET / a HTTP/1.1\r\n\r\n", 400},
	{"G(T / HTTP/1.1\r\n\r\n", 400},
	{"G\xc3\x89T / HTTP/1.1\r\n\r\n", 400},
	{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n\r\n", 400},
	{"GET a HTTP/1.1\r\n\r\n", 400},
	{"GET * HTTP/1.1\r\n\r\n", 400},
	{"OPTIONS * HTTP/1.1\r\n\r\n", 400},
	{"CONNECT host:80 HTTP/1.1\r\n\r\n", 400},
	{"GET ftp://host/ HTTP/1.1\r\n\r\n", 400},
	{"GET http:///path HTTP/1.1\r\n\r\n", 400},
	{"GET http://host?query HTTP/1.1\r\n\r\n", 400},
	{"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", 400},
	{"GET /\x01 HTTP/1.1\r\n\r\n", 400},
	{"GET /\x7f HTTP/1.1\r\n\r\n", 400},
	{"GET / http/1.1\r\n\r\n", 400},
	{"GET / HTTP/1\r\n\r\n", 400},
	{"GET / HTTP/1.10\r\n\r\n", 400},
	{"GET / HTTP/01.1\r\n\r\n", 400},
	{"GET / HTTPS/1.1\r\n\r\n", 400},
	{"GET / HTTP/2.0\r\n\r\n", 505},
	{"GET / HTTP/1.2\r\n\r\n", 505},
	{"GET / HTTP/0.9\r\n\r\n", 505},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	{"\x16\x03\x01\x02", 400}, /* TLS */
	{"GE\x80", 400},
	/* fields */
	{REQUEST "Host: a\n\r\n", 400},
	{REQUEST "Host: a\r\n\n", 400},
	{REQUEST "Host : a\r\n\r\n", 400},
	{REQUEST "Host\t: a\r\n\r\n", 400},
	{REQUEST " Host: a\r\n\r\n", 400},
	{REQUEST "A: b\r\n c\r\n\r\n", 400},
	{REQUEST "A: b\r\n\tc\r\n\r\n", 400},
	{REQUEST "A\r\n\r\n", 400},
	{REQUEST ": a\r\n\r\n", 400},
	{REQUEST "A(: a\r\n\r\n", 400},
	{REQUEST "\xc3\xa9: a\r\n\r\n", 400},
	{REQUEST "A: a\x01\r\n\r\n", 400},
	{REQUEST "A: a\x7f\r\n\r\n", 400},
	{REQUEST "A: a\rb\r\n\r\n", 400},
	{REQUEST "Expect: 200-ok\r\n\r\n", 417},
	/* framing */
	{REQUEST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
	{REQUEST "Content-Length: 3\r\ncontent-length: 4\r\n\r\nabc", 400},
	{REQUEST "Content-Length: 3, 3\r\n\r\nabc", 400},
	{REQUEST "Content-Length: +3\r\n\r\nabc", 400},
	{REQUEST "Content-Length: -3\r\n\r\nabc", 400},
	{REQUEST "Content-Length: 0x3\r\n\r\nabc", 400},
	{REQUEST "Content-Length: 3 3\r\n\r\nabc", 400},
	{REQUEST "Content-Length:\r\n\r\n", 400},
	{REQUEST "Content-Length: 9223372036854775808\r\n\r\n", 400},
	{REQUEST "Content-Length: 18446744073709551619\r\n\r\nabc", 400},
	{REQUEST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{REQUEST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400},
	{REQUEST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{REQUEST "Transfer-Encoding: gzip\r\n\r\n", 501},
	{REQUEST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{REQUEST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501},
	{REQUEST "Transfer-Encoding: xchunked\r\n\r\n", 501},
	{REQUEST "Transfer-Encoding: \"chunked\"\r\n\r\n", 501},
	{REQUEST "Transfer-Encoding: \x0b"
		 "chunked\r\n\r\n",
	 400},
	{REQUEST "Transfer-Encoding:\r\n\r\n", 501},
	{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	/* chunks */
	{CHUNKED "\r\n", 400},
	{CHUNKED "g\r\n", 400},
	{CHUNKED "-1\r\n", 400},
	{CHUNKED "0x1\r\n", 400},
	{CHUNKED " 1\r\na\r\n", 400},
	{CHUNKED "1 \r\na\r\n", 400},
	{CHUNKED "1\na\r\n", 400},
	{CHUNKED "1\r\nab\r\n", 400},
	{CHUNKED "1\r\na\n", 400},
	{CHUNKED "1\r\na\r\r\n", 400},
	{CHUNKED "1\r\r\na\r\n", 400},
	{CHUNKED "1;a\rb\r\na\r\n", 400},
	{CHUNKED "1;a\x01\r\na\r\n", 400},
	{CHUNKED "8000000000000000\r\n", 400},
	{CHUNKED "00000000000000001\r\na\r\n", 400},
	{CHUNKED "FFFFFFFFFFFFFFFFF\r\n", 400},
	{CHUNKED "0\r\nno colon\r\n\r\n", 400},
	{CHUNKED "0\r\n folded: x\r\n\r\n", 400},
	{CHUNKED "0\r\nA: b\n\r\n", 400},
	{CHUNKED "0\r\n: b\r\n\r\n", 400},
};

static void test_malformed(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
		static const size_t steps[] = {1, 2, 7, 4096};

		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			struct parsed p;

			parse(&p, malformed[i].text, strlen(malformed[i].text), steps[k]);
			if (p.rc != HTTP1_BAD || p.why.status != malformed[i].status)
				fail_msg("case %zu, step %zu: result %d, status %d: %s", i, steps[k], p.rc,
					 p.why.status, malformed[i].text);
			assert_non_null(p.why.reason);
			parsed_free(&p);
		}
	}
}

static void test_nul(void **state)
{
	static const char text[] = REQUEST "A: a\0b\r\n\r\n";
	struct parsed p;

	parse(&p, text, sizeof(text) - 1, 4096);
	assert_int_equal(p.rc, HTTP1_BAD);
	parsed_free(&p);
}

static void test_fields(void **state)
{
	static const char text[] = "\r\nPOST /a?b HTTP/1.1\r\nHost:  x \t\r\nX-Empty:\r\nX-Utf8: \xc3\xa9\r\n"
				   "Connection: close, x-thing\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n"
				   "transfer-encoding: CHUNKED\r\n\r\n"
				   "00000000000000A;a=\"b\"\r\n0123456789\r\n1\r\na\r\n000\r\nTrailer: v\r\n\r\nrest";

	for (size_t step = 1; step < sizeof(text); step++) {
		struct parsed p;

		parse(&p, text, sizeof(text) - 1, step);
		assert_int_equal(p.rc, HTTP1_DONE);
		assert_string_equal(p.head->method, "POST");
		assert_string_equal(p.head->target, "/a?b");
		assert_int_equal(p.head->nfields, 3); /* neither framing nor an upgrade without its option */
		assert_string_equal(p.head->fields[0].name, "host");
		assert_string_equal(p.head->fields[0].value, "x");
		assert_string_equal(http_head_get(p.head, "X-EMPTY"), "");
		assert_string_equal(http_head_get(p.head, "x-utf8"), "\xc3\xa9");
		assert_int_equal(p.head->content_length, -1);
		assert_true(p.framing.close);
		assert_int_equal(evbuffer_get_length(p.body), 11);
		assert_memory_equal(evbuffer_pullup(p.body, -1), "0123456789a", 11);
		assert_int_equal(evbuffer_get_length(p.rest), 4);
		parsed_free(&p);
	}
}

static void check_limit(char *take_text, enum http1_result rc, int status)
{
	struct parsed p;

	parse(&p, take_text, strlen(take_text), 1000);
	assert_int_equal(p.rc, rc);
	if (rc == HTTP1_BAD)
		assert_int_equal(p.why.status, status);
	parsed_free(&p);
	free(take_text);
}

static char *fill(size_t n, char c)
{
	char *s = mem_alloc(n + 1);

	memset(s, c, n);
	return s;
}

static void test_limits(void **state)
{
	char *at_limit = fill(HTTP_MAX_TARGET - 1, 'a'), *beyond = fill(HTTP_MAX_TARGET, 'a');
	char *huge = fill(HTTP_MAX_HEAD + 10, 'a'), *line = fill(250, 'x'), *long_line = fill(1100, 'x');
	char *fields = str_dup(""), *trailers = str_dup("");

	check_limit(str_fmt("GET /%s HTTP/1.1\r\n\r\n", at_limit), HTTP1_DONE, 0);
	check_limit(str_fmt("GET /%s HTTP/1.1\r\n\r\n", beyond), HTTP1_BAD, 414);
	check_limit(str_fmt("GET /%s", huge), HTTP1_BAD, 414);
	check_limit(str_fmt(REQUEST "A: %s", huge), HTTP1_BAD, 431);
	for (int i = 0; i < HTTP_MAX_FIELDS; i++) {
		char *more = str_fmt("%sA: b\r\n", fields);

		free(fields);
		fields = more;
	}
	check_limit(str_fmt(REQUEST "%s\r\n", fields), HTTP1_DONE, 0);
	check_limit(str_fmt(REQUEST "%sC: d\r\n\r\n", fields), HTTP1_BAD, 431);
	check_limit(str_fmt(CHUNKED "1;%s\r\na\r\n0\r\n\r\n", line), HTTP1_DONE, 0);
	check_limit(str_fmt(CHUNKED "1;%s%s", line, line), HTTP1_BAD, 400);
	check_limit(str_fmt(CHUNKED "0\r\nA: %s\r\n\r\n", long_line), HTTP1_BAD, 400);
	for (int i = 0; i < 40; i++) {
		char *more = str_fmt("%sA: %s\r\n", trailers, line);

		free(trailers);
		trailers = more;
	}
	check_limit(str_fmt(CHUNKED "0\r\n%s\r\n", trailers), HTTP1_BAD, 400);
	check_limit(str_fmt(REQUEST "Content-Length: 000000000000000003\r\n\r\nabc"), HTTP1_DONE, 0);
	check_limit(str_fmt(CHUNKED "7fffffffffffffff\r\n"), HTTP1_MORE, 0);
	free(at_limit);
	free(beyond);
	free(huge);
	free(line);
	free(long_line);
	free(fields);
	free(trailers);
}

/* Written heads: what would break the framing is left out. */
static void test_injection(void **state)
{
	struct stream *pair[2];
	struct http_head *h;
	struct http1_encoder encoder = {.kind = HTTP1_BODY_LENGTH};
	const char *text;

	setup_loop(state);
	stream_pair(pair);
	h = http_head_new_response(200);
	h->content_length = 0;
	http_head_add(h, "X-A", "b\r\nSet-Cookie: c");
	http_head_add(h, "X B", "c");
	http_head_add(h, "Content-Length", "7");
	http_head_add(h, "Connection", "upgrade");
	http_head_add(h, "X-Good", "d");
	http1_write_response(pair[0], h, &encoder, NULL);
	run_for(5);
	evbuffer_add(stream_input(pair[1]), "", 1);
	text = (const char *)evbuffer_pullup(stream_input(pair[1]), -1);
	assert_string_equal(text, "HTTP/1.1 200 OK\r\nx-good: d\r\ncontent-length: 0\r\n\r\n");
	http_head_free(&h);
	stream_free(&pair[0]);
	stream_free(&pair[1]);
	teardown_loop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_nul),	    cmocka_unit_test(test_fields),
		cmocka_unit_test(test_limits),	  cmocka_unit_test(test_injection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
