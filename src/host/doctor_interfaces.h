/* SPDX-License-Identifier: MIT */
/* Inside slicer doctor: what slicer's interfaces are called, for those who must leave them alone.
 */
#ifndef SLICER_HOST_DOCTOR_INTERFACES_H
#define SLICER_HOST_DOCTOR_INTERFACES_H

#include "host/doctor.h"

/* The first line of files that --fix writes, but for those whose text is given. */
#define DOCTOR_MARK "# Written by slicer doctor --fix."

/* The bridges of the configuration's groups and slots; without a configuration the one that most have. A list of the caller, NULL
 * when it has none. */
char **doctor_bridges(const struct doctor *d);

/* An interface as systemd.network(5) matches it. */
struct doctor_candidate {
	char *name;
	const char *type, *kind; /* Type=; Driver= and Kind= */
};
/* One of each sort that slicer makes; those of the configuration by their names. Returns how many, of a list of the caller. */
size_t doctor_candidates(const struct doctor *d, struct doctor_candidate **ret);
void doctor_candidates_free(struct doctor_candidate *list, size_t n);
/* Globs of their names, all but "ve-*"; a list of the caller. */
char **doctor_name_globs(const struct doctor *d);

#endif
