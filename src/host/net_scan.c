/* SPDX-License-Identifier: MIT */
#include "host/net_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/links.h"
#include "base/str.h"
#include "host/paths.h"
#include "net/apply.h"
#include "net/plan.h"
#include "vmm/cgroup.h"

#define NETNS_DIR "/run/netns"

enum {
	MOUNTINFO_MAX = 16 << 20,
	FLAG_LOWER_UP = 1 << 16, /* IFF_LOWER_UP of linux/if.h, which does not go with net/if.h */
};

bool net_name_is_sane(const char *name)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return *name && *name != '.' && strspn(name, bytes) == strlen(name);
}

struct net_thing *net_scan_add(struct net_scan *s, enum net_kind kind, const char *type, const char *name,
			       const char *daemon_id)
{
	struct net_thing *t;

	s->things = mem_realloc(s->things, (s->nthings + 1) * sizeof(*s->things));
	t = &s->things[s->nthings++];
	*t = (struct net_thing){
		.kind = kind, .type = str_dup(type), .name = str_dup(name), .daemon_id = str_dup(daemon_id)};
	return t;
}

/* `mark`: the alias that says whose it is. Anybody may write such; ours hold names that can be
 * names. */
static void add_link(struct net_scan *s, const struct link *link, const char *mark, const char *netns)
{
	cleanup_free char *id = NULL, *owner = NULL;
	struct net_thing *t;

	if (!net_alias_parse(mark, &id, &owner) || !net_name_is_sane(id) || !net_name_is_sane(owner))
		return;
	/* The mark of a namespace is not a thing of its own. */
	if (link->flags & IFF_LOOPBACK) {
		if (netns)
			net_scan_add(s, NET_KIND_NETNS, "netns", netns, id)->owner = TAKE_PTR(owner);
		return;
	}
	t = net_scan_add(s, NET_KIND_LINK, *link->kind ? link->kind : "device", link->name, id);
	t->owner = TAKE_PTR(owner);
	t->group = str_eq(link->kind, "bridge");
	t->netns = str_dup(netns);
	t->alias = str_dup(mark);
	t->index = link->index;
	t->open = str_eq(link->kind, "tun") && link->flags & FLAG_LOWER_UP;
}

/* The mark of a namespace is that of its loopback interface, and holds for all that is in it. NULL:
 * none. */
static const char *mark_of(const struct link *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].flags & IFF_LOOPBACK)
			return links[i].alias;
	return NULL;
}

/* The links of the namespace that this thread is in. */
static int scan_links(struct net_scan *s, const char *netns, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	const char *mark = NULL;
	struct link *links;
	size_t n;

	if (!nl || links_list(nl, &links, &n, err) < 0)
		return -1;
	mark = netns ? mark_of(links, n) : NULL;
	for (size_t i = 0; i < n; i++)
		if (mark || links[i].alias)
			add_link(s, &links[i], links[i].alias ? links[i].alias : mark, netns);
	links_free(links, n);
	return 0;
}

static void scan_netns(struct net_scan *s, const char *name)
{
	cleanup_free char *path = fs_join(NETNS_DIR, name);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct statfs fs;

	/* A file without a mount on it is none. */
	if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC && setns(fd, CLONE_NEWNET) == 0)
		scan_links(s, name, NULL);
}

/* This program has one thread: it may enter namespaces and come back. */
static void scan_namespaces(struct net_scan *s)
{
	cleanup_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	DIR *dir = opendir(NETNS_DIR);
	struct dirent *entry;

	if (dir && geteuid() != 0)
		strv_append(&s->unseen, "Only root can look into network namespaces");
	while (dir && own >= 0 && geteuid() == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		scan_netns(s, entry->d_name);
		if (setns(own, CLONE_NEWNET) < 0)
			abort(); /* nothing may be looked at or removed from the wrong one */
	}
	if (dir)
		closedir(dir);
}

/* Directories BASE/<daemon id>/<VM>, of daemons that are known for something else or are in the run
 * directory. */
static void scan_directories(struct net_scan *s, enum net_kind kind, const char *base, const char *id)
{
	cleanup_free char *path = fs_join(base, id);
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		cleanup_free char *full = fs_join(path, entry->d_name);
		struct net_thing *t;

		if (entry->d_type != DT_DIR || !net_name_is_sane(entry->d_name))
			continue;
		t = net_scan_add(s, kind, net_kind_name(kind), full, id);
		t->owner = str_dup(entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static void scan_attachments(struct net_scan *s, const char *id)
{
	cleanup_strv char **vms = NULL;

	net_cni_attached(id, NULL, &vms, NULL);
	for (char **vm = vms; vm && *vm; vm++) {
		cleanup_free char *path = net_cni_cache_file(id, *vm);

		if (net_name_is_sane(*vm))
			net_scan_add(s, NET_KIND_CNI, net_kind_name(NET_KIND_CNI), path, id)->owner = str_dup(*vm);
	}
}

static char *cgroup_base(void)
{
	cleanup_free char *text = NULL;
	const char *root;
	size_t n;

	if (fs_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, &n, NULL))
		return NULL;
	root = cgroup_find_root(text);
	return root ? fs_join(root, "slicer") : NULL;
}

static enum net_use use_of(const struct net_scan *s, const struct net_thing *t)
{
	const struct net_daemon *d = net_scan_daemon(s, t->daemon_id);
	cleanup_free char *state = NULL;

	if (!d || d->life == NET_LIFE_UNKNOWN)
		return NET_USE_UNKNOWN;
	if (d->life == NET_LIFE_UP) {
		state = d->state && t->owner && !t->group ? str_fmt("%s/vms/%s", d->state, t->owner) : NULL;
		return state && !fs_exists(state) ? NET_USE_STRAY : NET_USED;
	}
	if (t->owner && !t->group && net_vm_runs(s, d, t->owner))
		return NET_USE_WAITS;
	if (t->owner && !t->group)
		return t->open ? NET_USE_UNKNOWN : NET_USE_STALE;
	return d->has_vms ? NET_USE_WAITS : NET_USE_STALE;
}

static int compare_things(const void *a, const void *b)
{
	const struct net_thing *x = a, *y = b;
	int order = strcmp(x->daemon_id, y->daemon_id);

	if (!order)
		order = (int)x->kind - (int)y->kind;
	if (!order)
		order = (int)y->group - (int)x->group;
	if (!order && x->owner && y->owner)
		order = strverscmp(x->owner, y->owner);
	if (!order)
		order = (x->netns != NULL) - (y->netns != NULL);
	return order ? order : strverscmp(x->name, y->name);
}

/* An element or a rule is its interface's. */
static void inherit_owners(struct net_scan *s)
{
	for (size_t i = 0; i < s->nthings; i++) {
		struct net_thing *t = &s->things[i];

		for (size_t j = 0; t->kind == NET_KIND_ELEMENT && t->alias && j < s->nthings; j++) {
			const struct net_thing *link = &s->things[j];

			if (link->kind != NET_KIND_LINK || !str_eq(link->name, t->alias) ||
			    !str_eq(link->daemon_id, t->daemon_id))
				continue;
			free(t->owner);
			t->owner = str_dup(link->owner);
			t->group = link->group;
		}
	}
}

int net_scan_read(struct net_scan *ret, struct error **err)
{
	cleanup_free char *cgroups = cgroup_base();

	*ret = (struct net_scan){.run_base = daemon_run_base()};
	if (scan_links(ret, NULL, err)) {
		net_scan_clear(ret);
		return -1;
	}
	scan_namespaces(ret);
	net_scan_nft(ret);
	net_scan_daemons(ret);
	for (size_t i = 0; i < ret->ndaemons; i++) {
		scan_directories(ret, NET_KIND_RUN, ret->run_base, ret->daemons[i].id);
		scan_attachments(ret, ret->daemons[i].id);
		if (cgroups)
			scan_directories(ret, NET_KIND_CGROUP, cgroups, ret->daemons[i].id);
	}
	for (size_t i = 0; i < ret->nthings; i++) {
		const struct net_thing *t = &ret->things[i];
		struct net_daemon *d = (struct net_daemon *)net_scan_daemon(ret, t->daemon_id);

		if (d && d->life == NET_LIFE_DOWN && t->owner && !t->group && !d->has_vms)
			d->has_vms = net_vm_runs(ret, d, t->owner);
	}
	inherit_owners(ret);
	if (ret->nthings)
		qsort(ret->things, ret->nthings, sizeof(*ret->things), compare_things);
	for (size_t i = 0; i < ret->nthings; i++)
		ret->things[i].use = use_of(ret, &ret->things[i]);
	return 0;
}

void net_scan_clear(struct net_scan *s)
{
	for (size_t i = 0; i < s->nthings; i++) {
		struct net_thing *t = &s->things[i];

		free(t->type);
		free(t->name);
		free(t->daemon_id);
		free(t->owner);
		free(t->netns);
		free(t->alias);
		free(t->remove);
	}
	for (size_t i = 0; i < s->ndaemons; i++) {
		free(s->daemons[i].id);
		free(s->daemons[i].config);
		free(s->daemons[i].state);
	}
	free(s->things);
	free(s->daemons);
	free(s->run_base);
	strv_free(&s->unseen);
	*s = (struct net_scan){0};
}

const struct net_daemon *net_scan_daemon(const struct net_scan *s, const char *id)
{
	for (size_t i = 0; i < s->ndaemons; i++)
		if (str_eq(s->daemons[i].id, id))
			return &s->daemons[i];
	return NULL;
}

const char *net_kind_name(enum net_kind kind)
{
	static const char *const names[] = {
		[NET_KIND_LINK] = "interface",	  [NET_KIND_NETNS] = "netns",	     [NET_KIND_RULE] = "rule",
		[NET_KIND_ELEMENT] = "element",	  [NET_KIND_TABLE] = "table",	     [NET_KIND_CGROUP] = "cgroup",
		[NET_KIND_RUN] = "run directory", [NET_KIND_CNI] = "CNI attachment",
	};

	return names[kind];
}

const char *net_use_name(enum net_use use)
{
	static const char *const names[] = {
		[NET_USE_UNKNOWN] = "unknown", [NET_USED] = "in use",	  [NET_USE_WAITS] = "waiting",
		[NET_USE_STRAY] = "stray",     [NET_USE_STALE] = "stale",
	};

	return names[use];
}
