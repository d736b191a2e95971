/* SPDX-License-Identifier: MIT */
/* Time, durations and sizes. Deadlines are milliseconds of CLOCK_MONOTONIC. */
#ifndef SLICER_BASE_UNITS_H
#define SLICER_BASE_UNITS_H

#include <time.h>
#include "base/error.h"

int64_t clock_ms(void); /* CLOCK_MONOTONIC */
int64_t clock_ns(void); /* CLOCK_MONOTONIC */
int64_t clock_realtime_ns(void);
/* Go's syntax (time.ParseDuration): decimal+unit repeated, units ns us µs ms s m h; "0" too. No sign. */
int duration_parse(const char *s, int64_t *ret_ns, struct error **err);
char *duration_format(int64_t ns);	 /* Go's form: "6m53s", "1.5s", "0s" */
char *time_rfc3339(int64_t realtime_ns); /* UTC, nanoseconds: 2025-11-14T13:28:34.218182826Z */
int time_parse_rfc3339(const char *s, int64_t *ret_ns, struct error **err);
/* "512M", "25G", "64GiB", "1024": powers of 1024; suffixes K M G T, optionally with "B" or "iB". */
int size_parse(const char *s, uint64_t *ret, struct error **err);
char *size_format(uint64_t bytes); /* "4GiB", "512MiB", "1.5GiB" */

#endif
