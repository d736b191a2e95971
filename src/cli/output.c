/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <assert.h>
#include <inttypes.h>
#include <time.h>

#include "base/str.h"
#include "base/units.h"

struct table {
	size_t columns, ncells;
	char **cells; /* the header first */
};

struct table *table_new(const char *const *header)
{
	struct table *t = NEW(struct table);

	while (header[t->columns])
		t->columns++;
	for (size_t i = 0; i < t->columns; i++)
		table_add(t, header[i]);
	return t;
}

void table_add_take(struct table *t, char *take_cell)
{
	if ((t->ncells & (t->ncells - 1)) == 0) /* full at each power of two */
		t->cells = mem_realloc(t->cells, (t->ncells ? 2 * t->ncells : 1) * sizeof(*t->cells));
	t->cells[t->ncells++] = take_cell;
}

void table_add(struct table *t, const char *cell)
{
	table_add_take(t, cell ? str_escape(cell, strlen(cell)) : str_dup(""));
}

void table_free(struct table **t)
{
	if (!*t)
		return;
	for (size_t i = 0; i < (*t)->ncells; i++)
		free((*t)->cells[i]);
	free((*t)->cells);
	free(*t);
	*t = NULL;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->ncells; i += t->columns)
		if (strlen(t->cells[i]) > width)
			width = strlen(t->cells[i]);
	return width;
}

static void print_cell(const struct table *t, const size_t *widths, size_t column, const char *text, FILE *out)
{
	if (column + 1 == t->columns)
		fprintf(out, "%s\n", text);
	else
		fprintf(out, "%-*s", (int)widths[column] + 2, text);
}

void table_print(const struct table *t, FILE *out)
{
	cleanup_free size_t *widths = mem_alloc_array(t->columns, sizeof(*widths));

	assert(t->columns > 0);
	for (size_t c = 0; c < t->columns; c++)
		widths[c] = column_width(t, c);
	for (size_t i = 0; i < t->ncells; i++) {
		print_cell(t, widths, i % t->columns, t->cells[i], out);
		if (i + 1 != t->columns)
			continue;
		for (size_t c = 0; c < t->columns; c++) {
			cleanup_free char *dashes = str_dup(t->cells[c]);

			memset(dashes, '-', strlen(dashes));
			print_cell(t, widths, c, dashes, out);
		}
	}
}

void print_json(struct json_object *obj, FILE *out)
{
	cleanup_free char *text = js_to_string_pretty(obj);

	fprintf(out, "%s\n", text);
}

const char *show_string(struct json_object *obj, const char *key)
{
	const char *value = NULL;

	return js_get_string(obj, key, &value, NULL) || !value ? "" : value;
}

uint64_t show_u64(struct json_object *obj, const char *key)
{
	uint64_t value = 0;

	return js_get_u64(obj, key, INT64_MAX, &value, NULL) ? 0 : value;
}

bool show_bool(struct json_object *obj, const char *key)
{
	bool value = false;

	return !js_get_bool(obj, key, &value, NULL) && value;
}

void warn_userdata(struct json_object *health, const char *vm)
{
	uint64_t code = show_u64(health, "userdata_exit_code");

	if (code)
		fprintf(stderr, "slicer: warning: the userdata of %s ended with exit code %" PRIu64 "\n", vm, code);
}

char *show_time(const char *rfc3339)
{
	int64_t ns = 0;
	struct tm tm;
	char text[64];
	time_t seconds;

	if (!*rfc3339 || time_parse_rfc3339(rfc3339, &ns, NULL))
		return str_dup(rfc3339);
	seconds = (time_t)(ns / 1000000000);
	if (!localtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		return str_dup(rfc3339);
	return str_dup(text);
}

char *show_uptime(uint64_t ns)
{
	return duration_format((int64_t)(ns / 1000000000 * 1000000000));
}

/* States: text, behind ESC, within CSI (ended by a letter), within a string (ended by BEL or ST), behind ESC within it,
 * behind 0xC2, which with 0x80..0x9f is a control character too (C1). */
enum { FILTER_TEXT, FILTER_ESCAPE, FILTER_CSI, FILTER_STRING, FILTER_STRING_ESCAPE, FILTER_C2 };

static int filter_escaped(unsigned char c)
{
	if (c == '[')
		return FILTER_CSI;
	if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
		return FILTER_STRING;
	return c >= 0x20 && c < 0x30 ? FILTER_ESCAPE : FILTER_TEXT;
}

static int filter_step(int state, unsigned char c)
{
	switch (state) {
	case FILTER_ESCAPE:
		return filter_escaped(c);
	case FILTER_CSI:
		return c == '\n' || (c >= 0x40 && c <= 0x7e) ? FILTER_TEXT : FILTER_CSI;
	case FILTER_STRING:
		return c == '\a' || c == '\n' ? FILTER_TEXT : c == 0x1b ? FILTER_STRING_ESCAPE : FILTER_STRING;
	case FILTER_STRING_ESCAPE:
		return c == '\\' ? FILTER_TEXT : FILTER_STRING;
	case FILTER_C2:
		if (c >= 0x80 && c <= 0x9f)
			return filter_escaped((unsigned char)(c - 0x40));
		return c == 0x1b ? FILTER_ESCAPE : c == 0xc2 ? FILTER_C2 : FILTER_TEXT;
	default:
		return c == 0x1b ? FILTER_ESCAPE : c == 0xc2 ? FILTER_C2 : FILTER_TEXT;
	}
}

static bool is_plain(unsigned char c)
{
	return c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f);
}

size_t filter_terminal(const char *text, size_t n, char *out, int *state)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		int before = *state;

		*state = filter_step(before, c);
		/* Alone it is no character, and would make a C1 of what may follow when something between is dropped. */
		if (before == FILTER_C2 && c >= 0xa0 && c <= 0xbf)
			out[kept++] = (char)0xc2;
		if (c == '\n' || (*state == FILTER_TEXT && is_plain(c) &&
				  (before == FILTER_TEXT || (before == FILTER_C2 && (c < 0x80 || c >= 0xa0)))))
			out[kept++] = (char)c;
	}
	return kept;
}
