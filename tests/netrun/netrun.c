/* SPDX-License-Identifier: MIT */
/* Calls src/net without a daemon, for tests:
 *   netrun CONFIG ID up|down GROUP
 *   netrun CONFIG ID vm GROUP NUMBER [NETNS]   makes the VM's network, prints its plan, and waits
 * for the end of its input; then removes it netrun CONFIG ID mend                      reads a plan
 * from its input and mends it netrun CONFIG ID vmdown                    the same, and removes it
 *   netrun CONFIG ID list
 * With NETNS, the path of a network namespace, `eth0` in it is what the VM would have: a second
 * tap, its frames carried back and forth as they are. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "net/apply.h"

static int report(const char *what, struct error *err)
{
	fprintf(stderr, "netrun: %s: %s\n", what, error_message(err));
	error_free(&err);
	return 1;
}

static void print_plan(const struct net_plan *plan)
{
	cleanup_json struct json_object *obj = net_plan_to_json(plan);

	printf("%s\n", json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
}

static int guest_tap(const char *netns, struct error **err)
{
	cleanup_close int ns = open(netns, O_RDONLY | O_CLOEXEC);
	cleanup_close int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (ns < 0 || own < 0 || setns(ns, CLONE_NEWNET) < 0)
		return error_errno(err, errno, "%s", netns);
	fd = links_tap_create("eth0", (uid_t)-1, err);
	if (setns(own, CLONE_NEWNET) < 0)
		return error_errno(err, errno, "cannot return");
	return fd;
}

static ssize_t carry(int from, int to)
{
	static char frame[70000];
	ssize_t n = read(from, frame, sizeof(frame));

	/* A frame for an interface that is down or full is lost, as on a wire. */
	if (n > 0 && write(to, frame, (size_t)n) < 0 && errno != EIO && errno != EAGAIN &&
	    errno != EINVAL)
		return -1;
	return n;
}

/* Until stdin ends; returns the length of the longest frame. */
static ssize_t carry_all(int tap, int guest)
{
	struct pollfd fds[] = {{0, POLLIN, 0}, {tap, POLLIN, 0}, {guest, POLLIN, 0}};
	unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	ssize_t longest = 0, n;

	if (guest >= 0 &&
	    (ioctl(tap, TUNSETOFFLOAD, offloads) < 0 || ioctl(guest, TUNSETOFFLOAD, offloads) < 0))
		return -1;
	while (poll(fds, guest >= 0 ? 3 : 1, -1) >= 0 && !fds[0].revents) {
		if (fds[1].revents && (n = carry(tap, guest)) > longest)
			longest = n;
		if (fds[2].revents && (n = carry(guest, tap)) > longest)
			longest = n;
	}
	return longest;
}

static int run_vm(const struct config_group *g, const char *id, unsigned number, const char *netns)
{
	cleanup_free char *hostname = str_fmt("%s-%u", g->name, number);
	struct error *err = NULL;
	const struct net_mode *mode = net_mode(g->network.mode);
	struct net_vm vm = {
	    .group = g, .daemon_id = id, .hostname = hostname, .number = number, .address = ""};
	cleanup_net_plan struct net_plan plan = {0};
	cleanup_close int tap = -1, guest = -1;
	cleanup_free char *address = NULL;
	struct net_port port;

	if (mode->reserve(&vm, NULL, NULL, 0, &address, &err) < 0)
		return report("vm", err);
	vm.address = address;
	if (mode->plan(&vm, &plan, &err) < 0 || net_vm_up(&plan, &port, &err) < 0)
		return report("vm", err);
	tap = port.tap_fd;
	if (netns && (guest = guest_tap(netns, &err)) < 0)
		return report("vm", err);
	print_plan(&plan);
	printf("%zd\n", carry_all(tap, guest));
	fd_closep(&tap);
	return net_vm_down(&plan, &err) < 0 ? report("vm", err) : 0;
}

static int change_vm(const char *command)
{
	cleanup_free char *text = NULL;
	struct error *err = NULL;
	size_t n;
	cleanup_json struct json_object *obj =
	    fd_read_all(0, 65536, &text, &n, &err) < 0 ? NULL : js_parse(text, n, &err);
	cleanup_net_plan struct net_plan plan = {0};
	int r;

	if (!obj || net_plan_from_json(obj, &plan, &err) < 0)
		return report(command, err);
	r = str_eq(command, "mend") ? net_vm_mend(&plan, &err) : net_vm_down(&plan, &err);
	return r < 0 ? report(command, err) : 0;
}

static int run_list(const char *id)
{
	struct error *err = NULL;
	struct net_item *items;
	size_t n;

	if (net_list(*id ? id : NULL, &items, &n, &err) < 0)
		return report("list", err);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %s %s\n", items[i].bridge ? "bridge" : "tap", items[i].name,
		       items[i].daemon_id, items[i].owner);
	net_items_free(items, n);
	return 0;
}

static int run_group(const struct config_group *g, const char *id, bool up)
{
	cleanup_strv char **notes = NULL;
	struct error *err = NULL;

	if ((up ? net_group_up(g, id, &notes, &err) : net_group_down(g, id, &err)) < 0)
		return report(up ? "up" : "down", err);
	for (char **note = notes; note && *note; note++)
		printf("note: %s\n", *note);
	return 0;
}

int main(int argc, char **argv)
{
	cleanup_config struct config *cfg = NULL;
	struct error *err = NULL;
	const struct config_group *g = NULL;

	if (argc < 4)
		return 2;
	if (config_load_file(argv[1], &cfg, &err) < 0)
		return report(argv[1], err);
	if (str_eq(argv[3], "list"))
		return run_list(argv[2]);
	if (str_eq(argv[3], "mend") || str_eq(argv[3], "vmdown"))
		return change_vm(argv[3]);
	g = argc > 4 ? config_group_find(cfg, argv[4]) : NULL;
	if (!g)
		return 2;
	if (str_eq(argv[3], "vm") && argc > 5)
		return run_vm(g, argv[2], (unsigned)atoi(argv[5]), argc > 6 ? argv[6] : NULL);
	return run_group(g, argv[2], str_eq(argv[3], "up"));
}
