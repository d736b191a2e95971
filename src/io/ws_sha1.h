/* SPDX-License-Identifier: MIT */
/* SHA-1 (RFC 3174), for Sec-WebSocket-Accept alone: RFC 6455 §4.2.2 demands it, and it protects nothing there. */
#ifndef SLICER_IO_WS_SHA1_H
#define SLICER_IO_WS_SHA1_H

#include <stddef.h>

void ws_sha1(const void *data, size_t n, unsigned char ret[20]); /* n <= 119: two blocks */

#endif
