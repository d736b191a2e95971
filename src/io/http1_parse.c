/* SPDX-License-Identifier: MIT */
/* Heads of HTTP/1.1 messages, strictly by RFC 9112: what two implementations could read in two ways
 * is refused. */
#include <strings.h>

#include "base/str.h"
#include "io/http1_impl.h"

enum { MAX_METHOD = 32, MAX_REQUEST_LINE = HTTP_MAX_TARGET + MAX_METHOD + sizeof(" http://  HTTP/1.1\r\n") + 256 };

static enum http1_result bad(struct http1_reject *why, int status, const char *reason)
{
	why->status = status;
	why->reason = reason;
	return HTTP1_BAD;
}

/* Looks at byte i of the head. HTTP1_DONE: the head ends with it. */
static enum http1_result scan_byte(struct http1_scan *scan, const unsigned char *p, size_t i, struct http1_reject *why)
{
	unsigned char c = p[i];
	bool after_cr = i > scan->line && p[i - 1] == '\r';

	if (c == '\n') {
		if (!after_cr)
			return bad(why, 400, "a line ends without CR");
		if (i == scan->line + 1)
			return HTTP1_DONE;
		scan->line = i + 1;
		scan->first_done = true;
		return HTTP1_MORE;
	}
	if (after_cr)
		return bad(why, 400, "CR in the middle of a line");
	if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f)
		return bad(why, 400, "control character in the head");
	if (!scan->first_done && (c >= 0x80 || c == '\t'))
		return bad(why, 400, "the first line has a character that is not visible ASCII");
	return HTTP1_MORE;
}

/* Finds the end of the head; *ret_len includes the empty line. */
static enum http1_result find_head(struct evbuffer *in, struct http1_scan *scan, bool request, char **ret,
				   size_t *ret_len, struct http1_reject *why)
{
	size_t n = evbuffer_get_length(in);
	const unsigned char *p;

	if (n > HTTP_MAX_HEAD)
		n = HTTP_MAX_HEAD;
	if (n == 0)
		return HTTP1_MORE;
	p = evbuffer_pullup(in, (ssize_t)n);
	for (; scan->pos < n; scan->pos++) {
		enum http1_result rc = scan_byte(scan, p, scan->pos, why);

		if (rc == HTTP1_BAD)
			return rc;
		if (rc == HTTP1_DONE && scan->first_done) {
			*ret = (char *)p;
			*ret_len = scan->pos + 1;
			return HTTP1_DONE;
		}
		if (rc == HTTP1_DONE) { /* RFC 9112 §2.2: one empty line before a request */
			if (!request || scan->skipped_empty)
				return bad(why, 400, "empty line before the head");
			evbuffer_drain(in, scan->pos + 1);
			*scan = (struct http1_scan){.skipped_empty = true};
			return find_head(in, scan, request, ret, ret_len, why);
		}
		if (!scan->first_done && request && scan->pos > MAX_REQUEST_LINE)
			return bad(why, 414, "the request target is too long");
	}
	if (n == HTTP_MAX_HEAD)
		return bad(why, 431, "the head is too large");
	return HTTP1_MORE;
}

static enum http1_result on_length(struct http1_framing *f, const char *value, struct http1_reject *why)
{
	uint64_t n;

	if (f->length >= 0)
		return bad(why, 400, "more than one Content-Length");
	if (strlen(value) > 18 || str_to_u64(value, 0, INT64_MAX, "Content-Length", &n, NULL) < 0)
		return bad(why, 400, "bad Content-Length");
	f->length = (int64_t)n;
	return HTTP1_DONE;
}

static enum http1_result on_coding(struct http1_framing *f, const char *value, struct http1_reject *why)
{
	if (f->chunked)
		return bad(why, 400, "more than one Transfer-Encoding");
	if (strcasecmp(value, "chunked") != 0)
		return bad(why, 501, "a Transfer-Encoding other than chunked");
	f->chunked = true;
	return HTTP1_DONE;
}

static bool next_token(const char **list, const char **token, size_t *n)
{
	*list += strspn(*list, " \t,");
	*token = *list;
	*list += strcspn(*list, ",");
	*n = (size_t)(*list - *token);
	while (*n > 0 && ((*token)[*n - 1] == ' ' || (*token)[*n - 1] == '\t'))
		(*n)--;
	return *n > 0;
}

static enum http1_result on_connection(struct http1_framing *f, const char *value, struct http1_reject *why)
{
	const char *token;
	size_t n;

	while (next_token(&value, &token, &n)) {
		if (n == strlen("close") && strncasecmp(token, "close", n) == 0)
			f->close = true;
		if (n == strlen("upgrade") && strncasecmp(token, "upgrade", n) == 0)
			f->upgrade = true;
	}
	return HTTP1_DONE;
}

static enum http1_result on_expect(struct http1_framing *f, const char *value, struct http1_reject *why)
{
	if (strcasecmp(value, "100-continue") != 0)
		return bad(why, 417, "an Expect other than 100-continue");
	f->expect_continue = true;
	return HTTP1_DONE;
}

static enum http1_result on_hop_field(struct http1_framing *f, const char *value, struct http1_reject *why)
{
	return HTTP1_DONE;
}

/* Fields of the connection, not of the message: handled here and left out of the head. */
static const struct framing_field {
	const char *name;
	enum http1_result (*fn)(struct http1_framing *f, const char *value, struct http1_reject *why);
} framing_fields[] = {
	{"content-length", on_length}, {"transfer-encoding", on_coding}, {"connection", on_connection},
	{"expect", on_expect},	       {"keep-alive", on_hop_field},	 {"proxy-connection", on_hop_field},
};

static enum http1_result parse_field(char *line, struct http_head *h, struct http1_framing *f, struct http1_reject *why)
{
	char *colon = strchr(line, ':');
	char *value, *end;

	if (*line == ' ' || *line == '\t')
		return bad(why, 400, "a folded field line");
	if (!colon)
		return bad(why, 400, "a field line without ':'");
	*colon = '\0';
	if (!http_is_token(line))
		return bad(why, 400, "bad field name");
	value = colon + 1;
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	for (size_t i = 0; i < ARRAY_LEN(framing_fields); i++) {
		if (strcasecmp(line, framing_fields[i].name) == 0)
			return framing_fields[i].fn(f, value, why);
	}
	if (h->nfields == HTTP_MAX_FIELDS)
		return bad(why, 431, "too many fields");
	if (strcasecmp(line, "host") == 0 && http_head_get(h, "host")) /* RFC 9112 §3.2 */
		return bad(why, 400, "more than one Host");
	http_head_add(h, line, value);
	return HTTP1_DONE;
}

static void drop_field(struct http_head *h, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->nfields; i++) {
		if (str_eq(h->fields[i].name, name)) {
			free(h->fields[i].name);
			free(h->fields[i].value);
		} else {
			h->fields[kept++] = h->fields[i];
		}
	}
	h->nfields = kept;
}

/* The lines after the first, NUL-terminated each, up to the empty one. */
static enum http1_result parse_fields(char *line, char *end, struct http_head *h, struct http1_framing *f,
				      struct http1_reject *why)
{
	while (line < end) {
		char *next = line + strlen(line) + 2;
		enum http1_result rc;

		if (!*line)
			break;
		rc = parse_field(line, h, f, why);
		if (rc != HTTP1_DONE)
			return rc;
		line = next;
	}
	if (f->chunked && f->length >= 0)
		return bad(why, 400, "both Content-Length and Transfer-Encoding");
	if (f->chunked && f->minor == 0)
		return bad(why, 400, "Transfer-Encoding in HTTP/1.0");
	/* RFC 9110 §7.8: Upgrade counts only with that connection option; with a body it is
	 * ignored. */
	if (!f->upgrade || f->minor == 0 || f->chunked || f->length > 0)
		drop_field(h, "upgrade");
	return HTTP1_DONE;
}

/* Overwrites each CR with NUL; the scan has seen that CR and LF come in pairs only. */
static void split_lines(char *head, size_t n)
{
	char *cr = head;

	while ((cr = memchr(cr, '\r', (size_t)(head + n - cr))))
		*cr = '\0';
}

static enum http1_result parse_version(const char *s, struct http1_framing *f, struct http1_reject *why)
{
	if (!str_starts(s, "HTTP/"))
		return bad(why, 400, "bad version");
	if (str_eq(s, "HTTP/1.1"))
		f->minor = 1;
	else if (str_eq(s, "HTTP/1.0"))
		f->minor = 0;
	else if (strlen(s) == 8 && s[5] >= '0' && s[5] <= '9' && s[6] == '.' && s[7] >= '0' && s[7] <= '9')
		return bad(why, 505, "only HTTP/1.1 and HTTP/1.0 are served");
	else
		return bad(why, 400, "bad version");
	return HTTP1_DONE;
}

/* Absolute form (RFC 9112 §3.2.2) is what clients send to proxies: the authority is of no interest
 * here. */
static const char *strip_authority(const char *target)
{
	const char *rest;

	if (strncasecmp(target, "http://", 7) != 0)
		return target;
	rest = target + 7;
	if (*rest == '/' || *rest == '?' || !*rest)
		return target; /* no host: refused */
	rest += strcspn(rest, "/?");
	return *rest ? rest : "/";
}

static enum http1_result parse_request_line(char *line, struct http_head **ret, struct http1_framing *f,
					    struct http1_reject *why)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	const char *path;

	if (!version)
		return bad(why, 400, "the request line is not 'METHOD target HTTP/1.1'");
	*target++ = '\0';
	*version++ = '\0';
	if (!http_is_token(line) || strlen(line) > MAX_METHOD)
		return bad(why, 400, "bad method");
	if (parse_version(version, f, why) != HTTP1_DONE)
		return HTTP1_BAD;
	path = strip_authority(target);
	if (strlen(path) > HTTP_MAX_TARGET)
		return bad(why, 414, "the request target is too long");
	if (!http_is_target(path))
		return bad(why, 400, "the request target does not begin with '/'");
	*ret = http_head_new_request(line, path);
	return HTTP1_DONE;
}

static enum http1_result parse_status_line(char *line, struct http_head **ret, struct http1_framing *f,
					   struct http1_reject *why)
{
	char *code = strchr(line, ' ');
	int status = 0;

	if (!code)
		return bad(why, 502, "bad status line");
	*code++ = '\0';
	if (parse_version(line, f, why) != HTTP1_DONE)
		return HTTP1_BAD;
	for (int i = 0; i < 3; i++) {
		if (code[i] < '0' || code[i] > '9')
			return bad(why, 502, "bad status code");
		status = status * 10 + code[i] - '0';
	}
	if (status < 100 || (code[3] && code[3] != ' '))
		return bad(why, 502, "bad status code");
	*ret = http_head_new_response(status);
	return HTTP1_DONE;
}

static enum http1_result parse_head(struct evbuffer *in, struct http1_scan *scan, bool request, struct http_head **ret,
				    struct http1_framing *f, struct http1_reject *why)
{
	struct http_head *h cleanup_http_head = NULL;
	char *head = NULL;
	size_t n = 0;
	enum http1_result rc = find_head(in, scan, request, &head, &n, why);
	char *fields;

	if (rc != HTTP1_DONE)
		return rc;
	*f = (struct http1_framing){.length = -1};
	split_lines(head, n);
	fields = head + strlen(head) + 2;
	rc = request ? parse_request_line(head, &h, f, why) : parse_status_line(head, &h, f, why);
	if (rc == HTTP1_DONE)
		rc = parse_fields(fields, head + n, h, f, why);
	if (rc != HTTP1_DONE)
		return rc;
	h->content_length = f->length;
	if (request && !f->chunked && f->length < 0)
		h->content_length = 0;
	evbuffer_drain(in, n);
	*scan = (struct http1_scan){};
	*ret = TAKE_PTR(h);
	return HTTP1_DONE;
}

enum http1_result http1_parse_request(struct evbuffer *in, struct http1_scan *scan, struct http_head **ret,
				      struct http1_framing *framing, struct http1_reject *why)
{
	return parse_head(in, scan, true, ret, framing, why);
}

enum http1_result http1_parse_response(struct evbuffer *in, struct http1_scan *scan, struct http_head **ret,
				       struct http1_framing *framing, struct http1_reject *why)
{
	return parse_head(in, scan, false, ret, framing, why);
}
