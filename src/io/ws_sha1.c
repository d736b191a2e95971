/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "io/ws_sha1.h"

static uint32_t rotate(uint32_t v, unsigned bits)
{
	return v << bits | v >> (32 - bits);
}

/* RFC 3174 §5: the function and the constant of each group of twenty rounds. */
static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
	static const uint32_t constant[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	uint32_t f;

	if (round < 20)
		f = (b & c) | (~b & d);
	else if (round < 40 || round >= 60)
		f = b ^ c ^ d;
	else
		f = (b & c) | (b & d) | (c & d);
	return f + constant[round / 20];
}

static void block(uint32_t h[5], const unsigned char *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (unsigned t = 0; t < 16; t++, p += 4)
		w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (unsigned t = 16; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (unsigned t = 0; t < 80; t++) {
		uint32_t next = rotate(a, 5) + mix(t, b, c, d) + e + w[t];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void ws_sha1(const void *data, size_t n, unsigned char ret[20])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char padded[128] = {0};
	size_t total = n < 56 ? 64 : 128;

	assert(n <= 119);
	memcpy(padded, data, n);
	padded[n] = 0x80;
	padded[total - 2] = (unsigned char)(n * 8 >> 8);
	padded[total - 1] = (unsigned char)(n * 8);
	for (size_t i = 0; i < total; i += 64)
		block(h, padded + i);
	for (size_t i = 0; i < 20; i++)
		ret[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}
