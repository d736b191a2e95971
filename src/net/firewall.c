/* SPDX-License-Identifier: MIT */
#include "net/firewall.h"

#include "base/str.h"
#include "net/nft.h"

/* Answers of a VM's peers come in by the interfaces that routes lead out of; they are only passed
 * on when forwarding is on where they come in (ip-sysctl.rst, conf/INTERFACE/forwarding). */
void net_plan_uplinks(struct net_plan *p, const struct net_facts *facts)
{
	for (size_t i = 0; i < facts->nlinks; i++) {
		const struct link *link = &facts->links[i];
		bool routed = false;

		if (link->flags & IFF_LOOPBACK || (link->alias && str_starts(link->alias, "slicer:")))
			continue;
		for (size_t j = 0; j < facts->nroutes && !routed; j++)
			routed = facts->routes[j].index == link->index;
		for (size_t j = 0; j < facts->nothers && !routed; j++)
			routed = facts->others[j].index == link->index;
		if (routed)
			strv_append_fmt(&p->sysctls, "-net/ipv4/conf/%s/forwarding=1", link->name);
	}
}

/* The user has given the commands below. */
static bool legacy_passes(const struct net_firewall *fw, const struct net_pass *pass)
{
	for (size_t i = 0; i < ARRAY_LEN(pass->iptables); i++) {
		cleanup_free char *rule = str_fmt("-A FORWARD %s -j ACCEPT\n", pass->iptables[i]);

		if (!fw->legacy_rules || !strstr(fw->legacy_rules, rule))
			return false;
	}
	return true;
}

void net_firewall_explain(const struct net_firewall *fw, const struct net_pass *pass, char ***notes)
{
	if (fw->legacy_drop && !legacy_passes(fw, pass))
		strv_append_fmt(
			notes,
			"iptables-legacy drops packets between interfaces, so that %s reach no further than this "
			"host. Allow them: iptables-legacy -I FORWARD %s -j ACCEPT; iptables-legacy -I FORWARD "
			"%s -j ACCEPT",
			pass->who, pass->iptables[0], pass->iptables[1]);
	if (fw->firewalld)
		strv_append_fmt(notes,
				"firewalld rejects packets of %s. Let the %s pass: firewall-cmd --permanent "
				"--zone=trusted %s; firewall-cmd --reload",
				pass->unknown, pass->who, pass->zone);
	for (char **chain = fw->others; chain && *chain; chain++)
		strv_append_fmt(notes,
				"The nftables chain %1$s drops packets between interfaces, so that %2$s may reach no "
				"further than this host. Allow them: nft insert rule %1$s %3$s accept; nft insert rule "
				"%1$s %4$s accept; and add these rules to where the chain comes from, such as "
				"/etc/nftables.conf",
				*chain, pass->who, pass->nft[0], pass->nft[1]);
}

void net_plan_firewall(struct net_plan *p, const struct net_firewall *fw, const struct net_pass *pass)
{
	if (fw->iptables_drop)
		p->admit_chain = str_dup(fw->docker_user ? "DOCKER-USER" : "FORWARD");
	net_firewall_explain(fw, pass, &p->notes);
}

/* What the comment of a group's rules in foreign tables says. */
static char *admit_owner(const char *daemon_id, const char *key)
{
	cleanup_free char *table = nft_table(daemon_id);

	return str_fmt("%s:%s", table, key);
}

int net_firewall_admit(const struct net_plan *p, const char *key, const char *from, const char *to, struct error **err)
{
	cleanup_free char *owner = admit_owner(p->daemon_id, key);

	if (!p->admit_chain || nft_admit(p->admit_chain, from, to, owner, err) == 0)
		return 0;
	return error_wrap(err, "let VMs pass the host's firewall");
}

int net_firewall_unadmit(const char *daemon_id, char *const *keys, struct error **err)
{
	cleanup_strv char **owners = NULL;

	for (; *keys; keys++)
		strv_append_take(&owners, admit_owner(daemon_id, *keys));
	return owners ? nft_unadmit(owners, err) : 0;
}

static bool is_settled(const char *note, const struct net_firewall *fw, const char *sign)
{
	if (fw->firewalld && strstr(note, "firewall-cmd"))
		return nft_has("table inet firewalld", sign);
	for (char **name = fw->others; name && *name; name++) {
		cleanup_free char *chain = str_fmt("chain %s", *name);

		if (strstr(note, chain) && nft_has(chain, sign))
			return true;
	}
	return false;
}

char **net_firewall_unsettled(char *const *notes, const struct net_firewall *fw, const char *sign)
{
	char **left = NULL;

	for (; notes && *notes; notes++)
		if (!is_settled(*notes, fw, sign))
			strv_append(&left, *notes);
	return left;
}

void net_firewall_tell(const struct net_firewall *fw, const struct net_pass *pass, char ***notes)
{
	cleanup_strv char **all = NULL, **left = NULL;

	net_firewall_explain(fw, pass, &all);
	left = net_firewall_unsettled(all, fw, pass->sign);
	for (char **note = left; note && *note; note++)
		strv_append(notes, *note);
}
