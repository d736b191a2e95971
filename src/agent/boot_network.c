/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/netlink.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/boot_steps.h"

enum { POLL_MS = 10, MTU_TEXT = 16 };

static void write_value(const char *path, const char *value)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* A kernel without IPv6 has no such file and needs none. */
	if (fd >= 0 && write(fd, value, strlen(value)) < 0)
		console_print("cannot write %s: %s", path, strerror(errno));
}

/* The interface of that MAC, or the only one besides lo; the caller's. */
static char *look_for_interface(const struct guest_network *net)
{
	DIR *dir = opendir("/sys/class/net");
	cleanup_free char *want = str_fmt("%02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1], net->mac[2],
					  net->mac[3], net->mac[4], net->mac[5]);
	char *found = NULL;
	struct dirent *e;

	while (dir && !found && (e = readdir(dir))) {
		cleanup_free char *path = str_fmt("/sys/class/net/%s/address", e->d_name);
		cleanup_free char *text = NULL;
		size_t n;

		if (e->d_name[0] == '.' || str_eq(e->d_name, "lo") || fs_read_file(path, 64, &text, &n, NULL) < 0)
			continue;
		if (!net->has_mac || str_eq(str_trim(text), want))
			found = str_dup(e->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static char *find_interface(const struct guest_network *net, struct error **err)
{
	int64_t deadline = clock_ms() + BOOT_DEVICE_MS;

	for (;;) {
		char *found = look_for_interface(net);

		if (found)
			return found;
		if (clock_ms() >= deadline)
			break;
		usleep(POLL_MS * 1000);
	}
	error_set(err, ERR_NOT_FOUND,
		  "no network interface with MAC %02x:%02x:%02x:%02x:%02x:%02x appeared within %d s", net->mac[0],
		  net->mac[1], net->mac[2], net->mac[3], net->mac[4], net->mac[5], BOOT_DEVICE_MS / 1000);
	return NULL;
}

static void set_mtu(const char *name, unsigned mtu)
{
	cleanup_free char *path = str_fmt("/sys/class/net/%s/mtu", name);
	char text[MTU_TEXT];

	snprintf(text, sizeof(text), "%u", mtu);
	write_value(path, text);
}

/* The client's script writes the new root's resolv.conf: the lease's name servers, if it has some, replace those that are
 * there until then. In place: the mount would not see a new file. */
static int share_resolv_conf(const struct guest_config *c, struct error **err)
{
	cleanup_free char *text = dns_text(c->dns);
	int mount_point = open("/etc/resolv.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	fd_closep(&mount_point);
	if (fs_write_replace("/newroot/etc/resolv.conf", text, strlen(text), 0644, err) < 0)
		return -1;
	if (mount("/newroot/etc/resolv.conf", "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		return error_errno(err, errno, "cannot bind resolv.conf");
	return 0;
}

/* busybox's client goes on in the initramfs, where it and its script are. It asks for ever, and renews. */
static int start_dhcp(const struct guest_config *c, const struct guest_network *net, const char *name,
		      struct error **err)
{
	cleanup_free char *hostname = str_fmt("hostname:%s", c->hostname ? c->hostname : "");
	const char *argv[] = {"udhcpc", "-f", "-S", "-i", name, "-s", "/etc/udhcpc/default.script",
			      "-t",	"5",  "-T", "1",  "-A", "2",  c->hostname ? "-x" : NULL,
			      hostname, NULL};
	pid_t pid;

	if (net->dhcp_dns && share_resolv_conf(c, err) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		setsid();
		execv("/bin/busybox", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid < 0 ? error_errno(err, errno, "cannot start udhcpc") : 0;
}

static bool is_in_subnet(const struct guest_network *net, struct in_addr addr)
{
	uint32_t mask = net->prefix ? htonl(UINT32_MAX << (32 - net->prefix)) : 0;

	return (addr.s_addr & mask) == (net->address.s_addr & mask);
}

/* A gateway outside of the subnet is on the wire all the same. */
static int add_routes(struct netlink *nl, int index, const struct guest_network *net, struct error **err)
{
	const struct in_addr none = {0};

	if (net->gateway.s_addr && !is_in_subnet(net, net->gateway) &&
	    netlink_route_add(nl, index, net->gateway, 32, none, err) < 0)
		return -1;
	for (size_t i = 0; i < net->nroutes; i++)
		if (netlink_route_add(nl, index, net->routes[i].to, net->routes[i].prefix, net->routes[i].via, err) < 0)
			return -1;
	return net->gateway.s_addr ? netlink_route_add(nl, index, none, 0, net->gateway, err) : 0;
}

static int set_up(struct netlink *nl, const struct guest_config *c, const struct guest_network *net, struct error **err)
{
	cleanup_free char *name = find_interface(net, err);
	int index = name ? netlink_link_index(nl, name, err) : -1;

	if (index < 0)
		return -1;
	if (net->mtu)
		set_mtu(name, net->mtu);
	if (netlink_link_set_up(nl, index, true, err) < 0)
		return -1;
	if (net->prefix && netlink_addr_add(nl, index, net->address, net->prefix, err) < 0)
		return -1;
	if (add_routes(nl, index, net, err) < 0)
		return -1;
	return net->dhcp ? start_dhcp(c, net, name, err) : 0;
}

/* Where it is wanted the kernel does all by itself: it listens to routers and makes its address (SLAAC). */
static bool wants_ipv6(const struct guest_config *c)
{
	for (size_t i = 0; i < c->nnetworks; i++)
		if (c->networks[i].ipv6)
			return true;
	return false;
}

int boot_network(const struct guest_config *c, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int lo;

	if (!nl)
		return -1;
	/* Said either way: the kernel's own default may be the other one. "all" is for the interfaces there are. */
	write_value("/proc/sys/net/ipv6/conf/all/disable_ipv6", wants_ipv6(c) ? "0" : "1");
	write_value("/proc/sys/net/ipv6/conf/default/disable_ipv6", wants_ipv6(c) ? "0" : "1");
	lo = netlink_link_index(nl, "lo", err);
	if (lo < 0 || netlink_link_set_up(nl, lo, true, err) < 0)
		return -1;
	for (size_t i = 0; i < c->nnetworks; i++) {
		if (set_up(nl, c, &c->networks[i], err) < 0)
			return -1;
	}
	return 0;
}
