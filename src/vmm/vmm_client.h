/* SPDX-License-Identifier: MIT */
/* The connection to a running VMM's control channel, on the loop. Every command has a deadline and
 * exactly one answer by done(arg, error), never from within the call: ERR_CONFLICT     the VMM said
 * no (its words are in the message) ERR_TIMEOUT      it did not answer in time; its answer is
 * ignored should it still come ERR_PROTOCOL     it answered garbage: the connection is closed
 *   ERR_UNAVAILABLE  there is no connection (not yet, or no longer)
 *   ERR_UNSUPPORTED  this hypervisor cannot do it
 *   ERR_CANCELLED    the client was freed
 *
 *   connecting ──greeting, capabilities──▶ up ──end of the connection, garbage──▶ down (stays down)
 * Commands given while connecting are sent once it is up. */
#ifndef SLICER_VMM_VMM_CLIENT_H
#define SLICER_VMM_VMM_CLIENT_H

#include "io/loop.h"
#include "vmm/vmm.h"

enum { VMM_CLIENT_LINE_MAX = 1024 * 1024, VMM_CLIENT_DEADLINE_MS = 5000 };

enum vmm_event {
	VMM_EVENT_RESET,    /* the guest rebooted in place, or crashed (no `bye` before) */
	VMM_EVENT_SHUTDOWN, /* the VMM is about to end */
	VMM_EVENT_STOP,
	VMM_EVENT_RESUME,
	VMM_EVENT_PANICKED,
};
const char *vmm_event_name(enum vmm_event event);

struct vmm_client_events {
	void (*on_up)(void *arg);
	void (*on_event)(void *arg, enum vmm_event event);
	void (*on_down)(void *arg, const struct error *error); /* at most once; error is never NULL, borrowed */
};
/* Connects to RUN/<vm>/qmp.sock. `events` must outlive it; NULL members are allowed. Callbacks may
 * free the client. NULL when there is nobody (ERR_UNAVAILABLE). */
struct vmm_client *vmm_client_new(struct loop *loop, const struct vmm_ops *ops, const char *run_dir,
				  const struct vmm_client_events *events, void *arg, struct error **err);
void vmm_client_free(struct vmm_client **c); /* pending commands get ERR_CANCELLED */
bool vmm_client_is_up(const struct vmm_client *c);

void vmm_boot(struct vmm_client *c, vmm_done_fn *done, void *arg);
void vmm_pause(struct vmm_client *c, vmm_done_fn *done, void *arg);
void vmm_resume(struct vmm_client *c, vmm_done_fn *done, void *arg);
void vmm_stop(struct vmm_client *c, vmm_done_fn *done, void *arg); /* system_powerdown: asks the guest */
void vmm_kill(struct vmm_client *c, vmm_done_fn *done, void *arg); /* quit; prefer monitor_client_kill() */

/* running: does the guest's CPU run; status: the VMM's own word ("running", "paused", …), borrowed.
 */
typedef void vmm_status_fn(void *arg, bool running, const char *status, const struct error *error);
void vmm_query_status(struct vmm_client *c, vmm_status_fn *done, void *arg);

#endif
