/* SPDX-License-Identifier: MIT */
/* The connection to a VM's monitor (docs/protocol.md §5), on the loop. It lives as long as the
 * monitor; its end without an exit event means that the monitor was killed, and the VMM with it. */
#ifndef SLICER_VMM_MONITOR_CLIENT_H
#define SLICER_VMM_MONITOR_CLIENT_H

#include "io/loop.h"
#include "vmm/vmm.h"

/* How a VMM ended; members are owned by the record. */
struct vmm_exit {
	char *vm;
	char *boot_id; /* of the host */
	pid_t vmm_pid;
	bool signalled;
	int exit_code;	       /* when not signalled */
	char *signal;	       /* "SIGKILL" when signalled */
	uint64_t memory_limit; /* of its control group in bytes, when it was killed for exceeding it; else 0 */
	char *ended_at;	       /* RFC 3339 */
	char *console_tail;
	char *vmm_message; /* the VMM's own last words on stderr; may be empty */
};
void vmm_exit_clear(struct vmm_exit *e);
/* ERR_NOT_FOUND when there is none; strict, at most 64 KiB. */
int vmm_exit_read(const char *path, struct vmm_exit *ret, struct error **err);

struct monitor_status {
	bool running;
	pid_t vmm_pid;
	uint64_t vmm_start;
};

struct monitor_client;
struct monitor_client_events {
	void (*on_exit)(void *arg, const struct vmm_exit *exit); /* borrowed; on_down follows */
	void (*on_down)(void *arg, const struct error *error);	 /* once; NULL after on_exit */
};
/* Connects to RUN/<vm>/monitor.sock; ERR_UNAVAILABLE when nobody is there. `events` must outlive
 * it. */
struct monitor_client *monitor_client_new(struct loop *loop, const char *run_dir,
					  const struct monitor_client_events *events, void *arg, struct error **err);
void monitor_client_free(struct monitor_client **c); /* pending requests get ERR_CANCELLED */

/* Answers are never from within the call; errors as in vmm_client.h. */
typedef void monitor_status_fn(void *arg, const struct monitor_status *status, const struct error *error);
/* No deadline: one that stands still answers when it goes on, and tells of an end only then. */
void monitor_client_status(struct monitor_client *c, monitor_status_fn *done, void *arg);
/* Within 5 s, or the connection ends. */
void monitor_client_kill(struct monitor_client *c, vmm_done_fn *done, void *arg); /* done: signalled, not yet ended */

#endif
