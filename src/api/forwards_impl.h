/* SPDX-License-Identifier: MIT */
/* For forwards.c and forwards_conn.c. */
#ifndef SLICER_API_FORWARDS_IMPL_H
#define SLICER_API_FORWARDS_IMPL_H

#include "api/forwards.h"
#include "io/acceptor.h"

struct forwards_conn;
struct forwards_listener {
	struct forwards *forwards;
	char *vm;     /* hostname */
	char *spec;   /* as configured, for messages */
	char *target; /* the agent's request */
	struct acceptor *acceptor;
	struct forwards_conn *conns;
	unsigned nconns;
	int64_t said_at; /* clock_ms() of the last line in the log */
	struct forwards_listener *next;
};

struct forwards {
	struct loop *loop;
	struct manager *manager;
	struct forwards_listener *listeners;
};

void forwards_conn_start(struct forwards_listener *l, int take_fd);
void forwards_conn_free(struct forwards_conn *c);

#endif
