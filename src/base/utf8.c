/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

#include <string.h>

#include "base/mem.h"

size_t utf8_char(const char *s, size_t n, uint32_t *ret_char)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = (unsigned char)s[0];
	size_t len = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
	uint32_t c;

	if (!len || len > n)
		return 0;
	c = len == 1 ? lead : lead & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	if (ret_char)
		*ret_char = c;
	return len;
}

size_t utf8_put(uint32_t c, char ret[4])
{
	size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = len - 1; i > 0; i--) {
		ret[i] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	ret[0] = (char)(lead[len] | c);
	return len;
}

char *utf8_sanitize(const char *s)
{
	size_t n = strlen(s);
	char *out = mem_alloc(n * 3 + 1); /* U+FFFD takes three bytes */
	size_t used = 0;

	while (n) {
		size_t len = utf8_char(s, n, NULL);

		if (len) {
			memcpy(out + used, s, len);
			used += len;
		} else {
			len = 1;
			used += utf8_put(0xfffd, out + used);
		}
		s += len;
		n -= len;
	}
	return out;
}
