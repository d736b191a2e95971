/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include "base/utf8.h"

char *str_dup(const char *s)
{
	return s ? str_ndup(s, strlen(s)) : NULL;
}

char *str_ndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_alloc(len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *str_vfmt(const char *fmt, va_list ap)
{
	va_list again;
	char *s;
	int n;

	if (!fmt)
		abort();
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		abort(); /* a wide-character conversion or over INT_MAX bytes: a bug in the caller
			  */
	s = mem_alloc((size_t)n + 1);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	return s;
}

char *str_fmt(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = str_vfmt(fmt, ap);
	va_end(ap);
	return s;
}

bool str_eq(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

char *str_trim(char *s)
{
	size_t n;

	while (is_space(*s))
		s++;
	n = strlen(s);
	while (n && is_space(s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

int str_to_u64(const char *s, uint64_t min, uint64_t max, const char *what, uint64_t *ret, struct error **err)
{
	uint64_t value = 0;
	bool ok = *s != '\0';

	for (const char *p = s; ok && *p; p++)
		ok = *p >= '0' && *p <= '9' && !__builtin_mul_overflow(value, 10u, &value) &&
		     !__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
	if (!ok || value < min || value > max) {
		cleanup_free char *shown = str_escape(s, strnlen(s, 64));

		return error_set(err, ERR_INVALID, "%s: \"%s\" is not a whole number from %llu to %llu", what, shown,
				 (unsigned long long)min, (unsigned long long)max);
	}
	*ret = value;
	return 0;
}

char *str_escape(const char *s, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *out = mem_alloc_array(n + 1, 4);
	size_t used = 0;

	while (n) {
		uint32_t c = 0;
		size_t len = utf8_char(s, n, &c);
		/* C1 controls too: terminals obey U+009B like ESC [. */
		bool plain = len && c >= 0x20 && (c < 0x7f || c > 0x9f);

		if (!len)
			len = 1;
		for (size_t i = 0; i < len; i++) {
			unsigned char byte = (unsigned char)s[i];

			if (plain) {
				out[used++] = s[i];
				continue;
			}
			out[used++] = '\\';
			out[used++] = 'x';
			out[used++] = digits[byte >> 4];
			out[used++] = digits[byte & 15];
		}
		s += len;
		n -= len;
	}
	return out;
}
