/* SPDX-License-Identifier: MIT */
#include "image/import.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/child.h"
#include "image/interrupt.h"
#include "image/report.h"
#include "image/unpack.h"

enum { CHUNK = 128 * 1024, NAME_LIMIT = 255, REPORT_EVERY = 4096 };

struct import {
	struct archive *from, *to;
	const char *prefix; /* of the paths of a directory; NULL: an archive */
	uint64_t size;	    /* of the archive's file; 0: not known */
	uint64_t entries, bytes;
	bool any;    /* something was copied: the root itself is not, nor are sockets */
	bool layers; /* it has what only an archive of image layers has */
	struct import_facts *facts;
};

void import_facts_clear(struct import_facts *facts)
{
	strv_free(&facts->own_modules);
	free(facts->default_user);
	*facts = (struct import_facts){0};
}

/* ---- paths ---- */

char *import_path(const char *given, struct error **err)
{
	cleanup_strv char **parts = strv_split(given, '/');
	cleanup_strv char **kept = NULL;
	size_t length = 0;

	for (size_t i = 0; parts[i]; i++) {
		cleanup_free char *shown = str_escape(given, strnlen(given, 100));
		if (str_eq(parts[i], "..")) {
			error_set(err, ERR_INVALID, "\"%s\" leads out of the root filesystem", shown);
			return NULL;
		}
		length += strlen(parts[i]) + 1;
		if (strlen(parts[i]) > NAME_LIMIT || length > IMPORT_PATH_MAX) {
			error_set(err, ERR_INVALID, "\"%s\" is too long a path", shown);
			return NULL;
		}
		if (*parts[i] && !str_eq(parts[i], "."))
			strv_append(&kept, parts[i]);
	}
	return kept ? strv_join(kept, "/") : str_dup("");
}

/* ---- what is worth knowing of it ---- */

char *import_default_user(const char *passwd)
{
	cleanup_strv char **lines = strv_split(passwd, '\n');

	for (size_t i = 0; lines[i]; i++) {
		cleanup_strv char **f = strv_split(lines[i], ':');
		uint64_t uid = 0;
		if (strv_len(f) == 7 && *f[0] && str_to_u64(f[2], 1000, 60000, "uid", &uid, NULL) == 0)
			return str_dup(f[0]);
	}
	return str_dup("root");
}

/* "lib/modules/RELEASE/modules.dep", or the same below usr. */
static int note_modules(struct import *in, const char *path, struct error **err)
{
	cleanup_strv char **parts = strv_split(path, '/');
	size_t usr = str_eq(parts[0], "usr");

	if (strv_len(parts) != usr + 4 || !str_eq(parts[usr], "lib") || !str_eq(parts[usr + 1], "modules") ||
	    !str_eq(parts[usr + 3], "modules.dep") || strv_contains(in->facts->own_modules, parts[usr + 2]))
		return 0;
	if (strv_len(in->facts->own_modules) == IMPORT_KERNELS_MAX)
		return error_set(err, ERR_TOO_LARGE, "it has modules of more than %d kernels", IMPORT_KERNELS_MAX);
	strv_append(&in->facts->own_modules, parts[usr + 2]);
	return 0;
}

/* ---- entries ---- */

static int check_kind(struct archive_entry *e, const char *path, bool *ret_skip, struct error **err)
{
	static const mode_t kinds[] = {AE_IFREG, AE_IFDIR, AE_IFLNK, AE_IFCHR, AE_IFBLK, AE_IFIFO};
	mode_t kind = archive_entry_filetype(e);

	*ret_skip = kind == AE_IFSOCK; /* of a program that ran there; it makes it again */
	if (*ret_skip || archive_entry_hardlink(e))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kind == kinds[i])
			return 0;
	cleanup_free char *shown = str_escape(path, strnlen(path, 100));
	return error_set(err, ERR_INVALID, "\"%s\" is of a kind that no file system has", shown);
}

static int check_links(struct archive_entry *e, struct error **err)
{
	const char *hard = archive_entry_hardlink(e), *symbolic = archive_entry_symlink(e);

	if (hard) {
		cleanup_free char *target = import_path(hard, err);
		if (!target)
			return error_wrap(err, "the target of a hard link");
		archive_entry_set_hardlink(e, target);
		archive_entry_set_size(e, 0);
	}
	if (!hard && archive_entry_filetype(e) == AE_IFLNK &&
	    (!symbolic || !*symbolic || strlen(symbolic) > IMPORT_PATH_MAX))
		return error_set(err, ERR_INVALID, "a symbolic link has no target, or too long a one");
	return 0;
}

/* Attributes of trusted.* would speak to the overlay of every VM, the rest means nothing there. */
static void keep_attributes(struct archive_entry *from, struct archive_entry *to)
{
	const char *name;
	const void *value;
	size_t n;

	archive_entry_xattr_reset(from);
	while (archive_entry_xattr_next(from, &name, &value, &n) == ARCHIVE_OK)
		if (str_eq(name, "security.capability") || str_starts(name, "user."))
			archive_entry_xattr_add_entry(to, name, value, n);
}

static struct archive_entry *new_entry(struct archive_entry *from, const char *path)
{
	struct archive_entry *e = archive_entry_new();
	const char *hard = archive_entry_hardlink(from);
	mode_t kind = archive_entry_filetype(from);

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, kind);
	archive_entry_set_perm(e, archive_entry_perm(from));
	archive_entry_set_uid(e, archive_entry_uid(from));
	archive_entry_set_gid(e, archive_entry_gid(from));
	archive_entry_set_mtime(e, archive_entry_mtime(from), 0);
	archive_entry_set_size(e, !hard && kind == AE_IFREG ? archive_entry_size(from) : 0);
	if (hard)
		archive_entry_set_hardlink(e, hard);
	else if (kind == AE_IFLNK)
		archive_entry_set_symlink(e, archive_entry_symlink(from));
	else if (kind == AE_IFCHR || kind == AE_IFBLK)
		archive_entry_set_rdev(e, archive_entry_rdev(from));
	keep_attributes(from, e);
	return e;
}

static int read_error(struct import *in, struct error **err)
{
	const char *reason = archive_error_string(in->from);

	return error_set(err, ERR_INVALID, "it cannot be read: %s", reason ? reason : "damaged");
}

/* As many bytes as its header said. `keep` (may be NULL) gets them as a string as well, up to IMPORT_PASSWD_MAX. */
static int copy_content(struct import *in, uint64_t size, char **keep, struct error **err)
{
	cleanup_free char *chunk = mem_alloc(CHUNK);
	uint64_t done = 0;

	if (keep)
		*keep = mem_alloc((size < IMPORT_PASSWD_MAX ? size : IMPORT_PASSWD_MAX) + 1);
	while (done < size) {
		la_ssize_t n = archive_read_data(in->from, chunk, CHUNK);
		if (n <= 0)
			return n < 0 ? read_error(in, err) : error_set(err, ERR_INVALID, "a file ends before its size");
		if ((uint64_t)n > size - done)
			n = (la_ssize_t)(size - done);
		if (archive_write_data(in->to, chunk, (size_t)n) != n)
			return unpack_error(in->to, err, "write");
		if (keep && done + (uint64_t)n <= IMPORT_PASSWD_MAX)
			memcpy(*keep + done, chunk, (size_t)n);
		done += (uint64_t)n;
		if (interrupt_check(err) < 0)
			return -1;
	}
	return 0;
}

static int write_entry(struct import *in, struct archive_entry *from, const char *path, struct error **err)
{
	struct archive_entry *e = new_entry(from, path);
	bool is_passwd = str_eq(path, "etc/passwd") && archive_entry_filetype(e) == AE_IFREG;
	uint64_t size = (uint64_t)archive_entry_size(e);
	cleanup_free char *passwd = NULL;
	int r = archive_write_header(in->to, e);

	archive_entry_free(e);
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return unpack_error(in->to, err, "write");
	if (size && copy_content(in, size, is_passwd ? &passwd : NULL, err) < 0)
		return -1;
	if (passwd) {
		free(in->facts->default_user);
		in->facts->default_user = import_default_user(passwd);
	}
	return note_modules(in, path, err);
}

static int count(struct import *in, struct archive_entry *e, struct error **err)
{
	la_int64_t size = archive_entry_size(e);

	if (++in->entries > IMPORT_ENTRIES_MAX)
		return error_set(err, ERR_TOO_LARGE, "it has more than %d files", IMPORT_ENTRIES_MAX);
	if (size < 0 || (uint64_t)size > IMPORT_BYTES_MAX - in->bytes)
		return error_set(err, ERR_TOO_LARGE, "unpacked it is larger than %llu GiB",
				 (unsigned long long)(IMPORT_BYTES_MAX >> 30));
	in->bytes += (uint64_t)size;
	return interrupt_check(err);
}

static const char *below_prefix(const struct import *in, const char *path)
{
	return in->prefix && str_starts(path, in->prefix) ? path + strlen(in->prefix) : path;
}

static int take_entry(struct import *in, struct archive_entry *e, struct error **err)
{
	const char *given = archive_entry_pathname(e);
	bool skip = false;

	if (!given)
		return error_set(err, ERR_INVALID, "an entry has no name");
	cleanup_free char *path = import_path(below_prefix(in, given), err);
	if (!path || count(in, e, err) < 0)
		return -1;
	if (!*path) /* the root's own owner and mode are ours */
		return 0;
	in->layers |= str_eq(path, "oci-layout") || str_eq(path, "manifest.json");
	if (check_kind(e, path, &skip, err) < 0 || check_links(e, err) < 0)
		return -1;
	in->any |= !skip;
	return skip ? 0 : write_entry(in, e, path, err);
}

/* ---- the whole ---- */

static void report_share(const struct import *in)
{
	if (in->entries % REPORT_EVERY != 1)
		return;
	if (in->size) {
		uint64_t done = (uint64_t)archive_filter_bytes(in->from, -1);
		report_percent("rootfs", done < in->size ? (unsigned)(done * 50 / in->size) : 50, "reading");
	} else {
		report_progress("rootfs", "reading: %llu files", (unsigned long long)in->entries - 1);
	}
}

static int copy_entries(struct import *in, struct error **err)
{
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(in->from, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		if (take_entry(in, e, err) < 0)
			return -1;
		if (in->prefix && archive_read_disk_can_descend(in->from))
			archive_read_disk_descend(in->from);
		report_share(in);
	}
	if (r != ARCHIVE_EOF)
		return read_error(in, err);
	if (in->layers)
		return error_set(err, ERR_INVALID,
				 "it is an archive of image layers (docker save), not of a root filesystem: `docker "
				 "create` and `docker export` make one");
	if (!in->any)
		return error_set(err, ERR_INVALID, "there is nothing in it");
	return 0;
}

static struct archive *open_directory(const char *path, struct error **err)
{
	struct archive *a = archive_read_disk_new();

	archive_read_disk_set_symlink_physical(a);
	archive_read_disk_set_behavior(a, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS | ARCHIVE_READDISK_NO_ACL |
						  ARCHIVE_READDISK_NO_FFLAGS);
	if (archive_read_disk_open(a, path) == ARCHIVE_OK)
		return a;
	unpack_error(a, err, "open %s", path);
	archive_free(a);
	return NULL;
}

static struct archive *open_archive(int fd, struct error **err)
{
	struct archive *a = archive_read_new();

	unpack_support_filters(a);
	archive_read_support_format_tar(a);
	if (archive_read_open_fd(a, fd, CHUNK) == ARCHIVE_OK)
		return a;
	error_set(err, ERR_INVALID,
		  "it is not a tar archive, plain or compressed by gzip, bzip2, xz, lzma, zstd or lz4");
	archive_free(a);
	return NULL;
}

static int copy_from(struct import *in, int to, struct error **err)
{
	cleanup_archive struct archive *out = archive_write_new();

	archive_write_set_format_pax_restricted(out);
	archive_write_set_options(out, "hdrcharset=BINARY"); /* names are bytes, whatever the locale */
	archive_write_add_filter_none(out);
	if (archive_write_open_fd(out, to) != ARCHIVE_OK)
		return unpack_error(out, err, "write the archive");
	in->to = out;
	if (copy_entries(in, err) < 0)
		return -1;
	return archive_write_close(out) == ARCHIVE_OK ? 0 : unpack_error(out, err, "write the archive");
}

struct conversion {
	struct import in;
	int from, to; /* fds */
};

/* In the child: what is in an archive is anybody's. */
static int convert(void *arg, struct json_object *ret, struct error **err)
{
	struct conversion *c = arg;
	cleanup_archive struct archive *from = open_archive(c->from, err);

	c->in.from = from;
	if (!from || copy_from(&c->in, c->to, err) < 0)
		return -1;
	js_add_strv(ret, "own_modules", c->in.facts->own_modules);
	js_add_string(ret, "default_user", c->in.facts->default_user);
	return 0;
}

int import_archive(int from, int to, struct import_facts *ret, struct error **err)
{
	struct conversion c = {.in = {.facts = ret}, .from = from, .to = to};
	cleanup_json struct json_object *said = json_object_new_object();

	return convert(&c, said, err);
}

static int copy_archive(struct conversion *c, struct error **err)
{
	const int fds[] = {c->to, c->from};
	cleanup_json struct json_object *said = NULL;
	const char *user = NULL;
	bool given;

	/* One that is stdin is there in any case. */
	if (child_run(convert, c, fds, c->from == STDIN_FILENO ? 1 : 2, &said, err) < 0 ||
	    js_get_strv(said, "own_modules", &c->in.facts->own_modules, &given, err) < 0 ||
	    js_get_string(said, "default_user", &user, err) < 0)
		return -1;
	c->in.facts->default_user = user ? str_dup(user) : NULL;
	return 0;
}

static int copy_directory(struct conversion *c, const char *path, struct error **err)
{
	cleanup_archive struct archive *from = open_directory(path, err);

	c->in.prefix = path;
	c->in.from = from;
	return from ? copy_from(&c->in, c->to, err) : -1;
}

int import_copy(const char *source, const char *to, struct import_facts *ret, struct error **err)
{
	bool is_stdin = str_eq(source, "-");
	cleanup_close int opened = is_stdin ? -1 : open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	cleanup_close int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct conversion c = {.in = {.facts = ret}, .from = is_stdin ? STDIN_FILENO : opened, .to = out};
	struct stat st;
	int r;

	if (out < 0)
		return error_errno(err, errno, "create %s", to);
	if (c.from < 0 || fstat(c.from, &st) < 0)
		return error_errno(err, errno, "open %s", source);
	c.in.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	r = S_ISDIR(st.st_mode) ? copy_directory(&c, source, err) : copy_archive(&c, err);
	if (r < 0)
		return error_wrap(err, "%s", is_stdin ? "standard input" : source);
	if (!ret->default_user)
		ret->default_user = str_dup("root");
	return 0;
}
