/* SPDX-License-Identifier: MIT */
#include "image/work.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "image/confine.h"
#include "image/report.h"

/* Asked once, because it costs the start of a program. */
static int try_confinement(const struct work *work, struct confinement *c, struct error **err)
{
	cleanup_error struct error *why = NULL;

	c->possible = confine_check(work->dir, &why) == 0;
	if (!c->possible && why->code != ERR_UNSUPPORTED)
		return error_move(err, &why);
	c->asked = true;
	if (!c->possible)
		report_progress("confine",
				"packages and their programs are handled by root: this host has no user namespaces for "
				"it (%s)",
				error_message(why));
	return 0;
}

static int confine(struct work *work, struct confinement *c, struct error **err)
{
	if (geteuid() != 0 || (c->asked && !c->possible))
		return 0;
	if (!c->asked && try_confinement(work, c, err) < 0)
		return -1;
	work->confined = c->possible;
	if (work->confined && chmod(work->outer, 0700) < 0)
		return error_errno(err, errno, "chmod %s", work->outer);
	return work_give(work, ".", err);
}

int work_open(struct work *work, const struct writer *w, const char *name, struct error **err)
{
	cleanup_free char *path = str_fmt("%s.work", name);

	*work = WORK_NONE;
	work->outer = writer_temp(w, path);
	work->dir = fs_join(work->outer, "dir");
	/* Users have programs that run as others of their ids (mmdebstrap), which must get in. */
	return fs_mkdir_p(work->dir, 0755, err) < 0 || confine(work, w->confinement, err) < 0 ? -1 : 0;
}

int work_close(struct work *work, struct error **err)
{
	int r = work->outer ? fs_remove_tree(work->outer, err) : 0;

	free(work->outer);
	free(work->dir);
	*work = WORK_NONE;
	return r;
}

void work_clear(struct work *work)
{
	work_close(work, NULL);
}

int work_run(const struct work *work, const struct tool *tool, char **ret_out, struct error **err)
{
	cleanup_free char *program = tool->exe ? str_dup(tool->exe) : proc_find_program(tool->argv[0]);
	cleanup_strv char **argv = NULL;
	struct tool inside = *tool;

	if (!program)
		return tool_missing(tool->argv[0], tool->package, err);
	inside.name = tool->argv[0];
	inside.cwd = work->dir;
	if (work->confined) {
		inside.exe = confine_command(work->dir, &argv);
		strv_append(&argv, program);
		for (size_t i = 1; tool->argv[i]; i++)
			strv_append(&argv, tool->argv[i]);
		inside.argv = (const char *const *)argv;
	}
	return tool_run(&inside, ret_out, err);
}

const char *work_path(const struct work *work)
{
	return work->confined ? CONFINE_DIR : work->dir;
}

int work_give(const struct work *work, const char *path, struct error **err)
{
	cleanup_free char *full = fs_join(work->dir, path);

	if (work->confined && lchown(full, CONFINE_UID_FIRST, CONFINE_UID_FIRST) < 0)
		return error_errno(err, errno, "chown %s", full);
	return 0;
}

int work_keep_plain_files(const struct work *work, struct error **err)
{
	char *const roots[] = {work->dir, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int r = 0;

	if (!fts)
		return error_errno(err, errno, "read %s", work->dir);
	for (FTSENT *e; r == 0 && (e = fts_read(fts));)
		if (e->fts_info == FTS_ERR || e->fts_info == FTS_DNR || e->fts_info == FTS_NS)
			r = error_errno(err, e->fts_errno, "read %s", e->fts_path);
		else if (e->fts_info == FTS_SL || e->fts_info == FTS_SLNONE || e->fts_info == FTS_DEFAULT)
			r = fs_unlink(e->fts_path, err);
	fts_close(fts);
	return r;
}

int work_take(const struct work *work, const char *name, const char *to, uint64_t limit, struct error **err)
{
	cleanup_free char *path = fs_join(work->dir, name);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > limit)
		return error_set(err, ERR_INVALID, "%s is not a regular file of at most %llu bytes", path,
				 (unsigned long long)limit);
	if (work->confined) /* a copy: others may still have it open */
		return fs_copy_fd(fd, to, 0644, err) < 0 ? -1 : fs_unlink(path, err);
	if (fchmod(fd, 0644) < 0 || rename(path, to) < 0)
		return error_errno(err, errno, "rename %s to %s", path, to);
	return 0;
}
