/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <assert.h>

#include "base/units.h"

struct option_value {
	const struct option_spec *spec;
	char *text;
	uint64_t number;
};

void parsed_clear(struct parsed *p)
{
	for (size_t i = 0; i < p->nvalues; i++)
		free(p->values[i].text);
	free(p->values);
	strv_free(&p->args);
	*p = (struct parsed){.dashes = -1};
}

static bool word_in(const char *list, const char *word, size_t n)
{
	for (const char *at = list; at && *at;) {
		size_t len = strcspn(at, " ");

		if (len == n && !strncmp(at, word, n))
			return true;
		at += len;
		at += strspn(at, " ");
	}
	return false;
}

bool option_is_called(const struct option_spec *o, const char *name, size_t n)
{
	return (strlen(o->name) == n && !strncmp(o->name, name, n)) || word_in(o->alias, name, n);
}

static const struct option_spec *find_long(const struct parsed *p, const char *name, size_t n)
{
	for (size_t t = 0; t < ARRAY_LEN(p->tables); t++)
		for (const struct option_spec *o = p->tables[t]; o && o->name; o++)
			if (option_is_called(o, name, n))
				return o;
	return NULL;
}

static const struct option_spec *find_short(const struct parsed *p, char letter)
{
	for (size_t t = 0; t < ARRAY_LEN(p->tables); t++)
		for (const struct option_spec *o = p->tables[t]; o && o->name; o++)
			if (o->letter && o->letter == letter)
				return o;
	return NULL;
}

static int unknown_option(const struct parsed *p, const char *name, size_t n, struct error **err)
{
	cleanup_strv char **names = NULL;
	cleanup_free char *word = str_ndup(name, n);
	const char *near;

	for (size_t t = 0; t < ARRAY_LEN(p->tables); t++)
		for (const struct option_spec *o = p->tables[t]; o && o->name; o++)
			strv_append(&names, o->name);
	strv_append(&names, "help");
	near = nearest_word(word, names);
	if (near)
		return error_set(err, ERR_INVALID, "unknown option \"--%s\"; did you mean \"--%s\"?", word, near);
	return error_set(err, ERR_INVALID, "unknown option \"--%s\"", word);
}

static int bool_value(const char *text, uint64_t *ret, struct error **err)
{
	if (str_eq(text, "true") || str_eq(text, "1"))
		*ret = true;
	else if (str_eq(text, "false") || str_eq(text, "0"))
		*ret = false;
	else
		return error_set(err, ERR_INVALID, "\"%s\" is neither true nor false", text);
	return 0;
}

/* The error names the option. */
static int convert(const struct option_spec *o, const char *text, uint64_t *ret, struct error **err)
{
	cleanup_free char *what = str_fmt("--%s", o->name);
	int64_t ns = 0;

	switch (o->type) {
	case OPTION_STRING:
	case OPTION_STRINGS:
		return 0;
	case OPTION_BOOL:
		return bool_value(text, ret, err) ? error_wrap(err, "%s", what) : 0;
	case OPTION_INT:
		return str_to_u64(text, o->min, o->max ? o->max : UINT32_MAX, what, ret, err);
	case OPTION_SIZE:
		return size_parse(text, ret, err) ? error_wrap(err, "%s", what) : 0;
	case OPTION_DURATION:
		if (duration_parse(text, &ns, err))
			return error_wrap(err, "%s", what);
		*ret = (uint64_t)ns;
		return 0;
	}
	return 0;
}

static void append_value(struct parsed *p, const struct option_spec *o, char *take_text, uint64_t number)
{
	p->values = mem_realloc(p->values, (p->nvalues + 1) * sizeof(*p->values));
	p->values[p->nvalues++] = (struct option_value){o, take_text, number};
}

static int add_value(struct parsed *p, const struct option_spec *o, const char *text, struct error **err)
{
	cleanup_strv char **parts = NULL;
	uint64_t number = 0;

	if (convert(o, text, &number, err))
		return -1;
	if (!o->commas) {
		append_value(p, o, str_dup(text), number);
		return 0;
	}
	parts = strv_split(text, ',');
	for (char **part = parts; part && *part; part++)
		if (**part)
			append_value(p, o, str_dup(*part), 0);
	if (!*text) /* given, but empty: an empty list */
		append_value(p, o, NULL, 0);
	return 0;
}

static bool is_bool_word(const char *word)
{
	return word && (str_eq(word, "true") || str_eq(word, "false"));
}

/* The value of option `o` is `attached` (behind "=" or a short option's letter) or the next word. */
static int take_value(struct parsed *p, const struct option_spec *o, const char *attached, char *const *argv,
		      size_t *pos, struct error **err)
{
	if (attached)
		return add_value(p, o, attached, err);
	if (o->type == OPTION_BOOL)
		return add_value(p, o, is_bool_word(argv[*pos]) ? argv[(*pos)++] : "true", err);
	if (!argv[*pos])
		return error_set(err, ERR_INVALID, "option \"--%s\" needs a value (%s)", o->name,
				 o->metavar ? o->metavar : "VALUE");
	return add_value(p, o, argv[(*pos)++], err);
}

static int parse_long(struct parsed *p, char *const *argv, size_t *pos, struct error **err)
{
	const char *name = argv[(*pos)++] + 2;
	size_t n = strcspn(name, "=");
	const struct option_spec *o = find_long(p, name, n);

	if (o)
		return take_value(p, o, name[n] ? name + n + 1 : NULL, argv, pos, err);
	if (n == 4 && !strncmp(name, "help", 4)) {
		p->help = true;
		return 0;
	}
	return unknown_option(p, name, n, err);
}

/* One word of short options: bools may be joined ("-rv"), the first that takes a value takes the rest. */
static int parse_short(struct parsed *p, char *const *argv, size_t *pos, struct error **err)
{
	const char *word = argv[(*pos)++] + 1;

	for (; *word; word++) {
		const struct option_spec *o = find_short(p, *word);

		if (!o && *word == 'h') {
			p->help = true;
			continue;
		}
		if (!o)
			return error_set(err, ERR_INVALID, "unknown option \"-%c\"", *word);
		if (o->type != OPTION_BOOL)
			return take_value(p, o, word[1] == '=' ? word + 2 : word[1] ? word + 1 : NULL, argv, pos, err);
		if (word[1] == '=')
			return take_value(p, o, word + 2, argv, pos, err);
		append_value(p, o, NULL, true);
	}
	return 0;
}

static void take_argument(struct parsed *p, const char *word)
{
	strv_append(&p->args, word);
	p->nargs++;
}

int options_parse(struct parsed *p, char *const *argv, size_t *pos, bool first_only, size_t stop_after,
		  struct error **err)
{
	bool open = true;

	while (argv[*pos]) {
		const char *word = argv[*pos];

		if (open && !strcmp(word, "--")) {
			open = false;
			p->dashes = (ssize_t)p->nargs;
			++*pos;
			continue;
		}
		if (open && word[0] == '-' && word[1]) {
			if (word[1] == '-' ? parse_long(p, argv, pos, err) : parse_short(p, argv, pos, err))
				return -1;
			continue;
		}
		if (first_only)
			return 0;
		take_argument(p, word);
		++*pos;
		if (stop_after && p->nargs >= stop_after)
			open = false;
	}
	return 0;
}

static const struct option_value *last_value(const struct parsed *p, const char *name)
{
	const struct option_spec *o = find_long(p, name, strlen(name));

	assert(o);
	for (size_t i = p->nvalues; i-- > 0;)
		if (p->values[i].spec == o || str_eq(p->values[i].spec->name, o->name))
			return &p->values[i];
	return NULL;
}

bool parsed_given(const struct parsed *p, const char *name)
{
	return last_value(p, name) != NULL;
}

const char *parsed_string(const struct parsed *p, const char *name)
{
	const struct option_value *v = last_value(p, name);

	return v ? v->text : NULL;
}

char **parsed_strings(const struct parsed *p, const char *name)
{
	char **list = NULL;

	if (!last_value(p, name))
		return NULL;
	for (size_t i = 0; i < p->nvalues; i++)
		if (str_eq(p->values[i].spec->name, name) && p->values[i].text)
			strv_append(&list, p->values[i].text);
	return list;
}

bool parsed_bool(const struct parsed *p, const char *name, bool otherwise)
{
	const struct option_value *v = last_value(p, name);

	return v ? v->number != 0 : otherwise;
}

uint64_t parsed_int(const struct parsed *p, const char *name, uint64_t otherwise)
{
	const struct option_value *v = last_value(p, name);

	return v ? v->number : otherwise;
}

int64_t parsed_duration(const struct parsed *p, const char *name, int64_t otherwise_ns)
{
	const struct option_value *v = last_value(p, name);

	return v ? (int64_t)v->number : otherwise_ns;
}
