/* SPDX-License-Identifier: MIT */
/* No frame of a guest that passes to the network is anything but ARP, or IPv4 to an address that is not the host's own. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vmm/monitor_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size < FRAME_BUFFER ? size : FRAME_BUFFER;
	cleanup_free unsigned char *buf = mem_alloc(n ? n : 1);
	ssize_t passed;

	memcpy(buf, data, n);
	passed = frames_filter(buf, 0, &n);
	if (passed < 0)
		return 0;
	require((size_t)passed <= n && n <= size);
	for (size_t at = 0; at < (size_t)passed;) {
		const unsigned char *f = buf + at + 4;
		size_t len = (size_t)buf[at] << 24 | (size_t)buf[at + 1] << 16 | (size_t)buf[at + 2] << 8 | buf[at + 3];

		require(len >= 14 && at + 4 + len <= (size_t)passed && f[12] == 8);
		require(f[13] == 6 || (f[13] == 0 && len >= 34 && f[30] != 127 && f[30] != 0));
		at += 4 + len;
	}
	return 0;
}
