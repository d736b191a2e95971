/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "base/units.h"
#include "config/doc.h"
#include "config/fields.h"
#include "config/request_types.h"

/* How one kind of page is written. Texts of the tables quote with ` what a file holds literally. */
struct doc_style {
	const char *quote, *not_yet;
	char *(*link)(const char *kind, const struct object_type *to);
	void (*begin)(FILE *out, const struct object_type *type, const char *path);
	void (*row)(FILE *out, const struct field *f);
	void (*end)(FILE *out, const struct object_type *type);
};
static const struct doc_style markdown, man;

static bool is_shown_value(const struct field_value *fv)
{
	return !(fv->flags & (VALUE_HIDDEN | VALUE_FAKE | VALUE_DERIVED));
}

static char *enum_text(const struct doc_style *style, const struct field *f)
{
	cleanup_strv char **names = NULL;

	for (const struct field_value *fv = f->values; fv->name; fv++)
		if (is_shown_value(fv))
			strv_append_fmt(&names, "%s%s%s%s", style->quote, fv->name, style->quote,
					fv->flags & VALUE_NOT_YET ? style->not_yet : "");
	return strv_join(names, ", ");
}

static char *number_text(const struct field *f)
{
	return str_fmt("%llu–%llu%s%s", (unsigned long long)f->min, (unsigned long long)f->max, f->unit ? " " : "",
		       f->unit ? f->unit : "");
}

static char *objects_text(const struct doc_style *style, const struct field *f)
{
	cleanup_free char *link = style->link(f->type == FIELD_OBJECTS ? "list" : "map", f->object);

	if (f->type == FIELD_OBJECT)
		return TAKE_PTR(link);
	return str_fmt("%s, up to %llu%s", link, (unsigned long long)f->max, f->type == FIELD_MAP ? " keys" : "");
}

static char *type_text(const struct doc_style *style, const struct field *f)
{
	switch (f->type) {
	case FIELD_STRING:
		return f->flags & FIELD_MULTILINE ? str_fmt("text, up to %llu KiB", (unsigned long long)f->max / 1024)
						  : str_dup("string");
	case FIELD_BOOL:
		return str_dup("true or false");
	case FIELD_U32:
	case FIELD_U64:
		return number_text(f);
	case FIELD_SIZE: {
		cleanup_free char *min = size_format(f->min), *max = size_format(f->max);

		return str_fmt("size, %s–%s", min, max);
	}
	case FIELD_ENUM:
		return enum_text(style, f);
	case FIELD_STRV:
		return str_fmt("list of strings, up to %llu", (unsigned long long)f->max);
	case FIELD_OBJECT:
	case FIELD_OBJECTS:
	case FIELD_MAP:
		return objects_text(style, f);
	}
	return NULL;
}

/* A text of the tables with the style's quotes. */
static char *quoted(const struct doc_style *style, const char *text)
{
	cleanup_strv char **parts = strv_split(text, '`');

	return strv_join(parts, style->quote);
}

/* NULL when there is none, and the key may be left out. */
static char *preset_text(const struct doc_style *style, const struct field *f)
{
	if (f->preset_doc)
		return quoted(style, f->preset_doc);
	if (!f->preset)
		return f->flags & FIELD_REQUIRED ? str_dup("required") : NULL;
	cleanup_strv char **parts = strv_split(f->preset, ',');
	cleanup_free char *between = str_fmt("%s, %s", style->quote, style->quote);
	cleanup_free char *joined = strv_join(parts, between);
	return str_fmt("%s%s%s", style->quote, joined, style->quote);
}

static char *markdown_link(const char *kind, const struct object_type *to)
{
	return str_fmt("[%s](#%s)", kind, to->name);
}

static void markdown_begin(FILE *out, const struct object_type *type, const char *path)
{
	fprintf(out, "### %s\n\n`%s` – %s\n\n", type->name, path, type->help);
	if (!type->inline_value)
		fprintf(out, "| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
}

static void markdown_row(FILE *out, const struct field *f)
{
	cleanup_free char *type = type_text(&markdown, f), *preset = preset_text(&markdown, f);

	fprintf(out, "| `%s`%s | %s | %s | %s |\n", f->key, f->flags & FIELD_NOT_YET ? "†" : "", type,
		preset ? preset : "–", f->help);
}

static void markdown_end(FILE *out, const struct object_type *type)
{
	if (!type->inline_value)
		fprintf(out, "\n");
}

static const struct doc_style markdown = {
	.quote = "`",
	.not_yet = "†",
	.link = markdown_link,
	.begin = markdown_begin,
	.row = markdown_row,
	.end = markdown_end,
};

static char *man_link(const char *kind, const struct object_type *to)
{
	return str_fmt("%s, see _%s_ below", kind, to->name);
}

static void man_begin(FILE *out, const struct object_type *type, const char *path)
{
	cleanup_free char *help = quoted(&man, type->help);

	fprintf(out, "## %s: %s\n\n%s\n\n", type->name, path, help);
}

static void man_row(FILE *out, const struct field *f)
{
	cleanup_free char *type = type_text(&man, f), *preset = preset_text(&man, f);
	cleanup_free char *help = quoted(&man, f->help);
	bool required = f->flags & FIELD_REQUIRED;

	fprintf(out, "*%s* (%s%s%s)\n\t%s.%s\n\n", f->key, type,
		!preset	   ? ""
		: required ? "; "
			   : "; default ",
		preset ? preset : "", help, f->flags & FIELD_NOT_YET ? " Not in this version yet." : "");
}

static void man_end(FILE *out, const struct object_type *type)
{
}

static const struct doc_style man = {
	.quote = "*",
	.not_yet = " (not yet)",
	.link = man_link,
	.begin = man_begin,
	.row = man_row,
	.end = man_end,
};

/* What is said of one object, then of those in it. `path` is how the file writes it. */
static void print_object(FILE *out, const struct doc_style *style, const struct object_type *type, const char *path)
{
	style->begin(out, type, path);
	for (size_t i = 0; i < type->nfields && !type->inline_value; i++)
		style->row(out, &type->fields[i]);
	style->end(out, type);
	for (size_t i = 0; i < type->nfields; i++) {
		const struct field *f = &type->fields[i];

		if (!f->object)
			continue;
		cleanup_free char *inner = str_fmt("%s.%s%s", path, f->key,
						   f->type == FIELD_OBJECTS ? "[]"
						   : f->type == FIELD_MAP   ? ".KEY"
									    : "");
		print_object(out, style, f->object, inner);
	}
}

void doc_print_config(FILE *out)
{
	print_object(out, &markdown, &config_type, "config");
}

void doc_print_request(FILE *out)
{
	print_object(out, &markdown, &node_request_type, "body");
}

void doc_print_man(FILE *out)
{
	print_object(out, &man, &config_type, "config");
}
