/* SPDX-License-Identifier: MIT */
/* Links, IPv4 addresses and routes by raw rtnetlink (rtnetlink(7)), shared with the static agent. Blocking, but each
 * call has a deadline of 10 s. Addresses are in network byte order. */
#ifndef SLICER_BASE_NETLINK_H
#define SLICER_BASE_NETLINK_H

#include <netinet/in.h>
#include "base/error.h"

struct netlink; /* one NETLINK_ROUTE socket */
struct netlink *netlink_open(struct error **err);
void netlink_close(struct netlink **nl);
#define cleanup_netlink __attribute__((cleanup(netlink_close)))

int netlink_link_index(struct netlink *nl, const char *name, struct error **err); /* ERR_NOT_FOUND */
int netlink_link_set_up(struct netlink *nl, int ifindex, bool up, struct error **err);
int netlink_link_set_mac(struct netlink *nl, int ifindex, const unsigned char mac[6], struct error **err);
/* Success when it is there already. */
int netlink_addr_add(struct netlink *nl, int ifindex, struct in_addr addr, unsigned prefix, struct error **err);
/* Default route when prefix is 0; gateway 0 means on-link. Success when it is there already. */
int netlink_route_add(struct netlink *nl, int ifindex, struct in_addr dst, unsigned prefix, struct in_addr gateway,
		      struct error **err);

#endif
