/* SPDX-License-Identifier: MIT */
#include "host/token.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

enum { TOKEN_BYTES = 32, TOKEN_LIMIT = 4096 };

/* Members of the group must get as far as the file, whatever the umask: through a new parent, and into the directory. */
static int token_open_directory(const char *dir, const struct group *g, bool new_parent, struct error **err)
{
	cleanup_free char *parent = fs_dirname(dir);

	if (new_parent && chmod(parent, 0755))
		return error_errno(err, errno, "change the mode of %s", parent);
	if (chown(dir, 0, g->gr_gid) || chmod(dir, 0750))
		return error_errno(err, errno, "give %s to the group slicer", dir);
	return 0;
}

static int token_make(const char *path, struct error **err)
{
	const struct group *g = geteuid() == 0 ? getgrnam("slicer") : NULL;
	cleanup_free char *dir = fs_dirname(path), *parent = fs_dirname(dir);
	bool new_parent = !fs_exists(parent);
	cleanup_free char *hex = NULL, *line = NULL;
	unsigned char bytes[TOKEN_BYTES];

	if (random_bytes(bytes, sizeof(bytes), err) || fs_mkdir_p(dir, 0700, err))
		return -1;
	hex = hex_encode(bytes, sizeof(bytes));
	line = str_fmt("%s\n", hex);
	/* Another daemon may make it at the same time: it must be one for both. */
	if (fs_write_first(path, line, strlen(line), g ? 0640 : 0600, err))
		return -1;
	if (g && token_open_directory(dir, g, new_parent, err))
		return -1;
	if (g && (chown(path, 0, g->gr_gid) || chmod(path, 0640)))
		return error_errno(err, errno, "give %s to the group slicer", path);
	return 0;
}

char *token_load(const char *path, struct error **err)
{
	cleanup_free char *text = NULL;
	char *token;
	size_t n;

	if (!fs_exists(path) && token_make(path, err)) {
		error_wrap(err, "make the API's token");
		return NULL;
	}
	if (fs_read_file(path, TOKEN_LIMIT, &text, &n, err)) {
		error_wrap(err, "read the API's token");
		return NULL;
	}
	token = str_trim(text);
	if (!token[0]) {
		error_set(err, ERR_INVALID, "the token file %s is empty: remove it, and a new one is made", path);
		return NULL;
	}
	return str_dup(token);
}
