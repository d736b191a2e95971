/* SPDX-License-Identifier: MIT */
/* The fake hypervisor (docs/protocol.md §6): a poll loop over a fixed state, so that a thousand of
 * them fit on a small host. */
#ifndef SLICER_TESTS_FAKEVMM_H
#define SLICER_TESTS_FAKEVMM_H

#include <poll.h>
#include "base/str.h"

enum { FAKE_BUFFER = 16 * 1024, FAKE_QMP_LINE = 4096 };

struct fake_buffer {
	char data[FAKE_BUFFER];
	size_t at, n; /* first unsent byte, how many */
};

/* One virtio-serial port: a listening socket on each side, one connection at a time on each. */
struct fake_port {
	int host_listen, host; /* -1: none */
	int guest_listen, guest;
	struct fake_buffer to_guest, to_host;
};
void port_poll(struct fake_port *p, struct pollfd ret[4]);
void port_step(struct fake_port *p, const struct pollfd ready[4]);
void port_deliver(struct fake_port *p); /* of a guest that has ended, what it wrote; unless the host does not read */

enum fake_request { FAKE_NOTHING, FAKE_STOP, FAKE_CONT, FAKE_RESET, FAKE_QUIT };
struct fake_qmp {
	int listen, client; /* client -1: none */
	bool paused;
	size_t have;
	char line[FAKE_QMP_LINE];
	char *late; /* an answer for when the request is done; owned */
};
void qmp_accept(struct fake_qmp *q);
enum fake_request qmp_read(struct fake_qmp *q); /* one request at most, answered already or by the next */
void qmp_answer_late(struct fake_qmp *q);	/* what was asked for is done */
bool qmp_has_line(const struct fake_qmp *q);
void qmp_event(struct fake_qmp *q, const char *name, const char *data); /* data: a JSON object */

/* The guest: an init as process 1 of a pid namespace, and the agent below it. */
struct fake_guest {
	const char *agent_program, *control_path, *agent_path, *config_path, *state_dir;
	int console;
	pid_t init;
	int commands;	    /* to init: 's' stops all, 'c' continues; it repeats the byte when that is done */
	int64_t restart_at; /* clock_ms; 0: not waiting for it */
};
int guest_start(struct fake_guest *g, struct error **err);
void guest_command(struct fake_guest *g, char command); /* returns when it is done */

#endif
