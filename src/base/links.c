/* SPDX-License-Identifier: MIT */
#include "base/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/netlink_impl.h"
#include "base/str.h"

/* IFALIASZ and ALTIFNAMSIZ of linux/if.h, less the NUL; that header does not go with net/if.h. */
enum { ALIAS_MAX = 255, ALTNAME_MAX = 127 };

int links_check_name(const char *name, struct error **err)
{
	if (!*name || strlen(name) >= IFNAMSIZ)
		return error_set(err, ERR_INVALID, "interface name \"%s\" must have 1 to %d bytes", name, IFNAMSIZ - 1);
	return 0;
}

static void bridge_options(struct request *req)
{
	size_t info = request_nest_begin(req, IFLA_LINKINFO), data;
	unsigned char off = 0;

	request_attr_string(req, IFLA_INFO_KIND, "bridge");
	data = request_nest_begin(req, IFLA_INFO_DATA);
	request_attr_u32(req, IFLA_BR_STP_STATE, 0);
	request_attr_u32(req, IFLA_BR_FORWARD_DELAY, 0);
	request_attr(req, IFLA_BR_MCAST_SNOOPING, &off, sizeof(off));
	request_nest_end(req, data);
	request_nest_end(req, info);
}

int links_bridge_create(struct netlink *nl, const char *name, const unsigned char mac[6], struct error **err)
{
	struct request req;
	int r;

	if (links_check_name(name, err) < 0)
		return -1;
	request_init(&req, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(req.link));
	request_attr_string(&req, IFLA_IFNAME, name);
	request_attr(&req, IFLA_ADDRESS, mac, 6);
	bridge_options(&req);
	r = netlink_transact(nl, &req, NULL);
	if (r == -EEXIST)
		return error_set(err, ERR_CONFLICT, "there is an interface %s already", name);
	if (r < 0)
		return error_errno(err, -r, "cannot create bridge %s", name);
	return 0;
}

int links_delete(struct netlink *nl, int ifindex, struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_DELLINK, NLM_F_ACK, sizeof(req.link));
	req.link.ifi_index = ifindex;
	r = netlink_transact(nl, &req, NULL);
	if (r < 0 && r != -ENODEV)
		return error_errno(err, -r, "cannot delete interface %d", ifindex);
	return 0;
}

/* Changes one attribute of a link. */
static int set_attr(struct netlink *nl, int ifindex, uint16_t type, const void *data, size_t n, const char *what,
		    struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_NEWLINK, NLM_F_ACK, sizeof(req.link));
	req.link.ifi_index = ifindex;
	request_attr(&req, type, data, n);
	r = netlink_transact(nl, &req, NULL);
	if (r < 0)
		return error_errno(err, -r, "cannot set the %s of interface %d", what, ifindex);
	return 0;
}

int links_set_master(struct netlink *nl, int ifindex, int master, struct error **err)
{
	return set_attr(nl, ifindex, IFLA_MASTER, &master, sizeof(master), "bridge", err);
}

int links_set_alias(struct netlink *nl, int ifindex, const char *alias, struct error **err)
{
	size_t n = strlen(alias);

	if (n > ALIAS_MAX)
		return error_set(err, ERR_INVALID, "the alias \"%s\" is over %d bytes", alias, ALIAS_MAX);
	return set_attr(nl, ifindex, IFLA_IFALIAS, alias, n, "alias", err);
}

int links_set_mtu(struct netlink *nl, int ifindex, unsigned mtu, struct error **err)
{
	uint32_t value = mtu;

	return set_attr(nl, ifindex, IFLA_MTU, &value, sizeof(value), "MTU", err);
}

int links_set_group(struct netlink *nl, int ifindex, unsigned group, struct error **err)
{
	uint32_t value = group;

	return set_attr(nl, ifindex, IFLA_GROUP, &value, sizeof(value), "group", err);
}

int links_rename(struct netlink *nl, int ifindex, const char *name, struct error **err)
{
	if (links_check_name(name, err) < 0)
		return -1;
	return set_attr(nl, ifindex, IFLA_IFNAME, name, strlen(name) + 1, "name", err);
}

int links_add_altname(struct netlink *nl, int ifindex, const char *name, struct error **err)
{
	struct request req;
	size_t list;
	int r;

	if (strlen(name) > ALTNAME_MAX)
		return error_set(err, ERR_INVALID, "the interface name \"%s\" is over %d bytes", name, ALTNAME_MAX);
	request_init(&req, RTM_NEWLINKPROP, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(req.link));
	req.link.ifi_index = ifindex;
	list = request_nest_begin(&req, IFLA_PROP_LIST);
	request_attr_string(&req, IFLA_ALT_IFNAME, name);
	request_nest_end(&req, list);
	r = netlink_transact(nl, &req, NULL);
	if (r < 0 && r != -EEXIST && r != -EOPNOTSUPP)
		return error_errno(err, -r, "cannot give interface %d the name %s", ifindex, name);
	return 0;
}

int links_address_delete(struct netlink *nl, int ifindex, struct in_addr addr, unsigned prefix, struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_DELADDR, NLM_F_ACK, sizeof(req.addr));
	req.addr.ifa_family = AF_INET;
	req.addr.ifa_prefixlen = (unsigned char)prefix;
	req.addr.ifa_index = (uint32_t)ifindex;
	request_attr(&req, IFA_LOCAL, &addr, sizeof(addr));
	r = netlink_transact(nl, &req, NULL);
	if (r < 0 && r != -EADDRNOTAVAIL && r != -ENODEV)
		return error_errno(err, -r, "cannot remove an address from interface %d", ifindex);
	return 0;
}

int links_tap_create(const char *name, uid_t owner, struct error **err)
{
	struct ifreq req = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};
	int header = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	cleanup_close int fd = -1;

	if (links_check_name(name, err) < 0)
		return -1;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_errno(err, errno, "cannot open /dev/net/tun");
	memcpy(req.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &req) < 0) {
		if (errno == EBUSY || errno == EEXIST)
			return error_set(err, ERR_CONFLICT, "there is an interface %s already", name);
		return error_errno(err, errno, "cannot create tap %s", name);
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return error_errno(err, errno, "cannot set up tap %s", name);
	if (owner != (uid_t)-1 && ioctl(fd, TUNSETOWNER, (unsigned long)owner) < 0)
		return error_errno(err, errno, "cannot give tap %s its owner", name);
	return TAKE_FD(fd);
}
