/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "net/apply_impl.h"

int net_find_own_link(struct netlink *nl, const struct net_plan *p, struct error **err)
{
	cleanup_error struct error *why = NULL;
	cleanup_free char *alias = NULL;
	struct link link = {0};

	if (links_get(nl, p->links[0].name, &link, &why) < 0)
		return why->code == ERR_NOT_FOUND ? 0 : error_move(err, &why);
	alias = link.alias ? link.alias : str_dup("");
	if (str_eq(alias, p->links[0].alias))
		return link.index;
	/* From a launch that was killed before it had one; nobody else makes macvtaps of such names. A tap does not outlive that. */
	if (!*alias && p->links[0].kind == NET_LINK_MACVTAP && str_eq(link.kind, "macvtap"))
		return link.index;
	return error_set(err, ERR_CONFLICT,
			 "there is an interface %s already, and it is not VM \"%s\"'s (its alias is \"%s\"). "
			 "%semove that interface",
			 link.name, p->name, alias,
			 p->mode == NET_BRIDGE ? "Set network.tap_prefix to another name, or r" : "R");
}
