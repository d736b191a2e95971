/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <ctype.h>
#include "base/str.h"
#include "io/control.h"

enum { MAX_FIELDS = 6 };

struct field {
	const char *s;
	size_t n;
};

static bool field_is(const struct field *f, const char *s)
{
	return f->n == strlen(s) && memcmp(f->s, s, f->n) == 0;
}

static bool is_lower_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_nonce(const char *s, size_t n)
{
	if (n != CONTROL_NONCE_LEN)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_lower_hex(s[i]))
			return false;
	}
	return true;
}

static bool is_boot_id(const char *s, size_t n)
{
	if (n != 36)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !is_lower_hex(s[i]))
			return false;
	}
	return true;
}

/* Words that can stand in a line as one field. */
static bool is_word(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] <= 0x20 || s[i] > 0x7e)
			return false;
	}
	return n > 0;
}

static size_t split(const char *line, size_t n, struct field fields[MAX_FIELDS])
{
	size_t count = 0;
	size_t start = 0;

	for (size_t i = 0; i <= n && count < MAX_FIELDS; i++) {
		if (i < n && line[i] != ' ')
			continue;
		fields[count++] = (struct field){line + start, i - start};
		start = i + 1;
	}
	return count;
}

static int bad_field(const char *verb, const char *what, struct error **err)
{
	return error_set(err, ERR_PROTOCOL, "control line '%s' has no valid %s", verb, what);
}

static int copy_field(const struct field *f, char *ret, size_t size)
{
	if (f->n >= size || !is_word(f->s, f->n))
		return -1;
	memcpy(ret, f->s, f->n);
	ret[f->n] = '\0';
	return 0;
}

static int parse_protocol(const struct field *f, unsigned *ret)
{
	if (f->n < 1 || f->n > 4)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < f->n; i++) {
		if (!isdigit((unsigned char)f->s[i]))
			return -1;
		*ret = *ret * 10 + (unsigned)(f->s[i] - '0');
	}
	return *ret == 0 ? -1 : 0;
}

static int parse_hello(const struct field *f, size_t n, struct control_line *ret, struct error **err)
{
	if (n < 2 || parse_protocol(&f[1], &ret->protocol) < 0)
		return bad_field("hello", "protocol version", err);
	ret->verb = CONTROL_HELLO_HOST;
	if (n == 2)
		return 0;
	ret->verb = CONTROL_HELLO_GUEST;
	if (copy_field(&f[2], ret->agent_version, sizeof(ret->agent_version)) < 0)
		return bad_field("hello", "agent version", err);
	if (n < 4 || !is_nonce(f[3].s, f[3].n) || copy_field(&f[3], ret->instance, sizeof(ret->instance)) < 0)
		return bad_field("hello", "instance", err);
	if (n < 5 || !is_boot_id(f[4].s, f[4].n) || copy_field(&f[4], ret->boot_id, sizeof(ret->boot_id)) < 0)
		return bad_field("hello", "boot id", err);
	if (n < 6 || copy_field(&f[5], ret->capabilities, sizeof(ret->capabilities)) < 0)
		return bad_field("hello", "capabilities", err);
	if (str_eq(ret->capabilities, "-"))
		ret->capabilities[0] = '\0';
	return 0;
}

static int parse_nonce(enum control_verb verb, const struct field *f, size_t n, struct control_line *ret,
		       struct error **err)
{
	ret->verb = verb;
	if (n < 2 || !is_nonce(f[1].s, f[1].n))
		return bad_field(verb == CONTROL_RESET ? "reset" : "await", "nonce", err);
	return copy_field(&f[1], ret->nonce, sizeof(ret->nonce));
}

static int parse_bye(const struct field *f, size_t n, struct control_line *ret, struct error **err)
{
	ret->verb = CONTROL_BYE;
	ret->reboot = n >= 2 && field_is(&f[1], "reboot");
	if (n < 2 || !(ret->reboot || field_is(&f[1], "poweroff")))
		return bad_field("bye", "reason", err);
	return 0;
}

int control_parse(const char *line, size_t n, struct control_line *ret, struct error **err)
{
	struct field f[MAX_FIELDS];
	size_t count;

	*ret = (struct control_line){.verb = CONTROL_UNKNOWN};
	if (n >= CONTROL_MAX_LINE)
		return error_set(err, ERR_PROTOCOL, "control line over %d bytes", CONTROL_MAX_LINE);
	for (size_t i = 0; i < n; i++) {
		if (line[i] < 0x20 || line[i] > 0x7e)
			return error_set(err, ERR_PROTOCOL, "control line with byte 0x%02x", (unsigned char)line[i]);
	}
	count = split(line, n, f);
	if (field_is(&f[0], "hello"))
		return parse_hello(f, count, ret, err);
	if (field_is(&f[0], "reset"))
		return parse_nonce(CONTROL_RESET, f, count, ret, err);
	if (field_is(&f[0], "await"))
		return parse_nonce(CONTROL_AWAIT, f, count, ret, err);
	if (field_is(&f[0], "bye"))
		return parse_bye(f, count, ret, err);
	return 0;
}

char *control_format(const struct control_line *line)
{
	switch (line->verb) {
	case CONTROL_HELLO_HOST:
		return str_fmt("hello %u\n", line->protocol);
	case CONTROL_HELLO_GUEST:
		assert(is_word(line->agent_version, strlen(line->agent_version)));
		assert(is_nonce(line->instance, strlen(line->instance)));
		assert(is_boot_id(line->boot_id, strlen(line->boot_id)));
		return str_fmt("hello %u %s %s %s %s\n", line->protocol, line->agent_version, line->instance,
			       line->boot_id, line->capabilities[0] ? line->capabilities : "-");
	case CONTROL_RESET:
	case CONTROL_AWAIT:
		assert(is_nonce(line->nonce, strlen(line->nonce)));
		return str_fmt("%s %s\n", line->verb == CONTROL_RESET ? "reset" : "await", line->nonce);
	case CONTROL_BYE:
		return str_fmt("bye %s\n", line->reboot ? "reboot" : "poweroff");
	case CONTROL_UNKNOWN:
		break;
	}
	assert(!"a control line without a verb");
	abort();
}

bool control_has_capability(const struct control_line *hello, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = hello->capabilities; *p != '\0';) {
		size_t len = strcspn(p, ",");

		if (len == n && memcmp(p, word, n) == 0)
			return true;
		p += len + (p[len] == ',');
	}
	return false;
}

size_t control_reader_push(struct control_reader *r, const char *data, size_t n, const char **ret_line, size_t *ret_len,
			   bool *ret_bad)
{
	const char *lf = memchr(data, '\n', n);
	size_t body = lf ? (size_t)(lf - data) : n;

	*ret_line = NULL;
	*ret_len = 0;
	*ret_bad = false;
	for (size_t i = 0; i < body && !r->bad; i++) {
		if (data[i] < 0x20 || data[i] > 0x7e || r->len >= CONTROL_MAX_LINE - 1)
			r->bad = true;
		else
			r->line[r->len++] = data[i];
	}
	if (!lf)
		return n;
	*ret_bad = r->bad;
	if (!r->bad) {
		*ret_line = r->line;
		*ret_len = r->len;
	}
	r->bad = false;
	r->len = 0;
	return body + 1;
}

void control_scan_init(struct control_scan *s, const char nonce[CONTROL_NONCE_LEN + 1])
{
	unsigned k = 0;

	*s = (struct control_scan){0};
	memcpy(s->want, nonce, CONTROL_NONCE_LEN);
	s->want[CONTROL_NONCE_LEN] = '\n';
	/* The border of each prefix (Knuth, Morris, Pratt): where to go on after a mismatch. */
	for (unsigned i = 1; i < sizeof(s->want); i++) {
		while (k > 0 && s->want[i] != s->want[k])
			k = s->border[k - 1];
		if (s->want[i] == s->want[k])
			k++;
		s->border[i] = (unsigned char)k;
	}
}

size_t control_scan_push(struct control_scan *s, const char *data, size_t n, bool *ret_found)
{
	*ret_found = false;
	for (size_t i = 0; i < n; i++) {
		while (s->matched > 0 && data[i] != s->want[s->matched])
			s->matched = s->border[s->matched - 1];
		if (data[i] == s->want[s->matched])
			s->matched++;
		if (s->matched == sizeof(s->want)) {
			s->matched = 0;
			s->seen += i + 1;
			*ret_found = true;
			return i + 1;
		}
	}
	s->seen += n;
	return n;
}

int control_new_nonce(char ret[CONTROL_NONCE_LEN + 1], struct error **err)
{
	unsigned char bytes[CONTROL_NONCE_LEN / 2];
	cleanup_free char *hex = NULL;

	if (random_bytes(bytes, sizeof(bytes), err) < 0)
		return -1;
	hex = hex_encode(bytes, sizeof(bytes));
	memcpy(ret, hex, CONTROL_NONCE_LEN + 1);
	return 0;
}
