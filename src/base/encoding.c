/* SPDX-License-Identifier: MIT */
/* Bytes as text (hex; base64 of RFC 4648), and what secrets need. */
#include "base/str.h"

#include <errno.h>
#include <sys/random.h>

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char base64_std[] = ALPHANUMERIC "+/";
static const char base64_url[] = ALPHANUMERIC "-_";

char *hex_encode(const void *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	char *out = mem_alloc_array(n + 1, 2);

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	return out;
}

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *s, void *ret, size_t n)
{
	unsigned char *out = ret;

	if (strnlen(s, 2 * n + 1) != 2 * n)
		return -1;
	/* All of it is looked at first: a refusal writes nothing. */
	for (size_t i = 0; i < 2 * n; i++)
		if (hex_digit(s[i]) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)((unsigned)hex_digit(s[2 * i]) << 4 | (unsigned)hex_digit(s[2 * i + 1]));
	return 0;
}

/* One or two bytes that are left over. */
static char *encode64_rest(const unsigned char *p, size_t n, const char *alphabet, bool pad, char *out)
{
	uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0);

	for (size_t k = 0; k < 4; k++) {
		if (k <= n)
			*out++ = alphabet[v >> (18 - 6 * k) & 63];
		else if (pad)
			*out++ = '=';
	}
	return out;
}

/* Output of commands goes through here in bulk, in guests that may be emulated: no branch but the loop's. */
static char *encode64(const unsigned char *p, size_t n, const char *alphabet, bool pad, char *out)
{
	const unsigned char *end = p + n / 3 * 3;

	for (; p < end; p += 3, out += 4) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		out[0] = alphabet[v >> 18];
		out[1] = alphabet[v >> 12 & 63];
		out[2] = alphabet[v >> 6 & 63];
		out[3] = alphabet[v & 63];
	}
	return n % 3 ? encode64_rest(p, n % 3, alphabet, pad, out) : out;
}

char *base64_append(char *out, const void *data, size_t n)
{
	return encode64(data, n, base64_std, true, out);
}

char *base64_encode(const void *data, size_t n)
{
	char *text = mem_alloc(BASE64_SIZE(n) + 1);

	encode64(data, n, base64_std, true, text);
	return text;
}

char *base64url_encode(const void *data, size_t n)
{
	char *text = mem_alloc(BASE64_SIZE(n) + 1);

	encode64(data, n, base64_url, false, text);
	return text;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes all of s but the padding, `digits` characters; returns the number of bytes or -1 and the
 * bad position. */
static ssize_t decode64(const char *s, size_t digits, unsigned char *out, size_t *ret_bad)
{
	uint32_t bits = 0;
	size_t used = 0;

	for (size_t i = 0; i < digits; i++) {
		int v = base64_value(s[i]);

		*ret_bad = i;
		if (v < 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4)
			out[used++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
	}
	/* RFC 4648 §3.5: the bits that no byte uses must be zero, or one value had many texts. */
	if ((digits % 4 == 2 && bits & 15) || (digits % 4 == 3 && bits & 3))
		return -1;
	return (ssize_t)used;
}

int base64_decode(const char *s, size_t n, unsigned char **ret, size_t *ret_len, struct error **err)
{
	cleanup_free unsigned char *out = NULL;
	size_t digits = n, bad = 0;
	ssize_t len;

	if (n % 4)
		return error_set(err, ERR_INVALID, "base64: length %zu is not a multiple of 4", n);
	while (digits && n - digits < 2 && s[digits - 1] == '=')
		digits--;
	out = mem_alloc(n / 4 * 3 + 1);
	len = decode64(s, digits, out, &bad);
	if (len < 0)
		return error_set(err, ERR_INVALID, "base64: invalid character at position %zu", bad);
	*ret = TAKE_PTR(out);
	*ret_len = (size_t)len;
	return 0;
}

char *sha256_hex(const void *data, size_t n)
{
	unsigned char digest[32];

	sha256(data, n, digest);
	return hex_encode(digest, sizeof(digest));
}

int random_bytes(void *ret, size_t n, struct error **err)
{
	unsigned char *p = ret;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return error_errno(err, errno, "cannot get random bytes");
		}
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

bool bytes_equal_ct(const void *a, const void *b, size_t n)
{
	const volatile unsigned char *p = a, *q = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= p[i] ^ q[i];
	return diff == 0;
}
