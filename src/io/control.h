/* SPDX-License-Identifier: MIT */
/* The control lines between host and agent, and the search for a session's nonce: docs/protocol.md §2. Shared by both sides;
 * pure, no I/O. */
#ifndef SLICER_IO_CONTROL_H
#define SLICER_IO_CONTROL_H

#include "base/error.h"

enum {
	CONTROL_PROTOCOL = 1,
	CONTROL_MAX_LINE = 1024,		/* bytes of a line, its LF included */
	CONTROL_NONCE_LEN = 32,			/* lower-case hex digits */
	CONTROL_MAX_DISCARD = 64 * 1024 * 1024, /* host: bytes on the agent port before the echo */
};

enum control_verb {
	CONTROL_UNKNOWN,     /* a verb of a newer side: to be ignored */
	CONTROL_HELLO_HOST,  /* hello <protocol> */
	CONTROL_HELLO_GUEST, /* hello <protocol> <agent version> <instance> <boot id> <capabilities> */
	CONTROL_RESET,	     /* reset <nonce> */
	CONTROL_AWAIT,	     /* await <nonce> */
	CONTROL_BYE,	     /* bye <reboot|poweroff> */
};

struct control_line {
	enum control_verb verb;
	unsigned protocol;		   /* both hellos */
	char agent_version[64];		   /* hello of the guest, and the next three */
	char instance[33];		   /* 32 lower-case hex digits */
	char boot_id[37];		   /* as /proc/sys/kernel/random/boot_id */
	char capabilities[512];		   /* comma-separated words; "" for none ("-" on the line) */
	char nonce[CONTROL_NONCE_LEN + 1]; /* reset, await */
	bool reboot;			   /* bye */
};

/* Parses one line without its LF. ERR_PROTOCOL for a line over the limit, a byte outside 0x20–0x7e, or a known verb with
 * fields that cannot be right. More fields than known are ignored. */
int control_parse(const char *line, size_t n, struct control_line *ret, struct error **err);
/* The line with its LF; the caller's. The fields of its verb must be valid (asserts). */
char *control_format(const struct control_line *line);
bool control_has_capability(const struct control_line *hello, const char *word);

/* Cuts received bytes into lines. A line that is too long or has a forbidden byte is skipped to its LF and reported as bad:
 * the host ends the connection then, the guest goes on. */
struct control_reader {
	char line[CONTROL_MAX_LINE];
	size_t len;
	bool bad;
};
/* Consumes bytes up to and including the next LF; returns how many (at most n). *ret_line is set when a line is complete (not
 * NUL-terminated, valid until the next call), else NULL; *ret_bad tells that a bad line ended. */
size_t control_reader_push(struct control_reader *r, const char *data, size_t n, const char **ret_line, size_t *ret_len,
			   bool *ret_bad);

/* Finds the nonce and its LF (33 bytes) among bytes that are to be discarded. */
struct control_scan {
	char want[CONTROL_NONCE_LEN + 1]; /* the nonce and LF */
	unsigned char border[CONTROL_NONCE_LEN + 1];
	unsigned matched;
	uint64_t seen; /* bytes consumed so far, for limits */
};
void control_scan_init(struct control_scan *s, const char nonce[CONTROL_NONCE_LEN + 1]);
/* Returns how many bytes to drain; *ret_found when the last of them completed the nonce: what follows belongs to the session. */
size_t control_scan_push(struct control_scan *s, const char *data, size_t n, bool *ret_found);
int control_new_nonce(char ret[CONTROL_NONCE_LEN + 1], struct error **err);

#endif
