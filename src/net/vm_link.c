/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "net/apply_impl.h"

int net_find_own_link(struct netlink *nl, const struct net_plan *p, struct error **err)
{
	struct link *links;
	size_t n;
	int index = 0;

	if (links_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *alias = links[i].alias ? links[i].alias : "";

		if (!str_eq(links[i].name, p->links[0].name))
			continue;
		index = links[i].index;
		if (!str_eq(alias, p->links[0].alias))
			index = error_set(err, ERR_CONFLICT,
					  "there is an interface %s already, and it is not VM \"%s\"'s (its alias is \"%s\"). "
					  "%semove that interface",
					  links[i].name, p->name, alias,
					  p->mode == NET_BRIDGE ? "Set network.tap_prefix to another name, or r" : "R");
	}
	links_free(links, n);
	return index;
}
