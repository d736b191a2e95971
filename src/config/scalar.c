/* SPDX-License-Identifier: MIT */
/* Fields that hold one scalar, or a list of strings. */
#include "base/str.h"
#include "base/units.h"
#include "config/scalar.h"

int decode_fail(const struct decode *d, const struct value *v, struct error **err, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vfmt(fmt, ap);
	va_end(ap);
	if (d->name && v && v->line)
		return error_set(err, ERR_INVALID, "%s:%u:%u: %s", d->name, v->line, v->column, text);
	return error_set(err, ERR_INVALID, "%s", text);
}

int slot_fail_type(const struct slot *s, const struct value *v, const char *expected, struct error **err)
{
	return decode_fail(s->d, v, err, "%s must be %s, not %s", s->path, expected, value_kind_name(v));
}

/* Text that goes into messages, hostnames and command lines must not hold control characters. */
static int check_text(const struct slot *s, const struct value *v, const char *path, uint64_t max, struct error **err)
{
	bool multiline = s->f->flags & FIELD_MULTILINE;
	size_t len = strlen(v->text);

	if (max && len > max)
		return decode_fail(s->d, v, err, "%s is %zu bytes long; at most %llu are allowed", path, len,
				   (unsigned long long)max);
	for (const char *p = v->text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c < 0x20 || c == 0x7f) && !(multiline && (c == '\n' || c == '\t' || c == '\r')))
			return decode_fail(s->d, v, err,
					   "%s holds a control character (byte 0x%02x), which is not allowed", path, c);
	}
	if (s->f->check) {
		cleanup_error struct error *why = NULL;

		if (s->f->check(v->text, &why) < 0)
			return decode_fail(s->d, v, err, "%s: %s", path, error_message(why));
	}
	return 0;
}

static bool is_text(const struct value *v)
{
	return v->kind == VALUE_STRING || (v->plain && v->kind != VALUE_NULL);
}

static int decode_string(const struct slot *s, const struct value *v, struct error **err)
{
	char **dest = s->dest;

	if (!is_text(v))
		return slot_fail_type(s, v, "a string", err);
	if (strlen(v->text) < s->f->min)
		return decode_fail(s->d, v, err, "%s must not be empty", s->path);
	if (check_text(s, v, s->path, s->f->max, err) < 0)
		return -1;
	free(*dest);
	*dest = str_dup(v->text);
	return 0;
}

static int decode_bool(const struct slot *s, const struct value *v, struct error **err)
{
	if (v->kind != VALUE_BOOL)
		return slot_fail_type(s, v, "true or false", err);
	*(bool *)s->dest = value_truth(v);
	return 0;
}

static int decode_number(const struct slot *s, const struct value *v, uint64_t *ret, struct error **err)
{
	const struct field *f = s->f;
	cleanup_error struct error *why = NULL;

	if (v->kind != VALUE_INT)
		return slot_fail_type(s, v, "a whole number", err);
	if (v->text[0] == '0' && v->text[1])
		return decode_fail(s->d, v, err, "%s: write the number %s without leading zeros", s->path, v->text);
	if (str_to_u64(v->text, f->min, f->max, s->path, ret, &why) < 0)
		return decode_fail(s->d, v, err, "%s must be from %llu to %llu, not %s", s->path,
				   (unsigned long long)f->min, (unsigned long long)f->max, v->text);
	return 0;
}

static int decode_u32(const struct slot *s, const struct value *v, struct error **err)
{
	uint64_t n = 0;

	if (decode_number(s, v, &n, err) < 0)
		return -1;
	*(uint32_t *)s->dest = (uint32_t)n;
	return 0;
}

static int decode_u64(const struct slot *s, const struct value *v, struct error **err)
{
	uint64_t n = 0;

	if (decode_number(s, v, &n, err) < 0)
		return -1;
	*(uint64_t *)s->dest = n * (s->f->scale ? s->f->scale : 1);
	return 0;
}

static int decode_size(const struct slot *s, const struct value *v, struct error **err)
{
	const struct field *f = s->f;
	cleanup_error struct error *why = NULL;
	uint64_t n;

	if (v->kind != VALUE_STRING && v->kind != VALUE_INT)
		return slot_fail_type(s, v, "a size such as 25G or 512M", err);
	if (size_parse(v->text, &n, &why) < 0)
		return decode_fail(s->d, v, err, "%s: \"%s\" is not a size such as 25G or 512M", s->path, v->text);
	if (n < f->min || n > f->max) {
		cleanup_free char *min = size_format(f->min), *max = size_format(f->max);

		return decode_fail(s->d, v, err, "%s must be from %s to %s, not %s", s->path, min, max, v->text);
	}
	*(uint64_t *)s->dest = n;
	return 0;
}

static bool value_allowed(const struct field_value *fv)
{
	if (fv->flags & VALUE_DERIVED)
		return false;
	return !(fv->flags & VALUE_FAKE) || secure_getenv("SLICER_FAKE_VMM");
}

static int decode_enum(const struct slot *s, const struct value *v, struct error **err)
{
	cleanup_strv char **names = NULL;

	for (const struct field_value *fv = s->f->values; fv->name; fv++) {
		if (!value_allowed(fv))
			continue;
		if (v->text && str_eq(fv->name, v->text)) {
			*(int *)s->dest = fv->value;
			return 0;
		}
		if (!fv->flags || fv->flags == VALUE_NOT_YET)
			strv_append(&names, fv->name);
	}
	cleanup_free char *list = strv_join(names, ", ");
	if (!is_text(v) || !v->text)
		return decode_fail(s->d, v, err, "%s must be one of %s, not %s", s->path, list, value_kind_name(v));
	cleanup_free char *shown = str_escape(v->text, strlen(v->text));
	return decode_fail(s->d, v, err, "%s must be one of %s, not \"%.64s\"", s->path, list, shown);
}

int slot_check_length(const struct slot *s, const struct value *v, const char *what, struct error **err)
{
	if (v->n < s->f->min)
		return decode_fail(s->d, v, err, "%s must not be empty", s->path);
	if (v->n > s->f->max)
		return decode_fail(s->d, v, err, "%s has %zu %s; at most %llu are allowed", s->path, v->n, what,
				   (unsigned long long)s->f->max);
	return 0;
}

int slot_decode_strv(const struct slot *s, const struct value *v, struct error **err)
{
	char ***dest = s->dest;
	cleanup_strv char **list = NULL;

	if (v->kind != VALUE_LIST)
		return slot_fail_type(s, v, "a list of strings", err);
	if (slot_check_length(s, v, "entries", err) < 0)
		return -1;
	if (v->n)
		list = mem_alloc_array(v->n + 1, sizeof(*list));
	for (size_t i = 0; i < v->n; i++) {
		const struct value *item = &v->items[i];
		cleanup_free char *path = str_fmt("%s[%zu]", s->path, i);

		if (!is_text(item))
			return decode_fail(s->d, item, err, "%s must be a string, not %s", path, value_kind_name(item));
		if (!*item->text)
			return decode_fail(s->d, item, err, "%s must not be empty", path);
		if (check_text(s, item, path, s->f->item_max, err) < 0)
			return -1;
		list[i] = str_dup(item->text);
	}
	strv_free(dest);
	*dest = TAKE_PTR(list);
	return 0;
}

int slot_decode_scalar(const struct slot *s, const struct value *v, struct error **err)
{
	switch (s->f->type) {
	case FIELD_STRING:
		return decode_string(s, v, err);
	case FIELD_BOOL:
		return decode_bool(s, v, err);
	case FIELD_U32:
		return decode_u32(s, v, err);
	case FIELD_U64:
		return decode_u64(s, v, err);
	case FIELD_SIZE:
		return decode_size(s, v, err);
	case FIELD_ENUM:
		return decode_enum(s, v, err);
	case FIELD_STRV:
		return slot_decode_strv(s, v, err);
	default:
		return error_set(err, ERR_INTERNAL, "field %s holds no scalar", s->f->key);
	}
}
