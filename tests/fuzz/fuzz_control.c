/* SPDX-License-Identifier: MIT */
/* Control lines: whatever comes and however it is cut, the lines are the same; what parses can be formatted and parsed again. */
#include <string.h>
#include "base/str.h"
#include "io/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *line, size_t n)
{
	struct control_line a, b;
	cleanup_free char *text = NULL;

	if (control_parse(line, n, &a, NULL) < 0 || a.verb == CONTROL_UNKNOWN)
		return;
	text = control_format(&a);
	if (control_parse(text, strlen(text) - 1, &b, NULL) < 0 || memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	control_has_capability(&a, "cp");
}

/* Returns a sum over lines and bad ones that must not depend on the pieces. */
static uint64_t read_lines(const char *data, size_t size, size_t piece)
{
	struct control_reader r = {0};
	uint64_t sum = 0;

	for (size_t at = 0; at < size;) {
		size_t n = size - at < piece ? size - at : piece, len, used;
		const char *line;
		bool bad;

		used = control_reader_push(&r, data + at, n, &line, &len, &bad);
		if (used == 0 || used > n || len >= CONTROL_MAX_LINE || (line && bad))
			abort();
		at += used;
		if (line)
			check_line(line, len);
		if (line || bad)
			sum = sum * 31 + (line ? len + 2 : 1);
	}
	return sum;
}

/* The nonce is the first 32 bytes of the input, wherever it comes again. */
static size_t scan(const char *data, size_t size, size_t piece)
{
	char nonce[CONTROL_NONCE_LEN + 1] = "";
	struct control_scan s;
	bool found = false;
	size_t at = 0;

	memcpy(nonce, data, CONTROL_NONCE_LEN);
	control_scan_init(&s, nonce);
	while (!found && at < size)
		at += control_scan_push(&s, data + at, size - at < piece ? size - at : piece, &found);
	if (found && (at < sizeof(s.want) || memcmp(data + at - sizeof(s.want), s.want, sizeof(s.want)) != 0))
		abort();
	if (!found && memmem(data, size, s.want, sizeof(s.want)))
		abort();
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	if (size == 0)
		return 0;
	if (read_lines(text, size, size) != read_lines(text, size, 1) ||
	    read_lines(text, size, 1) != read_lines(text, size, 7))
		abort();
	check_line(text, size);
	if (size > CONTROL_NONCE_LEN && scan(text, size, size) != scan(text, size, 3))
		abort();
	return 0;
}
