/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"

static int list_compare(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *path, mode_t type, char ***ret, struct error **err)
{
	DIR *dir = opendir(path);
	cleanup_strv char **names = NULL;
	struct dirent *entry;
	int failure;

	*ret = NULL;
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "read %s", path);
	while (errno = 0, (entry = readdir(dir))) {
		struct stat st;

		if (entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (st.st_mode & S_IFMT) == type)
			strv_append(&names, entry->d_name);
	}
	failure = errno;
	closedir(dir);
	if (failure)
		return error_errno(err, failure, "read %s", path);
	if (names)
		qsort(names, strv_len(names), sizeof(*names), list_compare);
	*ret = TAKE_PTR(names);
	return 0;
}

int fs_list_dirs(const char *path, char ***ret, struct error **err)
{
	return list(path, S_IFDIR, ret, err);
}

int fs_list_files(const char *path, char ***ret, struct error **err)
{
	return list(path, S_IFREG, ret, err);
}
