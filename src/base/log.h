/* SPDX-License-Identifier: MIT */
/* Messages on stderr, one line each, escaped. Level by the environment's SLICER_LOG (error, warn, info, debug; default
 * info), read at each call: there is no state. A function either logs or returns an error, never both; code below
 * src/vm does not log above debug. */
#ifndef SLICER_BASE_LOG_H
#define SLICER_BASE_LOG_H

#include <stdarg.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
