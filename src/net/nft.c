/* SPDX-License-Identifier: MIT */
#include "net/nft.h"

#include <ctype.h>
#include <netinet/in.h>

#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "net/nft_elements.h"
#include "net/plan.h"

#include <linux/netfilter.h> /* after netinet/in.h, or both define the same */

/* nft's messages end with the line in question and marks below it; what is wrong is in the first.
 */
static int nft_failed(const struct proc_result *r, struct error **why, struct error **err)
{
	cleanup_free char *first = NULL;

	if (!r->errout || !*r->errout)
		return error_move(err, why);
	first = str_ndup(r->errout, strcspn(r->errout, "\n"));
	error_free(why);
	return error_set(err, ERR_IO, "nft: %s", first);
}

/* Takes the arguments, which are a new list. */
static int nft_execute(char **arguments, const char *input, char **ret, struct error **err)
{
	cleanup_strv char **argv = arguments;
	cleanup_free char *program = proc_find_program("nft");
	struct proc_result r = {0};
	struct error *why = NULL;
	int result;

	if (!program)
		return error_set(err, ERR_UNSUPPORTED,
				 "the program nft is not installed, and this network needs it "
				 "(apt-get install nftables)");
	free(argv[0]);
	argv[0] = TAKE_PTR(program);
	result = proc_run(argv, input, NFT_OUTPUT_MAX, NFT_TIMEOUT_MS, &r, &why);
	if (result < 0)
		nft_failed(&r, &why, err);
	else if (ret)
		*ret = TAKE_PTR(r.out);
	proc_result_clear(&r);
	return result;
}

int nft_run(const char *script, struct error **err)
{
	return nft_execute(strv_split("nft -f -", ' '), script, NULL, err);
}

char *nft_read(const char *arguments, struct error **err)
{
	cleanup_free char *line = str_fmt("nft %s", arguments);
	char *out = NULL;

	return nft_execute(strv_split(line, ' '), NULL, &out, err) < 0 ? NULL : out;
}

char *nft_table(const char *daemon_id)
{
	char *name = str_fmt("slicer_%s", daemon_id);

	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
			*c = '_';
	return name;
}

/* The sets are made when they are not there; the rules are made anew, in the same transaction, so
 * that those of an older version go and no packet passes in between. Priority -300 is before
 * everything else that looks at a frame (nft(8), "dstnat" of the bridge family).
 *
 * A VM may send IPv4 and ARP, from its own MAC address. In the subnets of its daemon it may only
 * use its own address; others pass, because there may be a network behind it, and the bridge's
 * rp_filter lets only those in to which the host has a route through the bridge.
 *
 * Limits (net/rate_limit.h) come first, so that what the guard drops counts as well; a VM without one is in no map.
 *
 * Isolated VMs reach nothing of this host and no VM of slicer's, and nobody begins to talk to them;
 * slots do not reach each other. These rules name groups of interfaces, and so hold for those of
 * other daemons and those still to be made. */
static const char base_script[] =
	"table ip %1$s {\n"
	"\tset bridges { type ifname; }\n"
	"\tset subnets { type ipv4_addr; flags interval; }\n"
	"\tset isolated { type ifname; }\n"
	"\tset addresses { type ifname . ipv4_addr; }\n"
	"\tchain postrouting { type nat hook postrouting priority srcnat; policy accept; }\n"
	"\tchain from_isolated { }\n"
	"\tchain forward { type filter hook forward priority -10; policy accept; }\n"
	"\tchain input { type filter hook input priority -10; policy accept; }\n"
	"}\n"
	"table bridge %1$s {\n"
	"\tset subnets { type ipv4_addr; flags interval; }\n"
	"\tset ports { type ifname; }\n"
	"\tset macs { type ifname . ether_addr; }\n"
	"\tset addresses { type ifname . ipv4_addr; }\n"
	"\tmap bytes_out { type ifname : limit; }\n"
	"\tmap bytes_in { type ifname : limit; }\n"
	"\tmap packets_out { type ifname : limit; }\n"
	"\tmap packets_in { type ifname : limit; }\n"
	"\tchain guard_arp { }\n"
	"\tchain guard { }\n"
	"\tchain prerouting { type filter hook prerouting priority -300; policy accept; }\n"
	"\tchain postrouting { type filter hook postrouting priority 300; policy accept; }\n"
	"}\n"
	"flush chain ip %1$s postrouting\n"
	"flush chain ip %1$s forward\n"
	"flush chain ip %1$s from_isolated\n"
	"flush chain ip %1$s input\n"
	"flush chain bridge %1$s prerouting\n"
	"flush chain bridge %1$s postrouting\n"
	"flush chain bridge %1$s guard\n"
	"flush chain bridge %1$s guard_arp\n"
	"add rule ip %1$s postrouting ip saddr @subnets oifname != @bridges masquerade\n"
	"add rule ip %1$s forward iifgroup %2$#x jump from_isolated\n"
	"add rule ip %1$s forward oifgroup %2$#x ct state != { established, related } drop\n"
	"add rule ip %1$s forward iifgroup %4$#x oifgroup %4$#x drop\n"
	"add rule ip %1$s from_isolated oifgroup { %2$#x, %3$#x, %4$#x } drop\n"
	"add rule ip %1$s from_isolated iifname @isolated iifname . ip saddr != @addresses drop\n"
	"add rule ip %1$s input iifgroup %2$#x drop\n"
	"add rule bridge %1$s guard_arp iifname . arp saddr ether != @macs drop\n"
	"add rule bridge %1$s guard_arp"
	" arp saddr ip @subnets iifname . arp saddr ip != @addresses drop\n"
	"add rule bridge %1$s guard_arp accept\n"
	"add rule bridge %1$s guard iifname . ether saddr != @macs drop\n"
	"add rule bridge %1$s guard ether type arp goto guard_arp\n"
	"add rule bridge %1$s guard ether type != ip drop\n"
	"add rule bridge %1$s guard ip saddr @subnets iifname . ip saddr != @addresses drop\n"
	"add rule bridge %1$s prerouting limit name iifname map @bytes_out drop\n"
	"add rule bridge %1$s prerouting limit name iifname map @packets_out drop\n"
	"add rule bridge %1$s prerouting iifname @ports jump guard\n"
	"add rule bridge %1$s postrouting limit name oifname map @bytes_in drop\n"
	"add rule bridge %1$s postrouting limit name oifname map @packets_in drop\n";

/* As many as the script above adds: rules of the chain, and those that jump to it. Where these are, what jumps is there as well. */
int nft_rules_check(struct nfset *sets, const char *table, bool isolated, struct error **err)
{
	static const struct nfset_chain bridged[] = {{NFPROTO_BRIDGE, "guard_arp", 3 + 1},
						     {NFPROTO_BRIDGE, "guard", 4 + 1},
						     {NFPROTO_IPV4, "forward", 3},
						     {NFPROTO_IPV4, "postrouting", 1}};
	static const struct nfset_chain apart[] = {{NFPROTO_IPV4, "from_isolated", 2 + 1},
						   {NFPROTO_IPV4, "forward", 3},
						   {NFPROTO_IPV4, "input", 1},
						   {NFPROTO_IPV4, "postrouting", 1}};

	if (nfset_chains_check(sets, table, isolated ? apart : bridged, ARRAY_LEN(apart), err) == 0)
		return 0;
	return error_wrap(err, "something else has removed what slicer needs");
}

/* Both tables are made and removed at once. */
bool nft_table_exists(const char *table)
{
	static const struct nfset_chain any = {NFPROTO_IPV4, "postrouting", 0};
	cleanup_nfset struct nfset *sets = nfset_new();

	return nfset_chains_check(sets, table, &any, 1, NULL) == 0;
}

char **nft_subnets(const char *table)
{
	cleanup_free char *arguments = str_fmt("-j list set ip %s subnets", table), *text = nft_read(arguments, NULL);
	cleanup_json struct json_object *root = text ? js_parse(text, strlen(text), NULL) : NULL;
	struct json_object *list = NULL, *set = NULL, *elements = NULL;
	char **subnets = NULL;

	if (!root || js_get_array(root, "nftables", &list, NULL) < 0)
		return NULL;
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		if (js_get_object(json_object_array_get_idx(list, i), "set", &set, NULL) == 0 && set)
			js_get_array(set, "elem", &elements, NULL);
	for (size_t i = 0; elements && i < json_object_array_length(elements); i++) {
		cleanup_strv char **fields = nft_element_fields(json_object_array_get_idx(elements, i));

		strv_append(&subnets, fields[0]);
	}
	return subnets;
}

static void network_text(struct ip4_cidr subnet, char ret[IP4_TEXT_MAX])
{
	ip4_format_cidr((struct ip4_cidr){ip4_network(subnet), subnet.prefix}, ret);
}

/* The formats of this file are constants with numbered arguments. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *base(const char *table)
{
	return str_fmt(base_script, table, NET_GROUP_ISOLATED, NET_GROUP_BRIDGE, NET_GROUP_SLOT);
}
#pragma GCC diagnostic pop

char *nft_group_script(const char *table, const char *bridge, struct ip4_cidr subnet)
{
	cleanup_free char *rules = base(table);
	char net[IP4_TEXT_MAX];

	network_text(subnet, net);
	return str_fmt("%1$s"
		       "add element ip %2$s bridges { \"%3$s\" }\n"
		       "add element ip %2$s subnets { %4$s }\n"
		       "add element bridge %2$s subnets { %4$s }\n",
		       rules, table, bridge, net);
}

char *nft_isolated_script(const char *table, struct ip4_cidr range)
{
	cleanup_free char *rules = base(table);
	char net[IP4_TEXT_MAX];

	network_text(range, net);
	return str_fmt("%sadd element ip %s subnets { %s }\n", rules, table, net);
}

/* Adding before deleting makes it succeed when the element is not there. */
char *nft_group_remove_script(const char *table, const char *bridge, struct ip4_cidr subnet)
{
	char net[IP4_TEXT_MAX];

	network_text(subnet, net);
	return str_fmt("add element ip %1$s bridges { \"%2$s\" }\n"
		       "delete element ip %1$s bridges { \"%2$s\" }\n"
		       "add element ip %1$s subnets { %3$s }\n"
		       "delete element ip %1$s subnets { %3$s }\n"
		       "add element bridge %1$s subnets { %3$s }\n"
		       "delete element bridge %1$s subnets { %3$s }\n",
		       table, bridge, net);
}

char *nft_subnet_remove_script(const char *table, struct ip4_cidr subnet)
{
	char net[IP4_TEXT_MAX];

	network_text(subnet, net);
	return str_fmt("table ip %1$s {\n\tset subnets { type ipv4_addr; flags interval; }\n}\n"
		       "table bridge %1$s {\n\tset subnets { type ipv4_addr; flags interval; }\n}\n"
		       "add element ip %1$s subnets { %2$s }\n"
		       "delete element ip %1$s subnets { %2$s }\n"
		       "add element bridge %1$s subnets { %2$s }\n"
		       "delete element bridge %1$s subnets { %2$s }\n",
		       table, net);
}

char *nft_isolated_remove_script(const char *table, struct ip4_cidr range)
{
	char net[IP4_TEXT_MAX];

	network_text(range, net);
	return str_fmt("add element ip %1$s subnets { %2$s }\ndelete element ip %1$s subnets { %2$s }\n", table, net);
}

char *nft_remove_script(const char *table)
{
	return str_fmt("table ip %1$s { }\ntable bridge %1$s { }\n"
		       "delete table ip %1$s\ndelete table bridge %1$s\n",
		       table);
}

/* Calls each for the rules of `table ip filter` that have our comment. */
struct admitted {
	char *const *owners;
	const char *chain; /* counts the rules that are where they should be */
	unsigned in_chain, all;
	char *script; /* deletes all of them */
};

static bool is_owned(const char *comment, char *const *owners)
{
	for (; comment && *owners; owners++)
		if (str_ends(*owners, ":") ? str_starts(comment, *owners) : str_eq(comment, *owners))
			return true;
	return false;
}

static int admitted_rule(struct json_object *rule, struct admitted *a, struct error **err)
{
	const char *chain = "", *comment = NULL;
	uint64_t handle = 0;
	char *longer;

	if (js_get_string(rule, "chain", &chain, err) < 0 || js_get_string(rule, "comment", &comment, err) < 0 ||
	    js_get_u64(rule, "handle", UINT64_MAX, &handle, err) < 0)
		return -1;
	if (!is_owned(comment, a->owners))
		return 0;
	a->all++;
	a->in_chain += str_eq(chain, a->chain);
	longer = str_fmt("%sdelete rule ip filter %s handle %llu\n", a->script, chain, (unsigned long long)handle);
	free(a->script);
	a->script = longer;
	return 0;
}

/* a->script is the caller's, also after a failure. */
static int admitted_find(struct admitted *a, struct error **err)
{
	cleanup_free char *tables = nft_read("list tables ip", err), *json = NULL;
	cleanup_json struct json_object *root = NULL;
	struct json_object *list = NULL;

	a->script = str_dup("");
	if (!tables)
		return -1;
	if (!strstr(tables, "table ip filter\n"))
		return 0;
	json = nft_read("-j -a list table ip filter", err);
	root = json ? js_parse(json, strlen(json), err) : NULL;
	if (!root || js_get_array(root, "nftables", &list, err) < 0)
		return -1;
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i), *rule = NULL;

		if (json_object_is_type(item, json_type_object) &&
		    (js_get_object(item, "rule", &rule, err) < 0 || (rule && admitted_rule(rule, a, err) < 0)))
			return -1;
	}
	return 0;
}

int nft_admit(const char *chain, const char *from, const char *to, const char *owner, struct error **err)
{
	char *const owners[] = {(char *)owner, NULL};
	struct admitted a = {.owners = owners, .chain = chain};
	int r = admitted_find(&a, err);
	cleanup_free char *old = a.script, *script = NULL;

	if (r < 0 || (a.in_chain == 2 && a.all == 2))
		return r;
	script = str_fmt("%1$s"
			 "insert rule ip filter %2$s %3$s counter accept comment \"%5$s\"\n"
			 "insert rule ip filter %2$s %4$s counter accept comment \"%5$s\"\n",
			 old, chain, from, to, owner);
	return nft_run(script, err);
}

int nft_unadmit(char *const *owners, struct error **err)
{
	struct admitted a = {.owners = owners};
	int r = admitted_find(&a, err);
	cleanup_free char *script = a.script;

	return r < 0 || a.all == 0 ? r : nft_run(script, err);
}

bool nft_has(const char *what, const char *sign)
{
	cleanup_free char *arguments = str_fmt("list %s", what);
	cleanup_free char *text = nft_read(arguments, NULL);

	return text && strstr(text, sign);
}
