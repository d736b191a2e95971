/* SPDX-License-Identifier: MIT */
/* Between a guest and passt: passt, at least that of Debian 12, connects to whatever address a
 * frame names, so that root in a guest could reach the host's loopback by a frame to 127.0.0.1.
 * Only IPv4 and ARP pass here, and no IPv4 to 127.0.0.0/8 or to 0.0.0.0/8 (which Linux takes for
 * itself). */
#ifndef SLICER_VMM_MONITOR_FRAMES_H
#define SLICER_VMM_MONITOR_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Frames are preceded by their length, 4 bytes, big-endian (QEMU's -netdev stream). */
enum { FRAME_MAX = 66 * 1024, FRAME_BUFFER = 128 * 1024 };

/* Of buf[0..*n), the first `done` bytes are frames that passed already. Drops the forbidden ones
 * behind them; *n shrinks. Returns how many bytes are frames that pass, behind which is at most a
 * part of one; -1 when a length is over FRAME_MAX. */
ssize_t frames_filter(unsigned char *buf, size_t done, size_t *n);
/* Until either side ends; the exit code of the process. */
int frames_main(int guest, int network);

#endif
