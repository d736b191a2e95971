/* SPDX-License-Identifier: MIT */
/* What `vm forward` takes: where to listen here, and where in the VM the connections go. */
#ifndef SLICER_CLI_VM_FORWARD_SPEC_H
#define SLICER_CLI_VM_FORWARD_SPEC_H

#include <netinet/in.h>
#include "base/error.h"

enum { FORWARD_SPEC_MAX = 1024 };

struct forward_spec {
	char *listen_path;	   /* a Unix socket, absolute; NULL: TCP */
	struct sockaddr_in listen; /* port 0: any that is free */
	char *upstream;		   /* as the API takes it: "HOST:PORT" or "unix:/PATH" */
};

/*   HOST:PORT                      listens on the same address and port
 *   PORT:HOST:PORT                 listens on the address HOST
 *   ADDR:PORT:HOST:PORT
 *   PORT:PORT                      both on 127.0.0.1
 *   PORT:/PATH, ADDR:PORT:/PATH    to a Unix socket; without ADDR on all addresses
 *   PATH:/PATH, PATH:HOST:PORT     from a Unix socket: a PATH begins with /, ./ or ../, or has a / in it
 * Space around it is ignored. ERR_INVALID says which part is wrong. */
int forward_spec_parse(const char *text, struct forward_spec *ret, struct error **err);
void forward_spec_clear(struct forward_spec *spec);
char *forward_spec_listen_text(const struct forward_spec *spec); /* "127.0.0.1:9000" or the path; the caller's */

#endif
