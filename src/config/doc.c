/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "base/units.h"
#include "config/doc.h"
#include "config/fields.h"
#include "config/request_types.h"

static bool is_shown_value(const struct field_value *fv)
{
	return !(fv->flags & (VALUE_HIDDEN | VALUE_FAKE | VALUE_DERIVED));
}

static char *enum_text(const struct field *f)
{
	cleanup_strv char **names = NULL;

	for (const struct field_value *fv = f->values; fv->name; fv++)
		if (is_shown_value(fv))
			strv_append_fmt(&names, "`%s`%s", fv->name,
					fv->flags & VALUE_NOT_YET ? "†" : "");
	return strv_join(names, ", ");
}

static char *number_text(const struct field *f)
{
	return str_fmt("%llu–%llu%s%s", (unsigned long long)f->min, (unsigned long long)f->max,
		       f->unit ? " " : "", f->unit ? f->unit : "");
}

static char *type_text(const struct field *f)
{
	switch (f->type) {
	case FIELD_STRING:
		return f->flags & FIELD_MULTILINE
			   ? str_fmt("text, up to %llu KiB", (unsigned long long)f->max / 1024)
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
		return enum_text(f);
	case FIELD_STRV:
		return str_fmt("list of strings, up to %llu", (unsigned long long)f->max);
	case FIELD_OBJECT:
		return str_fmt("[map](#%s)", f->object->name);
	case FIELD_OBJECTS:
		return str_fmt("[list](#%s), up to %llu", f->object->name,
			       (unsigned long long)f->max);
	case FIELD_MAP:
		return str_fmt("[map](#%s), up to %llu keys", f->object->name,
			       (unsigned long long)f->max);
	}
	return NULL;
}

static char *preset_text(const struct field *f)
{
	if (f->preset_doc)
		return str_dup(f->preset_doc);
	if (!f->preset)
		return str_dup(f->flags & FIELD_REQUIRED ? "required" : "–");
	cleanup_strv char **parts = strv_split(f->preset, ',');
	cleanup_free char *joined = strv_join(parts, "`, `");
	return str_fmt("`%s`", joined);
}

static void print_row(FILE *out, const struct field *f)
{
	cleanup_free char *type = type_text(f), *preset = preset_text(f);

	fprintf(out, "| `%s`%s | %s | %s | %s |\n", f->key, f->flags & FIELD_NOT_YET ? "†" : "",
		type, preset, f->help);
}

/* A heading and the table of one object, then those of the objects in it. `path` is how the file
 * writes it. */
static void print_object(FILE *out, const struct object_type *type, const char *path)
{
	fprintf(out, "### %s\n\n`%s` – %s\n\n", type->name, path, type->help);
	if (!type->inline_value) {
		fprintf(out, "| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
		for (size_t i = 0; i < type->nfields; i++)
			print_row(out, &type->fields[i]);
		fprintf(out, "\n");
	}
	for (size_t i = 0; i < type->nfields; i++) {
		const struct field *f = &type->fields[i];

		if (!f->object)
			continue;
		cleanup_free char *inner = str_fmt("%s.%s%s", path, f->key,
						   f->type == FIELD_OBJECTS ? "[]"
						   : f->type == FIELD_MAP   ? ".KEY"
									    : "");
		print_object(out, f->object, inner);
	}
}

void doc_print_config(FILE *out)
{
	print_object(out, &config_type, "config");
}

void doc_print_request(FILE *out)
{
	print_object(out, &node_request_type, "body");
}
