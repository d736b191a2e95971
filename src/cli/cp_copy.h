/* SPDX-License-Identifier: MIT */
#ifndef SLICER_CLI_CP_COPY_H
#define SLICER_CLI_CP_COPY_H

#include "cli/cp_spec.h"
#include "cli/vm_name.h"

/* Both: *vm as in vm_call(). Return 0, 128+n after signal n, or -1. */
int cp_upload(struct client *c, char **vm, const struct cp_spec *spec, struct error **err);
int cp_download(struct client *c, char **vm, const struct cp_spec *spec, struct error **err);

/* For both: whether an answer refuses just this mode, as agents do that do not know it. */
bool cp_mode_refused(int status, const char *refusal, const char *mode);
/* "/vm/NAME/cp?path=...&mode=...", with the rest of a v1 request when the mode is one. The caller's. */
char *cp_target(const char *vm, const struct cp_spec *spec, const char *mode);

#endif
