/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/boot_steps.h"
#include "agent/userdata.h"
#include "agent/users.h"

#define BIN_DIR "/run/slicer/bin"

enum { MAX_TEXT = 1024 * 1024 };

/* Nothing is written when the content is right; a symlink (resolv.conf of resolved) is replaced by a plain file. */
static int ensure_file(const char *path, const char *text, mode_t mode, struct error **err)
{
	cleanup_free char *old = NULL;
	struct stat st;
	size_t n;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && fs_read_file(path, MAX_TEXT, &old, &n, NULL) == 0 &&
	    str_eq(old, text))
		return 0;
	return fs_write_replace(path, text, strlen(text), mode, err);
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += n) {
		bool before = p == text || strchr(" \t\n", p[-1]), after = !p[n] || strchr(" \t\n", p[n]);

		if (before && after)
			return true;
	}
	return false;
}

static int write_hosts(const char *hostname, struct error **err)
{
	cleanup_free char *old = NULL, *text = NULL;
	size_t n;

	if (fs_read_file("/etc/hosts", MAX_TEXT, &old, &n, NULL) < 0)
		old = str_dup("127.0.0.1 localhost\n");
	if (has_word(old, hostname))
		return 0;
	text = str_fmt("%s%s127.0.1.1 %s\n", old, *old && !str_ends(old, "\n") ? "\n" : "", hostname);
	return fs_write_replace("/etc/hosts", text, strlen(text), 0644, err);
}

static int write_hostname(const char *hostname, struct error **err)
{
	cleanup_free char *text = str_fmt("%s\n", hostname);

	if (sethostname(hostname, strlen(hostname)) < 0)
		return error_errno(err, errno, "cannot set the host name");
	if (ensure_file("/etc/hostname", text, 0644, err) < 0)
		return -1;
	return write_hosts(hostname, err);
}

char *dns_text(char *const *servers)
{
	cleanup_strv char **lines = NULL;

	for (; servers && *servers; servers++)
		strv_append_fmt(&lines, "nameserver %s\n", *servers);
	return strv_join(lines, "");
}

static int write_dns(const struct guest_config *c, struct error **err)
{
	cleanup_free char *text = dns_text(c->dns);

	for (size_t i = 0; i < c->nnetworks; i++)
		if (c->networks[i].dhcp_dns) /* the client has the file already */
			return 0;
	if (!*text)
		return 0;
	return ensure_file("/etc/resolv.conf", text, 0644, err);
}

/* ---- keys ---- */

static char *add_keys(const char *old, char *const *keys)
{
	cleanup_strv char **lines = strv_split(old, '\n');
	char *text = str_dup(old);

	for (; *keys; keys++) {
		char *longer;

		if (strv_contains(lines, *keys))
			continue;
		longer = str_fmt("%s%s%s\n", text, *text && !str_ends(text, "\n") ? "\n" : "", *keys);
		free(text);
		text = longer;
	}
	return text;
}

static int write_keys(const struct user *u, char *const *keys, struct error **err)
{
	cleanup_free char *dir = fs_join(u->home, ".ssh"), *path = fs_join(dir, "authorized_keys");
	cleanup_free char *old = NULL, *text = NULL;
	struct stat st;
	size_t n;

	if (stat(u->home, &st) < 0) /* no home, no login */
		return 0;
	if (fs_read_file(path, MAX_TEXT, &old, &n, NULL) < 0)
		old = str_dup("");
	text = add_keys(old, keys);
	if (str_eq(text, old))
		return 0;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "cannot make %s", dir);
	if (fs_write_atomic(path, text, strlen(text), 0600, err) < 0)
		return -1;
	if (lchown(dir, u->uid, u->gid) < 0 || lchown(path, u->uid, u->gid) < 0)
		return error_errno(err, errno, "cannot give %s to its user", path);
	return 0;
}

static int write_all_keys(char *const *keys, struct error **err)
{
	cleanup_user struct user *user = users_lookup(USERS_DEFAULT_ID), *root = users_lookup(0);

	if (!keys || !*keys)
		return 0;
	if (user->uid != 0 && write_keys(user, keys, err) < 0)
		return -1;
	return write_keys(root, keys, err);
}

int boot_write_identity(const struct guest_config *c, struct error **err)
{
	if (fs_mkdir_p("/etc", 0755, err) < 0)
		return -1;
	if (c->hostname && write_hostname(c->hostname, err) < 0)
		return -1;
	if (write_dns(c, err) < 0)
		return -1;
	if (c->machine_id) {
		cleanup_free char *text = str_fmt("%s\n", c->machine_id);

		if (ensure_file("/etc/machine-id", text, 0444, err) < 0)
			return -1;
	}
	return write_all_keys(c->ssh_keys, err);
}

/* ---- files below /run/slicer ---- */

int boot_install_self(int self_fd, struct error **err)
{
	cleanup_close int out = -1;
	struct stat st;

	if (fs_mkdir_p(BIN_DIR, 0755, err) < 0)
		return -1;
	out = open(BIN_DIR "/slicer-agent", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (out < 0 || fstat(self_fd, &st) < 0)
		return error_errno(err, errno, "cannot install the agent in %s", BIN_DIR);
	for (off_t at = 0; at < st.st_size;) {
		if (sendfile(out, self_fd, &at, (size_t)(st.st_size - at)) <= 0)
			return error_errno(err, errno, "cannot install the agent in %s", BIN_DIR);
	}
	if (fchmod(out, 0755) < 0)
		return error_errno(err, errno, "cannot install the agent in %s", BIN_DIR);
	if (fs_mkdir_p("/usr/local/bin", 0755, err) < 0)
		return -1;
	if (symlink(BIN_DIR "/slicer-agent", "/usr/local/bin/slicer-agent") < 0 && errno != EEXIST)
		return error_errno(err, errno, "cannot link the agent in /usr/local/bin");
	return 0;
}

int boot_write_userdata(const struct guest_config *c, struct error **err)
{
	if (!c->userdata || !*c->userdata)
		return 0;
	return fs_write_replace(USERDATA_SCRIPT, c->userdata, strlen(c->userdata), 0700, err);
}
