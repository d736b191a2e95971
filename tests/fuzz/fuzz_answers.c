/* SPDX-License-Identifier: MIT */
/* What a guest answers to exec and shell, and what it writes to its console, as the command line reads it; cut anywhere. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/exec_frames.h"
#include "cli/output.h"
#include "cli/shell_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned exits;
	uint64_t sum; /* so that every byte of the output is read */
};

static void on_output(void *arg, int fd, const void *data, size_t n)
{
	struct seen *seen = arg;

	if ((fd != 1 && fd != 2) || seen->exits)
		abort();
	for (size_t i = 0; i < n; i++)
		seen->sum += ((const unsigned char *)data)[i];
}

static void on_exit_frame(void *arg, int exit_code, const char *error)
{
	struct seen *seen = arg;

	seen->exits++;
	seen->sum += (uint64_t)exit_code + (error ? strlen(error) : 0);
}

static const struct exec_events events = {on_output, on_exit_frame};

static void try_exec(const uint8_t *data, size_t n, size_t piece)
{
	cleanup_error struct error *err = NULL;
	struct seen seen = {0};
	struct exec_reader *r = exec_reader_new(&events, &seen);
	int rc = 0;

	while (n > 0 && rc == 0) {
		size_t now = n < piece ? n : piece;

		rc = exec_reader_feed(r, data, now, &err);
		data += now;
		n -= now;
	}
	if (rc == 0)
		rc = exec_reader_finish(r, &err);
	if ((rc < 0) != (err != NULL) || seen.exits > 1)
		abort();
	exec_reader_free(&r);
}

static void try_shell(const uint8_t *data, size_t n)
{
	const unsigned char *payload = NULL;
	size_t len = 0;

	if (shell_decode(data, n, &payload, &len) != 0 && (payload < data || len > n || payload + len > data + n))
		abort();
}

static size_t filter(const uint8_t *data, size_t n, size_t piece, char *out)
{
	size_t kept = 0;
	int state = 0;

	for (size_t at = 0; at < n; at += piece) {
		size_t now = n - at < piece ? n - at : piece;
		size_t got = filter_terminal((const char *)data + at, now, out + kept, &state);

		if (got > now + 1)
			abort();
		kept += got;
	}
	return kept;
}

/* A terminal obeys ESC, the C1 control characters (0xC2 0x80 to 0xC2 0x9f), and those below the space. */
static void try_filter(const uint8_t *data, size_t n, size_t piece)
{
	cleanup_free char *whole = mem_alloc(n + 1), *pieces = mem_alloc(2 * n + 1);
	size_t kept = filter(data, n, n, whole);

	if (filter(data, n, piece, pieces) != kept || (kept && memcmp(whole, pieces, kept) != 0))
		abort();
	for (size_t i = 0; i < kept; i++) {
		unsigned char c = (unsigned char)whole[i], before = i ? (unsigned char)whole[i - 1] : 0;

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || (before == 0xc2 && c >= 0x80 && c <= 0x9f))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size ? data[size - 1] % 60 + 1 : 1;

	try_exec(data, size, size);
	try_exec(data, size, piece);
	try_shell(data, size);
	try_filter(data, size, piece);
	return 0;
}
