/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "net/apply_impl.h"
#include "net/nft.h"

#include <linux/netfilter.h> /* after netinet/in.h, or both define the same */

/* The index of a link that is this VM's; 0 when there is none of that name, ERR_CONFLICT when it is
 * somebody else's. */
static int find_tap(struct netlink *nl, const struct net_plan *p, struct error **err)
{
	struct link *links;
	size_t n;
	int index = 0;

	if (links_list(nl, &links, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!str_eq(links[i].name, p->links[0].name))
			continue;
		index = links[i].index;
		if (!str_eq(links[i].alias, p->links[0].alias))
			index =
			    error_set(err, ERR_CONFLICT,
				      "there is an interface %s already, and it is not VM "
				      "\"%s\"'s (its alias is \"%s\"). Set network.tap_prefix "
				      "to another name, or remove that interface",
				      links[i].name, p->name, links[i].alias ? links[i].alias : "");
	}
	links_free(links, n);
	return index;
}

static int add_rules(const struct net_plan *p, struct error **err)
{
	cleanup_free char *table = nft_table(p->daemon_id);

	return nfset_add(NFPROTO_BRIDGE, table, p->elements, p->nelements, err);
}

static int remove_rules(const struct net_plan *p, struct error **err)
{
	cleanup_free char *table = nft_table(p->daemon_id);

	return nfset_delete(NFPROTO_BRIDGE, table, p->elements, p->nelements, err);
}

static int join_bridge(struct netlink *nl, const struct net_plan *p, int index, struct error **err)
{
	const struct net_plan_link *link = &p->links[0];
	cleanup_error struct error *why = NULL;
	int master = netlink_link_index(nl, link->master, &why);

	if (master < 0 && why->code == ERR_NOT_FOUND)
		return error_set(
		    err, ERR_CONFLICT,
		    "bridge %s is gone; the daemon makes it again when it is restarted",
		    link->master);
	if (master < 0)
		return error_move(err, &why);
	if (links_set_master(nl, index, master, err) < 0)
		return -1;
	return netlink_link_set_up(nl, index, true, err);
}

static int configure_tap(struct netlink *nl, const struct net_plan *p, struct error **err)
{
	const struct net_plan_link *link = &p->links[0];
	int index = netlink_link_index(nl, link->name, err);

	if (index < 0 || links_set_alias(nl, index, link->alias, err) < 0 ||
	    links_add_altname(nl, index, link->altname, err) < 0 ||
	    links_set_mtu(nl, index, link->mtu, err) < 0 || net_sysctls_apply(p->sysctls, err) < 0)
		return -1;
	return join_bridge(nl, p, index, err);
}

int net_vm_up(const struct net_plan *p, int *ret_fd, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_close int fd = -1;
	int old = nl ? find_tap(nl, p, err) : -1;

	if (old < 0 || (old > 0 && links_delete(nl, old, err) < 0))
		goto fail;
	if (add_rules(p, err) < 0)
		goto fail;
	fd = links_tap_create(p->links[0].name, (uid_t)-1, err);
	if (fd < 0 || configure_tap(nl, p, err) < 0) {
		fd_closep(&fd);
		remove_rules(p, NULL);
		goto fail;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
fail:
	return error_wrap(err, "network of VM \"%s\"", p->name);
}

int net_vm_mend(const struct net_plan *p, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int index = nl ? find_tap(nl, p, err) : -1;

	if (index == 0)
		error_set(err, ERR_NOT_FOUND, "its interface %s is gone", p->links[0].name);
	if (index > 0 && add_rules(p, err) == 0 && net_sysctls_apply(p->sysctls, err) == 0 &&
	    join_bridge(nl, p, index, err) == 0)
		return 0;
	return error_wrap(err, "network of VM \"%s\"", p->name);
}

int net_vm_down(const struct net_plan *p, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_error struct error *why = NULL;
	int index = nl ? find_tap(nl, p, &why) : -1;

	/* Somebody else's interface of that name stays, and so it does not need our rules. */
	if (index < 0 && (!why || why->code != ERR_CONFLICT)) {
		error_move(err, &why);
	} else if (index <= 0 || links_delete(nl, index, err) == 0) {
		if (remove_rules(p, err) == 0)
			return 0;
	}
	return error_wrap(err, "network of VM \"%s\"", p->name);
}
