/* SPDX-License-Identifier: MIT */
/* What list and show commands print. */
#ifndef SLICER_CLI_OUTPUT_H
#define SLICER_CLI_OUTPUT_H

#include <stdio.h>

#include "base/json.h"

/* A table: header row, dashed row, rows; columns padded to the widest cell and two spaces. Cells of guests and users are
 * escaped. `header` is NULL-terminated and gives the number of columns. */
struct table;
struct table *table_new(const char *const *header);
void table_add(struct table *t, const char *cell); /* row by row; NULL is an empty cell */
void table_add_take(struct table *t, char *take_cell);
void table_print(const struct table *t, FILE *out);
void table_free(struct table **t);
#define cleanup_table __attribute__((cleanup(table_free)))

void print_json(struct json_object *obj, FILE *out); /* pretty, with a newline at its end */

/* Readers of answers, for showing: a missing member or one of another type is "" or `otherwise`. Borrowed. */
const char *show_string(struct json_object *obj, const char *key);
uint64_t show_u64(struct json_object *obj, const char *key);
bool show_bool(struct json_object *obj, const char *key);
/* Says on stderr that a VM's userdata failed, when its health says so. */
void warn_userdata(struct json_object *health, const char *vm);
/* An RFC 3339 time as local "2006-01-02 15:04:05"; as it is when it cannot be read. The caller's. */
char *show_time(const char *rfc3339);
/* Nanoseconds as seconds and up: "53s", "6m53s". The caller's. */
char *show_uptime(uint64_t ns);

/* Text from a guest made harmless for a terminal: escape sequences and control characters but tab and newline are dropped.
 * `state` (0 at first) carries a sequence cut in two. Writes at most n + 1 bytes; returns how many. */
size_t filter_terminal(const char *text, size_t n, char *out, int *state);

#endif
