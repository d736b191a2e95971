/* SPDX-License-Identifier: MIT */
/* The archive of a root filesystem that somebody made. What is copied of it is an archive that can be copied again and says the
 * same; a path leads nowhere out; passwd(5) gives a name. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/import.h"

enum { OUTPUT_MAX = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void try_path(const char *given)
{
	cleanup_error struct error *err = NULL;
	cleanup_free char *path = import_path(given, &err);
	cleanup_free char *again = path ? import_path(path, NULL) : NULL;
	cleanup_strv char **parts = path ? strv_split(path, '/') : NULL;

	require(!path == !!err && (!path || str_eq(path, again)));
	require(!path || strlen(path) <= IMPORT_PATH_MAX);
	require(!strv_contains(parts, "..") && !strv_contains(parts, "."));
	require(!path || !*path || !strv_contains(parts, ""));
}

static void try_passwd(const char *text)
{
	cleanup_free char *user = import_default_user(text);

	require(user && *user && !strpbrk(user, ":\n"));
}

/* It cannot grow: one input must not fill the memory. What is not written are zeros, which end a tar archive. */
static int new_output(void)
{
	int fd = memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	require(fd >= 0 && ftruncate(fd, OUTPUT_MAX) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
	return fd;
}

static void require_same(const struct import_facts *a, const struct import_facts *b)
{
	cleanup_free char *x = strv_join(a->own_modules, "/"), *y = strv_join(b->own_modules, "/");

	require(strv_len(a->own_modules) <= IMPORT_KERNELS_MAX);
	require(str_eq(a->default_user, b->default_user) && str_eq(x, y));
}

static void try_archive(int from)
{
	cleanup_close int once = new_output(), twice = new_output();
	cleanup_error struct error *err = NULL, *again = NULL;
	struct import_facts facts = {0}, same = {0};

	if (import_archive(from, once, &facts, &err) < 0) {
		require(err != NULL);
	} else {
		require(!err && lseek(once, 0, SEEK_SET) == 0);
		require(import_archive(once, twice, &same, &again) == 0);
		require_same(&facts, &same);
	}
	import_facts_clear(&facts);
	import_facts_clear(&same);
}

/* Progress is told on stdout. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int from = memfd_create("input", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cleanup_close int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	cleanup_free char *text = str_ndup((const char *)data, size);

	try_path(text);
	try_passwd(text);
	require(from >= 0 && fd_write_all(from, data, size, NULL) == 0 && lseek(from, 0, SEEK_SET) == 0);
	require(dup2(null, STDOUT_FILENO) >= 0);
	try_archive(from);
	require(dup2(out, STDOUT_FILENO) >= 0);
	return 0;
}
