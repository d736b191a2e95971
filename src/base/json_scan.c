/* SPDX-License-Identifier: MIT */
#include "base/json_scan.h"

#include <errno.h>
#include <math.h>

#include "base/str.h"
#include "base/utf8.h"

struct key {
	size_t at;    /* offset of its opening quote in the text */
	size_t start; /* of its unescaped bytes, in scan.keys_text */
	size_t len;
};

struct scan {
	const char *text;
	size_t n, pos;
	const char *why; /* set by the function that fails; pos is where */
	/* Stacks: an object pushes its keys, and pops them at its end. */
	struct key *keys;
	size_t nkeys, keys_room;
	char *keys_text;
	size_t used, text_room;
};

static bool scan_value(struct scan *s, unsigned depth);

static bool fail(struct scan *s, size_t pos, const char *why)
{
	s->pos = pos;
	s->why = why;
	return false;
}

/* The next byte, or -1 at the end; a NUL byte is none. */
static int peek(const struct scan *s)
{
	return s->pos < s->n ? (unsigned char)s->text[s->pos] : -1;
}

static void skip_space(struct scan *s)
{
	int c;

	while ((c = peek(s)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		s->pos++;
}

static bool fail_unexpected(struct scan *s, const char *expected)
{
	return fail(s, s->pos, s->pos < s->n ? expected : "unexpected end of text");
}

static void keep_bytes(struct scan *s, const char *bytes, size_t n)
{
	if (s->text_room - s->used < n) {
		s->text_room = (s->text_room + n) * 2;
		s->keys_text = mem_realloc(s->keys_text, s->text_room);
	}
	memcpy(s->keys_text + s->used, bytes, n);
	s->used += n;
}

static bool scan_hex4(struct scan *s, uint32_t *ret)
{
	unsigned char bytes[2];
	cleanup_free char *digits = NULL;

	if (s->n - s->pos < 4)
		return fail(s, s->n, "unexpected end of text");
	digits = str_ndup(s->text + s->pos, 4);
	if (hex_decode(digits, bytes, 2) < 0)
		return fail(s, s->pos, "\\u needs four hexadecimal digits");
	s->pos += 4;
	*ret = (uint32_t)bytes[0] << 8 | bytes[1];
	return true;
}

/* Behind "\u". */
static bool scan_unicode_escape(struct scan *s, bool keep)
{
	size_t start = s->pos - 2;
	uint32_t c, low;
	char bytes[4];

	if (!scan_hex4(s, &c))
		return false;
	if (c == 0)
		return fail(s, start, "\\u0000 is not allowed");
	if (c >= 0xdc00 && c <= 0xdfff)
		return fail(s, start, "unpaired surrogate");
	if (c >= 0xd800 && c <= 0xdbff) {
		if (s->n - s->pos < 2 || s->text[s->pos] != '\\' || s->text[s->pos + 1] != 'u')
			return fail(s, start, "unpaired surrogate");
		s->pos += 2;
		if (!scan_hex4(s, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(s, start, "unpaired surrogate");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (keep)
		keep_bytes(s, bytes, utf8_put(c, bytes));
	return true;
}

/* Behind the backslash. */
static bool scan_escape(struct scan *s, bool keep)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	int c = peek(s);
	const char *p = c > 0 ? strchr(names, c) : NULL;

	if (c == 'u') {
		s->pos++;
		return scan_unicode_escape(s, keep);
	}
	if (!p)
		return fail_unexpected(s, "unknown escape in a string");
	s->pos++;
	if (keep)
		keep_bytes(s, &values[p - names], 1);
	return true;
}

/* At the opening quote; `keep` collects the unescaped bytes in keys_text. */
static bool scan_string(struct scan *s, bool keep)
{
	s->pos++;
	for (;;) {
		int c = peek(s);
		size_t len;

		if (c < 0)
			return fail(s, s->pos, "string without an end");
		if (c < 0x20)
			return fail(s, s->pos, "control character in a string");
		if (c == '"') {
			s->pos++;
			return true;
		}
		if (c == '\\') {
			s->pos++;
			if (!scan_escape(s, keep))
				return false;
			continue;
		}
		len = utf8_char(s->text + s->pos, s->n - s->pos, NULL);
		if (!len)
			return fail(s, s->pos, "invalid UTF-8");
		if (keep)
			keep_bytes(s, s->text + s->pos, len);
		s->pos += len;
	}
}

static bool skip_digits(struct scan *s)
{
	size_t start = s->pos;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->pos++;
	return s->pos > start;
}

static bool fits(const char *number, bool integer)
{
	errno = 0;
	if (!integer)
		return isfinite(strtod(number, NULL));
	if (*number == '-')
		strtoll(number, NULL, 10);
	else
		strtoull(number, NULL, 10);
	return errno == 0;
}

static bool scan_number(struct scan *s)
{
	cleanup_free char *number = NULL;
	size_t start = s->pos;
	bool integer = true;

	if (peek(s) == '-')
		s->pos++;
	if (peek(s) == '0')
		s->pos++; /* nothing may follow a leading zero */
	else if (!skip_digits(s))
		return fail_unexpected(s, "expected a value");
	if (peek(s) == '.') {
		s->pos++;
		integer = false;
		if (!skip_digits(s))
			return fail_unexpected(s, "expected a digit");
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->pos++;
		integer = false;
		if (peek(s) == '+' || peek(s) == '-')
			s->pos++;
		if (!skip_digits(s))
			return fail_unexpected(s, "expected a digit");
	}
	number = str_ndup(s->text + start, s->pos - start);
	return fits(number, integer) || fail(s, start, "number out of range");
}

static bool scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (s->n - s->pos < n || memcmp(s->text + s->pos, word, n) != 0)
		return fail(s, s->pos, "expected a value");
	s->pos += n;
	return true;
}

/* At the bracket; after each element there is a comma and another one, or the end. */
static bool next_element(struct scan *s, char end, bool *ret_more)
{
	skip_space(s);
	*ret_more = peek(s) == ',';
	if (!*ret_more && peek(s) != end)
		return fail_unexpected(s, end == ']' ? "expected , or ]" : "expected , or }");
	s->pos++;
	return true;
}

static bool scan_array(struct scan *s, unsigned depth)
{
	bool more = true;

	s->pos++;
	skip_space(s);
	if (peek(s) == ']') {
		s->pos++;
		return true;
	}
	while (more)
		if (!scan_value(s, depth + 1) || !next_element(s, ']', &more))
			return false;
	return true;
}

static int compare_keys(const void *a, const void *b, void *text)
{
	const struct key *k = a, *l = b;
	size_t n = k->len < l->len ? k->len : l->len;
	int order = n ? memcmp((char *)text + k->start, (char *)text + l->start, n) : 0;

	if (order)
		return order;
	if (k->len != l->len)
		return k->len < l->len ? -1 : 1;
	return k->at < l->at ? -1 : k->at > l->at;
}

/* Sorting keeps hostile objects of many keys at n log n. */
static bool check_duplicates(struct scan *s, size_t first)
{
	struct key *keys = s->keys + first;
	size_t n = s->nkeys - first, bad = SIZE_MAX;

	if (n < 2)
		return true;
	qsort_r(keys, n, sizeof(*keys), compare_keys, s->keys_text);
	for (size_t i = 1; i < n; i++) {
		const struct key *k = &keys[i - 1], *l = &keys[i];

		if (k->len == l->len && l->at < bad &&
		    (!k->len || !memcmp(s->keys_text + k->start, s->keys_text + l->start, k->len)))
			bad = l->at;
	}
	return bad == SIZE_MAX || fail(s, bad, "duplicate key");
}

static bool scan_key(struct scan *s)
{
	struct key k = {.start = s->used};

	skip_space(s);
	k.at = s->pos;
	if (peek(s) != '"')
		return fail_unexpected(s, "expected a key in double quotes");
	if (!scan_string(s, true))
		return false;
	k.len = s->used - k.start;
	if (s->nkeys == s->keys_room) {
		s->keys_room = s->keys_room ? s->keys_room * 2 : 16;
		s->keys = mem_realloc(s->keys, s->keys_room * sizeof(k));
	}
	s->keys[s->nkeys++] = k;
	skip_space(s);
	if (peek(s) != ':')
		return fail_unexpected(s, "expected : after the key");
	s->pos++;
	return true;
}

static bool scan_object(struct scan *s, unsigned depth)
{
	size_t first_key = s->nkeys, first_byte = s->used;
	bool more = true;

	s->pos++;
	skip_space(s);
	if (peek(s) == '}') {
		s->pos++;
		return true;
	}
	while (more)
		if (!scan_key(s) || !scan_value(s, depth + 1) || !next_element(s, '}', &more))
			return false;
	if (!check_duplicates(s, first_key))
		return false;
	s->nkeys = first_key;
	s->used = first_byte;
	return true;
}

static bool scan_value(struct scan *s, unsigned depth)
{
	skip_space(s);
	if ((peek(s) == '{' || peek(s) == '[') && depth >= JSON_MAX_DEPTH)
		return fail(s, s->pos, "nested too deeply");
	switch (peek(s)) {
	case '{':
		return scan_object(s, depth);
	case '[':
		return scan_array(s, depth);
	case '"':
		return scan_string(s, false);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

static int report(const struct scan *s, struct error **err)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < s->pos && i < s->n; i++) {
		if (s->text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)s->text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	return error_set(err, ERR_INVALID, "invalid JSON at line %zu, column %zu: %s", line, column, s->why);
}

int json_scan(const char *text, size_t n, struct error **err)
{
	struct scan s = {.text = text, .n = n};
	bool ok = scan_value(&s, 0);

	if (ok) {
		skip_space(&s);
		if (s.pos < s.n)
			ok = fail(&s, s.pos, "text behind the value");
	}
	free(s.keys);
	free(s.keys_text);
	return ok ? 0 : report(&s, err);
}
