/* SPDX-License-Identifier: MIT */
#ifndef SLICER_CLI_EXEC_STREAM_H
#define SLICER_CLI_EXEC_STREAM_H

#include "cli/vm_name.h"

/* POSTs /vm/NAME + query (an exec) and joins it with this process: standard input goes there when `send_stdin`, the
 * command's output comes here. *vm as in vm_call(). Returns the command's exit code; 128+n when this process got signal n
 * (the connection is closed, which kills the command); 141 when nobody reads our output any more; -1 with *err set. */
int exec_stream(struct client *c, char **vm, const char *query, bool send_stdin, struct error **err);

#endif
