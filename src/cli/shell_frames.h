/* SPDX-License-Identifier: MIT */
/* Frames of a shell session: one per WebSocket message; type, payload length (32 bits, big endian), payload. */
#ifndef SLICER_CLI_SHELL_FRAMES_H
#define SLICER_CLI_SHELL_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum shell_frame {
	SHELL_DATA = 1,
	SHELL_WINDOW_SIZE = 2, /* columns, rows: 32 bits each, big endian */
	SHELL_SHUTDOWN = 3,
	SHELL_HEARTBEAT = 4,
	SHELL_SESSION_CLOSE = 5, /* the guest's shell has ended */
};

enum { SHELL_HEAD = 5, SHELL_MESSAGE_MAX = 32768, SHELL_DATA_MAX = SHELL_MESSAGE_MAX - SHELL_HEAD };

static inline void shell_put_u32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

/* Writes head and payload (at most SHELL_DATA_MAX bytes) to `out`; returns the length of the message. */
static inline size_t shell_encode(unsigned char *out, enum shell_frame type, const void *payload, size_t n)
{
	out[0] = (unsigned char)type;
	shell_put_u32(out + 1, (uint32_t)n);
	if (n)
		memcpy(out + SHELL_HEAD, payload, n);
	return SHELL_HEAD + n;
}

/* Type of a message, 0 when it is shorter than its head says; what follows the payload is ignored. */
static inline int shell_decode(const unsigned char *message, size_t n, const unsigned char **ret_payload, size_t *ret_n)
{
	uint32_t length;

	if (n < SHELL_HEAD)
		return 0;
	length = (uint32_t)message[1] << 24 | (uint32_t)message[2] << 16 | (uint32_t)message[3] << 8 | message[4];
	if (length > n - SHELL_HEAD)
		return 0;
	*ret_payload = message + SHELL_HEAD;
	*ret_n = length;
	return message[0];
}

#endif
