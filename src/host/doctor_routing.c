/* SPDX-License-Identifier: MIT */
/* Routing rules that lead packets of VMs elsewhere. */
#include "host/doctor_checks.h"
#include "host/paths.h"
#include "net/policy.h"

#define ROUTED_MODES (1U << NET_BRIDGE | 1U << NET_SLOTS | 1U << NET_ISOLATED)

static void look_at_config(const struct doctor *d, const struct net_facts *facts, struct doctor_result *r)
{
	struct daemon_paths paths = {0};

	if (daemon_paths_find(d->file, &paths, NULL) < 0)
		return;
	net_policy_tell_all(d->config, paths.id, facts, &r->detail, &r->fix);
	daemon_paths_clear(&paths);
}

/* The group that most have (slicer new). */
static void look_at_usual(const struct net_facts *facts, struct doctor_result *r)
{
	char name[] = "vm", bridge[] = "brvm0", gateway[] = "192.168.137.1/24";
	const struct config_group usual = {.name = name,
					   .network = {.mode = NET_BRIDGE, .bridge = bridge, .gateway = gateway}};

	net_policy_tell(&usual, facts, &r->detail, &r->fix);
}

void doctor_routing(const struct doctor *d, struct doctor_result *r)
{
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_error struct error *why = NULL;
	enum doctor_severity bad = doctor_need(d, ROUTED_MODES);

	if (net_facts_read(false, &facts, &why) < 0) {
		doctor_say(r, DOCTOR_NOTE, "Routing rules cannot be seen: %s", error_message(why));
		return;
	}
	if (d->config)
		look_at_config(d, &facts, r);
	else
		look_at_usual(&facts, r);
	if (r->detail)
		doctor_say(r, bad, "Routing rules of this host (ip rule) lead packets of VMs elsewhere");
	else
		doctor_say(r, DOCTOR_OK, "Packets of VMs go where the table main says, or out as this host's own do");
}
