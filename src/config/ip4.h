/* SPDX-License-Identifier: MIT */
/* IPv4 addresses as text, the way the configuration and the API write them. Addresses are in host
 * byte order, so that they can be counted and compared. Strict: four decimal parts without leading
 * zeros (RFC 6943 §3.1.1). */
#ifndef SLICER_CONFIG_IP4_H
#define SLICER_CONFIG_IP4_H

#include "base/error.h"

#define IP4_TEXT_MAX 20 /* "255.255.255.255/32" and its NUL */

struct ip4_cidr {
	uint32_t addr; /* as written, host bits kept: 192.168.137.1 of "192.168.137.1/24" */
	unsigned prefix;
};

struct ip4_range {
	uint32_t first, last; /* inclusive; first <= last */
};

/* All return -1 with ERR_INVALID and a text that says what is expected. */
int ip4_parse(const char *s, uint32_t *ret, struct error **err);
int ip4_parse_cidr(const char *s, struct ip4_cidr *ret, struct error **err);
/* Without a mask the prefix is 32. */
int ip4_parse_cidr_or_addr(const char *s, struct ip4_cidr *ret, struct error **err);
int ip4_parse_range(const char *s, struct ip4_range *ret, struct error **err); /* "A-B" */

uint32_t ip4_mask(unsigned prefix);
uint32_t ip4_network(struct ip4_cidr c);   /* first address of the subnet */
uint32_t ip4_broadcast(struct ip4_cidr c); /* last address of the subnet */
bool ip4_contains(struct ip4_cidr c, uint32_t addr);
bool ip4_overlaps(struct ip4_cidr a, struct ip4_cidr b);
void ip4_format(uint32_t addr, char ret[IP4_TEXT_MAX]);
void ip4_format_cidr(struct ip4_cidr c, char ret[IP4_TEXT_MAX]);

/* Never addresses of guests: of 169.254.0.0/16, where metadata services of clouds live, and its first and last /24 (RFC 3927
 * §2.1). The subnet that `c` has a part of; NULL: none. */
const struct ip4_cidr *ip4_reserved(struct ip4_cidr c);

/* One entry of a network's allow or drop list: IP, CIDR, IP:port, or LAN (the host's connected
 * subnets). */
struct ip4_rule {
	bool lan;	      /* then the rest is 0 */
	struct ip4_cidr dest; /* host bits are 0 */
	uint16_t port;	      /* 0: every port */
};
int ip4_parse_rule(const char *s, struct ip4_rule *ret, struct error **err);

/* One entry of network.forwards: HOSTPORT:GUESTPORT, HOSTPORT:GUESTADDR:GUESTPORT or
 * HOSTADDR:HOSTPORT:GUESTADDR:GUESTPORT; addresses are 127.0.0.1 unless given. */
struct ip4_forward {
	uint32_t host_addr, guest_addr;
	uint16_t host_port, guest_port;
};
int ip4_parse_forward(const char *s, struct ip4_forward *ret, struct error **err);

#endif
