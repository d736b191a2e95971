/* SPDX-License-Identifier: MIT */
#include "net/rate_limit.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/nfset.h"
#include "base/str.h"

#include <linux/netfilter.h> /* after netinet/in.h, or both define the same */

/* The longest frame that comes in one piece, segmentation offload counted, must fit, or it never passes. A tenth of a second's
 * packets may come at once: a guest has a queue, not a clock. */
enum { BURST_BYTES = 65536, BURST_PACKETS_MIN = 16, BURST_PACKETS_PER_SECOND = 10 };

static uint32_t burst_packets(const struct net_limits *l)
{
	uint32_t burst = l->packets / BURST_PACKETS_PER_SECOND;

	return burst > BURST_PACKETS_MIN ? burst : BURST_PACKETS_MIN;
}

bool net_limits_any(const struct net_limits *l)
{
	return l->bandwidth || l->packets || l->connections;
}

/* The maps of net/nft.c; what a VM has in them. */
static const struct {
	const char *map;
	bool bytes;
} maps[] = {{"bytes_out", true}, {"bytes_in", true}, {"packets_out", false}, {"packets_in", false}};

struct named {
	struct nfset_limit limits[ARRAY_LEN(maps)];
	struct nfset_element elements[ARRAY_LEN(maps)]; /* refer to the limits' names */
	size_t n;
};

static void named_fill(const char *ifname, const struct net_limits *l, struct named *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		struct nfset_limit *limit = &ret->limits[ret->n];
		struct nfset_element *element = &ret->elements[ret->n];

		if (!(maps[i].bytes ? l->bandwidth : l->packets))
			continue;
		*limit = (struct nfset_limit){.bytes = maps[i].bytes,
					      .rate = maps[i].bytes ? l->bandwidth : l->packets,
					      .burst = maps[i].bytes ? BURST_BYTES : burst_packets(l)};
		snprintf(limit->name, sizeof(limit->name), "%s/%s", ifname, maps[i].map);
		*element = (struct nfset_element){.set = maps[i].map, .object = limit->name};
		nfset_key_ifname(element, ifname);
		ret->n++;
	}
}

int net_limits_mend(struct nfset *sets, const char *table, const char *ifname, const struct net_limits *l,
		    struct error **err)
{
	struct named named;

	named_fill(ifname, l, &named);
	if (nfset_limit_add(sets, NFPROTO_BRIDGE, table, named.limits, named.n, err) < 0)
		return -1;
	return nfset_add(sets, NFPROTO_BRIDGE, table, named.elements, named.n, err);
}

int net_limits_down(struct nfset *sets, const char *table, const char *ifname, const struct net_limits *l,
		    struct error **err)
{
	struct named named;

	named_fill(ifname, l, &named);
	if (nfset_delete(sets, NFPROTO_BRIDGE, table, named.elements, named.n, err) < 0)
		return -1;
	return nfset_limit_delete(sets, NFPROTO_BRIDGE, table, named.limits, named.n, err);
}

int net_limits_up(struct nfset *sets, const char *table, const char *ifname, const struct net_limits *l,
		  struct error **err)
{
	if (net_limits_down(sets, table, ifname, l, err) < 0)
		return -1;
	return net_limits_mend(sets, table, ifname, l, err);
}

static void print_direction(FILE *out, const char *match, const struct net_limits *l)
{
	if (l->bandwidth)
		fprintf(out, "\t\t%s limit rate over %llu bytes/second burst %d bytes drop\n", match,
			(unsigned long long)l->bandwidth, BURST_BYTES);
	if (l->packets)
		fprintf(out, "\t\t%s limit rate over %u/second burst %u packets drop\n", match, l->packets,
			burst_packets(l));
}

/* Of those that other rules let pass, which is why it comes after them. Where rules are loaded anew, it counts from nothing. */
static void print_connections(FILE *out, const char *from, uint32_t connections)
{
	fprintf(out,
		"\tchain connections {\n\t\ttype filter hook forward priority 10; policy accept;\n"
		"\t\t%s ct state new ct count over %u drop\n\t}\n",
		from, connections);
}

char *net_limits_script(const char *tap, const struct net_limits *l)
{
	cleanup_free char *from = str_fmt("iifname \"%s\"", tap), *to = str_fmt("oifname \"%s\"", tap);
	char *text = NULL;
	size_t n;
	FILE *out;

	if (!net_limits_any(l))
		return str_dup("");
	out = open_memstream(&text, &n);
	if (!out)
		abort(); /* out of memory */
	fputs("table ip slicer {\n", out);
	if (l->bandwidth || l->packets) {
		fputs("\tchain limits {\n\t\ttype filter hook forward priority -10; policy accept;\n", out);
		print_direction(out, from, l);
		print_direction(out, to, l);
		fputs("\t}\n", out);
	}
	if (l->connections)
		print_connections(out, from, l->connections);
	fputs("}\n", out);
	fclose(out);
	return text;
}
