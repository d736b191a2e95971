/* SPDX-License-Identifier: MIT */
/* What a program in a jail may see and use, as data: who knows a program declares it (qemu.c, launch_spec.c), and the monitor
 * builds the jail from it (jail.h). Everything that is not named here is not there. Its form as JSON is the member `jail` in
 * docs/protocol.md §5. */
#ifndef SLICER_VMM_JAIL_SPEC_H
#define SLICER_VMM_JAIL_SPEC_H

#include <stdint.h>
#include "base/json.h"

enum { JAIL_PATHS_MAX = 64, JAIL_PATH_MAX = 1024, JAIL_THREADS_MAX = 65536 };

struct jail_spec {
	char **paths; /* absolute; read-only at their own places, those that do not exist are left out; the program itself
			      need not be named. Where a directory is a symlink, the link is made, and what it leads to not shown */
	char **devices;	   /* names in /dev */
	bool host_network; /* that of the monitor; else one of its own without any interface but a loopback that is down */
	bool own_sandbox; /* it makes namespaces of its own within: procfs is complete and writable, and there is a /tmp to mount
			      over */
	uint64_t file_bytes; /* the largest file that it may write */
	uint64_t threads;    /* that its user may have */
};
/* Where programs find their shared libraries, on the layouts that there are, and the loader's cache. */
void jail_spec_add_libraries(struct jail_spec *s);
void jail_spec_clear(struct jail_spec *s);
struct json_object *jail_spec_to_json(const struct jail_spec *s);
/* *ret is to be cleared also after a failure. ERR_INVALID names the member. */
int jail_spec_parse(struct json_object *obj, struct jail_spec *ret, struct error **err);

#endif
