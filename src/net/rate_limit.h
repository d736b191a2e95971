/* SPDX-License-Identifier: MIT */
/* How much a VM may send and receive: rules outside of it that drop what is too much, one count per direction. On a bridge they
 * are named limits of nft(8) in maps by the VM's interface, in `table bridge slicer_<id>` (net/nft.c); in a namespace of the
 * VM's own, rules of it. What a guest hands over in one piece (TCP segmentation offload) is one packet. */
#ifndef SLICER_NET_RATE_LIMIT_H
#define SLICER_NET_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct nfset;
struct net_limits {
	uint64_t bandwidth;   /* bytes per second in each direction; 0: no limit */
	uint32_t packets;     /* the same of packets */
	uint32_t connections; /* that are open at once; in a namespace only; 0: no limit */
};
bool net_limits_any(const struct net_limits *l);

/* On a bridge; success without limits. An older limit of that interface is replaced by `up`, and left as it is by `mend`, so
 * that mending gives a VM no second burst. */
int net_limits_up(struct nfset *sets, const char *table, const char *ifname, const struct net_limits *l,
		  struct error **err);
int net_limits_mend(struct nfset *sets, const char *table, const char *ifname, const struct net_limits *l,
		    struct error **err);
int net_limits_down(struct nfset *sets, const char *table, const char *ifname, const struct net_limits *l,
		    struct error **err);

/* More of `table ip slicer` in the namespace of a VM behind interface `tap`; "" without limits. The caller's. */
char *net_limits_script(const char *tap, const struct net_limits *l);

#endif
