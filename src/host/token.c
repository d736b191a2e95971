/* SPDX-License-Identifier: MIT */
#include "host/token.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

enum { TOKEN_BYTES = 32, TOKEN_LIMIT = 4096 };

static int token_make(const char *path, struct error **err)
{
	const struct group *g = geteuid() == 0 ? getgrnam("slicer") : NULL;
	cleanup_free char *dir = fs_dirname(path);
	cleanup_free char *hex = NULL, *line = NULL;
	unsigned char bytes[TOKEN_BYTES];

	if (random_bytes(bytes, sizeof(bytes), err) || fs_mkdir_p(dir, g ? 0750 : 0700, err))
		return -1;
	hex = hex_encode(bytes, sizeof(bytes));
	line = str_fmt("%s\n", hex);
	if (fs_write_atomic(path, line, strlen(line), g ? 0640 : 0600, err))
		return -1;
	if (g && (chown(dir, 0, g->gr_gid) || chown(path, 0, g->gr_gid)))
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
