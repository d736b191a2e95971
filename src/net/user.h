/* SPDX-License-Identifier: MIT */
/* Plan of the `user` network: no privilege, no interface on the host. passt speaks for the guest
 * where it is installed, without a way to the host's loopback; otherwise the guest has an interface
 * that leads nowhere. */
#ifndef SLICER_NET_USER_H
#define SLICER_NET_USER_H

#include "base/error.h"

/* What the plan depends on; net_user_probe() fills it in, which needs no privilege. */
struct net_user_host {
	char *passt;	    /* path; NULL: not installed */
	bool namespaces;    /* may an unprivileged process make user namespaces? passt confines itself
			    by one */
	bool default_route; /* passt needs an interface with an IPv4 default route */
	unsigned mtu;	    /* of that interface; 0: not known */
};
bool net_user_has_default_route(const char *table); /* text of /proc/net/route */
void net_user_probe(struct net_user_host *ret);
void net_user_host_clear(struct net_user_host *h);

enum net_user_kind { NET_USER_RESTRICTED, NET_USER_PASST };
struct net_user_plan {
	enum net_user_kind kind;
	char **helper_argv;  /* PASST: "@FD@" stands for the number of its socket */
	const char *address; /* "10.0.2.15/24" */
	const char *gateway; /* "10.0.2.2" */
	char **dns;	     /* for the guest's resolv.conf; empty when RESTRICTED */
	unsigned mtu;
	char *note; /* for `up` and `describe`; NULL when there is nothing to say */
};
/* Pure. `dns`: the configured servers, NULL for none: then passt forwards to the host's own
 * resolver. */
void net_user_plan(const struct net_user_host *host, char *const *dns, struct net_user_plan *ret);
void net_user_plan_clear(struct net_user_plan *p);

#endif
