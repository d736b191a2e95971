/* SPDX-License-Identifier: MIT */
/* What connects two network namespaces: pairs of interfaces, and neighbours that are settled beforehand. */
#include "base/links.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>

#include "base/netlink_impl.h"
#include "base/str.h"

static void veth_options(struct request *req, const struct links_veth *veth)
{
	size_t info = request_nest_begin(req, IFLA_LINKINFO), data, peer;
	struct ifinfomsg head = {0};
	uint32_t fd = (uint32_t)veth->netns_fd;

	request_attr_string(req, IFLA_INFO_KIND, "veth");
	data = request_nest_begin(req, IFLA_INFO_DATA);
	peer = request_nest_begin(req, VETH_INFO_PEER);
	request_append(req, &head, sizeof(head));
	request_attr_string(req, IFLA_IFNAME, veth->peer);
	request_attr(req, IFLA_ADDRESS, veth->peer_mac, 6);
	request_attr_u32(req, IFLA_MTU, veth->mtu);
	request_attr_u32(req, IFLA_NET_NS_FD, fd);
	request_nest_end(req, peer);
	request_nest_end(req, data);
	request_nest_end(req, info);
}

int links_veth_create(struct netlink *nl, const struct links_veth *veth, struct error **err)
{
	struct request req;
	int r;

	if (links_check_name(veth->name, err) < 0 || links_check_name(veth->peer, err) < 0)
		return -1;
	request_init(&req, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(req.link));
	request_attr_string(&req, IFLA_IFNAME, veth->name);
	request_attr(&req, IFLA_ADDRESS, veth->mac, 6);
	request_attr_u32(&req, IFLA_MTU, veth->mtu);
	request_attr_u32(&req, IFLA_GROUP, veth->group);
	veth_options(&req, veth);
	r = netlink_transact(nl, &req, NULL);
	if (r == -EEXIST)
		return error_set(err, ERR_CONFLICT, "there is an interface %s already", veth->name);
	if (r < 0)
		return error_errno(err, -r, "cannot create the pair of interfaces %s", veth->name);
	return 0;
}

int links_address_add_peer(struct netlink *nl, int ifindex, struct in_addr addr, struct in_addr peer,
			   struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(req.addr));
	req.addr.ifa_family = AF_INET;
	req.addr.ifa_prefixlen = 32;
	req.addr.ifa_index = (uint32_t)ifindex;
	request_attr(&req, IFA_LOCAL, &addr, sizeof(addr));
	request_attr(&req, IFA_ADDRESS, &peer, sizeof(peer));
	r = netlink_transact(nl, &req, NULL);
	if (r < 0 && r != -EEXIST)
		return error_errno(err, -r, "cannot add an address to interface %d", ifindex);
	return 0;
}

static int neighbour(struct netlink *nl, int ifindex, struct in_addr addr, const unsigned char *mac, struct error **err)
{
	struct ndmsg head = {.ndm_family = AF_INET, .ndm_ifindex = ifindex, .ndm_state = NUD_PERMANENT};
	struct request req;
	int r;

	if (!mac)
		head.ndm_flags = NTF_PROXY;
	request_init(&req, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(head));
	memcpy(req.room, &head, sizeof(head));
	request_attr(&req, NDA_DST, &addr, sizeof(addr));
	if (mac)
		request_attr(&req, NDA_LLADDR, mac, 6);
	r = netlink_transact(nl, &req, NULL);
	if (r < 0)
		return error_errno(err, -r, "cannot set a neighbour of interface %d", ifindex);
	return 0;
}

int links_neighbour_set(struct netlink *nl, int ifindex, struct in_addr addr, const unsigned char mac[6],
			struct error **err)
{
	return neighbour(nl, ifindex, addr, mac, err);
}

int links_neighbour_proxy(struct netlink *nl, int ifindex, struct in_addr addr, struct error **err)
{
	return neighbour(nl, ifindex, addr, NULL, err);
}
