/* SPDX-License-Identifier: MIT */
/* Debian packages: what is made of one is an archive of regular files that our own reader takes, with paths that lead nowhere
 * out, or has a path that it refuses. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/tar.h"
#include "image/deb.h"

enum { OUTPUT_MAX = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static int on_entry(void *arg, const struct tar_entry *e, struct error **err)
{
	cleanup_strv char **parts = strv_split(e->path, '/');

	require(*e->path && e->path[0] != '/' && !strv_contains(parts, ".."));
	return 0;
}

static int on_data(void *arg, const void *data, size_t n, struct error **err)
{
	return 0;
}

static int on_entry_end(void *arg, struct error **err)
{
	return 0;
}

static void read_back(int fd)
{
	static const struct tar_events events = {on_entry, on_data, on_entry_end};
	cleanup_error struct error *err = NULL;
	struct tar_reader *reader = tar_reader_new(&events, NULL, NULL);
	cleanup_free char *bytes = mem_alloc(OUTPUT_MAX);
	off_t end = lseek(fd, 0, SEEK_CUR);
	ssize_t n = pread(fd, bytes, OUTPUT_MAX, 0);

	require(end >= 0 && n >= end);
	if (tar_reader_feed(reader, bytes, (size_t)end, &err) < 0 || tar_reader_finish(reader, &err) < 0)
		require(err && err->code == ERR_INVALID && strstr(err->message, "path"));
	tar_reader_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int from = memfd_create("deb", MFD_CLOEXEC);
	cleanup_close int to = memfd_create("tar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cleanup_error struct error *err = NULL;

	require(from >= 0 && fd_write_all(from, data, size, NULL) == 0 && lseek(from, 0, SEEK_SET) == 0);
	/* It cannot grow: one input must not fill the memory. */
	require(to >= 0 && ftruncate(to, OUTPUT_MAX) == 0 && fcntl(to, F_ADD_SEALS, F_SEAL_GROW) == 0);
	if (deb_to_tar(from, to, &err) < 0)
		require(err != NULL);
	else
		read_back(to);
	return 0;
}
