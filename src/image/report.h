/* SPDX-License-Identifier: MIT */
/* What slicer-image says: one JSON object per line on stdout. {"type":"progress","step","message"} any number of times
 * ("percent", 0-100, in those of a long step),
 * then {"type":"result",...} or {"type":"error","code","message"}; code is "not_found", "no_space", "invalid", ... */
#ifndef SLICER_IMAGE_REPORT_H
#define SLICER_IMAGE_REPORT_H

#include "base/error.h"
#include "base/json.h"

void report_progress(const char *step, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with how far the whole work is, as well as that can be known. */
void report_percent(const char *step, unsigned percent, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void report_result(struct json_object *take); /* puts "type" before its members; owns it */
void report_error(const struct error *error);

#endif
