/* SPDX-License-Identifier: MIT */
#include "cli/tree_walk.h"

#include <errno.h>
#include <fts.h>
#include <sys/stat.h>

#include "base/glob.h"
#include "base/str.h"
#include "cli/ignore.h"

struct tree_walk {
	FTS *fts;
	size_t root_n; /* length of the root's path, with a slash at its end */
	char *const *exclude;
	struct ignore *ignore;
	uint64_t skipped;
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The root itself comes first, and is read at once: fts_close() of glibc leaks it where nothing was read. */
static int open_root(struct tree_walk *w, char *path, struct error **err)
{
	char *roots[] = {path, NULL};
	FTSENT *root;

	w->fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	root = w->fts ? fts_read(w->fts) : NULL;
	if (!root)
		return error_errno(err, errno, "cannot read %s", path);
	if (root->fts_info != FTS_D)
		return error_errno(err, root->fts_errno ? root->fts_errno : ENOTDIR, "cannot read %s", path);
	return 0;
}

struct tree_walk *tree_walk_new(const char *root, char *const *exclude, struct error **err)
{
	struct tree_walk *w = NEW(struct tree_walk);
	cleanup_free char *path = str_dup(root);
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = 0;
	w->root_n = n + !str_ends(path, "/");
	w->exclude = exclude;
	w->ignore = ignore_load(path, err);
	if (!w->ignore || open_root(w, path, err))
		tree_walk_free(&w);
	return w;
}

void tree_walk_free(struct tree_walk **w)
{
	if (!*w)
		return;
	if ((*w)->fts)
		fts_close((*w)->fts);
	ignore_free(&(*w)->ignore);
	free(*w);
	*w = NULL;
}

static bool is_excluded(const struct tree_walk *w, const char *path, bool directory)
{
	return glob_excludes_any(w->exclude, path) || ignore_matches(w->ignore, path, directory);
}

/* 1: to be sent, 0: passed over, -1. */
static int look_at(struct tree_walk *w, FTSENT *f, struct tar_entry *ret, struct error **err)
{
	bool directory = f->fts_info == FTS_D;

	if (f->fts_info == FTS_DNR || f->fts_info == FTS_ERR || f->fts_info == FTS_NS)
		return error_errno(err, f->fts_errno, "cannot read %s", f->fts_path);
	if (f->fts_info == FTS_DP)
		return 0;
	if (is_excluded(w, f->fts_path + w->root_n, directory)) {
		fts_set(w->fts, f, FTS_SKIP);
		return 0;
	}
	if (!directory && f->fts_info != FTS_F) {
		w->skipped++;
		return 0;
	}
	*ret = (struct tar_entry){
		.path = f->fts_path + w->root_n,
		.directory = directory,
		.mode = tar_copy_mode(f->fts_statp->st_mode),
		.size = directory ? 0 : (uint64_t)f->fts_statp->st_size,
		.mtime = f->fts_statp->st_mtime,
	};
	return 1;
}

int tree_walk_next(struct tree_walk *w, struct tar_entry *ret, const char **ret_path, struct error **err)
{
	for (;;) {
		FTSENT *f;
		int rc;

		errno = 0;
		f = fts_read(w->fts);
		if (!f && errno)
			return error_errno(err, errno, "cannot read the directory");
		if (!f)
			return 0;
		rc = look_at(w, f, ret, err);
		if (rc) {
			*ret_path = f->fts_path;
			return rc;
		}
	}
}

uint64_t tree_walk_skipped(const struct tree_walk *w)
{
	return w->skipped;
}
