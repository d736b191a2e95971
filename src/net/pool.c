/* SPDX-License-Identifier: MIT */
#include "net/pool.h"

#include "base/str.h"
#include "net/mode.h"

static bool is_host(struct ip4_cidr c, uint32_t addr)
{
	return ip4_contains(c, addr) && addr != ip4_network(c) && addr != ip4_broadcast(c);
}

static int pool_list(struct net_pool *p, char *const *addresses, struct error **err)
{
	p->list = mem_alloc_array(strv_len(addresses), sizeof(*p->list));
	for (; *addresses; addresses++) {
		struct ip4_cidr c;

		if (ip4_parse_cidr_or_addr(*addresses, &c, err) < 0)
			return -1;
		if (!is_host(p->gateway, c.addr) || c.addr == p->gateway.addr)
			return error_set(err, ERR_INVALID, "%s is not a free address in the gateway's subnet",
					 *addresses);
		p->list[p->count++] = c.addr;
	}
	return 0;
}

static int pool_range(struct net_pool *p, const char *range, struct error **err)
{
	if (ip4_parse_range(range, &p->range, err) < 0)
		return -1;
	if (!is_host(p->gateway, p->range.first) || !is_host(p->gateway, p->range.last))
		return error_set(err, ERR_INVALID, "range %s is not in the gateway's subnet", range);
	p->count = p->range.last - p->range.first + 1;
	if (p->gateway.addr >= p->range.first && p->gateway.addr <= p->range.last)
		p->count--;
	return 0;
}

/* On a LAN the router gives out addresses as well, mostly from the beginning on. */
static int pool_lan(struct net_pool *p, struct error **err)
{
	char range[2 * IP4_TEXT_MAX], *end;
	uint32_t last = ip4_broadcast(p->gateway) - 1;

	if (p->gateway.prefix > NET_LAN_POOL_PREFIX_MAX)
		return error_set(err, ERR_INVALID, "its subnet is smaller than a /%d: give a range",
				 NET_LAN_POOL_PREFIX_MAX);
	ip4_format(last + 1 - NET_LAN_POOL, range);
	end = range + strlen(range);
	*end++ = '-';
	ip4_format(last, end);
	return pool_range(p, range, err);
}

static int pool_fill(struct net_pool *p, const struct config_network *net, struct error **err)
{
	struct ip4_cidr *gw = &p->gateway;

	if (!net->gateway)
		return error_set(err, ERR_INVALID, "its network has no gateway");
	if (ip4_parse_cidr(net->gateway, gw, err) < 0)
		return -1;
	if (gw->prefix > 30 || gw->prefix < 8 || !is_host(*gw, gw->addr))
		return error_set(err, ERR_INVALID,
				 "gateway %s must be an address inside a subnet with a prefix "
				 "length from 8 to 30, such as " CONFIG_DEFAULT_CIDR " with .1",
				 net->gateway);
	if (net->addresses)
		return pool_list(p, net->addresses, err);
	if (net->range)
		return pool_range(p, net->range, err);
	if (net->mode == NET_MACVTAP)
		return pool_lan(p, err);
	p->range = (struct ip4_range){ip4_network(*gw) + 1, ip4_broadcast(*gw) - 1};
	p->count = p->range.last - p->range.first;
	return 0;
}

struct net_pool *net_pool_new(const struct config_group *g, struct error **err)
{
	struct net_pool *p = NEW(struct net_pool);

	p->group = str_dup(g->name);
	if (pool_fill(p, &g->network, err) < 0) {
		error_wrap(err, "addresses of host group \"%s\"", g->name);
		net_pool_free(&p);
		return NULL;
	}
	return p;
}

void net_pool_free(struct net_pool **pool)
{
	if (!*pool)
		return;
	free((*pool)->group);
	free((*pool)->list);
	free(*pool);
	*pool = NULL;
}

/* The address at a place of the order, which is less than count. */
static uint32_t pool_at(const struct net_pool *p, uint32_t place)
{
	uint32_t gw = p->gateway.addr, first = p->range.first;
	uint32_t room = p->range.last - first + 1;

	if (p->list)
		return p->list[place];
	if (room == p->count) /* the gateway is not in the range */
		return first + place;
	if (room == ip4_broadcast(p->gateway) - ip4_network(p->gateway) - 1)
		return first + (gw + 1 - first + place) % room; /* the whole subnet */
	return first + place + (first + place >= gw);
}

static bool is_used(uint32_t addr, const uint32_t *used, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (used[i] == addr)
			return true;
	return false;
}

static int take_wanted(const struct net_pool *p, const char *wanted, const uint32_t *used, size_t nused, uint32_t *ret,
		       struct error **err)
{
	struct ip4_cidr c;

	if (ip4_parse_cidr_or_addr(wanted, &c, err) < 0)
		return -1;
	for (uint32_t i = 0; i < p->count; i++) {
		if (pool_at(p, i) != c.addr)
			continue;
		if (is_used(c.addr, used, nused))
			return error_set(err, ERR_CONFLICT, "address %s of host group \"%s\" is in use", wanted,
					 p->group);
		*ret = c.addr;
		return 0;
	}
	return error_set(err, ERR_INVALID, "%s is not an address of host group \"%s\"", wanted, p->group);
}

int net_pool_take(const struct net_pool *p, unsigned number, const char *wanted, const uint32_t *used, size_t nused,
		  uint32_t *ret, struct error **err)
{
	uint32_t start = p->count ? (number ? number - 1 : 0) % p->count : 0;

	if (wanted)
		return take_wanted(p, wanted, used, nused, ret, err);
	for (uint32_t i = 0; i < p->count && i <= nused; i++) {
		uint32_t addr = pool_at(p, (uint32_t)(((uint64_t)start + i) % p->count));

		if (!is_used(addr, used, nused)) {
			*ret = addr;
			return 0;
		}
	}
	return error_set(err, ERR_UNAVAILABLE,
			 "all %u addresses of host group \"%s\" are in use: delete a VM, or give "
			 "the group's network a larger subnet, range or list of addresses",
			 p->count, p->group);
}

static int pool_take_text(const struct net_vm *vm, const struct net_pool *pool, const char *wanted,
			  const uint32_t *used, size_t nused, char **ret, struct error **err)
{
	struct ip4_cidr got = {.prefix = pool->gateway.prefix};
	char text[IP4_TEXT_MAX];

	if (net_pool_take(pool, vm->number, wanted, used, nused, &got.addr, err) < 0)
		return -1;
	ip4_format_cidr(got, text);
	*ret = str_dup(text);
	return 0;
}

int net_pool_reserve(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
		     struct error **err)
{
	cleanup_net_pool struct net_pool *pool = net_pool_new(vm->group, err);

	if (!pool)
		return -1;
	if (*vm->address && !wanted && pool_take_text(vm, pool, vm->address, used, nused, ret, NULL) == 0)
		return 0;
	return pool_take_text(vm, pool, wanted, used, nused, ret, err);
}
