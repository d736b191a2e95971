/* SPDX-License-Identifier: MIT */
/* Debian packages: each file is given once, by a path that leads nowhere out. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_file(struct archive *a, const char *path, void *arg, struct error **err)
{
	cleanup_strv char **parts = strv_split(path, '/');

	if (path[0] == '/' || str_starts(path, "./") || strv_contains(parts, ".."))
		abort();
	++*(unsigned *)arg;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int fd = memfd_create("deb", MFD_CLOEXEC);
	cleanup_error struct error *err = NULL;
	cleanup_free char *path = str_fmt("/proc/self/fd/%d", fd);
	unsigned files = 0;

	setenv("PATH", "/nonexistent", 1); /* no filter of libarchive finds a program */
	if (fd < 0 || fd_write_all(fd, data, size, NULL) < 0)
		abort();
	if ((deb_each_file(path, on_file, &files, &err) < 0) != (err != NULL))
		abort();
	return 0;
}
