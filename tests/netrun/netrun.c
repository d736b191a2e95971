/* SPDX-License-Identifier: MIT */
/* Calls src/net without a daemon, for tests:
 *   netrun CONFIG ID up|down GROUP
 *   netrun CONFIG ID vm GROUP NUMBER [NETNS [SLOT]]   makes the VM's network, prints its plan, and waits for the end of its
 *                                                     input; then removes it
 *   netrun CONFIG ID mend|vmdown      reads a plan from its input and mends or removes that
 *   netrun CONFIG ID renew             as a daemon's start does before the first group
 *   netrun CONFIG ID list
 *   netrun CONFIG ID many GROUP N      makes the networks of N VMs, then removes them; prints what each took, in us
 * NETRUN_LISTS in the environment names a file of lines "allow ENTRY" and "drop ENTRY" that are added to the group's lists: as
 * in requests, they can be more than a YAML list takes.
 * With NETNS, the path of a network namespace, `eth0` in it is what the VM would have: a second
 * tap, its frames carried back and forth as they are. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"
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
	if (n > 0 && write(to, frame, (size_t)n) < 0 && errno != EIO && errno != EAGAIN && errno != EINVAL)
		return -1;
	return n;
}

/* Until stdin ends; returns the length of the longest frame. */
static ssize_t carry_all(int tap, int guest)
{
	struct pollfd fds[] = {{0, POLLIN, 0}, {tap, POLLIN, 0}, {guest, POLLIN, 0}};
	unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	ssize_t longest = 0, n;

	if (guest >= 0 && (ioctl(tap, TUNSETOFFLOAD, offloads) < 0 || ioctl(guest, TUNSETOFFLOAD, offloads) < 0))
		return -1;
	while (poll(fds, guest >= 0 ? 3 : 1, -1) >= 0 && !fds[0].revents) {
		if (fds[1].revents && (n = carry(tap, guest)) > longest)
			longest = n;
		if (fds[2].revents && (n = carry(guest, tap)) > longest)
			longest = n;
	}
	return longest;
}

/* As a VMM has it: frames behind four bytes of length, through slicer-monitor's filter to passt. */
static int start_helper(char *const *argv, struct error **err)
{
	cleanup_free char *filter = helper_path("slicer-monitor", err);
	struct proc_fd fds[] = {{-1, 3}, {-1, 4}};
	char *words[32] = {filter, (char *)"--frames", (char *)"3", (char *)"4"};
	struct proc_spec spec = {.argv = words, .fds = fds, .nfds = 2, .die_with_parent = true};
	int vmm[2], far[2];

	if (!filter || fd_socketpair(vmm, err) < 0 || fd_socketpair(far, err) < 0)
		return -1;
	fds[0].from = vmm[1];
	fds[1].from = far[0];
	if (proc_spawn(&spec, NULL, err) < 0)
		return -1;
	for (size_t i = 0; argv[i] && i < ARRAY_LEN(words) - 1; i++)
		words[i] = str_eq(argv[i], "@FD@") ? (char *)"3" : argv[i], words[i + 1] = NULL;
	spec.nfds = 1;
	fds[0].from = far[1];
	if (proc_spawn(&spec, NULL, err) < 0)
		return -1;
	close(vmm[1]), close(far[0]), close(far[1]);
	return vmm[0];
}

/* Between the guest's tap, with its header of 12 bytes, and the stream. */
static void to_stream(int guest, int stream)
{
	static unsigned char buf[70000];
	enum { HEADER = 12, LENGTH = 4 };
	ssize_t n = read(guest, buf, sizeof(buf));
	uint32_t length = htonl((uint32_t)(n - HEADER));

	memcpy(buf + HEADER - LENGTH, &length, LENGTH);
	if (n > HEADER)
		fd_write_all(stream, buf + HEADER - LENGTH, (size_t)n - HEADER + LENGTH, NULL);
}

static bool from_stream(int stream, int guest)
{
	static unsigned char buf[70000];
	enum { HEADER = 12 };
	uint32_t length;

	if (recv(stream, &length, sizeof(length), MSG_WAITALL) != sizeof(length) || ntohl(length) > 65536)
		return false;
	memset(buf, 0, HEADER);
	if (recv(stream, buf + HEADER, ntohl(length), MSG_WAITALL) != (ssize_t)ntohl(length))
		return false;
	return write(guest, buf, HEADER + ntohl(length)) >= 0 || errno == EIO || errno == EAGAIN;
}

static void carry_stream(int stream, int guest)
{
	struct pollfd fds[] = {{0, POLLIN, 0}, {stream, POLLIN, 0}, {guest, POLLIN, 0}};
	unsigned none = 0;

	ioctl(guest, TUNSETOFFLOAD, none);
	while (poll(fds, 3, -1) >= 0 && !fds[0].revents) {
		if (fds[2].revents)
			to_stream(guest, stream);
		if (fds[1].revents && !from_stream(stream, guest))
			break;
	}
}

static struct net_limits limits_of(const struct config_group *g)
{
	return (struct net_limits){g->limits.network_bandwidth, g->limits.network_packets,
				   g->limits.network_connections};
}

static int run_vm(const struct config_group *g, const char *id, unsigned number, const char *netns, const char *slot)
{
	cleanup_nfset struct nfset *sets = nfset_new();
	cleanup_free char *hostname = slot ? str_dup(slot) : str_fmt("%s-%u", g->name, number);
	struct error *err = NULL;
	const struct net_mode *mode = net_mode(g->network.mode);
	struct net_vm vm = {.group = g,
			    .daemon_id = id,
			    .hostname = hostname,
			    .number = number,
			    .address = "",
			    .allow = g->network.allow,
			    .drop = g->network.drop,
			    .limits = limits_of(g)};
	cleanup_net_plan struct net_plan plan = {0};
	cleanup_close int tap = -1, guest = -1;
	cleanup_free char *address = NULL;
	__attribute__((cleanup(net_user_host_clear))) struct net_user_host host = {0};
	struct net_port port;

	net_user_probe(&host);
	vm.user_host = &host;
	if (mode->reserve(&vm, NULL, NULL, 0, &address, &err) < 0)
		return report("vm", err);
	vm.address = address;
	if (mode->plan(&vm, &plan, &err) < 0 || net_vm_up(&plan, sets, &port, &err) < 0)
		return report("vm", err);
	tap = port.tap_fd;
	if (netns && (guest = guest_tap(netns, &err)) < 0)
		return report("vm", err);
	if (port.kind == NET_PORT_HELPER && (tap = start_helper(port.helper_argv, &err)) < 0)
		return report("helper", err);
	print_plan(&plan);
	if (port.kind == NET_PORT_HELPER)
		carry_stream(tap, guest), puts("0");
	else
		printf("%zd\n", carry_all(tap, guest));
	fd_closep(&tap);
	return net_vm_down(&plan, sets, &err) < 0 ? report("vm", err) : 0;
}

struct many {
	struct net_plan plan;
	struct net_port port;
	char *hostname, *address;
	int64_t made_ns, removed_ns;
};

static int make_one(const struct config_group *g, const char *id, struct nfset *sets, unsigned number,
		    const uint32_t *used, struct many *m, struct error **err)
{
	const struct net_mode *mode = net_mode(g->network.mode);
	cleanup_net_facts struct net_facts networks = {0};
	struct net_vm vm = {.group = g,
			    .daemon_id = id,
			    .networks = &networks,
			    .number = number,
			    .address = "",
			    .allow = g->network.allow,
			    .drop = g->network.drop,
			    .limits = limits_of(g)};
	int64_t start = clock_ns();

	vm.hostname = m->hostname =
		number <= g->nslots ? str_dup(g->slots[number - 1].name) : str_fmt("%s-%u", g->name, number);
	if (mode->reserve(&vm, NULL, used, number - 1, &m->address, err) < 0)
		return -1;
	vm.address = m->address;
	if (mode->plan(&vm, &m->plan, err) < 0 || net_vm_up(&m->plan, sets, &m->port, err) < 0)
		return -1;
	m->made_ns = clock_ns() - start;
	return 0;
}

static int remove_one(struct many *m, struct nfset *sets, struct error **err)
{
	int64_t start;

	fd_closep(&m->port.tap_fd); /* goes with a VMM, before */
	start = clock_ns();
	if (net_vm_down(&m->plan, sets, err) < 0)
		return -1;
	m->removed_ns = clock_ns() - start;
	return 0;
}

static int run_many(const struct config_group *g, const char *id, unsigned n)
{
	cleanup_free struct many *list = mem_alloc_array(n, sizeof(*list));
	cleanup_free uint32_t *used = mem_alloc_array(n, sizeof(*used));
	cleanup_nfset struct nfset *sets = nfset_new();
	struct error *err = NULL;

	for (unsigned i = 0; i < n; i++) {
		struct ip4_cidr c = {0}; /* of a mode whose addresses somebody else gives */

		if (make_one(g, id, sets, i + 1, used, &list[i], &err) < 0 ||
		    (*list[i].address && ip4_parse_cidr(list[i].address, &c, &err) < 0))
			return report("many", err);
		used[i] = c.addr;
	}
	for (unsigned i = 0; i < n; i++)
		if (remove_one(&list[i], sets, &err) < 0)
			return report("many", err);
	for (unsigned i = 0; i < n; i++) {
		printf("%lld %lld\n", (long long)list[i].made_ns / 1000, (long long)list[i].removed_ns / 1000);
		net_plan_clear(&list[i].plan);
		free(list[i].hostname);
		free(list[i].address);
	}
	return 0;
}

static int change_vm(const char *command)
{
	cleanup_nfset struct nfset *sets = nfset_new();
	cleanup_free char *text = NULL;
	struct error *err = NULL;
	size_t n;
	cleanup_json struct json_object *obj =
		fd_read_all(0, 65536, &text, &n, &err) < 0 ? NULL : js_parse(text, n, &err);
	cleanup_net_plan struct net_plan plan = {0};
	int r;

	if (!obj || net_plan_from_json(obj, &plan, &err) < 0)
		return report(command, err);
	mem_freep(&plan.rules); /* whatever it says is in force */
	r = str_eq(command, "mend") ? net_vm_mend(&plan, sets, &err) : net_vm_down(&plan, sets, &err);
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
		printf("%s %s %s %s\n", items[i].bridge ? "bridge" : "tap", items[i].name, items[i].daemon_id,
		       items[i].owner);
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

/* Entries are checked where they are used. */
static int add_lists(const char *path, struct config_group *g, struct error **err)
{
	cleanup_free char *text = NULL;
	cleanup_strv char **lines = NULL;

	if (fs_read_file(path, 1024 * 1024, &text, NULL, err) < 0)
		return -1;
	lines = strv_split(text, '\n');
	for (char **line = lines; *line; line++) {
		if (strncmp(*line, "allow ", 6) == 0)
			strv_append(&g->network.allow, *line + 6);
		else if (strncmp(*line, "drop ", 5) == 0)
			strv_append(&g->network.drop, *line + 5);
		else if (**line)
			return error_set(err, ERR_INVALID, "%s: \"%s\"", path, *line);
	}
	return 0;
}

int main(int argc, char **argv)
{
	cleanup_config struct config *cfg = NULL;
	struct error *err = NULL;
	struct config_group *g = NULL;
	const char *lists = getenv("NETRUN_LISTS");

	if (argc < 4)
		return 2;
	if (config_load_file(argv[1], &cfg, &err) < 0)
		return report(argv[1], err);
	if (str_eq(argv[3], "list"))
		return run_list(argv[2]);
	if (str_eq(argv[3], "renew"))
		return net_renew(cfg, argv[2], &err) < 0 ? report("renew", err) : 0;
	if (str_eq(argv[3], "mend") || str_eq(argv[3], "vmdown"))
		return change_vm(argv[3]);
	g = argc > 4 ? config_group_find(cfg, argv[4]) : NULL;
	if (!g)
		return 2;
	if (lists && add_lists(lists, g, &err) < 0)
		return report(lists, err);
	if (str_eq(argv[3], "vm") && argc > 5)
		return run_vm(g, argv[2], (unsigned)atoi(argv[5]), argc > 6 && *argv[6] ? argv[6] : NULL,
			      argc > 7 ? argv[7] : NULL);
	if (str_eq(argv[3], "many") && argc > 5)
		return run_many(g, argv[2], (unsigned)atoi(argv[5]));
	return run_group(g, argv[2], str_eq(argv[3], "up"));
}
