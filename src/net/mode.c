/* SPDX-License-Identifier: MIT */
#include "net/apply_impl.h"

#include "base/json.h"
#include "base/str.h"
#include "net/firewall.h"
#include "net/policy.h"

const struct net_mode *net_mode(enum config_net_mode mode)
{
	static const struct net_mode *const modes[] = {&net_mode_bridge,  &net_mode_cni,   &net_mode_isolated,
						       &net_mode_macvtap, &net_mode_slots, &net_mode_user};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (modes[i]->mode == mode)
			return modes[i];
	return NULL;
}

static const struct net_mode *read_mode(struct json_object *obj, struct error **err)
{
	const char *name = config_net_mode_name(NET_BRIDGE);

	if (js_get_string(obj, "mode", &name, err) < 0)
		return NULL;
	for (int m = NET_CNI; m <= NET_SLOTS; m++)
		if (str_eq(name, config_net_mode_name((enum config_net_mode)m)) && net_mode((enum config_net_mode)m))
			return net_mode((enum config_net_mode)m);
	error_set(err, ERR_INVALID, "network mode \"%s\" is not in this version", name);
	return NULL;
}

int net_plan_from_json(struct json_object *obj, struct net_plan *ret, struct error **err)
{
	const struct net_mode *mode = read_mode(obj, err);

	*ret = (struct net_plan){0};
	if (mode) {
		ret->mode = mode->mode;
		if (net_plan_read(obj, ret, err) == 0 && (!mode->from_record || mode->from_record(ret, err) == 0))
			return 0;
	}
	net_plan_clear(ret);
	return error_wrap(err, "the plan of a VM's network");
}

int net_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err)
{
	const struct net_mode *mode = net_mode(g->network.mode);

	if (!mode || !mode->group_up || mode->group_up(g, daemon_id, ret_notes, err) == 0)
		return 0;
	return error_wrap(err, "network of host group \"%s\"", g->name);
}

static bool any_forwards(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct net_mode *mode = net_mode(cfg->groups[i].network.mode);

		if (mode && mode->forwards)
			return true;
	}
	return false;
}

int net_uplinks_up(const struct config *cfg, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_net_plan struct net_plan plan = {0};

	if (!any_forwards(cfg))
		return 0;
	if (net_facts_read_networks(&facts, err) < 0 || net_facts_read_rules(&facts, err) < 0)
		return -1;
	net_plan_uplinks(&plan, &facts);
	return net_sysctls_apply(plan.sysctls, err);
}

int net_ways_check(const struct config *cfg, const char *daemon_id, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_strv char **sentences = NULL, **remedies = NULL;

	if (!any_forwards(cfg))
		return 0;
	if (net_facts_read_networks(&facts, err) < 0 || net_facts_read_rules(&facts, err) < 0)
		return -1;
	net_policy_tell_all(cfg, daemon_id, &facts, &sentences, &remedies);
	if (!sentences)
		return 0;
	if (strv_len(sentences) == 1)
		return error_set(err, ERR_CONFLICT, "%s. Remedy: %s", sentences[0], remedies[0]);
	return error_set(err, ERR_CONFLICT, "%s. Remedy: %s (and %zu more: slicer net check)", sentences[0],
			 remedies[0], strv_len(sentences) - 1);
}

int net_group_down(const struct config_group *g, const char *daemon_id, struct error **err)
{
	const struct net_mode *mode = net_mode(g->network.mode);

	if (!mode || !mode->group_down || mode->group_down(g, daemon_id, err) == 0)
		return 0;
	return error_wrap(err, "network of host group \"%s\"", g->name);
}

/* A plan has a mode of the table: it comes from there. */
int net_vm_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err)
{
	*ret = (struct net_port){.kind = NET_PORT_NOWHERE, .tap_fd = -1};
	if (net_mode(p->mode)->up(p, sets, ret, err) == 0)
		return 0;
	return error_wrap(err, "network of VM \"%s\"", p->name);
}

int net_vm_mend(struct net_plan *p, struct nfset *sets, struct error **err)
{
	const struct net_mode *mode = net_mode(p->mode);

	if (!mode->mend || mode->mend(p, sets, err) == 0)
		return 0;
	return error_wrap(err, "network of VM \"%s\"", p->name);
}

int net_vm_down(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	const struct net_mode *mode = net_mode(p->mode);

	if (!mode->down || mode->down(p, sets, err) == 0)
		return 0;
	return error_wrap(err, "network of VM \"%s\"", p->name);
}
