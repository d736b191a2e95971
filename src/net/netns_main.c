/* SPDX-License-Identifier: MIT */
/* slicer-netns: see netns_protocol.h. */
#include <stdio.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "net/netns_protocol.h"

static int run_down(const char *name, const char *alias, struct error **err)
{
	if (netns_enter(name, alias, err) < 0)
		return -1;
	return netns_unmount(name, err);
}

static int read_plan(struct net_plan *ret, struct error **err)
{
	cleanup_json struct json_object *obj = NULL;
	cleanup_free char *text = NULL;
	size_t n;

	if (fd_read_all(0, NETNS_REQUEST_MAX, &text, &n, err) < 0)
		return -1;
	obj = js_parse(text, n, err);
	return obj ? net_plan_read(obj, ret, err) : -1;
}

static int run_with_plan(int (*run)(const struct net_plan *p, struct error **err), struct error **err)
{
	cleanup_net_plan struct net_plan plan = {0};

	return read_plan(&plan, err) < 0 ? -1 : run(&plan, err);
}

static int run_attach(const char *ifname, struct error **err)
{
	cleanup_net_plan struct net_plan plan = {0};

	return read_plan(&plan, err) < 0 ? -1 : netns_take_over(&plan, ifname, err);
}

static int run(int argc, char **argv, struct error **err)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (str_eq(command, "--version"))
		return puts("slicer-netns " SLICER_VERSION) < 0;
	if (str_eq(command, "list"))
		return netns_print(argc > 2 ? argv[2] : NULL, err);
	if (str_eq(command, "up"))
		return run_with_plan(netns_make, err);
	if (str_eq(command, "mend"))
		return run_with_plan(netns_repair, err);
	if (str_eq(command, "create") && argc == 4)
		return netns_make_empty(argv[2], argv[3], err);
	if (str_eq(command, "stand-in") && argc == 6)
		return netns_make_stand_in(argv[2], argv[3], argv[4], argv[5], err);
	if (str_eq(command, "attach") && argc == 3)
		return run_attach(argv[2], err);
	if (str_eq(command, "down") && argc == 4)
		return run_down(argv[2], argv[3], err);
	return error_set(err, ERR_INVALID,
			 "slicer-netns is run by slicer, with up, mend, create, stand-in, attach, down or list");
}

int main(int argc, char **argv)
{
	cleanup_error struct error *err = NULL;

	if (run(argc, argv, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", error_message(err));
	return NETNS_EXIT_BASE + (int)(err ? err->code : ERR_INTERNAL);
}
