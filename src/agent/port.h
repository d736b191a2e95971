/* SPDX-License-Identifier: MIT */
/* A byte channel to the host: a virtio-serial port, or a Unix socket behind the fake hypervisor. */
#ifndef SLICER_AGENT_PORT_H
#define SLICER_AGENT_PORT_H

#include "io/loop.h"

#define PORT_CONTROL "org.slicer.control.0"
#define PORT_AGENT "org.slicer.agent.0"

struct port_address {
	const char *path; /* borrowed: /dev/vportNpM or a socket's path */
	bool socket;
};

enum { PORT_POLL_MS = 50 };

/* Holds the channel open; calls ready once somebody is there, at once or after polling. */
struct port;
struct port *port_new(struct loop *loop, const struct port_address *address, loop_fn *ready, void *arg);
void port_free(struct port **p);
/* A duplicate of the channel's fd, the caller's: closing it does not hang up. -1 when nobody is there. */
int port_dup(struct port *p);
/* The reader saw the end: hangs up and looks for the host again. */
void port_lost(struct port *p);
/* The device of a virtio-serial port by its name; the caller's. ERR_NOT_FOUND. */
char *port_find(const char *name, struct error **err);

#endif
