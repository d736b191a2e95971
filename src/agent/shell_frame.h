/* SPDX-License-Identifier: MIT */
/* The frames of /shell: type, length as uint32 big-endian, payload (docs/api.md, /vm/{hostname}/shell). Pure. */
#ifndef SLICER_AGENT_SHELL_FRAME_H
#define SLICER_AGENT_SHELL_FRAME_H

#include "base/error.h"

enum shell_type {
	SHELL_DATA = 1,
	SHELL_WINDOW_SIZE = 2, /* columns, rows: two uint32 big-endian */
	SHELL_SHUTDOWN = 3,
	SHELL_HEARTBEAT = 4,
	SHELL_SESSION_CLOSE = 5,
};

enum {
	SHELL_HEADER = 5,
	SHELL_MAX_FRAME = 32768,	 /* what we send, header included: older clients drop the connection beyond */
	SHELL_MAX_PAYLOAD = 1024 * 1024, /* what we take */
};

struct shell_reader {
	unsigned char header[SHELL_HEADER];
	size_t have;   /* of the header, or of `small` */
	uint32_t left; /* payload bytes to come */
	bool in_payload;
	unsigned char small[8]; /* the beginning of a payload that is not data */
};

struct shell_event {
	unsigned type;	  /* 0: nothing yet */
	const void *data; /* SHELL_DATA: a piece of a payload, borrowed from the input */
	size_t n;
	unsigned columns, rows; /* SHELL_WINDOW_SIZE */
};

/* Consumes bytes until something is to be done; returns how many, or -1 (ERR_PROTOCOL: a frame over the limit). Unknown types
 * and frames of a wrong size are skipped. */
ssize_t shell_reader_push(struct shell_reader *r, const void *data, size_t n, struct shell_event *ret,
			  struct error **err);
void shell_frame_header(unsigned type, uint32_t length, unsigned char ret[SHELL_HEADER]);

#endif
