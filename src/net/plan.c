/* SPDX-License-Identifier: MIT */
#include "net/plan.h"

#include "base/str.h"

enum { HASH_DIGITS = 10 };

void net_plan_clear(struct net_plan *p)
{
	for (size_t i = 0; i < p->nlinks; i++) {
		free(p->links[i].alias);
		free(p->links[i].altname);
	}
	free(p->daemon_id);
	free(p->name);
	free(p->netns);
	free(p->nft);
	free(p->network);
	free(p->asked);
	free(p->rules);
	free(p->admit_chain);
	strv_free(&p->sysctls);
	strv_free(&p->notes);
	strv_free(&p->guest.dns);
	strv_free(&p->guest.routes);
	strv_free(&p->allow);
	strv_free(&p->drop);
	net_user_plan_clear(&p->user);
	*p = (struct net_plan){0};
}

bool net_alias_parse(const char *alias, char **ret_daemon_id, char **ret_name)
{
	static const char prefix[] = "slicer:";
	const char *id, *name;

	if (!alias || !str_starts(alias, prefix))
		return false;
	id = alias + strlen(prefix);
	name = strrchr(id, ':');
	if (!name || name == id || !name[1])
		return false;
	*ret_daemon_id = str_ndup(id, (size_t)(name - id));
	*ret_name = str_dup(name + 1);
	return true;
}

void net_hashed_name(const char *prefix, const char *daemon_id, const char *name, char ret[IFNAMSIZ])
{
	cleanup_free char *text = str_fmt("%s:%s", daemon_id, name);
	cleanup_free char *hash = sha256_hex(text, strlen(text));

	snprintf(ret, IFNAMSIZ, "%.*s%.*s", IFNAMSIZ - 1 - HASH_DIGITS, prefix, HASH_DIGITS, hash);
}

char *net_alias(const char *daemon_id, const char *name)
{
	return str_fmt("slicer:%s:%s", daemon_id, name);
}

struct net_plan_link *net_plan_add_link(struct net_plan *p, enum net_link_kind kind, const char *name)
{
	struct net_plan_link *link = &p->links[p->nlinks++];

	link->kind = kind;
	snprintf(link->name, sizeof(link->name), "%s", name);
	link->alias = net_alias(p->daemon_id, p->name);
	return link;
}

void net_derived_mac(const char *what, const char *daemon_id, const char *name, unsigned char ret[6])
{
	cleanup_free char *text = str_fmt("%s:%s:%s", what, daemon_id, name);
	unsigned char hash[32];

	sha256(text, strlen(text), hash);
	memcpy(ret, hash, 6);
	ret[0] = (unsigned char)((ret[0] & 0xfc) | 0x02);
}
