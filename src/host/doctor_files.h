/* SPDX-License-Identifier: MIT */
/* Inside slicer doctor: configuration files of other programs, read and written for --fix. */
#ifndef SLICER_HOST_DOCTOR_FILES_H
#define SLICER_HOST_DOCTOR_FILES_H

#include "host/doctor.h"

/* Names of files in a directory that end in `suffix`, sorted; a list of the caller, NULL for none.
 */
char **doctor_names(const struct doctor *d, const char *dir, const char *suffix);
/* The values of `key` in [section] of an ini-like file, white space around them gone, the lines
 * "key=value" in order; a list of the caller. "key+=value" counts as well. */
char **doctor_ini_values(const char *text, const char *section, const char *key);
/* The keys that [section] has, in order; a list of the caller. */
char **doctor_ini_keys(const char *text, const char *section);

/* What --fix writes: path on the host, text, and a line by which an older one is known as ours
 * (NULL: none). */
struct doctor_file {
	const char *path, *text, *mark;
};
/* Says on `out` what it writes. Nothing to do when it is there with that text. ERR_CONFLICT for a
 * file of somebody else, which `force` replaces, keeping it as PATH.before-slicer. */
int doctor_write(const struct doctor *d, const struct doctor_file *f, bool force, FILE *out, struct error **err);
/* The text as lines for a result's `fix`: "Write PATH:", and it. */
void doctor_show(char ***lines, const struct doctor_file *f);

#endif
