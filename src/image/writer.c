/* SPDX-License-Identifier: MIT */
#include "image/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "image/hash.h"
#include "image/interrupt.h"
#include "image/report.h"

#define LOCK_WAIT_MS (30 * 60 * 1000) /* the longest build, and then some */
#define LOCK_POLL_MS 100

static const char *const directories[] = {"images", "blobs/sha256", "kernels", "initramfs", "tmp"};

char *writer_path(const struct writer *w, const char *path)
{
	return fs_join(w->store, path);
}

char *writer_temp(const struct writer *w, const char *name)
{
	return fs_join(w->tmp, name);
}

/* fs_lock() does not wait, so that it can name the owner. */
static int lock_store(struct writer *w, struct error **err)
{
	cleanup_free char *path = writer_path(w, "lock");
	int64_t deadline = clock_ms() + LOCK_WAIT_MS;
	bool said = false;

	for (;;) {
		cleanup_error struct error *attempt = NULL;
		w->lock = fs_lock(path, &attempt);
		if (w->lock >= 0)
			return 0;
		if (!attempt || attempt->code != ERR_CONFLICT || clock_ms() > deadline)
			return error_move(err, &attempt);
		if (!said)
			report_progress("lock", "waiting for another image command: %s", error_message(attempt));
		said = true;
		if (interrupt_check(err) < 0)
			return -1;
		usleep(LOCK_POLL_MS * 1000);
	}
}

int writer_open(struct writer *w, const char *store, struct error **err)
{
	*w = WRITER_NONE;
	w->store = fs_absolute(store);
	w->tmp = writer_path(w, "tmp");
	w->confinement = NEW(struct confinement);
	if (fs_mkdir_p(w->store, 0755, err) < 0 || lock_store(w, err) < 0 || fs_remove_tree(w->tmp, err) < 0)
		return error_wrap(err, "image store %s", w->store);
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		cleanup_free char *path = writer_path(w, directories[i]);
		if (fs_mkdir_p(path, 0755, err) < 0)
			return error_wrap(err, "image store %s", w->store);
	}
	return 0;
}

void writer_close(struct writer *w)
{
	if (w->lock >= 0)
		fs_remove_tree(w->tmp, NULL);
	fd_closep(&w->lock);
	free(w->tmp);
	free(w->store);
	free(w->confinement);
	*w = WRITER_NONE;
}

static int sync_path(const char *path, struct error **err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_errno(err, errno, "write %s to disk", path);
	return 0;
}

static int sync_tree(const char *path, struct error **err)
{
	char *const roots[] = {(char *)path, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int r = 0;

	if (!fts)
		return error_errno(err, errno, "read %s", path);
	for (FTSENT *e; r == 0 && (e = fts_read(fts));)
		if (e->fts_info == FTS_F || e->fts_info == FTS_DP)
			r = sync_path(e->fts_path, err);
	fts_close(fts);
	return r;
}

int writer_publish(const struct writer *w, const char *from, const char *to, struct error **err)
{
	cleanup_free char *path = writer_path(w, to);
	cleanup_free char *parent = fs_dirname(path);
	struct stat st;

	if (sync_tree(from, err) < 0 || fs_mkdir_p(parent, 0755, err) < 0)
		return -1;
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		cleanup_free char *aside = writer_temp(w, "replaced");
		if (rename(path, aside) < 0)
			return error_errno(err, errno, "move %s aside", path);
	}
	if (rename(from, path) < 0)
		return error_errno(err, errno, "rename %s to %s", from, path);
	return sync_path(parent, err);
}

int writer_publish_blob(const struct writer *w, const char *from, char **ret_hex, char **ret_path, struct error **err)
{
	cleanup_free char *hex = hash_file(from, err);

	if (!hex)
		return -1;
	cleanup_free char *path = str_fmt("blobs/sha256/%s", hex);
	if (writer_publish(w, from, path, err) < 0)
		return -1;
	*ret_hex = TAKE_PTR(hex);
	*ret_path = TAKE_PTR(path);
	return 0;
}
