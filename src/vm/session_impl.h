/* SPDX-License-Identifier: MIT */
/* The parts of a session, shared by session.c (connections and handshake), session_events.c (the event stream) and
 * session_event.c (its lines). */
#ifndef SLICER_VM_SESSION_IMPL_H
#define SLICER_VM_SESSION_IMPL_H

#include "io/control.h"
#include "vm/session.h"
#include "vmm/lines.h"

enum {
	SESSION_HANDSHAKE_MS = 5000, /* doubled after one that took too long: so slow is this guest now */
	SESSION_HANDSHAKE_MAX_MS = 30 * 1000,
	SESSION_RETRY_MIN_MS = 100,
	SESSION_RETRY_MAX_MS = 2000,
	SESSION_CONNECT_RETRY_MS = 20, /* the VMM listens from its start; this covers a relaunch */
	SESSION_PING_MS = 10000,
	/* A guest on a loaded host may stand still for seconds and is well: only /health has to be quick. */
	SESSION_PING_DEADLINE_MS = 30 * 1000,
	SESSION_ASK_MS = 2000,	       /* QUIET: ask again who is there */
	SESSION_MAX_EVENT = 64 * 1024, /* bytes of a line */
};

/*  CLOSED ──both sockets connected──▶ QUIET ──hello──▶ RESET ──await──▶ ECHO ──echo──▶ MUX ──ready event──▶ READY
 *    ▲                                  ▲                │               │            │                      │
 *    │                                  └──new hello, or deadline (then a new nonce)──┴──────────────────────┘
 *    └──────────────── a socket ends (the VMM is gone or restarts) ─────────────────────────────────────────── */
enum session_phase { SESSION_CLOSED, SESSION_QUIET, SESSION_RESET, SESSION_ECHO, SESSION_MUX, SESSION_READY };

struct session {
	struct loop *loop;
	char *control_path, *agent_path;
	const struct session_events *events;
	void *arg;
	enum session_phase phase;
	bool heard, paused;
	struct timer *timer; /* connect retry (CLOSED), handshake deadline (RESET..MUX) or retry (QUIET) */
	int64_t backoff_ms, handshake_ms;
	int64_t reset_at; /* clock_ms() of the last reset: a guest cannot make us begin more often than backoff */
	struct stream *control;
	struct control_reader reader;
	struct stream *agent; /* until the HTTP/2 session owns it */
	char instance[33];    /* of the guest's server that we are in session with; "" for none */
	char nonce[CONTROL_NONCE_LEN + 1];
	struct control_scan scan;
	uint64_t discarded; /* bytes on the agent port before the echo */
	struct http2_session *mux;
	struct http_exchange *event_exchange;
	struct lines event_lines;
	struct session_facts facts;
	/* What the owner is still to be told. Each in a round of its own, so that it may free the session. */
	struct timer *notify;
	unsigned ready_count, told_ready; /* times that it became ready; the one that on_ready told of */
	bool owner_has_it;		  /* on_ready was called, on_lost was not since */
	bool owe_event, owe_bye, bye_reboot;
	char *lost_why; /* why the last one that was ready ended; NULL: none has */
};

/* session_event.c: what a line of the event stream says. Strings are bounded, of printable ASCII. */
enum session_event_kind { SESSION_EVENT_UNKNOWN, SESSION_EVENT_READY, SESSION_EVENT_USERDATA, SESSION_EVENT_ADDRESS };
struct session_event { /* sizes as in struct session_facts */
	enum session_event_kind kind;
	char boot_id[40], user[64]; /* READY; "" if it did not say */
	bool has_init;		    /* READY */
	int exit_code;		    /* USERDATA: -1 to 255 */
	char ip[16];		    /* ADDRESS: dotted quad */
};
/* Pure. An event of no known type is of a newer agent: SESSION_EVENT_UNKNOWN. ERR_INVALID or ERR_PROTOCOL for what is none. */
int session_event_parse(const char *line, size_t n, struct session_event *ret, struct error **err);
/* session_events.c: opens the event stream on s->mux; calls back session_event_* below. */
void session_events_open(struct session *s);
void session_events_close(struct session *s);
/* session.c */
void session_event_ready(struct session *s);
void session_event_changed(struct session *s);
void session_restart(struct session *s, const char *why); /* drops the HTTP/2 session and begins a new handshake */

#endif
