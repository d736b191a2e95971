/* SPDX-License-Identifier: MIT */
/* slicer vm route FILE: the commands by which another machine reaches the VMs of this host. */
#include "host/route.h"

#include <arpa/inet.h>

#include "base/str.h"
#include "net/facts.h"

static const struct option_spec route_options[] = {
	{"os", 0, OPTION_STRING, "NAME", "The other machine's system: linux or darwin (both)"},
	{0},
};

char *route_text(const struct config *cfg, enum net_route_os os)
{
	cleanup_net_facts struct net_facts facts = {0};
	struct in_addr address = {0};
	char text[INET_ADDRSTRLEN];

	/* The text is of use without the address, too. */
	if (net_facts_read(false, &facts, NULL) == 0)
		address = net_facts_lan_address(&facts);
	inet_ntop(AF_INET, &address, text, sizeof(text));
	return net_route_text(cfg, address.s_addr ? text : NULL, os);
}

static int parse_os(const char *name, enum net_route_os *ret, struct error **err)
{
	*ret = NET_ROUTE_ALL;
	if (!name)
		return 0;
	if (str_eq(name, "linux"))
		*ret = NET_ROUTE_LINUX;
	else if (str_eq(name, "darwin"))
		*ret = NET_ROUTE_DARWIN;
	else
		return error_set(err, ERR_INVALID, "--os knows linux and darwin, not \"%s\"", name);
	return 0;
}

static int route_run(struct cli *cli, const struct parsed *args, struct error **err)
{
	const char *file = args->nargs ? args->args[0] : CONFIG_DEFAULT_FILE;
	cleanup_config struct config *cfg = NULL;
	cleanup_free char *text = NULL;
	enum net_route_os os;

	if (parse_os(parsed_string(args, "os"), &os, err) < 0 || config_load_file(file, &cfg, err) < 0)
		return -1;
	text = route_text(cfg, os);
	if (!text)
		return error_set(err, ERR_UNSUPPORTED,
				 "no host group of %s has a bridge, and other networks cannot be "
				 "routed to; use `slicer vm forward`",
				 file);
	fputs(text, stdout);
	return 0;
}

const struct command command_vm_route = {
	.name = "route",
	.summary = "Print the commands that add routes to the VMs on another machine",
	.usage = "[FILE]",
	.details = "Run them on that machine, never on this one.\n",
	.options = route_options,
	.run = route_run,
	.max_args = 1,
	.local = true,
};
