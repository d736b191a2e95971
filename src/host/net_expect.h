/* SPDX-License-Identifier: MIT */
/* Inside slicer net check: what a group or a VM should have, compared with what there is. */
#ifndef SLICER_HOST_NET_EXPECT_H
#define SLICER_HOST_NET_EXPECT_H

#include "config/config.h"
#include "host/net_scan.h"
#include "net/facts.h"

struct net_expect {
	const struct net_scan *scan;
	struct net_facts facts;		 /* with firewalls */
	const struct net_daemon *daemon; /* whose things are looked at */
	char *only;			 /* findings of this daemon only; NULL: of all */
	struct json_object *findings;	 /* array of {"daemon","summary","fix"} */
	size_t nfindings;
};
void net_expect_clear(struct net_expect *e);

void net_expect_say(struct net_expect *e, const char *fix, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What its mode makes for a group is there. */
void net_expect_group(struct net_expect *e, const struct config_group *g);
/* It is not, but nothing is in its way. */
void net_expect_room(struct net_expect *e, const struct config_group *g);
/* What a VM's plan (net_plan_to_json()) has: interfaces, namespace, elements; whatever its mode. */
void net_expect_vm(struct net_expect *e, const char *vm, struct json_object *plan);

#endif
