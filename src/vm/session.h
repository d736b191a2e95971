/* SPDX-License-Identifier: MIT */
/* The daemon's connection to one guest's agent: control lines, handshake, HTTP/2 session and event stream, kept up for as long
 * as the VM runs (docs/protocol.md §2, §3). Everything that comes from it is a guest's word. */
#ifndef SLICER_VM_SESSION_H
#define SLICER_VM_SESSION_H

#include "io/http2.h"

struct session;

/* What the guest said last; strings are escaped, bounded, and never NULL. */
struct session_facts {
	char agent_version[64];
	char boot_id[40];
	char user[64]; /* of the default user; "" before ready */
	char ip[16];   /* primary IPv4 address as the guest sees it; "" if it did not say */
	bool has_init; /* an init of the image is PID 1 */
	bool userdata_done;
	int userdata_exit_code;
};

struct session_events {
	void (*on_ready)(void *arg); /* each time a session is up and its `ready` event has come */
	void (*on_lost)(void *arg);  /* was ready and is not any more; it is being built again */
	void (*on_event)(void *arg); /* facts changed (userdata, address) */
	/* What session_is_ready or session_facts say has changed. At once, unlike the others: must not touch the session. */
	void (*on_touch)(void *arg);
	void (*on_bye)(void *arg, bool reboot); /* the guest goes down on purpose */
};

/* Connects to the Unix sockets of the two ports, again and again until freed. */
struct session *session_new(struct loop *loop, const char *control_path, const char *agent_path,
			    const struct session_events *events, void *arg);
void session_free(struct session **s); /* open exchanges fail with ERR_UNAVAILABLE; no callback */
bool session_is_ready(const struct session *s);
/* Why the last session that was ready ended, a few words; "" when none has. Borrowed, until the next one ends. */
const char *session_lost_why(const struct session *s);
bool session_was_heard(
	const struct session *s); /* a hello came since session_new or session_expect_boot: the guest lives */
void session_expect_boot(struct session *s); /* the guest was reset: its next hello is of a new boot */
const struct session_facts *session_facts(const struct session *s);
/* While its VM is paused a guest is not expected to answer: nothing times out, and open exchanges stand still. */
void session_set_paused(struct session *s, bool paused);
/* Opens an exchange with the agent; NULL with ERR_UNAVAILABLE when there is no session now. Owns the head. */
struct http_exchange *session_open(struct session *s, struct http_head *take_request, struct error **err);
unsigned session_streams(const struct session *s); /* open exchanges, the event stream not counted */

#endif
