/* SPDX-License-Identifier: MIT */
/* Inside src/net: slicer-netns, the program that enters network namespaces.
 *   slicer-netns up|mend          a plan as JSON (net_plan_to_json()) on its input; `up` sends the tap as SCM_RIGHTS of one
 *                                 byte on the socket that is its fd 3
 *   slicer-netns create NAME ALIAS an empty one
 *   slicer-netns stand-in NAME ALIAS IFNAME ADDRESS,...  such a one, in which an interface has these addresses; a file of that
 *                                 name on which nothing is mounted is replaced
 *   slicer-netns attach IFNAME    a plan on its input; the VM takes the place of that interface, whose MTU is printed, and 1
 *                                 when it had a route to its subnet, else 0; sends the tap
 *   slicer-netns down NAME ALIAS
 *   slicer-netns list [ID]        prints the namespaces of a daemon's VMs, of all daemons' without ID, a line each
 * Exit status 0, or NETNS_EXIT_BASE + enum error_code with one line on stderr.
 * SLICER_FAULT=netns.<step>:fail|kill makes a step of `up` (netns_up.c) fail, or ends the program there. */
#ifndef SLICER_NET_NETNS_PROTOCOL_H
#define SLICER_NET_NETNS_PROTOCOL_H

#include "net/netns.h"

enum { NETNS_SOCKET = 3, NETNS_EXIT_BASE = 64 };

/* netns_space.c; all in this process's own namespace, or one that it enters. */
int netns_enter_new(const char *alias, struct error **err);
/* 0: entered; 1: there is none. ERR_CONFLICT unless its alias is this one. */
int netns_enter(const char *name, const char *alias, struct error **err);
int netns_mount(const char *name, struct error **err);	 /* gives the present one its name */
int netns_unmount(const char *name, struct error **err); /* success when there is none */
int netns_print(const char *daemon_id, struct error **err);

/* netns_attach.c */
int netns_make_empty(const char *name, const char *alias, struct error **err);
int netns_make_stand_in(const char *name, const char *alias, const char *ifname, const char *addresses,
			struct error **err);
int netns_take_over(const struct net_plan *p, const char *ifname, struct error **err); /* sends the tap */

/* netns_up.c */
int netns_send_fd(int fd, struct error **err);
int netns_make(const struct net_plan *p, struct error **err); /* sends the tap */
int netns_repair(const struct net_plan *p, struct error **err);

#endif
