/* SPDX-License-Identifier: MIT */
#include "net/egress.h"

#include <arpa/inet.h>

#include "base/str.h"

struct entry {
	struct ip4_cidr dest;
	uint16_t port;
	bool drop;
};
struct entries {
	struct entry *list;
	size_t n;
};

/* Ranges that do not overlap, in ascending order. */
struct span {
	uint32_t first, last;
	bool drop;
};
struct spans {
	struct span *list;
	size_t n;
};

static int entry_add(struct entries *e, struct ip4_cidr dest, uint16_t port, bool drop, struct error **err)
{
	if (e->n >= EGRESS_MAX_ENTRIES)
		return error_set(err, ERR_TOO_LARGE, "the lists of allow and drop have over %d entries",
				 EGRESS_MAX_ENTRIES);
	if ((e->n & (e->n - 1)) == 0) /* full at each power of two */
		e->list = mem_realloc(e->list, (e->n ? 2 * e->n : 1) * sizeof(*e->list));
	e->list[e->n++] = (struct entry){{ip4_network(dest), dest.prefix}, port, drop};
	return 0;
}

static int entries_add(struct entries *e, const struct net_egress *from, char *const *list, bool drop,
		       struct error **err)
{
	for (; list && *list; list++) {
		struct ip4_rule rule;

		if (ip4_parse_rule(*list, &rule, err) < 0)
			return -1;
		if (!rule.lan && entry_add(e, rule.dest, rule.port, drop, err) < 0)
			return -1;
		for (size_t i = 0; rule.lan && i < from->nlan; i++)
			if (entry_add(e, from->lan[i], 0, drop, err) < 0)
				return -1;
	}
	return 0;
}

/* Wider networks before those in them; what drops before what allows. */
static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->dest.addr != y->dest.addr)
		return x->dest.addr < y->dest.addr ? -1 : 1;
	if (x->dest.prefix != y->dest.prefix)
		return x->dest.prefix < y->dest.prefix ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return (int)y->drop - (int)x->drop;
}

static int entries_read(const struct net_egress *from, struct entries *ret, struct error **err)
{
	*ret = (struct entries){0};
	if (entries_add(ret, from, from->allow, false, err) < 0 || entries_add(ret, from, from->drop, true, err) < 0) {
		mem_freep(&ret->list);
		return -1;
	}
	if (ret->n)
		qsort(ret->list, ret->n, sizeof(*ret->list), entry_compare);
	return 0;
}

static void span_add(struct spans *s, uint64_t first, uint64_t end, bool drop)
{
	struct span *last = s->n ? &s->list[s->n - 1] : NULL;

	if (first >= end)
		return;
	if (last && last->drop == drop && (uint64_t)last->last + 1 == first)
		last->last = (uint32_t)(end - 1);
	else
		s->list[s->n++] = (struct span){(uint32_t)first, (uint32_t)(end - 1), drop};
}

/* Networks either contain each other or have nothing in common: a stack of those that contain the present place, and the
 * innermost speaks. */
static void spans_flatten(const struct entries *e, struct spans *ret)
{
	const struct entry *stack[33]; /* one per prefix length */
	size_t depth = 0;
	uint64_t at = 0;

	ret->list = mem_alloc_array(2 * e->n + 1, sizeof(*ret->list));
	ret->n = 0;
	for (size_t i = 0; i <= e->n; i++) {
		const struct entry *next = i < e->n ? &e->list[i] : NULL;
		uint64_t begin = next ? next->dest.addr : UINT64_MAX;

		if (next && next->port)
			continue;
		for (; depth && (uint64_t)ip4_broadcast(stack[depth - 1]->dest) < begin; depth--) {
			uint64_t end = (uint64_t)ip4_broadcast(stack[depth - 1]->dest) + 1;

			span_add(ret, at, end, stack[depth - 1]->drop);
			at = at > end ? at : end;
		}
		if (!next || (depth && stack[depth - 1]->dest.addr == next->dest.addr &&
			      stack[depth - 1]->dest.prefix == next->dest.prefix))
			continue; /* a tie: the first of them drops */
		if (depth)
			span_add(ret, at, begin, stack[depth - 1]->drop);
		at = begin;
		stack[depth++] = next;
	}
}

static void print_span(FILE *out, const struct span *s)
{
	char first[IP4_TEXT_MAX], last[IP4_TEXT_MAX];

	ip4_format(s->first, first);
	ip4_format(s->last, last);
	if (s->first == s->last)
		fputs(first, out);
	else
		fprintf(out, "%s-%s", first, last);
}

static void print_networks(FILE *out, const struct entries *e)
{
	struct spans spans;
	const char *separator = "";

	spans_flatten(e, &spans);
	fputs("\tmap networks {\n\t\ttype ipv4_addr : verdict\n\t\tflags interval\n", out);
	for (size_t i = 0; i < spans.n; i++) {
		fputs(i ? separator : "\t\telements = { ", out);
		print_span(out, &spans.list[i]);
		fputs(spans.list[i].drop ? " : drop" : " : accept", out);
		separator = ", ";
	}
	fputs(spans.n ? " }\n\t}\n" : "\t}\n", out);
	free(spans.list);
}

static void print_ports(FILE *out, const struct entries *e)
{
	const struct entry *before = NULL;
	char text[IP4_TEXT_MAX];

	fputs("\tmap ports {\n\t\ttype ipv4_addr . inet_proto . inet_service : verdict\n", out);
	for (size_t i = 0; i < e->n; i++) {
		const struct entry *x = &e->list[i];
		const char *verdict = x->drop ? "drop" : "accept";

		if (!x->port || (before && before->dest.addr == x->dest.addr && before->port == x->port))
			continue;
		ip4_format(x->dest.addr, text);
		fprintf(out, "%s%s . tcp . %u : %s, %s . udp . %u : %s", before ? ", " : "\t\telements = { ", text,
			x->port, verdict, text, x->port, verdict);
		before = x;
	}
	fputs(before ? " }\n\t}\n" : "\t}\n", out);
}

static void print_never(FILE *out, const struct net_egress *e)
{
	struct entries entries = {0};
	struct spans spans;

	for (size_t i = 0; i < e->nnever; i++)
		entry_add(&entries, e->never[i], 0, true, NULL);
	if (entries.n)
		qsort(entries.list, entries.n, sizeof(*entries.list), entry_compare);
	spans_flatten(&entries, &spans);
	fputs("\tset never {\n\t\ttype ipv4_addr\n\t\tflags interval\n", out);
	for (size_t i = 0; i < spans.n; i++) {
		fputs(i ? ", " : "\t\telements = { ", out);
		print_span(out, &spans.list[i]);
	}
	fputs(spans.n ? " }\n\t}\n" : "\t}\n", out);
	free(spans.list);
	free(entries.list);
}

static bool only_allows(const struct net_egress *e)
{
	return strv_len(e->allow) > 0 && strv_len(e->drop) == 0;
}

/* Frames that are not IPv4 or ARP from the guest's own addresses end where they come in. Of the rest, what the guest begins
 * is looked up once per connection; nobody else begins one. */
static void print_rules(FILE *out, const struct net_egress *e, const struct net_egress_ends *ends)
{
	char address[IP4_TEXT_MAX];

	ip4_format(ends->address, address);
	fprintf(out,
		"table netdev slicer {\n"
		"\tchain guest {\n"
		"\t\ttype filter hook ingress device \"%1$s\" priority 0; policy drop;\n"
		"\t\tether saddr %2$s ip saddr %3$s accept\n"
		"\t\tether saddr %2$s arp saddr ether %2$s arp saddr ip %3$s accept\n"
		"\t}\n"
		"}\n"
		"table ip slicer {\n",
		ends->tap, ends->mac, address);
	print_never(out, e);
}

static void print_chains(FILE *out, const struct net_egress *e, const struct net_egress_ends *ends)
{
	fprintf(out,
		"\tchain egress {\n"
		"\t\tip daddr @never drop\n"
		"\t\tip daddr . meta l4proto . th dport vmap @ports\n"
		"\t\tip daddr vmap @networks\n"
		"\t\t%3$s\n"
		"\t}\n"
		"\tchain forward {\n"
		"\t\ttype filter hook forward priority 0; policy drop;\n"
		"\t\tct state established,related accept\n"
		"\t\tiifname \"%1$s\" oifname \"%2$s\" ct state new goto egress\n"
		"\t}\n"
		"\tchain input {\n"
		"\t\ttype filter hook input priority 0; policy drop;\n"
		"\t}\n"
		"\tchain output {\n"
		"\t\ttype filter hook output priority 0;\n"
		"\t\ticmp type redirect drop\n"
		"\t}\n"
		"}\n",
		ends->tap, ends->uplink, only_allows(e) ? "drop" : "accept");
}

char *net_egress_script(const struct net_egress *e, const struct net_egress_ends *ends, struct error **err)
{
	struct entries entries;
	char *text = NULL;
	size_t n;
	FILE *out;

	if (entries_read(e, &entries, err) < 0)
		return NULL;
	out = open_memstream(&text, &n);
	if (!out)
		abort(); /* out of memory */
	print_rules(out, e, ends);
	print_ports(out, &entries);
	print_networks(out, &entries);
	print_chains(out, e, ends);
	fclose(out);
	free(entries.list);
	return text;
}

static bool listed(const struct ip4_cidr *list, size_t n, uint32_t address)
{
	for (size_t i = 0; i < n; i++)
		if (ip4_contains(list[i], address))
			return true;
	return false;
}

bool net_egress_allows(const struct net_egress *e, uint32_t address, uint16_t port)
{
	struct entries entries;
	const struct entry *best = NULL;
	bool passes = !only_allows(e);

	if (listed(e->never, e->nnever, address) || entries_read(e, &entries, NULL) < 0)
		return false;
	/* In order, so that of a tie the first, which drops, stays. */
	for (size_t i = 0; i < entries.n; i++) {
		const struct entry *x = &entries.list[i];
		bool better = !best || (x->port != 0) > (best->port != 0) ||
			      ((x->port != 0) == (best->port != 0) && x->dest.prefix > best->dest.prefix);

		if (ip4_contains(x->dest, address) && (!x->port || x->port == port) && better)
			best = x;
	}
	if (best)
		passes = !best->drop;
	free(entries.list);
	return passes;
}

static bool is_slicers(const struct link *link)
{
	return link && link->alias && str_starts(link->alias, "slicer:");
}

struct ip4_cidr *net_egress_lan(const struct net_facts *facts, size_t *ret_n)
{
	struct ip4_cidr *list = mem_alloc_array(facts->naddrs + 1, sizeof(*list));

	*ret_n = 0;
	for (size_t i = 0; i < facts->naddrs; i++) {
		const struct link_addr *a = &facts->addrs[i];
		const struct link *link = net_facts_index(facts, a->index);
		struct ip4_cidr c = {ntohl(a->addr.s_addr), a->prefix};

		if (link && !(link->flags & IFF_LOOPBACK) && !is_slicers(link))
			list[(*ret_n)++] = (struct ip4_cidr){ip4_network(c), c.prefix};
	}
	return list;
}

/* The range makes one of what else were an entry for each VM, and rules that change with each that comes and goes. */
struct ip4_cidr *net_egress_never(const struct net_facts *facts, struct ip4_cidr range, size_t *ret_n)
{
	static const struct ip4_cidr fixed[] = {
		{0x00000000, 8},  /* "this network" */
		{0x7f000000, 8},  /* loopback */
		{0xa9fe0000, 16}, /* link-local: clouds' metadata, and other isolated VMs */
		{0xe0000000, 3},  /* multicast, reserved, broadcast */
	};
	struct ip4_cidr *list = mem_alloc_array(ARRAY_LEN(fixed) + 1 + facts->naddrs, sizeof(*list));

	memcpy(list, fixed, sizeof(fixed));
	*ret_n = ARRAY_LEN(fixed);
	if (range.prefix)
		list[(*ret_n)++] = (struct ip4_cidr){ip4_network(range), range.prefix};
	for (size_t i = 0; i < facts->naddrs; i++) {
		const struct link_addr *a = &facts->addrs[i];
		unsigned prefix = is_slicers(net_facts_index(facts, a->index)) ? a->prefix : 32;
		struct ip4_cidr c = {ntohl(a->addr.s_addr), prefix};

		list[(*ret_n)++] = (struct ip4_cidr){ip4_network(c), prefix};
	}
	return list;
}
