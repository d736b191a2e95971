/* SPDX-License-Identifier: MIT */
/* Macvtaps: an interface beside another one on its wire, whose frames a character device gives and takes. */
#include "base/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/netlink_impl.h"
#include "base/str.h"

int links_macvtap_create(struct netlink *nl, const char *name, int parent, const unsigned char mac[6], unsigned mtu,
			 struct error **err)
{
	struct request req;
	size_t info, data;
	int r;

	request_init(&req, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(req.link));
	request_attr_string(&req, IFLA_IFNAME, name);
	request_attr_u32(&req, IFLA_LINK, (uint32_t)parent);
	request_attr(&req, IFLA_ADDRESS, mac, 6);
	request_attr_u32(&req, IFLA_MTU, mtu);
	info = request_nest_begin(&req, IFLA_LINKINFO);
	request_attr_string(&req, IFLA_INFO_KIND, "macvtap");
	data = request_nest_begin(&req, IFLA_INFO_DATA);
	request_attr_u32(&req, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); /* VMs on one parent reach each other */
	request_nest_end(&req, data);
	request_nest_end(&req, info);
	r = netlink_transact(nl, &req, NULL);
	if (r == -EEXIST)
		return error_set(err, ERR_CONFLICT, "there is an interface %s already", name);
	if (r == -EOPNOTSUPP)
		return error_set(err, ERR_UNSUPPORTED, "this kernel has no macvtap interfaces (modprobe macvtap)");
	if (r == -EBUSY)
		return error_set(
			err, ERR_CONFLICT,
			"its parent is in use by a bridge, bond or macvlan in passthru mode, which takes all of its frames");
	return r < 0 ? error_errno(err, -r, "cannot create macvtap %s", name) : 0;
}

int links_macvtap_set_up(struct netlink *nl, int ifindex, struct error **err)
{
	struct request req;
	int r;

	request_init(&req, RTM_NEWLINK, NLM_F_ACK, sizeof(req.link));
	req.link.ifi_index = ifindex;
	req.link.ifi_flags = req.link.ifi_change = IFF_UP | IFF_ALLMULTI;
	r = netlink_transact(nl, &req, NULL);
	if (r == -EADDRINUSE || r == -EBUSY)
		return error_set(err, ERR_CONFLICT, "another interface on its parent has its MAC address");
	return r < 0 ? error_errno(err, -r, "cannot bring macvtap %d up", ifindex) : 0;
}

/* The number of its device, which the kernel chose: /sys/class/net/NAME/macvtap/tapINDEX/dev, "MAJOR:MINOR". */
static int macvtap_device(const char *name, int ifindex, dev_t *ret, struct error **err)
{
	cleanup_free char *path = str_fmt("/sys/class/net/%s/macvtap/tap%d/dev", name, ifindex);
	cleanup_free char *text = NULL;
	unsigned major_number, minor_number;

	if (fs_read_file(path, 64, &text, NULL, err) < 0)
		return error_wrap(err, "the device of macvtap %s", name);
	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return error_set(err, ERR_INTERNAL, "%s has no device number", path);
	*ret = makedev(major_number, minor_number);
	return 0;
}

static int open_device(const char *path, dev_t device)
{
	cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == device)
		return TAKE_FD(fd);
	errno = ENODEV;
	return -1;
}

/* A node of our own: /dev/tapN comes by devtmpfs or udev, perhaps late, perhaps not at all, and network namespaces that share
 * /dev share its name as well. In /dev, because elsewhere devices may not be opened (nodev). What a kill leaves has the name of
 * the device, whose number the kernel gives to the next one. */
static int open_own_node(dev_t device)
{
	cleanup_free char *path = str_fmt("/dev/.slicer-%u-%u", major(device), minor(device));
	int fd = -1, saved;

	unlink(path);
	if (mknod(path, S_IFCHR | 0600, device) == 0)
		fd = open_device(path, device);
	saved = errno;
	unlink(path);
	errno = saved;
	return fd;
}

static int configure_queue(int fd, const char *name, struct error **err)
{
	struct ifreq req = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = sizeof(struct virtio_net_hdr_mrg_rxbuf);

	if (ioctl(fd, TUNSETIFF, &req) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return error_errno(err, errno, "cannot set up macvtap %s", name);
	return 0;
}

int links_macvtap_open(const char *name, int ifindex, struct error **err)
{
	cleanup_free char *node = str_fmt("/dev/tap%d", ifindex);
	cleanup_close int fd = -1;
	dev_t device = 0;

	if (macvtap_device(name, ifindex, &device, err) < 0)
		return -1;
	fd = open_own_node(device);
	if (fd < 0) /* a container's rules may forbid to make nodes */
		fd = open_device(node, device);
	if (fd < 0)
		return error_errno(err, errno,
				   "cannot open the device of macvtap %s, neither by a node of its own nor as %s", name,
				   node);
	return configure_queue(fd, name, err) < 0 ? -1 : TAKE_FD(fd);
}
