/* SPDX-License-Identifier: MIT */
/* Where images, disks, records and logs are kept. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/units.h"
#include "disk/store.h"
#include "host/doctor_checks.h"
#include "host/paths.h"

enum {
	SPACE_NONE_MB = 256, /* no image can be built */
	SPACE_LITTLE_MB = 4096,
	FILES_LITTLE = 1000,
	REFLINK_BYTES = 4096, /* a block of every file system that can */
};

/* The directory itself, or the one that it will be made in; the caller's. */
static char *existing_part(const char *path)
{
	char *at = fs_absolute(path);

	while (!fs_exists(at)) {
		char *up = fs_dirname(at);

		free(at);
		at = up;
	}
	return at;
}

struct places {
	char *store, *state, *log;
};

static void places_find(const struct doctor *d, struct places *ret)
{
	struct daemon_paths paths = {0};
	cleanup_free char *cwd = getcwd(NULL, 0);

	ret->store = store_default_path(NULL);
	if (d->file && daemon_paths_find(d->file, &paths, NULL) == 0) {
		ret->state = str_dup(paths.state);
		ret->log = str_dup(paths.log);
	} else {
		ret->state = str_fmt("%s/.slicer", cwd ? cwd : "");
		ret->log = d->privileged ? str_dup("/var/log/slicer") : NULL;
	}
	daemon_paths_clear(&paths);
}

static void places_clear(struct places *p)
{
	free(p->store);
	free(p->state);
	free(p->log);
}

static void space_of(const char *what, const char *path, struct doctor_result *r, enum doctor_severity *worst)
{
	cleanup_free char *dir = existing_part(path), *free_text = NULL;
	struct statvfs fs;
	enum doctor_severity severity = DOCTOR_OK;
	uint64_t bytes;

	if (statvfs(dir, &fs)) {
		strv_append_fmt(&r->detail, "%s, %s: %s", what, path, strerror(errno));
		return;
	}
	bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	/* File systems without a fixed number of files say that they have none at all. */
	if (bytes >> 20 < SPACE_LITTLE_MB || (fs.f_files && fs.f_favail < FILES_LITTLE))
		severity = DOCTOR_WARNING;
	if (bytes >> 20 < SPACE_NONE_MB)
		severity = DOCTOR_ERROR;
	free_text = size_format(bytes >> 20 << 20);
	strv_append_fmt(&r->detail, "%s, %s: %s free%s", what, path, free_text,
			fs.f_files && fs.f_favail < FILES_LITTLE ? ", and hardly any inodes" : "");
	if (severity != DOCTOR_OK)
		strv_append_fmt(&r->fix, "Free space where %s is (df -h %s)", path, dir);
	*worst = severity > *worst ? severity : *worst;
}

void doctor_disk(const struct doctor *d, struct doctor_result *r)
{
	enum doctor_severity worst = DOCTOR_OK;
	struct places p = {0};

	places_find(d, &p);
	if (p.store)
		space_of("Images", p.store, r, &worst);
	space_of("Disks and records", p.state, r, &worst);
	if (p.log)
		space_of("Logs", p.log, r, &worst);
	places_clear(&p);
	if (worst == DOCTOR_OK)
		doctor_say(r, worst, "There is room for images and disks");
	else
		doctor_say(r, worst,
			   worst == DOCTOR_ERROR ? "Hardly any disk space is left: images cannot "
						   "be built, and VMs fail when they "
						   "write"
						 : "Little disk space is left: disks of VMs grow "
						   "as they write, and fail when it "
						   "is used up");
	if (worst != DOCTOR_OK)
		strv_append(&r->fix, "slicer image list; slicer image remove NAME; or another place: SLICER_STORE");
}

/* Two files without a name, one made to share the block of the other. 0, or an errno. */
static int reflink_try(const char *dir)
{
	cleanup_close int from = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	cleanup_close int to = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	cleanup_free char *block = mem_alloc(REFLINK_BYTES);

	if (from < 0 || to < 0)
		return errno;
	if (fd_write_all(from, block, REFLINK_BYTES, NULL))
		return EIO;
	return ioctl(to, FICLONE, from) < 0 ? EOPNOTSUPP : 0;
}

void doctor_reflink(const struct doctor *d, struct doctor_result *r)
{
	struct places p = {0};
	cleanup_free char *dir = NULL;
	int trouble;

	places_find(d, &p);
	dir = existing_part(p.state);
	trouble = reflink_try(dir);
	if (trouble == 0)
		doctor_say(r, DOCTOR_OK, "The file system of %s copies by reference", p.state);
	else if (trouble == EOPNOTSUPP)
		doctor_say(r, DOCTOR_NOTE,
			   "The file system of %s does not copy by reference: copies of disks take "
			   "time and space (new VMs "
			   "share their image all the same)",
			   p.state);
	else
		doctor_say(r, DOCTOR_NOTE, "Whether the file system of %s copies by reference cannot be tried: %s",
			   p.state, strerror(trouble));
	r->hidden = trouble == EACCES;
	if (trouble == EOPNOTSUPP)
		strv_append(&r->fix, "Run slicer in a directory on btrfs or XFS");
	places_clear(&p);
}
