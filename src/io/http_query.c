/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "io/http.h"

enum { MAX_PARAMETERS = 1000 };

struct parameter {
	char *key, *value;
};

struct http_query {
	char *path;
	char **segments; /* NULL-terminated, never NULL */
	struct parameter *parameters;
	size_t nparameters;
};

/* RFC 3986 §2.1; with `form` also '+' as a space (WHATWG URL, application/x-www-form-urlencoded).
 */
static char *decode(const char *s, size_t n, bool form, struct error **err)
{
	char *ret = mem_alloc(n + 1);
	char *out = ret;

	for (size_t i = 0; i < n; i++) {
		int hi, lo;

		if (s[i] != '%') {
			*out++ = form && s[i] == '+' ? ' ' : s[i];
			continue;
		}
		hi = n - i > 2 ? hex_digit(s[i + 1]) : -1;
		lo = n - i > 2 ? hex_digit(s[i + 2]) : -1;
		if (hi < 0 || lo < 0 || (hi == 0 && lo == 0)) {
			error_set(err, ERR_INVALID, "bad escape '%.*s' in the URL", (int)(n - i < 3 ? n - i : 3),
				  s + i);
			free(ret);
			return NULL;
		}
		*out++ = (char)(hi * 16 + lo);
		i += 2;
	}
	return ret;
}

static int parse_path(struct http_query *q, const char *s, size_t n, struct error **err)
{
	const char *end = s + n;
	size_t slashes = 0, at = 0;

	if (n == 0 || *s != '/')
		return error_set(err, ERR_INVALID, "the URL's path does not begin with '/'");
	for (size_t i = 0; i < n; i++)
		slashes += s[i] == '/';
	q->segments = mem_alloc_array(slashes + 1, sizeof(char *));
	while (s < end) {
		const char *slash;
		char *segment;

		s++; /* the slash */
		slash = memchr(s, '/', (size_t)(end - s));
		if (!slash)
			slash = end;
		if (s == end)
			break; /* a slash at the end adds no segment */
		segment = decode(s, (size_t)(slash - s), false, err);
		if (!segment)
			return -1;
		q->segments[at++] = segment;
		s = slash;
	}
	return 0;
}

static void join_path(struct http_query *q)
{
	char *joined cleanup_free = strv_join(q->segments, "/");

	q->path = str_fmt("/%s", joined ? joined : "");
}

static int parse_parameters(struct http_query *q, const char *s, struct error **err)
{
	while (*s) {
		size_t n = strcspn(s, "&");
		const char *eq = memchr(s, '=', n);
		size_t key_len = eq ? (size_t)(eq - s) : n;
		struct parameter *p;

		if (n > 0) {
			if (q->nparameters == MAX_PARAMETERS)
				return error_set(err, ERR_INVALID, "the URL has more than %d parameters",
						 MAX_PARAMETERS);
			if ((q->nparameters & (q->nparameters + 1)) == 0)
				q->parameters = mem_realloc(q->parameters, (q->nparameters * 2 + 1) * sizeof(*p));
			p = &q->parameters[q->nparameters++];
			p->value = NULL;
			p->key = decode(s, key_len, true, err);
			if (!p->key)
				return -1;
			p->value = eq ? decode(eq + 1, n - key_len - 1, true, err) : str_dup("");
			if (!p->value)
				return -1;
		}
		s += n;
		if (*s)
			s++;
	}
	return 0;
}

struct http_query *http_query_parse(const char *target, struct error **err)
{
	struct http_query *q = NEW(struct http_query);
	size_t path_len = strcspn(target, "?");

	if (parse_path(q, target, path_len, err) < 0 ||
	    (target[path_len] && parse_parameters(q, target + path_len + 1, err) < 0)) {
		http_query_free(&q);
		return NULL;
	}
	join_path(q);
	return q;
}

void http_query_free(struct http_query **pq)
{
	struct http_query *q = TAKE_PTR(*pq);

	if (!q)
		return;
	for (size_t i = 0; i < q->nparameters; i++) {
		free(q->parameters[i].key);
		free(q->parameters[i].value);
	}
	free(q->parameters);
	strv_free(&q->segments);
	free(q->path);
	free(q);
}

const char *http_query_path(const struct http_query *q)
{
	return q->path;
}

char *const *http_query_segments(const struct http_query *q)
{
	return q->segments;
}

const char *http_query_get(const struct http_query *q, const char *key)
{
	for (size_t i = 0; i < q->nparameters; i++) {
		if (str_eq(q->parameters[i].key, key))
			return q->parameters[i].value;
	}
	return NULL;
}

char **http_query_all(const struct http_query *q, const char *key)
{
	char **all = NULL;

	for (size_t i = 0; i < q->nparameters; i++) {
		if (str_eq(q->parameters[i].key, key))
			strv_append(&all, q->parameters[i].value);
	}
	return all;
}

int http_query_bool(const struct http_query *q, const char *key, bool *ret, struct error **err)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {{"true", true}, {"1", true}, {"", true}, {"false", false}, {"0", false}};
	const char *text = http_query_get(q, key);

	if (!text)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_eq(text, words[i].text)) {
			*ret = words[i].value;
			return 0;
		}
	}
	return error_set(err, ERR_INVALID, "parameter '%s' is '%s'; it takes true or false", key, text);
}

char *http_encode(const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	char *ret = mem_alloc_array(strlen(s) + 1, 3);
	char *out = ret;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._~", c)) {
			*out++ = *s;
			continue;
		}
		*out++ = '%';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	return ret;
}
