/* SPDX-License-Identifier: MIT */
/* What IPv4 does on one interface, by netlink: a path through /proc/sys/net takes the longer the more network namespaces there are,
 * since to the kernel's cache of names their `ipv4` are entries of one name. */
#include "base/links.h"

#include <errno.h>
#include <linux/ip.h>
#include <linux/neighbour.h>

#include "base/netlink_impl.h"
#include "base/str.h"

int links_ipv4_set(struct netlink *nl, int ifindex, unsigned settings, struct error **err)
{
	struct request req;
	size_t spec, family, conf;
	int r;

	request_init(&req, RTM_NEWLINK, NLM_F_ACK, sizeof(req.link));
	req.link.ifi_index = ifindex;
	spec = request_nest_begin(&req, IFLA_AF_SPEC);
	family = request_nest_begin(&req, AF_INET);
	conf = request_nest_begin(&req, IFLA_INET_CONF);
	if (settings & LINKS_IPV4_FORWARD)
		request_attr_u32(&req, IPV4_DEVCONF_FORWARDING, 1);
	if (settings & LINKS_IPV4_STRICT)
		request_attr_u32(&req, IPV4_DEVCONF_RP_FILTER, 1);
	request_nest_end(&req, conf);
	request_nest_end(&req, family);
	request_nest_end(&req, spec);
	r = netlink_transact(nl, &req, NULL);
	return r < 0 ? error_errno(err, -r, "cannot set what IPv4 does on interface %d", ifindex) : 0;
}

int links_proxy_delay_set(struct netlink *nl, int ifindex, uint64_t ms, struct error **err)
{
	const struct ndtmsg head = {.ndtm_family = AF_INET};
	struct request req;
	size_t parameters;
	int r;

	request_init(&req, RTM_SETNEIGHTBL, NLM_F_ACK, sizeof(head));
	memcpy(req.room, &head, sizeof(head));
	request_attr_string(&req, NDTA_NAME, "arp_cache");
	parameters = request_nest_begin(&req, NDTA_PARMS);
	request_attr_u32(&req, NDTPA_IFINDEX, (uint32_t)ifindex);
	request_attr(&req, NDTPA_PROXY_DELAY, &ms, sizeof(ms));
	request_nest_end(&req, parameters);
	r = netlink_transact(nl, &req, NULL);
	return r < 0 ? error_errno(err, -r, "cannot set the proxy delay of interface %d", ifindex) : 0;
}
