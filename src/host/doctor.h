/* SPDX-License-Identifier: MIT */
/* slicer doctor: what this host has and lacks. Each check is a row of doctor_checks
 * (doctor_table.c): it looks, changes nothing, and says what is, why that matters, and how to mend
 * it. A new check is a function in a doctor_*.c and a row; docs/troubleshooting.md follows from the
 * table (tests/golden/test_doctor_docs.py). */
#ifndef SLICER_HOST_DOCTOR_H
#define SLICER_HOST_DOCTOR_H

#include "cli/command.h"
#include "config/config.h"

enum doctor_severity {
	DOCTOR_OK,	/* as it should be */
	DOCTOR_NOTE,	/* worth knowing, nothing to mend; also what could not be seen */
	DOCTOR_WARNING, /* works, with something missing or slower */
	DOCTOR_ERROR,	/* what this configuration, or any, needs is not there */
};
const char *doctor_severity_name(enum doctor_severity severity); /* ok, note, warning, error */

/* What the checks may look at. */
struct doctor {
	const char *root;	    /* before every path of the host: "", but for the tests' $SLICER_DOCTOR_ROOT */
	bool privileged;	    /* root: else some things cannot be seen */
	const char *file;	    /* NULL: none was given */
	struct config *config;	    /* of that file; NULL without one, and when it is wrong */
	struct error *config_error; /* then why */
	const struct parsed *args;  /* for the connection options */
};

struct doctor_result {
	enum doctor_severity severity;
	bool hidden;   /* could not be seen without root */
	char *summary; /* one sentence */
	char **detail; /* further lines */
	char **fix;    /* commands, or what to write where */
};
void doctor_result_clear(struct doctor_result *r);
/* Sets severity and summary; the last call counts. */
void doctor_say(struct doctor_result *r, enum doctor_severity severity, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* For what only root sees: a note that says so. `what`: "the rules of nftables". */
void doctor_say_hidden(struct doctor_result *r, const char *what);

typedef void doctor_check_fn(const struct doctor *d, struct doctor_result *r);
/* --fix: makes it as the check wants it, saying on `out` what it writes and removes; never what is
 * somebody else's, unless `force`. */
typedef int doctor_mend_fn(const struct doctor *d, bool force, FILE *out, struct error **err);

struct doctor_check {
	const char *id;	      /* [a-z-]+, for scripts: it does not change */
	const char *looks_at; /* what, without a full stop */
	const char *matters;  /* why, a sentence */
	doctor_check_fn *run;
	doctor_mend_fn *mend; /* NULL: nothing that a program should do */
};
extern const struct doctor_check doctor_checks[]; /* ended by a NULL id */

/* How bad the lack of something is that only groups of some network modes need: an error when the
 * configuration has one, a note when it has none, a warning without a configuration. `modes`: bits
 * 1 << enum config_net_mode. */
enum doctor_severity doctor_need(const struct doctor *d, unsigned modes);

/* The host's files and programs below d->root. All results are the caller's. */
char *doctor_path(const struct doctor *d, const char *path);
char *doctor_read(const struct doctor *d, const char *path); /* trimmed; NULL when it cannot be read; at most 4 MiB */
bool doctor_exists(const struct doctor *d, const char *path);
char *doctor_program(const struct doctor *d, const char *name); /* NULL: not installed */
/* The first line that `program --version` prints; NULL when it fails or takes over 5 s. */
char *doctor_version(const char *program);
bool doctor_runs(const struct doctor *d, const char *comm); /* a process of that name (proc(5), comm) */

extern const struct command command_doctor; /* slicer doctor [FILE] */

#endif
