/* SPDX-License-Identifier: MIT */
/* Inside src/net: what other firewalls of the host need so that VMs' packets pass. */
#ifndef SLICER_NET_FIREWALL_H
#define SLICER_NET_FIREWALL_H

#include "net/plan.h"

/* How packets of a group are told, in the words of each; what comes from the VMs, then what goes to them. */
struct net_pass {
	const char *who;	 /* "VMs on brvm0" */
	const char *iptables[2]; /* "-i brvm0" */
	const char *nft[2];	 /* "iifname brvm0" */
	const char *unknown;	 /* to firewalld: "interfaces that are in no zone" */
	const char *zone;	 /* firewall-cmd's option */
	const char *sign;	 /* what is in nft's list of rules that let it pass: "\"brvm0\"" */
};
/* Sentences with the commands, for the user; not about what iptables-legacy lets pass already. */
void net_firewall_explain(const struct net_firewall *fw, const struct net_pass *pass, char ***notes);
/* Adds to the plan of a group what slicer can do (admit_chain), and notes for the user about the rest. */
void net_plan_firewall(struct net_plan *p, const struct net_firewall *fw, const struct net_pass *pass);

/* Accepts what the plan's admit_chain would drop, known by the group's name (`key`: a bridge or a range). */
int net_firewall_admit(const struct net_plan *p, const char *key, const char *from, const char *to, struct error **err);
/* Of these keys; "": of all groups. */
int net_firewall_unadmit(const char *daemon_id, char *const *keys, struct error **err);
/* Those of these notes that are not settled: the chain or the firewalld that they are about has no rule with this sign. Runs
 * nft. The caller's. */
char **net_firewall_unsettled(char *const *notes, const struct net_firewall *fw, const char *sign);
/* Both of them. */
void net_firewall_tell(const struct net_firewall *fw, const struct net_pass *pass, char ***notes);

#endif
