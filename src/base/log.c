/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#include "base/str.h"

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static enum log_level wanted_level(void)
{
	const char *name = getenv("SLICER_LOG");

	for (size_t i = 0; name && i < ARRAY_LEN(level_names); i++)
		if (str_eq(name, level_names[i]))
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	cleanup_free char *message = NULL, *escaped = NULL, *line = NULL;
	int saved = errno;
	ssize_t n;
	va_list ap;

	if (level > wanted_level())
		return;
	va_start(ap, fmt);
	message = str_vfmt(fmt, ap);
	va_end(ap);
	escaped = str_escape(message, strlen(message));
	line = str_fmt("%s: %s\n", level_names[level], escaped);
	/* One write(2), so that lines of several threads and processes do not mix. */
	n = write(STDERR_FILENO, line, strlen(line));
	(void)n; /* there is nowhere to report that stderr is gone */
	errno = saved;
}
