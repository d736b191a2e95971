/* SPDX-License-Identifier: MIT */
#include "base/tar.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/tar_format.h"

enum { SEGMENT_MAX = 255 };
static const uint64_t ustar_max_size = 077777777777; /* 11 octal digits */

unsigned tar_checksum(const struct tar_block *b)
{
	const unsigned char *bytes = (const unsigned char *)b;
	size_t from = offsetof(struct tar_block, checksum);
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(*b); i++)
		sum += i >= from && i < from + sizeof(b->checksum) ? ' ' : bytes[i];
	return sum;
}

size_t tar_padding(uint64_t size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

mode_t tar_copy_mode(mode_t mode)
{
	mode &= 0777;
	return mode & 0111 ? mode | 0111 : mode;
}

bool tar_path_ok(const char *path)
{
	if (!*path || strlen(path) > TAR_MAX_PATH)
		return false;
	for (;;) {
		size_t n = strcspn(path, "/");

		if (n == 0 || n > SEGMENT_MAX)
			return false;
		if (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.')))
			return false;
		if (!path[n])
			return true;
		path += n + 1;
	}
}

/* Splits a path into prefix and name at a slash, as ustar wants it; false when it does not fit. */
static bool fit_path(struct tar_block *b, const char *path, size_t n)
{
	size_t split;

	if (n <= sizeof(b->name)) {
		memcpy(b->name, path, n);
		return true;
	}
	if (n > sizeof(b->prefix) + 1 + sizeof(b->name))
		return false;
	split = n - sizeof(b->name) - 1;
	while (split < n - 1 && path[split] != '/')
		split++;
	if (split == 0 || split >= n - 1 || split > sizeof(b->prefix))
		return false;
	memcpy(b->prefix, path, split);
	memcpy(b->name, path + split + 1, n - split - 1);
	return true;
}

static void put_octal(char *field, size_t n, uint64_t value)
{
	field[n - 1] = 0;
	for (size_t i = n - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static void finish_block(struct tar_block *b)
{
	put_octal(b->uid, sizeof(b->uid), 0);
	put_octal(b->gid, sizeof(b->gid), 0);
	put_octal(b->devmajor, sizeof(b->devmajor), 0);
	put_octal(b->devminor, sizeof(b->devminor), 0);
	memcpy(b->magic, "ustar", 6);
	memcpy(b->version, "00", 2);
	put_octal(b->checksum, 7, tar_checksum(b));
	b->checksum[7] = ' ';
}

/* One pax record "LENGTH KEY=VALUE\n", whose length counts its own digits. */
static char *pax_record(const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3;
	size_t length = rest + 1;

	for (;;) {
		size_t exact = rest + (size_t)snprintf(NULL, 0, "%zu", length);

		if (exact == length)
			return str_fmt("%zu %s=%s\n", length, key, value);
		length = exact;
	}
}

/* The pax header block and its padded records. */
static char *pax_blocks(const char *records, size_t *ret_n)
{
	size_t n = strlen(records);
	char *out = mem_alloc(TAR_BLOCK + n + tar_padding(n));
	struct tar_block *b = (struct tar_block *)out;

	memcpy(b->name, "pax_header", 10);
	put_octal(b->mode, sizeof(b->mode), 0644);
	put_octal(b->size, sizeof(b->size), n);
	put_octal(b->mtime, sizeof(b->mtime), 0);
	b->type = 'x';
	finish_block(b);
	memcpy(out + TAR_BLOCK, records, n);
	*ret_n = TAR_BLOCK + n + tar_padding(n);
	return out;
}

static void add_record(char **records, const char *key, const char *value)
{
	cleanup_free char *record = pax_record(key, value);
	char *all = str_fmt("%s%s", *records ? *records : "", record);

	free(*records);
	*records = all;
}

char *tar_header(const struct tar_entry *e, size_t *ret_n, struct error **err)
{
	struct tar_block b = {0};
	cleanup_free char *path = str_fmt("%s%s", e->path, e->directory ? "/" : "");
	cleanup_free char *size = str_fmt("%" PRIu64, e->size);
	cleanup_free char *mtime = str_fmt("%" PRId64, e->mtime);
	cleanup_free char *records = NULL;
	size_t pax_n = 0;
	char *out;

	if (!tar_path_ok(e->path)) {
		error_set(err, ERR_INVALID, "\"%s\" cannot be the path of a tar entry", e->path);
		return NULL;
	}
	if (!fit_path(&b, path, strlen(path))) {
		memcpy(b.name, "long_path", 9);
		add_record(&records, "path", path);
	}
	if (e->size > ustar_max_size)
		add_record(&records, "size", size);
	if (e->mtime < 0 || (uint64_t)e->mtime > ustar_max_size)
		add_record(&records, "mtime", mtime);
	put_octal(b.mode, sizeof(b.mode), e->mode & 07777);
	put_octal(b.size, sizeof(b.size), e->size > ustar_max_size ? 0 : e->size);
	put_octal(b.mtime, sizeof(b.mtime),
		  e->mtime < 0 || (uint64_t)e->mtime > ustar_max_size ? 0 : (uint64_t)e->mtime);
	b.type = e->directory ? '5' : '0';
	finish_block(&b);
	out = records ? pax_blocks(records, &pax_n) : NULL;
	out = mem_realloc(out, pax_n + TAR_BLOCK);
	memcpy(out + pax_n, &b, TAR_BLOCK);
	*ret_n = pax_n + TAR_BLOCK;
	return out;
}
