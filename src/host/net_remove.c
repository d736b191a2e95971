/* SPDX-License-Identifier: MIT */
/* Removing what dead daemons left. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/links.h"
#include "base/str.h"
#include "host/net_scan.h"
#include "net/apply.h"
#include "net/netns.h"
#include "net/nft.h"
#include "net/plan.h"

enum { CGROUP_DEPTH_MAX = 8 }; /* of what was made below a VM's */

static int remove_link(const struct net_thing *t, struct error **err)
{
	cleanup_netlink struct netlink *nl = t->netns ? NULL : netlink_open(err);

	if (t->netns) /* goes with the namespace */
		return 0;
	return nl ? links_delete(nl, t->index, err) : -1;
}

static int remove_netns(const struct net_thing *t, struct error **err)
{
	cleanup_free char *path = fs_join("/run/netns", t->name);

	/* Plugins are asked while it is there; when one fails it stays, so that whoever mends that can try again. */
	if (net_cni_forget(t->daemon_id, t->owner, err))
		return -1;
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return error_errno(err, errno, "cannot unmount %s", path);
	return fs_unlink(path, err);
}

/* With the namespace that it may have taken. */
static int remove_attachment(const struct net_thing *t, struct error **err)
{
	cleanup_free char *alias = net_alias(t->daemon_id, t->owner);

	return net_cni_forget(t->daemon_id, t->owner, err) < 0 ? -1 : netns_down(t->owner, alias, err);
}

static int remove_nft(const struct net_thing *t, struct error **err)
{
	cleanup_free char *script = t->remove ? str_fmt("%s\n", t->remove) : NULL;

	return script ? nft_run(script, err) : 0;
}

/* With those below it. What runs in one keeps it. */
static int remove_groups(const char *path, int depth)
{
	cleanup_strv char **below = NULL;

	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	if (depth < CGROUP_DEPTH_MAX && fs_list_dirs(path, &below, NULL) == 0)
		for (char **name = below; name && *name; name++) {
			cleanup_free char *child = fs_join(path, *name);

			remove_groups(child, depth + 1);
		}
	return rmdir(path);
}

static int remove_cgroup(const struct net_thing *t, struct error **err)
{
	cleanup_free char *parent = fs_dirname(t->name), *all = fs_dirname(parent);

	if (remove_groups(t->name, 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove the control group %s", t->name);
	if (rmdir(parent) == 0)
		rmdir(all);
	return 0;
}

static int remove_run(const struct net_thing *t, struct error **err)
{
	return fs_remove_tree(t->name, err);
}

static int remove_thing(const struct net_thing *t, struct error **err)
{
	static int (*const removers[])(const struct net_thing *t, struct error **err) = {
		[NET_KIND_LINK] = remove_link,	 [NET_KIND_NETNS] = remove_netns,    [NET_KIND_RULE] = remove_nft,
		[NET_KIND_ELEMENT] = remove_nft, [NET_KIND_TABLE] = remove_nft,	     [NET_KIND_CGROUP] = remove_cgroup,
		[NET_KIND_RUN] = remove_run,	 [NET_KIND_CNI] = remove_attachment,
	};

	return removers[t->kind](t, err);
}

static bool is_stale(const struct net_thing *t, const char *id)
{
	return t->use == NET_USE_STALE && str_eq(t->daemon_id, id);
}

static size_t count_stale(const struct net_scan *s, const char *id)
{
	size_t n = 0;

	for (size_t i = 0; i < s->nthings; i++)
		n += is_stale(&s->things[i], id);
	return n;
}

/* Interfaces of VMs, those of groups, which are their bridges, then the rest in the order of its
 * kinds. A failure does not keep the others. */
static void remove_all(const struct net_scan *s, const char *id, FILE *out, struct error **first)
{
	for (int group = 0; group < 2; group++) {
		for (size_t i = 0; i < s->nthings; i++) {
			const struct net_thing *t = &s->things[i];
			cleanup_error struct error *why = NULL;

			if (!is_stale(t, id) || (t->kind == NET_KIND_LINK ? t->group : true) != group)
				continue;
			if (remove_thing(t, &why) == 0)
				fprintf(out, "Removed: %s %s%s%s, of the daemon %s\n", t->type, t->name,
					t->owner ? ", of " : "", t->owner ? t->owner : "", id);
			else if (!*first)
				error_move(first, &why);
		}
	}
}

/* Where there is nothing any more, the announcement goes as well. */
static void forget_daemon(const struct net_scan *s, const char *id)
{
	cleanup_free char *dir = fs_join(s->run_base, id), *file = str_fmt("%s.json", dir);

	if (rmdir(dir) == 0 || errno == ENOENT)
		unlink(file);
}

static int remove_of_daemon(const struct net_daemon *d, FILE *out, struct error **err)
{
	cleanup_free char *path = d->state && fs_exists(d->state) ? fs_join(d->state, "daemon.lock") : NULL;
	cleanup_close int lock = path ? fs_lock(path, err) : -1;
	cleanup_net_scan struct net_scan now = {0};
	cleanup_error struct error *first = NULL;

	if (path && lock < 0)
		return error_wrap(err, "the daemon %s has come back", d->id);
	/* From here on none can start. What has changed before that is seen now. */
	if (net_scan_read(&now, err))
		return -1;
	remove_all(&now, d->id, out, &first);
	forget_daemon(&now, d->id);
	return first ? error_move(err, &first) : 0;
}

int net_scan_remove(struct net_scan *s, const char *id, FILE *out, struct error **err)
{
	cleanup_error struct error *first = NULL;
	size_t found = 0;

	for (size_t i = 0; i < s->ndaemons; i++) {
		const struct net_daemon *d = &s->daemons[i];
		cleanup_error struct error *why = NULL;
		size_t stale = id && !str_eq(id, d->id) ? 0 : count_stale(s, d->id);

		found += stale;
		if (stale && remove_of_daemon(d, out, &why) && !first)
			error_move(&first, &why);
	}
	return first ? error_move(err, &first) : (int)found;
}
