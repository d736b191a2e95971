/* SPDX-License-Identifier: MIT */
/* The daemon's tables: `ip slicer_<id>` translates what leaves the subnets of its VMs and keeps isolated ones and slots
 * apart, `bridge slicer_<id>` drops what a VM on a bridge may not send. Their rules never change; groups and VMs are elements
 * of their sets. */
#ifndef SLICER_NET_NFT_H
#define SLICER_NET_NFT_H

#include "base/nfset.h"
#include "config/ip4.h"

enum { NFT_TIMEOUT_MS = 20000, NFT_OUTPUT_MAX = 16 * 1024 * 1024 };

/* Runs `nft -f -`: all of the script or nothing. */
int nft_run(const char *script, struct error **err);
/* What nft prints for these arguments (words); the caller's. */
char *nft_read(const char *arguments, struct error **err);

char *nft_table(const char *daemon_id); /* "slicer_<id>", other characters than nft's become _ */
/* Scripts; the caller's. These two make the tables when they are not there and add the group. */
char *nft_isolated_script(const char *table, struct ip4_cidr range);
char *nft_group_script(const char *table, const char *bridge, struct ip4_cidr subnet);
char *nft_group_remove_script(const char *table, const char *bridge, struct ip4_cidr subnet);
/* Of a group that stays: a subnet that is not its own any more, also when the tables are not there. */
char *nft_subnet_remove_script(const char *table, struct ip4_cidr subnet);
char *nft_isolated_remove_script(const char *table, struct ip4_cidr range);
char *nft_remove_script(const char *table); /* both tables; succeeds without them too */
/* Before a VM becomes an element: are the rules there that look at the sets? A flush of chains keeps those. Microseconds; runs
 * nothing. Those for VMs on bridges, or isolated ones. ERR_GONE when not: the group makes them anew. */
int nft_rules_check(struct nfset *sets, const char *table, bool isolated, struct error **err);

/* The subnets in the table, "A/L"; a list of the caller. Runs nft. NULL: there are none. */
char **nft_subnets(const char *table);
/* Is there anything of the daemon's? As quick. False also when that cannot be seen. */
bool nft_table_exists(const char *table);

/* Accepts what matches `from` (iifname "brvm0") or `to` in `table ip filter`, in the chain DOCKER-USER or FORWARD, as its
 * first rules, known by the comment `owner`. Once, however often called. Only matches that iptables(8) can show. */
int nft_admit(const char *chain, const char *from, const char *to, const char *owner, struct error **err);
/* Of these owners; one that ends in ":": of all whose comment begins so. Success when there is nothing. */
int nft_unadmit(char *const *owners, struct error **err);
/* Does this text occur in the list of "chain inet filter forward", or "table inet firewalld"? */
bool nft_has(const char *what, const char *sign);

#endif
