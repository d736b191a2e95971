/* SPDX-License-Identifier: MIT */
#include "base/netlink.h"

#include <errno.h>
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"

#define DEADLINE_MS 2000
#define REPLY_SIZE                                                                                 \
	((size_t)32768) /* the kernel's replies are at most this long (NLMSG_GOODSIZE is less) */

struct netlink {
	int fd;
	uint32_t seq;
};

/* A request under construction. Ours are small and of known size; attributes beyond `room` would be
 * a bug. */
struct request {
	struct nlmsghdr hdr;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
		unsigned char room[256];
	};
};

struct netlink *netlink_open(struct error **err)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	cleanup_close int fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct netlink *nl;

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		error_errno(err, errno, "cannot open a netlink socket");
		return NULL;
	}
	nl = NEW(struct netlink);
	nl->fd = TAKE_FD(fd);
	return nl;
}

void netlink_close(struct netlink **nl)
{
	if (!*nl)
		return;
	fd_closep(&(*nl)->fd);
	free(*nl);
	*nl = NULL;
}

static void request_init(struct request *req, uint16_t type, uint16_t flags, size_t body)
{
	memset(req, 0, sizeof(*req));
	req->hdr.nlmsg_type = type;
	req->hdr.nlmsg_flags = NLM_F_REQUEST | flags;
	req->hdr.nlmsg_len = NLMSG_LENGTH(body);
}

static void request_attr(struct request *req, uint16_t type, const void *data, size_t n)
{
	size_t at = NLMSG_ALIGN(req->hdr.nlmsg_len);
	struct rtattr attr = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(n)};

	if (at + RTA_SPACE(n) > sizeof(*req))
		abort();
	memcpy((char *)req + at, &attr, sizeof(attr));
	memcpy((char *)req + at + RTA_LENGTH(0), data, n);
	req->hdr.nlmsg_len = (uint32_t)(at + RTA_LENGTH(n));
}

/* One datagram from the kernel; returns its length, or -errno. */
static ssize_t receive(struct netlink *nl, void *buf, int64_t deadline)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		struct pollfd pfd = {.fd = nl->fd, .events = POLLIN};
		int64_t left = deadline - clock_ms();
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
		n = recvfrom(nl->fd, buf, REPLY_SIZE, MSG_TRUNC, (struct sockaddr *)&from,
			     &from_len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (from.nl_pid != 0)
			continue; /* any process may send to us; only the kernel is port 0 */
		return (size_t)n > REPLY_SIZE ? -EMSGSIZE : n;
	}
}

/* Sends and waits for the answer to it. 0 or -errno as the kernel says it. An answer that is no
 * acknowledgement goes to *ret_link. */
static int transact(struct netlink *nl, struct request *req, struct ifinfomsg *ret_link)
{
	int64_t deadline = clock_ms() + DEADLINE_MS;
	cleanup_free char *buf = mem_alloc(REPLY_SIZE);
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	req->hdr.nlmsg_seq = ++nl->seq;
	if (sendto(nl->fd, req, req->hdr.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) <
	    0)
		return -errno;
	for (;;) {
		ssize_t n = receive(nl, buf, deadline);
		struct nlmsghdr *hdr = (struct nlmsghdr *)buf;

		if (n < 0)
			return (int)n;
		for (size_t left = (size_t)n; NLMSG_OK(hdr, left); hdr = NLMSG_NEXT(hdr, left)) {
			if (hdr->nlmsg_seq != nl->seq)
				continue; /* the late answer to a call that gave up */
			if (hdr->nlmsg_type == NLMSG_ERROR &&
			    hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				return ((struct nlmsgerr *)NLMSG_DATA(hdr))->error;
			if (ret_link && hdr->nlmsg_type == RTM_NEWLINK &&
			    hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(*ret_link))) {
				memcpy(ret_link, NLMSG_DATA(hdr), sizeof(*ret_link));
				return 0;
			}
		}
	}
}

int netlink_link_index(struct netlink *nl, const char *name, struct error **err)
{
	struct ifinfomsg link = {0};
	struct request req;
	int r;

	if (!*name || strlen(name) >= IFNAMSIZ)
		return error_set(err, ERR_INVALID, "interface name \"%s\" must have 1 to %d bytes",
				 name, IFNAMSIZ - 1);
	request_init(&req, RTM_GETLINK, 0, sizeof(req.link));
	request_attr(&req, IFLA_IFNAME, name, strlen(name) + 1);
	r = transact(nl, &req, &link);
	if (r == -ENODEV)
		return error_set(err, ERR_NOT_FOUND, "there is no network interface %s", name);
	if (r < 0)
		return error_errno(err, -r, "cannot look up network interface %s", name);
	return link.ifi_index;
}

int netlink_link_set_up(struct netlink *nl, int ifindex, bool up, struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_NEWLINK, NLM_F_ACK, sizeof(req.link));
	req.link.ifi_index = ifindex;
	req.link.ifi_change = IFF_UP;
	req.link.ifi_flags = up ? IFF_UP : 0;
	r = transact(nl, &req, NULL);
	if (r < 0)
		return error_errno(err, -r, "cannot set interface %d %s", ifindex,
				   up ? "up" : "down");
	return 0;
}

int netlink_link_set_mac(struct netlink *nl, int ifindex, const unsigned char mac[6],
			 struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_NEWLINK, NLM_F_ACK, sizeof(req.link));
	req.link.ifi_index = ifindex;
	request_attr(&req, IFLA_ADDRESS, mac, 6);
	r = transact(nl, &req, NULL);
	if (r < 0)
		return error_errno(err, -r, "cannot set the MAC address of interface %d", ifindex);
	return 0;
}

int netlink_addr_add(struct netlink *nl, int ifindex, struct in_addr addr, unsigned prefix,
		     struct error **err)
{
	struct request req;
	int r;

	if (prefix > 32)
		return error_set(err, ERR_INVALID, "prefix length %u is over 32", prefix);
	request_init(&req, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(req.addr));
	req.addr.ifa_family = AF_INET;
	req.addr.ifa_prefixlen = (unsigned char)prefix;
	req.addr.ifa_index = (uint32_t)ifindex;
	request_attr(&req, IFA_LOCAL, &addr, sizeof(addr));
	request_attr(&req, IFA_ADDRESS, &addr, sizeof(addr));
	if (prefix && prefix < 31) {
		struct in_addr broadcast = {addr.s_addr | htonl(UINT32_MAX >> prefix)};

		request_attr(&req, IFA_BROADCAST, &broadcast, sizeof(broadcast));
	}
	r = transact(nl, &req, NULL);
	if (r < 0 && r != -EEXIST)
		return error_errno(err, -r, "cannot add an address to interface %d", ifindex);
	return 0;
}

static int route_request(struct netlink *nl, uint16_t flags, int ifindex, struct in_addr dst,
			 unsigned prefix, struct in_addr gateway)
{
	uint32_t oif = (uint32_t)ifindex;
	struct request req;

	request_init(&req, RTM_NEWROUTE, NLM_F_ACK | flags, sizeof(req.route));
	req.route.rtm_family = AF_INET;
	req.route.rtm_dst_len = (unsigned char)prefix;
	req.route.rtm_table = RT_TABLE_MAIN;
	req.route.rtm_protocol = RTPROT_STATIC;
	req.route.rtm_type = RTN_UNICAST;
	req.route.rtm_scope = gateway.s_addr ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	if (prefix)
		request_attr(&req, RTA_DST, &dst, sizeof(dst));
	if (gateway.s_addr)
		request_attr(&req, RTA_GATEWAY, &gateway, sizeof(gateway));
	request_attr(&req, RTA_OIF, &oif, sizeof(oif));
	return transact(nl, &req, NULL);
}

int netlink_route_add(struct netlink *nl, int ifindex, struct in_addr dst, unsigned prefix,
		      struct in_addr gateway, struct error **err)
{
	char text[INET_ADDRSTRLEN];
	int r;

	if (prefix > 32)
		return error_set(err, ERR_INVALID, "prefix length %u is over 32", prefix);
	inet_ntop(AF_INET, &dst, text, sizeof(text));
	r = route_request(nl, NLM_F_CREATE | NLM_F_EXCL, ifindex, dst, prefix, gateway);
	if (r == -EEXIST) {
		/* That is said of any route to the destination. Without flags nothing is added, and
		 * EEXIST means this very route. */
		r = route_request(nl, 0, ifindex, dst, prefix, gateway);
		if (r == -EEXIST)
			return 0;
		if (r == -ENOENT)
			return error_set(err, ERR_CONFLICT,
					 "there is another route to %s/%u already", text, prefix);
	}
	if (r < 0)
		return error_errno(err, -r, "cannot add a route to %s/%u", text, prefix);
	return 0;
}
