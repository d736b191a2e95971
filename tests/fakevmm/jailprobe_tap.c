/* SPDX-License-Identifier: MIT */
/* What is tried on a tap, whose settings need no capability of who holds it (tun_chr_ioctl() and tap_ioctl() of the kernel), and
 * on sockets of the host's network. */
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "jailprobe.h"

int tap_persists(const struct targets *t)
{
	return ioctl(t->tap, TUNSETPERSIST, 1);
}
/* The kernel looks at 32 bits of the request only, a filter at all that it is told to. */
int tap_persists_by_more_bits(const struct targets *t)
{
	return (int)syscall(SYS_ioctl, t->tap, 1UL << 32 | TUNSETPERSIST, 1);
}
int tap_owner(const struct targets *t)
{
	return ioctl(t->tap, TUNSETOWNER, getuid());
}
int tap_group(const struct targets *t)
{
	return ioctl(t->tap, TUNSETGROUP, getgid());
}
int tap_type(const struct targets *t)
{
	return ioctl(t->tap, TUNSETLINK, ARPHRD_PPP);
}
int tap_mac(const struct targets *t)
{
	struct ifreq req = {.ifr_hwaddr = {.sa_family = ARPHRD_ETHER, .sa_data = {2, 0, 0, 0, 0, 1}}};

	return ioctl(t->tap, SIOCSIFHWADDR, &req);
}
int tap_filter(const struct targets *t)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	struct sock_fprog program = {.len = 1, .filter = &all};

	return ioctl(t->tap, TUNATTACHFILTER, &program);
}
int tap_addresses(const struct targets *t)
{
	struct tun_filter filter = {0};

	return ioctl(t->tap, TUNSETTXFILTER, &filter) < 0 ? -1 : 0;
}
int tap_another(const struct targets *t)
{
	struct ifreq req = {.ifr_name = "other", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	return ioctl(t->tap, TUNSETIFF, &req);
}
int tap_network(const struct targets *t)
{
	return ioctl(t->tap, SIOCGSKNS, 0) < 0 ? -1 : 0;
}
/* The sockets that it was given are of the host's network namespace. */
int host_interfaces(const struct targets *t)
{
	struct ifreq found[16];
	struct ifconf list = {.ifc_len = sizeof(found), .ifc_req = found};

	return ioctl(t->qmp, SIOCGIFCONF, &list);
}
int host_network(const struct targets *t)
{
	return ioctl(t->qmp, SIOCGSKNS, 0) < 0 ? -1 : 0;
}
