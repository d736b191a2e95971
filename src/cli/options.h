/* SPDX-License-Identifier: MIT */
/* Command-line options, described by tables and parsed as GNU programs do: options and arguments in any order, "--" ends the
 * options, `--name=value` or `--name value`, `-n value` or `-nvalue`. A bool takes "=true|false" or a following true|false. */
#ifndef SLICER_CLI_OPTIONS_H
#define SLICER_CLI_OPTIONS_H

#include "base/str.h"

enum option_type {
	OPTION_STRING,	/* the last one given counts */
	OPTION_STRINGS, /* may be repeated; all count */
	OPTION_BOOL,
	OPTION_INT,	 /* min..max */
	OPTION_SIZE,	 /* bytes; size_parse() */
	OPTION_DURATION, /* duration_parse() */
};

struct option_spec {
	const char *name; /* long name without dashes; NULL ends a table */
	char letter;	  /* short name; 0: none */
	enum option_type type;
	const char *metavar; /* of the value, for the help; NULL for bools */
	const char *help;    /* one line, without a full stop */
	const char *alias;   /* other spellings, separated by spaces, not shown; NULL */
	uint64_t min, max;   /* OPTION_INT; max 0: UINT32_MAX */
	bool commas;	     /* OPTION_STRINGS: a value is also split at commas */
};

bool option_is_called(const struct option_spec *o, const char *name,
		      size_t n); /* by its long name or another spelling */

struct option_value;
struct parsed {
	char **args; /* positional arguments, NULL-terminated; owned */
	size_t nargs;
	ssize_t dashes;			     /* how many of them came before "--"; -1 without "--" */
	const struct option_spec *tables[2]; /* what could be given; either may be NULL */
	struct option_value *values;	     /* what was given, in order */
	size_t nvalues;
	bool help; /* --help or -h was among them */
};
void parsed_clear(struct parsed *p);
#define cleanup_parsed __attribute__((cleanup(parsed_clear)))

/* Parses argv from *pos on, adding to *p (p->tables is set by the caller). Stops at the first positional argument when
 * `first_only`; takes all further words as positional after `stop_after` of them (0: never). *pos is then the first word
 * not consumed. ERR_INVALID names the option, and the nearest one when it is unknown. */
int options_parse(struct parsed *p, char *const *argv, size_t *pos, bool first_only, size_t stop_after,
		  struct error **err);

/* Values by long name, which must be in the tables (asserted); borrowed from *p. */
bool parsed_given(const struct parsed *p, const char *name);
const char *parsed_string(const struct parsed *p, const char *name); /* NULL when absent */
char **parsed_strings(const struct parsed *p, const char *name);     /* a new list, the caller's; NULL when absent */
bool parsed_bool(const struct parsed *p, const char *name, bool otherwise);
uint64_t parsed_int(const struct parsed *p, const char *name, uint64_t otherwise); /* ints and sizes */
int64_t parsed_duration(const struct parsed *p, const char *name, int64_t otherwise_ns);

/* The word of `candidates` (a list) nearest to `word` by edits, or NULL when none is near enough to be meant. */
const char *nearest_word(const char *word, char *const *candidates);

#endif
