/* SPDX-License-Identifier: MIT */
#include "base/links.h"

#include <errno.h>

#include "base/netlink_impl.h"
#include "base/str.h"

enum { DUMP_TRIES = 10 };

void *list_add(struct list *l)
{
	char *item;

	if ((l->n & (l->n - 1)) == 0) { /* full at each power of two */
		size_t room = l->n ? 2 * l->n : 1;

		l->items = mem_realloc(l->items, room * l->size);
	}
	item = (char *)l->items + l->n++ * l->size;
	memset(item, 0, l->size);
	return item;
}

void attrs_each(const struct rtattr *attr, size_t left, attr_fn *each, void *arg)
{
	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left))
		each(attr, RTA_PAYLOAD(attr), arg);
}

void message_attrs(const struct nlmsghdr *hdr, size_t body, attr_fn *each, void *arg)
{
	size_t head = NLMSG_SPACE(body);

	if (hdr->nlmsg_len >= head)
		attrs_each((const struct rtattr *)((const char *)hdr + head), hdr->nlmsg_len - head, each, arg);
}

unsigned attr_u32(const struct rtattr *attr)
{
	uint32_t value = 0;

	if (RTA_PAYLOAD(attr) >= sizeof(value))
		memcpy(&value, RTA_DATA(attr), sizeof(value));
	return value;
}

void attr_text(const struct rtattr *attr, size_t length, char *ret, size_t size)
{
	if (length < size)
		memcpy(ret, RTA_DATA(attr), length);
	else if (length == size)
		memcpy(ret, RTA_DATA(attr), size - 1);
}

static void link_kind(const struct rtattr *attr, size_t length, void *arg)
{
	struct link *link = arg;

	if (attr->rta_type == IFLA_INFO_KIND)
		attr_text(attr, length, link->kind, sizeof(link->kind));
}

static void link_attr(const struct rtattr *attr, size_t length, void *arg)
{
	struct link *link = arg;

	switch (attr->rta_type & NLA_TYPE_MASK) {
	case IFLA_IFNAME:
		attr_text(attr, length, link->name, sizeof(link->name));
		break;
	case IFLA_MTU:
		link->mtu = attr_u32(attr);
		break;
	case IFLA_GROUP:
		link->group = attr_u32(attr);
		break;
	case IFLA_MASTER:
		link->master = (int)attr_u32(attr);
		break;
	case IFLA_IFALIAS:
		free(link->alias);
		link->alias = str_ndup(RTA_DATA(attr), strnlen(RTA_DATA(attr), length));
		break;
	case IFLA_LINKINFO:
		attrs_each(RTA_DATA(attr), length, link_kind, link);
		break;
	default:
		break;
	}
}

static void each_link(const struct nlmsghdr *hdr, void *arg)
{
	const struct ifinfomsg *info = NLMSG_DATA(hdr);
	struct link *link;

	if (hdr->nlmsg_type != RTM_NEWLINK || hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return;
	link = list_add(arg);
	link->index = info->ifi_index;
	link->flags = info->ifi_flags;
	message_attrs(hdr, sizeof(*info), link_attr, link);
}

static void addr_attr(const struct rtattr *attr, size_t length, void *arg)
{
	struct link_addr *addr = arg;

	if (attr->rta_type == IFA_LOCAL && length >= sizeof(addr->addr))
		memcpy(&addr->addr, RTA_DATA(attr), sizeof(addr->addr));
}

static void each_addr(const struct nlmsghdr *hdr, void *arg)
{
	const struct ifaddrmsg *info = NLMSG_DATA(hdr);
	struct link_addr *addr;

	if (hdr->nlmsg_type != RTM_NEWADDR || hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
	    info->ifa_family != AF_INET)
		return;
	addr = list_add(arg);
	addr->index = (int)info->ifa_index;
	addr->prefix = info->ifa_prefixlen;
	message_attrs(hdr, sizeof(*info), addr_attr, addr);
}

static void links_clear(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(((struct link *)l->items)[i].alias);
}

int list_fill(struct netlink *nl, const struct request *req, netlink_each_fn *each, struct list *list,
	      void (*clear)(struct list *l), const char *what, struct error **err)
{
	int r = -EINTR;

	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
		struct request copy = *req;

		if (clear)
			clear(list);
		list->n = 0;
		r = netlink_dump(nl, &copy, each, list);
	}
	if (r == 0 || r == -ENOENT) /* a table without an entry ever */
		return 0;
	if (clear)
		clear(list);
	mem_freep(&list->items);
	list->n = 0;
	return error_errno(err, -r, "cannot list the %s of this host", what);
}

int links_list(struct netlink *nl, struct link **ret, size_t *n, struct error **err)
{
	struct list list = {.size = sizeof(struct link)};
	struct request req;

	request_init(&req, RTM_GETLINK, 0, sizeof(req.link));
	request_attr_u32(&req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS); /* half of each answer */
	if (list_fill(nl, &req, each_link, &list, links_clear, "interfaces", err) < 0)
		return -1;
	*ret = list.items;
	*n = list.n;
	return 0;
}

/* The one interface that the request asks for; `shown` is how messages call it. */
static int links_get_one(struct netlink *nl, struct request *req, const char *shown, struct link *ret,
			 struct error **err)
{
	struct list list = {.size = sizeof(struct link)};
	int r = netlink_get(nl, req, each_link, &list);

	if (r == 0 && list.n == 1) {
		*ret = *(struct link *)list.items;
		free(list.items);
		return 0;
	}
	links_free(list.items, list.n);
	if (r == -ENODEV)
		return error_set(err, ERR_NOT_FOUND, "there is no network interface %s", shown);
	return error_errno(err, r < 0 ? -r : EPROTO, "cannot look up network interface %s", shown);
}

int links_get(struct netlink *nl, const char *name, struct link *ret, struct error **err)
{
	struct request req;

	if (links_check_name(name, err) < 0)
		return -1;
	request_init(&req, RTM_GETLINK, 0, sizeof(req.link));
	request_attr_string(&req, IFLA_IFNAME, name);
	return links_get_one(nl, &req, name, ret, err);
}

int links_get_index(struct netlink *nl, int ifindex, struct link *ret, struct error **err)
{
	cleanup_free char *shown = str_fmt("%d", ifindex);
	struct request req;

	request_init(&req, RTM_GETLINK, 0, sizeof(req.link));
	req.link.ifi_index = ifindex;
	request_attr_u32(&req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return links_get_one(nl, &req, shown, ret, err);
}

void links_free(struct link *links, size_t n)
{
	struct list list = {.items = links, .n = n};

	links_clear(&list);
	free(links);
}

int links_addresses(struct netlink *nl, struct link_addr **ret, size_t *n, struct error **err)
{
	struct list list = {.size = sizeof(struct link_addr)};
	struct request req;

	request_init(&req, RTM_GETADDR, 0, sizeof(req.addr));
	req.addr.ifa_family = AF_INET;
	if (list_fill(nl, &req, each_addr, &list, NULL, "addresses", err) < 0)
		return -1;
	*ret = list.items;
	*n = list.n;
	return 0;
}
