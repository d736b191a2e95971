/* SPDX-License-Identifier: MIT */
#include "base/netlink_impl.h"

#include <errno.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"

/* What the kernel sends at once in a dump is 32 KiB since Linux 4.0 (NLMSG_GOODSIZE before); one
 * link with many virtual functions can be longer, and is measured first. */
enum { RECEIVE_MIN = 32768, RECEIVE_MAX = 4 * 1024 * 1024 };

struct netlink *netlink_open_protocol(int protocol, struct error **err)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	struct netlink *nl;

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		error_errno(err, errno, "cannot open a netlink socket");
		return NULL;
	}
	nl = NEW(struct netlink);
	nl->fd = TAKE_FD(fd);
	return nl;
}

/* Strict (Linux 4.20): a dump leaves out what its request does not ask for. */
struct netlink *netlink_open(struct error **err)
{
	struct netlink *nl = netlink_open_protocol(NETLINK_ROUTE, err);
	int on = 1;

	if (nl && setsockopt(nl->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0)
		errno = 0; /* an older kernel tells more than is needed */
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

void request_init(struct request *req, uint16_t type, uint16_t flags, size_t body)
{
	memset(req, 0, sizeof(*req));
	req->hdr.nlmsg_type = type;
	req->hdr.nlmsg_flags = NLM_F_REQUEST | flags;
	req->hdr.nlmsg_len = NLMSG_LENGTH(body);
}

void request_attr(struct request *req, uint16_t type, const void *data, size_t n)
{
	size_t at = NLMSG_ALIGN(req->hdr.nlmsg_len);
	struct rtattr attr = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(n)};

	if (at + RTA_SPACE(n) > sizeof(*req))
		abort();
	memcpy((char *)req + at, &attr, sizeof(attr));
	if (n)
		memcpy((char *)req + at + RTA_LENGTH(0), data, n);
	req->hdr.nlmsg_len = (uint32_t)(at + RTA_LENGTH(n));
}

void request_append(struct request *req, const void *data, size_t n)
{
	size_t at = NLMSG_ALIGN(req->hdr.nlmsg_len);

	if (at + n > sizeof(*req))
		abort();
	memcpy((char *)req + at, data, n);
	req->hdr.nlmsg_len = (uint32_t)(at + n);
}

void request_attr_string(struct request *req, uint16_t type, const char *s)
{
	request_attr(req, type, s, strlen(s) + 1);
}

void request_attr_u32(struct request *req, uint16_t type, uint32_t value)
{
	request_attr(req, type, &value, sizeof(value));
}

size_t request_nest_begin(struct request *req, uint16_t type)
{
	size_t at = NLMSG_ALIGN(req->hdr.nlmsg_len);

	request_attr(req, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void request_nest_end(struct request *req, size_t begin)
{
	struct rtattr *attr = (struct rtattr *)((char *)req + begin);

	attr->rta_len = (unsigned short)(req->hdr.nlmsg_len - begin);
}

/* Waits for a datagram and tells its length without taking it; -errno. */
static ssize_t receive_length(struct netlink *nl, int64_t deadline)
{
	for (;;) {
		struct pollfd pfd = {.fd = nl->fd, .events = POLLIN};
		int64_t left = deadline - clock_ms();
		ssize_t n;

		/* The kernel has answered, also when we come too late to see it in time. */
		if (poll(&pfd, 1, left > 0 ? (int)left : 0) < 0 && errno != EINTR)
			return -errno;
		n = recv(nl->fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
		if (n >= 0)
			return n > RECEIVE_MAX ? -EMSGSIZE : n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (left <= 0)
			return -ETIMEDOUT;
	}
}

ssize_t netlink_receive(struct netlink *nl, char **buf, int64_t deadline)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t length = receive_length(nl, deadline), n;
		size_t room;

		if (length < 0)
			return length;
		room = length > RECEIVE_MIN ? (size_t)length : RECEIVE_MIN;
		*buf = mem_realloc(*buf, room);
		n = recvfrom(nl->fd, *buf, room, MSG_TRUNC, (struct sockaddr *)&from, &from_len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (from.nl_pid != 0)
			continue; /* any process may send to us; only the kernel is port 0 */
		return (size_t)n > room ? -EMSGSIZE : n;
	}
}

int netlink_send(struct netlink *nl, const void *data, size_t n)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t r;

	do
		r = sendto(nl->fd, data, n, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int netlink_transact(struct netlink *nl, struct request *req, struct ifinfomsg *ret_link)
{
	int64_t deadline = clock_ms() + NETLINK_DEADLINE_MS;
	cleanup_free char *buf = NULL;
	int r;

	req->hdr.nlmsg_seq = ++nl->seq;
	r = netlink_send(nl, req, req->hdr.nlmsg_len);
	if (r < 0)
		return r;
	for (;;) {
		ssize_t n = netlink_receive(nl, &buf, deadline);
		struct nlmsghdr *hdr = (struct nlmsghdr *)buf;

		if (n < 0)
			return (int)n;
		for (size_t left = (size_t)n; NLMSG_OK(hdr, left); hdr = NLMSG_NEXT(hdr, left)) {
			if (hdr->nlmsg_seq != nl->seq)
				continue; /* the late answer to a call that gave up */
			if (hdr->nlmsg_type == NLMSG_ERROR && hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				return ((struct nlmsgerr *)NLMSG_DATA(hdr))->error;
			if (ret_link && hdr->nlmsg_type == RTM_NEWLINK &&
			    hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(*ret_link))) {
				memcpy(ret_link, NLMSG_DATA(hdr), sizeof(*ret_link));
				return 0;
			}
		}
	}
}

/* One datagram of a dump: 1 when it was the last, 0 when more follow, -errno. */
static int dump_part(struct netlink *nl, char *buf, ssize_t n, netlink_each_fn *each, void *arg, bool *interrupted)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)buf;

	for (size_t left = (size_t)n; NLMSG_OK(hdr, left); hdr = NLMSG_NEXT(hdr, left)) {
		if (hdr->nlmsg_seq != nl->seq)
			continue;
		if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		if (hdr->nlmsg_type == NLMSG_ERROR && hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
			int r = ((struct nlmsgerr *)NLMSG_DATA(hdr))->error;

			return r < 0 ? r : 1;
		}
		if (hdr->nlmsg_type == NLMSG_DONE)
			return 1;
		each(hdr, arg);
	}
	return 0;
}

static int query(struct netlink *nl, struct request *req, netlink_each_fn *each, void *arg)
{
	int64_t deadline = clock_ms() + NETLINK_DEADLINE_MS;
	cleanup_free char *buf = NULL;
	bool interrupted = false;
	int r;

	req->hdr.nlmsg_seq = ++nl->seq;
	r = netlink_send(nl, req, req->hdr.nlmsg_len);
	while (r == 0) {
		ssize_t n = netlink_receive(nl, &buf, deadline);

		r = n < 0 ? (int)n : dump_part(nl, buf, n, each, arg, &interrupted);
	}
	if (r < 0)
		return r;
	return interrupted ? -EINTR : 0;
}

int netlink_dump(struct netlink *nl, struct request *req, netlink_each_fn *each, void *arg)
{
	req->hdr.nlmsg_flags |= NLM_F_DUMP;
	return query(nl, req, each, arg);
}

int netlink_get(struct netlink *nl, struct request *req, netlink_each_fn *each, void *arg)
{
	req->hdr.nlmsg_flags |= NLM_F_ACK;
	return query(nl, req, each, arg);
}

int netlink_link_index(struct netlink *nl, const char *name, struct error **err)
{
	struct ifinfomsg link = {0};
	struct request req;
	int r;

	if (!*name || strlen(name) >= IFNAMSIZ)
		return error_set(err, ERR_INVALID, "interface name \"%s\" must have 1 to %d bytes", name, IFNAMSIZ - 1);
	request_init(&req, RTM_GETLINK, 0, sizeof(req.link));
	request_attr(&req, IFLA_IFNAME, name, strlen(name) + 1);
	r = netlink_transact(nl, &req, &link);
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
	r = netlink_transact(nl, &req, NULL);
	if (r < 0)
		return error_errno(err, -r, "cannot set interface %d %s", ifindex, up ? "up" : "down");
	return 0;
}

int netlink_link_set_mac(struct netlink *nl, int ifindex, const unsigned char mac[6], struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_NEWLINK, NLM_F_ACK, sizeof(req.link));
	req.link.ifi_index = ifindex;
	request_attr(&req, IFLA_ADDRESS, mac, 6);
	r = netlink_transact(nl, &req, NULL);
	if (r < 0)
		return error_errno(err, -r, "cannot set the MAC address of interface %d", ifindex);
	return 0;
}

int netlink_addr_add(struct netlink *nl, int ifindex, struct in_addr addr, unsigned prefix, struct error **err)
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
	r = netlink_transact(nl, &req, NULL);
	if (r < 0 && r != -EEXIST)
		return error_errno(err, -r, "cannot add an address to interface %d", ifindex);
	return 0;
}

static int route_request(struct netlink *nl, uint16_t flags, int ifindex, struct in_addr dst, unsigned prefix,
			 struct in_addr gateway)
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
	return netlink_transact(nl, &req, NULL);
}

int netlink_route_add(struct netlink *nl, int ifindex, struct in_addr dst, unsigned prefix, struct in_addr gateway,
		      struct error **err)
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
			return error_set(err, ERR_CONFLICT, "there is another route to %s/%u already", text, prefix);
	}
	if (r < 0)
		return error_errno(err, -r, "cannot add a route to %s/%u", text, prefix);
	return 0;
}
