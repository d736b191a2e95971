/* SPDX-License-Identifier: MIT */
/* Feeds every file of a directory to a fuzz target, and each of its prefixes up to a limit: what once broke stays mended. */
#include <dirent.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/str.h"

enum { FILE_LIMIT = 4 * 1024 * 1024, PREFIXES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A copy of its own, so that a sanitizer sees a read behind its end. */
static void replay_bytes(const char *data, size_t n)
{
	cleanup_free uint8_t *copy = mem_alloc(n ? n : 1);

	memcpy(copy, data, n);
	LLVMFuzzerTestOneInput(copy, n);
}

static int replay_file(const char *path)
{
	cleanup_error struct error *error = NULL;
	cleanup_free char *text = NULL;
	size_t n, step;

	if (fs_read_file(path, FILE_LIMIT, &text, &n, &error)) {
		fprintf(stderr, "%s\n", error_message(error));
		return -1;
	}
	replay_bytes(text, n);
	step = n / PREFIXES + 1;
	for (size_t cut = 0; cut < n; cut += step)
		replay_bytes(text, cut);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	unsigned files = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY (which must exist)\n", argv[0]);
		return 2;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		cleanup_free char *path = fs_join(argv[1], e->d_name);

		if (e->d_name[0] == '.')
			continue;
		if (replay_file(path)) {
			closedir(dir);
			return 1;
		}
		files++;
	}
	closedir(dir);
	printf("%u files replayed\n", files);
	return files ? 0 : 1; /* an empty corpus tests nothing */
}
