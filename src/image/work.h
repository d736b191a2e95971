/* SPDX-License-Identifier: MIT */
/* Directories in which programs read what comes from elsewhere, or are it themselves. Where slicer-image is root they are confined
 * there (confine.h), and what they leave is nobody's to trust; where the host has no user namespaces for that, it is said once and
 * they run as root. Those of an ordinary user are that user's. */
#ifndef SLICER_IMAGE_WORK_H
#define SLICER_IMAGE_WORK_H

#include "image/tool.h"
#include "image/writer.h"

struct work {
	char *outer; /* which only root can enter, when `confined` */
	char *dir;   /* in it */
	bool confined;
};
#define WORK_NONE ((struct work){.outer = NULL})

/* Makes an empty one below the writer's temporary directory. */
int work_open(struct work *work, const struct writer *w, const char *name, struct error **err);
int work_close(struct work *work,
	       struct error **err); /* removes it, with all that is in it; success when it is not open */
void work_clear(struct work *work); /* the same, whether or not that succeeds */
#define cleanup_work __attribute__((cleanup(work_clear)))

/* tool_run() in it, which is the working directory: a path of the tool that is relative is one below it. tool->cwd is not used. */
int work_run(const struct work *work, const struct tool *tool, char **ret_out, struct error **err);
/* The directory as a program that runs in it calls it: borrowed. */
const char *work_path(const struct work *work);
/* Gives something in it to the users that its programs run as; a relative path. */
int work_give(const struct work *work, const char *path, struct error **err);
/* Afterwards there are only directories and regular files in it: a link would lead to other files of this host. Only when no
 * program runs in it. */
int work_keep_plain_files(const struct work *work, struct error **err);
/* Moves a regular file of at most `limit` bytes that lies in it to `to`, below the same writer's temporary directory, where it is
 * this program's own, with mode 0644. ERR_INVALID when it is anything else. */
int work_take(const struct work *work, const char *name, const char *to, uint64_t limit, struct error **err);

#endif
