/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "net/apply_impl.h"
#include "net/check.h"

enum { LOCK_DEADLINE_MS = 30000, ENDING_MS = 1000, ENDING_POLL_US = 20000 };

/* The namespace itself is what is locked: no file is left, and daemons in other namespaces are not
 * concerned. */
static int lock_namespace(int how, struct error **err)
{
	cleanup_close int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "cannot open this network namespace");
	if (fd_lock(fd, how, LOCK_DEADLINE_MS, err) < 0)
		return error_wrap(err, "cannot lock this network namespace (is another slicer daemon stuck?)");
	return TAKE_FD(fd);
}

int net_lock(struct error **err)
{
	return lock_namespace(LOCK_EX, err);
}

int net_lock_shared(struct error **err)
{
	return lock_namespace(LOCK_SH, err);
}

/* All links, once none of them is about to go; after a second as they are. */
static int settled_links(struct netlink *nl, struct link **ret, size_t *n, struct error **err)
{
	int64_t deadline = clock_ms() + ENDING_MS;

	while (links_list(nl, ret, n, err) == 0) {
		size_t ending = 0;

		for (size_t i = 0; i < *n; i++)
			ending += net_is_ending(&(*ret)[i]);
		if (ending == 0 || clock_ms() > deadline)
			return 0;
		links_free(*ret, *n);
		usleep(ENDING_POLL_US);
	}
	return -1;
}

int net_list(const char *daemon_id, struct net_item **ret, size_t *n, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	struct link *links;
	size_t nlinks;

	if (!nl || settled_links(nl, &links, &nlinks, err) < 0)
		return -1;
	*ret = mem_alloc_array(nlinks + 1, sizeof(**ret));
	*n = 0;
	for (size_t i = 0; i < nlinks; i++) {
		struct net_item *item = &(*ret)[*n];

		if (!net_alias_parse(links[i].alias, &item->daemon_id, &item->owner))
			continue;
		memcpy(item->name, links[i].name, sizeof(item->name));
		item->bridge = str_eq(links[i].kind, "bridge");
		item->used = item->bridge && net_bridge_port(links, nlinks, &links[i]);
		*n += 1;
		if (daemon_id && !str_eq(daemon_id, item->daemon_id)) {
			*n -= 1;
			mem_freep(&item->daemon_id);
			mem_freep(&item->owner);
		}
	}
	links_free(links, nlinks);
	return 0;
}

void net_items_free(struct net_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(items[i].daemon_id);
		free(items[i].owner);
	}
	free(items);
}
