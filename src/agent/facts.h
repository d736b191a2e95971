/* SPDX-License-Identifier: MIT */
/* What files and the kernel say about the guest. Looked up in a thread: the disk may not answer, and who asks for addresses waits
 * for whoever changes interfaces. */
#ifndef SLICER_AGENT_FACTS_H
#define SLICER_AGENT_FACTS_H

#include "agent/server.h"
#include "agent/users.h"

struct facts {
	struct user *user;   /* the default one; NULL unless all was asked for */
	char *ip;	     /* the first IPv4 address that is not loopback; NULL without one */
	bool has_userdata;   /* a script, or the marker of one that ran */
	bool userdata_ran;   /* it has ended */
	int userdata_status; /* its exit code; -1: the marker has none (old ones are empty) */
};

struct facts_question;
typedef void facts_fn(void *arg, const struct facts *facts);
/* fn(arg, facts) comes once, on the loop, unless it is withdrawn; facts are borrowed. `all`: the user, too, of whom only those hear
 * who are new. */
struct facts_question *facts_ask(struct server *s, bool all, facts_fn *fn, void *arg);
void facts_withdraw(struct facts_question **q); /* NULL-safe */
void facts_drop_all(struct server *s);		/* after the end of the threads */

#endif
