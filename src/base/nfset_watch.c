/* SPDX-License-Identifier: MIT */
#include "base/nfset.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include "base/netlink_impl.h"
#include "base/str.h"

/* A message of a rule with many expressions is some KiB long; of longer ones the beginning is enough. */
enum { MESSAGE_ROOM = 32768, DRAIN_MAX = 1000 };

int nfset_watch_open(struct error **err)
{
	int group = NFNLGRP_NFTABLES;
	struct netlink *nl = netlink_open_protocol(NETLINK_NETFILTER, err);
	int fd = nl ? nl->fd : -1;

	free(nl);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0)
		return fd;
	error_errno(err, errno, "cannot be told of changes to nftables");
	fd_closep(&fd);
	return -1;
}

/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE and NFTA_RULE_TABLE are one number, and come first. */
static bool is_of_table(const struct nlmsghdr *hdr, const char *table)
{
	const struct rtattr *attr =
		(const void *)((const char *)NLMSG_DATA(hdr) + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	size_t left = hdr->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)), n;

	if (hdr->nlmsg_len < NLMSG_SPACE(sizeof(struct nfgenmsg)) || !RTA_OK(attr, left) ||
	    (attr->rta_type & NLA_TYPE_MASK) != NFTA_TABLE_NAME)
		return false;
	n = RTA_PAYLOAD(attr);
	return n == strlen(table) + 1 && memcmp(RTA_DATA(attr), table, n) == 0;
}

bool nfset_removal(const void *message, size_t n, const char *table)
{
	const struct nlmsghdr *hdr = message;

	for (size_t left = n; NLMSG_OK(hdr, left); hdr = NLMSG_NEXT(hdr, left)) {
		unsigned type = hdr->nlmsg_type & 0xff;

		if (hdr->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES && is_of_table(hdr, table) &&
		    (type == NFT_MSG_DELTABLE || type == NFT_MSG_DELCHAIN || type == NFT_MSG_DELRULE))
			return true;
	}
	return false;
}

bool nfset_watch_read(int fd, const char *table)
{
	cleanup_free char *buf = mem_alloc(MESSAGE_ROOM);
	bool found = false;

	for (int i = 0; i < DRAIN_MAX; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, MESSAGE_ROOM, 0, (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ENOBUFS)
			break;
		/* ENOBUFS: some were lost, and nobody knows what they said. Only the kernel is port 0. */
		found = found || n < 0 || (from.nl_pid == 0 && nfset_removal(buf, (size_t)n, table));
	}
	return found;
}
