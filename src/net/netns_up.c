/* SPDX-License-Identifier: MIT */
/* In slicer-netns: the inside of an isolated VM's namespace. Its tap has no address: the kernel answers in the name of the
 * gateway, which is on the host, and passes on what the rules let through. Rules are there before any interface is up.
 *
 *   guest .2 ── tap │ rules │ uplink ══ ve-… .1 (host) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/links.h"
#include "base/str.h"
#include "net/apply_impl.h"
#include "net/egress.h"
#include "net/netns_protocol.h"
#include "net/nft.h"

struct making {
	const struct net_plan *plan;
	const struct net_plan_link *veth, *tap;
	struct in_addr guest, gateway;
	unsigned char guest_mac[6];
	bool named;
	struct netlink *outside; /* of the namespace that this program was started in */
	int tap_fd;
};

static int making_init(struct making *m, const struct net_plan *p, struct error **err)
{
	struct ip4_cidr guest;
	uint32_t gateway;

	*m = (struct making){.plan = p, .veth = &p->links[0], .tap = &p->links[1], .tap_fd = -1};
	if (!p->netns || p->nlinks != 2 || m->veth->kind != NET_LINK_VETH || m->tap->kind != NET_LINK_NETNS_TAP)
		return error_set(err, ERR_INVALID, "not the plan of an isolated VM");
	if (ip4_parse_cidr(p->guest.address, &guest, err) < 0 || ip4_parse(p->guest.gateway, &gateway, err) < 0)
		return -1;
	if (mac_parse(p->guest.mac, m->guest_mac) < 0)
		return error_set(err, ERR_INVALID, "\"%s\" is no MAC address", p->guest.mac);
	m->guest.s_addr = htonl(guest.addr);
	m->gateway.s_addr = htonl(gateway);
	return 0;
}

static int step_namespace(struct making *m, struct error **err)
{
	static const char *const sysctls[] = {"-net/ipv6/conf/all/disable_ipv6=1",
					      "-net/ipv6/conf/default/disable_ipv6=1", NULL};

	m->outside = netlink_open(err);
	if (!m->outside || netns_enter_new(m->veth->alias, err) < 0)
		return -1;
	return net_sysctls_apply((char *const *)sysctls, err);
}

static int step_name(struct making *m, struct error **err)
{
	m->named = netns_mount(m->plan->netns, err) == 0;
	return m->named ? 0 : -1;
}

/* The delay is for answers of many machines at once; here there is one. */
static int step_tap(struct making *m, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int index;

	m->tap_fd = nl ? links_tap_create(m->tap->name, (uid_t)-1, err) : -1;
	index = m->tap_fd < 0 ? -1 : netlink_link_index(nl, m->tap->name, err);
	if (index < 0 || netlink_link_set_mac(nl, index, m->tap->mac, err) < 0 ||
	    links_set_mtu(nl, index, m->tap->mtu, err) < 0)
		return -1;
	return links_proxy_delay_set(nl, index, 0, err);
}

static int step_rules(struct making *m, struct error **err)
{
	return nft_run(m->plan->nft, err);
}

static int step_pair(struct making *m, struct error **err)
{
	cleanup_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct links_veth veth = {.name = m->veth->name,
				  .peer = m->veth->peer,
				  .mtu = m->veth->mtu,
				  .group = NET_GROUP_ISOLATED,
				  .netns_fd = own};

	if (own < 0)
		return error_errno(err, errno, "cannot open this network namespace");
	memcpy(veth.mac, m->veth->mac, sizeof(veth.mac));
	memcpy(veth.peer_mac, m->veth->peer_mac, sizeof(veth.peer_mac));
	return links_veth_create(m->outside, &veth, err);
}

static int step_routes(struct making *m, struct error **err)
{
	const struct in_addr none = {0};
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int tap = nl ? netlink_link_index(nl, m->tap->name, err) : -1;
	int uplink = tap < 0 ? -1 : netlink_link_index(nl, m->veth->peer, err);

	if (uplink < 0 || links_ipv4_set(nl, uplink, LINKS_IPV4_FORWARD, err) < 0 ||
	    links_ipv4_set(nl, tap, LINKS_IPV4_FORWARD, err) < 0 || netlink_link_set_up(nl, uplink, true, err) < 0 ||
	    links_neighbour_set(nl, uplink, m->gateway, m->veth->mac, err) < 0 ||
	    netlink_route_add(nl, uplink, m->gateway, 32, none, err) < 0 ||
	    netlink_route_add(nl, uplink, none, 0, m->gateway, err) < 0 ||
	    netlink_link_set_up(nl, tap, true, err) < 0 ||
	    links_neighbour_set(nl, tap, m->guest, m->guest_mac, err) < 0 ||
	    links_neighbour_proxy(nl, tap, m->gateway, err) < 0)
		return -1;
	return netlink_route_add(nl, tap, m->guest, 32, none, err);
}

int netns_send_fd(int fd, struct error **err)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (sendmsg(NETNS_SOCKET, &msg, MSG_NOSIGNAL) != 1)
		return error_errno(err, errno, "cannot hand over the tap");
	return 0;
}

static int step_hand_over(struct making *m, struct error **err)
{
	return netns_send_fd(m->tap_fd, err);
}

static const struct netns_step {
	const char *name;
	int (*run)(struct making *m, struct error **err);
} netns_steps[] = {
	{.name = "namespace", .run = step_namespace},
	{.name = "name", .run = step_name},
	{.name = "tap", .run = step_tap},
	{.name = "rules", .run = step_rules},
	{.name = "pair", .run = step_pair},
	{.name = "routes", .run = step_routes},
	{.name = "handover", .run = step_hand_over},
};

static int inject(const char *step, struct error **err)
{
	cleanup_free char *fail = str_fmt("netns.%s:fail", step), *end = str_fmt("netns.%s:kill", step);
	const char *fault = getenv("SLICER_FAULT");

	if (str_eq(fault, end))
		kill(getpid(), SIGKILL);
	return str_eq(fault, fail) ? error_set(err, ERR_INTERNAL, "fault injected at netns.%s", step) : 0;
}

/* The pair goes with the namespace, and that with its name, the tap's fd and this process. */
static int undo(const struct making *m, struct error **why, struct error **err)
{
	if (m->named)
		netns_unmount(m->plan->netns, NULL);
	return error_move(err, why);
}

/* What a launch that a crash interrupted has left is replaced. */
static int clear_old(const struct net_plan *p, struct error **err)
{
	cleanup_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (netns_enter(p->netns, p->links[0].alias, err) < 0)
		return -1;
	if (own < 0 || setns(own, CLONE_NEWNET) < 0)
		return error_errno(err, errno, "cannot return from a network namespace");
	return netns_unmount(p->netns, err);
}

int netns_make(const struct net_plan *p, struct error **err)
{
	struct error *why = NULL;
	struct making m;
	int r = 0;

	if (making_init(&m, p, err) < 0 || clear_old(p, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(netns_steps) && r == 0; i++)
		if (netns_steps[i].run(&m, &why) < 0 || inject(netns_steps[i].name, &why) < 0)
			r = undo(&m, &why, err);
	netlink_close(&m.outside);
	return r;
}

int netns_repair(const struct net_plan *p, struct error **err)
{
	cleanup_free char *rules = str_fmt("%s%s", NET_EGRESS_RENEW, p->nft ? p->nft : "");
	struct making m;
	int r;

	if (making_init(&m, p, err) < 0)
		return -1;
	r = netns_enter(p->netns, m.veth->alias, err);
	if (r > 0)
		return error_set(err, ERR_NOT_FOUND, "its network namespace " NETNS_DIR "/%s is gone", p->netns);
	if (r < 0 || (p->nft && nft_run(rules, err) < 0))
		return -1;
	return step_routes(&m, err);
}
