/* SPDX-License-Identifier: MIT */
/* Elements of nftables sets, named limits, how many rules a chain has, and what somebody removes, by netlink, without running nft: a
 * VM's launch changes nothing else. The messages are those of linux/netfilter/nf_tables.h. Blocking, with a deadline of 10 s. */
#ifndef SLICER_BASE_NFSET_H
#define SLICER_BASE_NFSET_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include "base/error.h"

enum { NFSET_KEY_MAX = 32, NFSET_MAX_ELEMENTS = 16 };

/* The way to the sets of one network namespace, that of the thread that changes or asks first; for any number of threads, which take
 * turns. It keeps its socket: the kernel closes one only when all that was removed in the namespace is freed (tens of milliseconds,
 * RCU), and whoever else changes rules waits for that. */
struct nfset;
struct nfset *nfset_new(void); /* the caller's */
void nfset_free(struct nfset **s);
#define cleanup_nfset __attribute__((cleanup(nfset_free)))

struct nfset_element {
	const char *set;
	const char *object; /* of a map to named objects: the object's name; NULL: a set */
	size_t key_len;
	unsigned char key[NFSET_KEY_MAX]; /* fields of a concatenation begin at multiples of 4 */
};
/* Append a field to the key: types ifname, ether_addr and ipv4_addr of nft(8). */
void nfset_key_ifname(struct nfset_element *e, const char *name);
void nfset_key_mac(struct nfset_element *e, const unsigned char mac[6]);
void nfset_key_ip4(struct nfset_element *e, struct in_addr addr);

/* All or none; those that are there already stay. `family` as in linux/netfilter.h
 * (NFPROTO_BRIDGE). ERR_NOT_FOUND when the table or a set is not there. */
int nfset_add(struct nfset *s, uint8_t family, const char *table, const struct nfset_element *elements, size_t n,
	      struct error **err);
/* Removes those that are there; success also without the table. */
int nfset_delete(struct nfset *s, uint8_t family, const char *table, const struct nfset_element *elements, size_t n,
		 struct error **err);

/* A named limit of nft(8), "rate over": it matches what is too much. `rate` is per second; of bytes, the kernel lets a second's
 * worth and `burst` through at once, of packets only `burst`. rate + burst of bytes must be below 2^64 / 10^9. */
struct nfset_limit {
	char name[32];
	uint64_t rate;
	uint32_t burst;
	bool bytes; /* else packets */
};
/* As nfset_add(): one that is there already stays as it is, whatever its rate. */
int nfset_limit_add(struct nfset *s, uint8_t family, const char *table, const struct nfset_limit *limits, size_t n,
		    struct error **err);
/* As nfset_delete(); what a map's element refers to cannot be removed. */
int nfset_limit_delete(struct nfset *s, uint8_t family, const char *table, const struct nfset_limit *limits, size_t n,
		       struct error **err);

/* What the kernel counts of a chain: its rules, and those that jump to it. 0: it is only to be there. */
struct nfset_chain {
	uint8_t family;
	const char *name;
	uint32_t uses;
};
/* Has each of them that many at least? ERR_GONE, with the name of the first that has not, also when the table is not there. */
int nfset_chains_check(struct nfset *s, const char *table, const struct nfset_chain *chains, size_t n,
		       struct error **err);

/* Tells of what is removed from the tables of this network namespace, whoever does it: a nonblocking socket, the caller's, in the
 * kernel's multicast group NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h). */
int nfset_watch_open(struct error **err);
/* Takes what has come. True: of the table of that name itself, a chain or a rule was removed, or messages were lost. */
bool nfset_watch_read(int fd, const char *table);
/* The same of one datagram of n bytes, at an address for struct nlmsghdr. */
bool nfset_removal(const void *message, size_t n, const char *table);

#endif
