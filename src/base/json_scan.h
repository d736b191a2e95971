/* SPDX-License-Identifier: MIT */
/* A strict RFC 8259 check without building anything: json-c's strict mode accepts more than that.
 */
#ifndef SLICER_BASE_JSON_SCAN_H
#define SLICER_BASE_JSON_SCAN_H

#include "base/error.h"

#define JSON_MAX_DEPTH 32

/* One value and white space around it. Refuses besides what the grammar does: duplicate keys
 * (compared unescaped), unpaired surrogates, U+0000, deeper nesting than JSON_MAX_DEPTH, integers
 * outside int64 and uint64, reals outside double. ERR_INVALID with line and column, both from 1;
 * columns count characters. */
int json_scan(const char *text, size_t n, struct error **err);

#endif
