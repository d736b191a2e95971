/* SPDX-License-Identifier: MIT */
/* What "vm cp SRC DST" is asked to do. */
#ifndef SLICER_CLI_CP_SPEC_H
#define SLICER_CLI_CP_SPEC_H

#include "cli/options.h"

struct cp_spec {
	char *vm;     /* "": the only one there is */
	char *remote; /* path in the guest; "~" where none was given */
	char *local;
	bool upload, recursive;
	bool contents;		 /* "src/.": what is in it, not itself */
	const char *permissions; /* octal text; NULL; borrowed */
	char **exclude;
	int64_t uid, gid; /* -1: the guest's default user */
};
void cp_spec_clear(struct cp_spec *s);
#define cleanup_cp_spec __attribute__((cleanup(cp_spec_clear)))
int cp_spec_parse(const struct parsed *args, struct cp_spec *ret, struct error **err);

/* "VM:PATH": the colon comes before any slash. False for a local path; "./a:b" is one. */
bool cp_split_remote(const char *text, char **ret_vm, char **ret_path);
/* Whether a path names the contents of a directory: "/", ".", "..", or it ends in "/." or "/..". */
bool cp_is_contents(const char *path);

#endif
