/* SPDX-License-Identifier: MIT */
/* The state of slicer-monitor: one process per VM, one thread, a poll loop over fixed arrays. */
#ifndef SLICER_VMM_MONITOR_IMPL_H
#define SLICER_VMM_MONITOR_IMPL_H

#include "base/json.h"
#include "vmm/jail.h"
#include "vmm/monitor_console.h"
#include "vmm/monitor_spec.h"

enum { MONITOR_CLIENTS_MAX = 8, MONITOR_REQUEST_MAX = 4096 };

struct monitor_peer {
	int fd; /* -1: free */
	size_t have;
	char line[MONITOR_REQUEST_MAX + 1];
};

struct monitor {
	struct monitor_spec spec;
	pid_t vmm;
	uint64_t vmm_start;
	bool vmm_ended; /* and reaped */
	int vmm_status; /* as waitpid's */
	struct jail_keeper vmm_keeper, helper_keepers[MONITOR_HELPERS_MAX];
	pid_t helpers[MONITOR_HELPERS_MAX]; /* 0: ended */
	bool helper_failed;		    /* one ended before the VMM */
	const char *lost_helper;	    /* whose end is to be told, unless the VMM ends as well until then */
	int64_t tell_at;		    /* clock_ms; 0: nothing is to be told */
	int signals;			    /* signalfd */
	int message;			    /* what VMM and helpers write to stderr, non-blocking; -1 after its end */
	struct tail last_words;
	struct console console;
	int control; /* listening */
	struct monitor_peer peers[MONITOR_CLIENTS_MAX];
};

/* monitor_control.c */
void control_accept(struct monitor *m);
void control_read(struct monitor *m, struct monitor_peer *peer);
void control_broadcast(struct monitor *m, const char *line, size_t n);

/* monitor_record.c: the exit record of a VMM that has ended; the caller's. */
struct json_object *record_make(const struct monitor *m);

#endif
