/* SPDX-License-Identifier: MIT */
/* What stands between VMs and the network: packet filter, forwarding, other people's firewalls. */
#include <unistd.h>

#include "base/proc.h"
#include "base/str.h"
#include "host/doctor_checks.h"
#include "host/doctor_interfaces.h"
#include "net/cni.h"
#include "net/cni_default.h"
#include "net/plan.h"

enum { NFT_MS = 10000, NFT_LIMIT = 64 * 1024 };

#define BRIDGE_MODES (1U << NET_BRIDGE | 1U << NET_SLOTS)
#define FILTER_MODES (BRIDGE_MODES | 1U << NET_ISOLATED)

/* What the rules of bridges need of the kernel: translation, frames of bridges, sets of pairs. */
static const char nft_trial[] = "table ip t { chain c { type nat hook postrouting priority srcnat; "
				"oifname != \"x\" masquerade; }; }\n"
				"table bridge t { set s { type ifname . ether_addr; }\n"
				" chain c { type filter hook prerouting priority -300; iifname . "
				"ether saddr != @s drop; }; }\n";

/* In a network namespace that goes with the program: the host's rules are not touched. */
static int nft_try(const struct doctor *d, const char *nft, struct error **err)
{
	cleanup_free char *unshare = proc_find_program("unshare");
	char *const argv[] = {unshare, (char *)(d->privileged ? "-n" : "-rn"), (char *)nft, (char *)"-f", (char *)"-",
			      NULL};

	if (!unshare)
		return error_set(err, ERR_UNSUPPORTED, "unshare is not installed (apt-get install util-linux)");
	return proc_run(argv, nft_trial, NFT_LIMIT, NFT_MS, NULL, err);
}

void doctor_nft(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *nft = doctor_program(d, "nft"), *version = nft ? doctor_version(nft) : NULL;
	cleanup_error struct error *why = NULL;
	enum doctor_severity bad = doctor_need(d, FILTER_MODES);

	if (!nft) {
		doctor_say(r, bad, "nft is not installed: VMs can only have the network mode user");
		strv_append(&r->fix, "apt-get install nftables");
	} else if (nft_try(d, nft, &why) == 0) {
		doctor_say(r, DOCTOR_OK, "%s, and the kernel takes the rules of bridges", version ? version : nft);
	} else if (!d->privileged) {
		doctor_say_hidden(r, "whether the kernel takes rules of nftables");
	} else {
		doctor_say(r, bad, "nft cannot make the rules that bridges need: %s", error_message(why));
		strv_append(&r->fix, "modprobe -a nf_tables nft_chain_nat nft_masq "
				     "nft_meta_bridge; a kernel that Debian built has them");
	}
}

/* Whether a new interface is as those of VMs are to be (net/plan_bridge.c), so that nothing has to be written. */
static bool defaults_suffice(const struct doctor *d)
{
	cleanup_free char *forwarding = doctor_read(d, "/proc/sys/net/ipv4/conf/default/forwarding"),
			  *rp_filter = doctor_read(d, "/proc/sys/net/ipv4/conf/default/rp_filter"),
			  *no_ipv6 = doctor_read(d, "/proc/sys/net/ipv6/conf/default/disable_ipv6");

	return str_eq(forwarding, "1") && str_eq(rp_filter, "1") && (!no_ipv6 || str_eq(no_ipv6, "1"));
}

void doctor_forwarding(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *path = doctor_path(d, "/proc/sys/net/ipv4/ip_forward"),
			  *value = doctor_read(d, "/proc/sys/net/ipv4/ip_forward");
	bool on = str_eq(value, "1");

	if (!value) {
		doctor_say(r, doctor_need(d, FILTER_MODES),
			   "This kernel has no IPv4 forwarding: VMs would reach this host only");
		strv_append(&r->fix, "Use a kernel with CONFIG_INET, and mount /proc");
	} else if (d->privileged && access(path, W_OK) && !(on && defaults_suffice(d))) {
		doctor_say(r, doctor_need(d, FILTER_MODES),
			   "IPv4 forwarding is %s /proc/sys cannot be written: bridges cannot be made",
			   on ? "on, but" : "off and");
		strv_append(&r->fix, "In a container: run it with a writable /proc/sys (docker run --privileged)");
	} else if (on) {
		doctor_say(r, DOCTOR_OK, "IPv4 forwarding is on; slicer leaves it on");
	} else {
		doctor_say(r, DOCTOR_OK,
			   "IPv4 forwarding is off; \"slicer up\" switches it on for the "
			   "interfaces that need it, for good");
	}
}

/* What the network lacks that is there when nobody has made one; a list of the caller. */
static char **cni_default_lacks(const struct doctor *d, char ***fix)
{
	static const char *const needed[] = {"bridge", "firewall", "host-local"};
	cleanup_free char *iptables = doctor_program(d, "iptables");
	cleanup_strv char **path = cni_plugin_path();
	char **missing = NULL;

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		cleanup_free char *program = cni_plugin_find(path, needed[i], NULL);

		if (!program)
			strv_append(&missing, needed[i]);
	}
	if (missing)
		strv_append(fix, "apt-get install containernetworking-plugins");
	if (!iptables) {
		strv_append(&missing, "iptables");
		strv_append(fix, "apt-get install iptables");
	}
	return missing;
}

/* Why networks of the user's own cannot be used that the configuration names; *ret_any: it names some. A list of the caller. */
static char **cni_own_troubles(const struct doctor *d, bool *ret_any, bool *ret_default)
{
	cleanup_free char *dir = doctor_path(d, CNI_CONFIG_DIR);
	char **troubles = NULL;

	for (size_t i = 0; d->config && i < d->config->ngroups; i++) {
		const struct config_group *g = &d->config->groups[i];
		bool is_default = str_eq(g->network_name, CNI_DEFAULT_NETWORK);
		cleanup_cni_list struct cni_list list = {0};
		cleanup_error struct error *why = NULL;

		if (g->network.mode != NET_CNI)
			continue;
		*ret_default = *ret_default || is_default;
		*ret_any = *ret_any || !is_default;
		if (!is_default && (cni_list_find(dir, g->network_name, &list, &why) || cni_list_probe(&list, &why)) &&
		    !strv_contains(troubles, error_message(why)))
			strv_append(&troubles, error_message(why));
	}
	return troubles;
}

void doctor_cni(const struct doctor *d, struct doctor_result *r)
{
	bool own = false, uses_default = false;
	cleanup_strv char **troubles = cni_own_troubles(d, &own, &uses_default), **missing = NULL;
	cleanup_free char *list = NULL;

	if (!own || uses_default)
		missing = cni_default_lacks(d, &r->fix);
	list = missing ? strv_join(missing, ", ") : NULL;
	if (list)
		doctor_say(r, doctor_need(d, 1U << NET_CNI), "Missing: %s; other network modes do without", list);
	else if (troubles)
		doctor_say(r, DOCTOR_ERROR, "%s", troubles[0]);
	else
		doctor_say(r, DOCTOR_OK,
			   own ? "The CNI networks of the configuration can be used"
			       : "The plugins of the default CNI network are there, and iptables");
	for (char **trouble = troubles; trouble && *trouble; trouble++)
		if (list || trouble != troubles)
			strv_append(&r->detail, *trouble);
	if (troubles)
		strv_append(&r->fix, "Mend that in " CNI_CONFIG_DIR ", or set network_name to a network that is there");
}

/* What firewalls keep from VMs of the configuration, with the commands; when it has no group that they could, of the bridge
 * that most have. */
static void firewall_notes(const struct doctor *d, const struct net_firewall *fw, char ***ret)
{
	cleanup_strv char **bridges = doctor_bridges(d);
	bool any = bridges;

	for (char **bridge = bridges; bridge && *bridge; bridge++)
		net_firewall_notes(fw, *bridge, ret);
	for (size_t i = 0; d->config && i < d->config->ngroups; i++)
		if (d->config->groups[i].network.mode == NET_ISOLATED) {
			net_firewall_notes_isolated(fw, &d->config->groups[i], ret);
			any = true;
		}
	if (!any)
		net_firewall_notes(fw, "brvm0", ret);
}

void doctor_firewall(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *nft = doctor_program(d, "nft");
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_error struct error *why = NULL;
	enum doctor_severity bad = doctor_need(d, FILTER_MODES);

	if (!d->privileged) {
		doctor_say_hidden(r, "the rules of firewalls");
		return;
	}
	if (!nft || net_facts_read(true, &facts, &why)) {
		doctor_say(r, DOCTOR_NOTE, "Without nft firewalls cannot be seen%s%s", why ? ": " : "",
			   why ? error_message(why) : "");
		return;
	}
	firewall_notes(d, &facts.firewall, &r->fix);
	if (r->fix)
		doctor_say(
			r, bad == DOCTOR_ERROR ? DOCTOR_WARNING : bad,
			"A firewall drops what passes between interfaces, so that VMs may reach no further than this "
			"host");
	else if (facts.firewall.iptables_drop)
		doctor_say(r, DOCTOR_OK,
			   "%s drops what passes between interfaces; \"slicer up\" adds rules that "
			   "accept what its VMs send and get, in the chain %s",
			   facts.firewall.docker_user ? "Docker" : "iptables (ufw, Docker)",
			   facts.firewall.docker_user ? "DOCKER-USER" : "FORWARD");
	else if (facts.firewall.others || facts.firewall.firewalld || facts.firewall.legacy_drop)
		doctor_say(r, DOCTOR_OK, "A firewall drops what passes between interfaces, and lets VMs pass");
	else
		doctor_say(r, DOCTOR_OK, "No firewall drops what passes between interfaces");
}

/* The kernel takes the larger of conf/all and an interface's own (ip-sysctl.rst). */
void doctor_rp_filter(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *all = doctor_read(d, "/proc/sys/net/ipv4/conf/all/rp_filter");
	enum doctor_severity bad = doctor_need(d, BRIDGE_MODES);

	if (!str_eq(all, "2")) {
		doctor_say(r, DOCTOR_OK, "Bridges get strict reverse path filtering (net.ipv4.conf.all.rp_filter=%s)",
			   all ? all : "");
		return;
	}
	doctor_say(r, bad == DOCTOR_ERROR ? DOCTOR_WARNING : bad,
		   "net.ipv4.conf.all.rp_filter=2 makes reverse path filtering loose everywhere, "
		   "which overrides the strict one of bridges: "
		   "a VM may send packets to others with a source address outside of its subnet");
	strv_append(&r->fix, "sysctl -w net.ipv4.conf.all.rp_filter=0 (each interface then has its "
			     "own; and in /etc/sysctl.d/ for good)");
}
