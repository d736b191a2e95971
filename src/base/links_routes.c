/* SPDX-License-Identifier: MIT */
/* Routes of all tables, and the rules that choose among those (ip-rule(8); linux/fib_rules.h). */
#include "base/links.h"

#include <errno.h>
#include <linux/fib_rules.h>

#include "base/netlink_impl.h"
#include "base/str.h"

static void route_hop(const struct rtattr *attr, size_t length, void *arg)
{
	struct link_route *route = arg;

	if (attr->rta_type == RTA_GATEWAY && length >= sizeof(route->gateway))
		memcpy(&route->gateway, RTA_DATA(attr), sizeof(route->gateway));
}

static void route_hops(const struct rtattr *attr, size_t length, struct link_route *route)
{
	const struct rtnexthop *hop = RTA_DATA(attr);

	if (length < sizeof(*hop) || !RTNH_OK(hop, (int)length))
		return;
	route->index = hop->rtnh_ifindex;
	attrs_each(RTNH_DATA(hop), hop->rtnh_len - RTNH_LENGTH(0), route_hop, route);
}

static void route_attr(const struct rtattr *attr, size_t length, void *arg)
{
	struct link_route *route = arg;

	switch (attr->rta_type & NLA_TYPE_MASK) {
	case RTA_OIF:
		route->index = (int)attr_u32(attr);
		break;
	case RTA_PRIORITY:
		route->metric = attr_u32(attr);
		break;
	case RTA_TABLE:
		route->table = attr_u32(attr);
		break;
	case RTA_DST:
		if (length >= sizeof(route->dst))
			memcpy(&route->dst, RTA_DATA(attr), sizeof(route->dst));
		break;
	case RTA_PREFSRC:
		if (length >= sizeof(route->source))
			memcpy(&route->source, RTA_DATA(attr), sizeof(route->source));
		break;
	case RTA_MULTIPATH:
		route_hops(attr, length, route);
		break;
	default:
		route_hop(attr, length, route);
		break;
	}
}

static enum link_route_kind route_kind(unsigned char type)
{
	return type == RTN_UNICAST ? LINK_ROUTE_OUT : type == RTN_THROW ? LINK_ROUTE_THROW : LINK_ROUTE_REFUSE;
}

static void each_route(const struct nlmsghdr *hdr, void *arg)
{
	const struct rtmsg *info = NLMSG_DATA(hdr);
	struct link_route *route;

	if (hdr->nlmsg_type != RTM_NEWROUTE || hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return;
	route = list_add(arg);
	route->prefix = info->rtm_dst_len;
	route->table = info->rtm_table; /* unless an attribute says one beyond a byte */
	route->kind = route_kind(info->rtm_type);
	message_attrs(hdr, sizeof(*info), route_attr, route);
}

/* A dump of one table. */
static void each_table_route(const struct nlmsghdr *hdr, void *arg)
{
	const struct rtmsg *info = NLMSG_DATA(hdr);

	if (hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(*info)) && info->rtm_family == AF_INET)
		each_route(hdr, arg);
}

static void each_main_route(const struct nlmsghdr *hdr, void *arg)
{
	const struct rtmsg *info = NLMSG_DATA(hdr);

	if (hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(*info)) && info->rtm_table == RT_TABLE_MAIN &&
	    info->rtm_type == RTN_UNICAST)
		each_table_route(hdr, arg);
}

int links_routes(struct netlink *nl, struct link_route **ret, size_t *n, struct error **err)
{
	struct list list = {.size = sizeof(struct link_route)};
	struct request req;

	request_init(&req, RTM_GETROUTE, 0, sizeof(req.route));
	req.route.rtm_family = AF_INET;
	req.route.rtm_table = RT_TABLE_MAIN;
	req.route.rtm_type = RTN_UNICAST;
	if (list_fill(nl, &req, each_main_route, &list, NULL, "routes", err) < 0)
		return -1;
	*ret = list.items;
	*n = list.n;
	return 0;
}

int links_routes_of_table(struct netlink *nl, unsigned table, struct link_route **ret, size_t *n, struct error **err)
{
	struct list list = {.size = sizeof(struct link_route)};
	struct request req;

	request_init(&req, RTM_GETROUTE, 0, sizeof(req.route));
	req.route.rtm_family = AF_INET;
	request_attr_u32(&req, RTA_TABLE, table);
	if (list_fill(nl, &req, each_table_route, &list, NULL, "routes", err) < 0)
		return -1;
	*ret = list.items;
	*n = 0;
	for (size_t i = 0; i < list.n; i++) /* an older kernel tells more than is asked for */
		if ((*ret)[i].table == table)
			(*ret)[(*n)++] = (*ret)[i];
	return 0;
}

/* As the kernel says that no packet gets there: no route, or one of the types unreachable, prohibit and blackhole. */
static bool leads_nowhere(int r)
{
	return r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL;
}

int links_route_match(struct netlink *nl, struct in_addr to, struct link_route *ret, struct error **err)
{
	struct list list = {.size = sizeof(struct link_route)};
	struct request req;
	int r;

	request_init(&req, RTM_GETROUTE, 0, sizeof(req.route));
	req.route.rtm_family = AF_INET;
	req.route.rtm_dst_len = 32;
	req.route.rtm_flags = RTM_F_FIB_MATCH;
	request_attr(&req, RTA_DST, &to, sizeof(to));
	r = netlink_get(nl, &req, each_route, &list);
	if (r == 0 && list.n == 1)
		*ret = *(struct link_route *)list.items;
	free(list.items);
	if (r == 0)
		return list.n == 1;
	return leads_nowhere(r) ? 0 : error_errno(err, -r, "cannot look up a route");
}

static void rule_address(const struct rtattr *attr, size_t length, struct in_addr *ret)
{
	if (length >= sizeof(*ret))
		memcpy(ret, RTA_DATA(attr), sizeof(*ret));
}

/* Of those of ports, protocols, users, VRFs and groups of interfaces only that there is one. */
static void rule_attr(const struct rtattr *attr, size_t length, void *arg)
{
	struct link_rule *rule = arg;

	switch (attr->rta_type & NLA_TYPE_MASK) {
	case FRA_TABLE:
		rule->table = attr_u32(attr);
		break;
	case FRA_PRIORITY:
		rule->priority = attr_u32(attr);
		break;
	case FRA_GOTO:
		rule->target = attr_u32(attr);
		break;
	case FRA_SRC:
		rule_address(attr, length, &rule->src);
		break;
	case FRA_DST:
		rule_address(attr, length, &rule->dst);
		break;
	case FRA_IIFNAME:
		attr_text(attr, length, rule->iif, sizeof(rule->iif));
		break;
	case FRA_FWMARK:
		rule->mark = attr_u32(attr);
		break;
	case FRA_FWMASK:
		rule->mask = attr_u32(attr);
		break;
	case FRA_SUPPRESS_PREFIXLEN:
		rule->suppressed = (int)attr_u32(attr);
		break;
	case FRA_OIFNAME:
	case FRA_SUPPRESS_IFGROUP:
	case FRA_UID_RANGE:
	case FRA_IP_PROTO:
	case FRA_SPORT_RANGE:
	case FRA_DPORT_RANGE:
	case FRA_TUN_ID:
		rule->narrow = true;
		break;
	case FRA_L3MDEV:
		rule->narrow |= length >= 1 && *(const unsigned char *)RTA_DATA(attr);
		break;
	default:
		break;
	}
}

static enum link_rule_action rule_action(unsigned char action)
{
	switch (action) {
	case FR_ACT_TO_TBL:
		return LINK_RULE_TABLE;
	case FR_ACT_GOTO:
		return LINK_RULE_GOTO;
	case FR_ACT_BLACKHOLE:
	case FR_ACT_UNREACHABLE:
	case FR_ACT_PROHIBIT:
		return LINK_RULE_REFUSE;
	default:
		return LINK_RULE_NOTHING;
	}
}

static void each_rule(const struct nlmsghdr *hdr, void *arg)
{
	const struct fib_rule_hdr *info = NLMSG_DATA(hdr);
	struct link_rule *rule;

	if (hdr->nlmsg_type != RTM_NEWRULE || hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->family != AF_INET)
		return;
	rule = list_add(arg);
	*rule = (struct link_rule){.table = info->table,
				   .action = rule_action(info->action),
				   .src_prefix = info->src_len,
				   .dst_prefix = info->dst_len,
				   .suppressed = -1,
				   .inverted = info->flags & FIB_RULE_INVERT,
				   .narrow = info->tos};
	message_attrs(hdr, sizeof(*info), rule_attr, rule);
}

int links_rules(struct netlink *nl, struct link_rule **ret, size_t *n, struct error **err)
{
	cleanup_error struct error *why = NULL;
	struct list list = {.size = sizeof(struct link_rule)};
	struct request req;

	*ret = NULL;
	*n = 0;
	request_init(&req, RTM_GETRULE, 0, sizeof(struct fib_rule_hdr));
	req.route.rtm_family = AF_INET; /* which is where the other header has it */
	if (list_fill(nl, &req, each_rule, &list, NULL, "routing rules", &why) < 0)
		return why->sys_errno == EOPNOTSUPP || why->sys_errno == EAFNOSUPPORT ? 0 : error_move(err, &why);
	*ret = list.items;
	*n = list.n;
	return 0;
}

bool links_rule_is_usual(const struct link_rule *rule)
{
	return rule->action == LINK_RULE_TABLE &&
	       (rule->table == RT_TABLE_LOCAL || rule->table == RT_TABLE_MAIN || rule->table == RT_TABLE_DEFAULT);
}
