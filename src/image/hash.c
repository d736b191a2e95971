/* SPDX-License-Identifier: MIT */
#include "image/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define FILE_LIMIT ((off_t)4 << 30)

char *hash_file(const char *path, struct error **err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		error_errno(err, errno, "open %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > FILE_LIMIT) {
		error_set(err, ERR_INVALID, "%s is not a regular file of 1 byte to 4 GiB", path);
		return NULL;
	}
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		error_errno(err, errno, "map %s", path);
		return NULL;
	}
	char *hex = sha256_hex(data, (size_t)st.st_size);
	munmap(data, (size_t)st.st_size);
	return hex;
}

char *hash_strings(const char *const *strings)
{
	cleanup_strv char **parts = NULL;

	for (size_t i = 0; strings[i]; i++)
		strv_append_fmt(&parts, "%zu:%s", strlen(strings[i]), strings[i]);
	cleanup_free char *text = strv_join(parts, ",");
	return sha256_hex(text, strlen(text));
}
