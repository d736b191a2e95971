/* SPDX-License-Identifier: MIT */
/* YAML by libyaml's events. Less than YAML allows: one document, no anchors, aliases or tags, no
 * duplicate keys. What a scalar means depends on its field; only its form (quoted or not, number,
 * truth value, null) is decided here. */
#include <yaml.h>
#include "base/str.h"
#include "config/value.h"

#define DEPTH_MAX 16
#define ITEMS_MAX 16384 /* of one list: as many as allow and drop may have */
#define KEYS_MAX 4096	/* of one map, whose keys are compared with each other */

struct reader {
	yaml_parser_t parser;
	const char *name; /* of the file, for messages */
	const char *text;
	size_t n;
};

static void event_clear(yaml_event_t *event)
{
	yaml_event_delete(event);
}
#define cleanup_event __attribute__((cleanup(event_clear)))

static int fail_at(struct reader *r, yaml_mark_t mark, struct error **err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail_at(struct reader *r, yaml_mark_t mark, struct error **err, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vfmt(fmt, ap);
	va_end(ap);
	return error_set(err, ERR_INVALID, "%s:%zu:%zu: %s", r->name, mark.line + 1, mark.column + 1, text);
}

/* Line and column, in characters, of a byte. libyaml reads ahead: its own mark is where parsing is.
 */
static yaml_mark_t place_of(const struct reader *r, size_t offset)
{
	yaml_mark_t mark = {0};

	for (size_t i = 0; i < offset && i < r->n; i++) {
		if (r->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if ((r->text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

/* Is a line indented by tabs? *mark is the first of them then. */
static bool find_tab(const struct reader *r, size_t line, yaml_mark_t *mark)
{
	size_t at = 0;

	for (size_t seen = 0; at < r->n && seen < line; at++)
		seen += r->text[at] == '\n';
	*mark = (yaml_mark_t){.line = line};
	for (; at < r->n && r->text[at] == ' '; at++)
		mark->column++;
	return at < r->n && r->text[at] == '\t';
}

/* What libyaml found wrong, with its place. */
static int fail_parser(struct reader *r, struct error **err)
{
	yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "not YAML";
	yaml_mark_t tab;

	if (p->error == YAML_READER_ERROR)
		return fail_at(r, place_of(r, p->problem_offset), err, "%s; the file must be UTF-8 text", problem);
	if (p->error == YAML_SCANNER_ERROR && find_tab(r, p->problem_mark.line, &tab))
		return fail_at(r, tab, err, "YAML syntax: a tab in the indentation; use spaces");
	if (p->context)
		return fail_at(r, p->problem_mark, err, "YAML syntax: %s, %s", p->context, problem);
	return fail_at(r, p->problem_mark, err, "YAML syntax: %s", problem);
}

/* The next event; the caller deletes it. */
static int next_event(struct reader *r, yaml_event_t *event, struct error **err)
{
	if (yaml_parser_parse(&r->parser, event))
		return 0;
	*event = (yaml_event_t){0};
	return fail_parser(r, err);
}

static bool is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (strcasecmp(s, *list) == 0)
			return true;
	return false;
}

/* As YAML 1.1 and Go's yaml package resolve plain scalars: yes, no, on and off are truth values
 * too. */
static enum value_kind plain_kind(const char *s)
{
	static const char *const truth[] = {"true", "yes", "on", "false", "no", "off", NULL};
	static const char *const null[] = {"", "~", "null", NULL};
	size_t sign = s[0] == '-' || s[0] == '+';
	size_t digits = strspn(s + sign, "0123456789");

	if (is_one_of(s, null))
		return VALUE_NULL;
	if (is_one_of(s, truth))
		return VALUE_BOOL;
	if (digits > 0 && !s[sign + digits])
		return VALUE_INT;
	if (digits > 0 && s[sign + digits] == '.' &&
	    !s[sign + digits + 1 + strspn(s + sign + digits + 1, "0123456789")])
		return VALUE_NUMBER;
	return VALUE_STRING;
}

static int check_properties(struct reader *r, yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag,
			    struct error **err)
{
	if (anchor)
		return fail_at(r, e->start_mark, err, "anchors (&%s) are not supported; write the value out",
			       (const char *)anchor);
	if (tag)
		return fail_at(r, e->start_mark, err, "tags (%s) are not supported; leave the tag out",
			       (const char *)tag);
	return 0;
}

static int read_scalar(struct reader *r, yaml_event_t *e, struct value *v, struct error **err)
{
	const char *text = (const char *)e->data.scalar.value;

	if (check_properties(r, e, e->data.scalar.anchor, e->data.scalar.tag, err) < 0)
		return -1;
	if (strlen(text) != e->data.scalar.length)
		return fail_at(r, e->start_mark, err, "a NUL byte is not allowed in a value");
	v->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	v->kind = v->plain ? plain_kind(text) : VALUE_STRING;
	v->text = str_dup(text);
	return 0;
}

static int read_node(struct reader *r, yaml_event_t *e, unsigned depth, struct value *v, struct error **err);

static int read_list(struct reader *r, unsigned depth, struct value *v, struct error **err)
{
	v->kind = VALUE_LIST;
	for (;;) {
		cleanup_event yaml_event_t e = {0};

		if (next_event(r, &e, err) < 0)
			return -1;
		if (e.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		if (v->n == ITEMS_MAX)
			return fail_at(r, e.start_mark, err, "a list of more than %d entries", ITEMS_MAX);
		if (read_node(r, &e, depth, value_append(v), err) < 0)
			return -1;
	}
}

static int read_key(struct reader *r, yaml_event_t *e, struct value *map, struct value *ret, struct error **err)
{
	if (e->type == YAML_ALIAS_EVENT)
		return fail_at(r, e->start_mark, err, "aliases (*%s) are not supported; write the value out",
			       (const char *)e->data.alias.anchor);
	if (e->type != YAML_SCALAR_EVENT)
		return fail_at(r, e->start_mark, err, "a key must be a single word, not a list or a map");
	if (map->n == KEYS_MAX)
		return fail_at(r, e->start_mark, err, "a map of more than %d keys", KEYS_MAX);
	if (read_scalar(r, e, ret, err) < 0)
		return -1;
	struct value *first = value_find(map, ret->text);
	if (first)
		return fail_at(r, e->start_mark, err, "duplicate key \"%s\"; it is also on line %u", ret->text,
			       first->key_line);
	return 0;
}

static int read_map(struct reader *r, unsigned depth, struct value *v, struct error **err)
{
	v->kind = VALUE_MAP;
	for (;;) {
		cleanup_event yaml_event_t ke = {0}, ve = {0};
		struct value key = {0};

		if (next_event(r, &ke, err) < 0)
			return -1;
		if (ke.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (read_key(r, &ke, v, &key, err) < 0) {
			free(key.text);
			return -1;
		}
		struct value *item = value_append(v);
		item->key = key.text;
		item->key_line = (unsigned)ke.start_mark.line + 1;
		item->key_column = (unsigned)ke.start_mark.column + 1;
		if (next_event(r, &ve, err) < 0 || read_node(r, &ve, depth, item, err) < 0)
			return -1;
	}
}

/* Fills v from the event and those that belong to it. */
static int read_node(struct reader *r, yaml_event_t *e, unsigned depth, struct value *v, struct error **err)
{
	v->line = (unsigned)e->start_mark.line + 1;
	v->column = (unsigned)e->start_mark.column + 1;
	if (depth >= DEPTH_MAX)
		return fail_at(r, e->start_mark, err, "nested deeper than %d levels", DEPTH_MAX);
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(r, e, v, err);
	case YAML_SEQUENCE_START_EVENT:
		if (check_properties(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag, err) < 0)
			return -1;
		return read_list(r, depth + 1, v, err);
	case YAML_MAPPING_START_EVENT:
		if (check_properties(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag, err) < 0)
			return -1;
		return read_map(r, depth + 1, v, err);
	case YAML_ALIAS_EVENT:
		return fail_at(r, e->start_mark, err, "aliases (*%s) are not supported; write the value out",
			       (const char *)e->data.alias.anchor);
	default:
		return fail_at(r, e->start_mark, err, "unexpected YAML event");
	}
}

/* The events around the one document: nothing may follow it. */
static int read_stream(struct reader *r, struct value *v, struct error **err)
{
	bool seen = false;

	for (;;) {
		cleanup_event yaml_event_t e = {0};

		if (next_event(r, &e, err) < 0)
			return -1;
		if (e.type == YAML_STREAM_END_EVENT)
			return seen ? 0
				    : fail_at(r, e.start_mark, err, "the file is empty; it needs a \"config:\" key");
		if (e.type == YAML_STREAM_START_EVENT || e.type == YAML_DOCUMENT_END_EVENT)
			continue;
		if (e.type == YAML_DOCUMENT_START_EVENT) {
			if (seen)
				return fail_at(r, e.start_mark, err,
					       "a second YAML document begins here; only one per "
					       "file is allowed");
			seen = true;
			continue;
		}
		if (read_node(r, &e, 0, v, err) < 0)
			return -1;
	}
}

int value_from_yaml(const char *text, size_t n, const char *name, struct value **ret, struct error **err)
{
	struct reader r = {.name = name, .text = text, .n = n};
	cleanup_value struct value *v = NEW(struct value);
	int rc;

	if (!yaml_parser_initialize(&r.parser))
		return error_set(err, ERR_INTERNAL, "cannot start the YAML parser");
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
		r.text += 3;
		r.n -= 3;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.n);
	rc = read_stream(&r, v, err);
	yaml_parser_delete(&r.parser);
	if (rc < 0)
		return -1;
	*ret = TAKE_PTR(v);
	return 0;
}
