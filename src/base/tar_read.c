/* SPDX-License-Identifier: MIT */
#include "base/tar.h"

#include "base/str.h"
#include "base/tar_format.h"

enum state { STATE_HEADER, STATE_EXTENDED, STATE_CONTENT, STATE_SKIP, STATE_PADDING, STATE_END };

struct tar_reader {
	const struct tar_events *events;
	struct tar_limits limits;
	void *arg;
	enum state state;
	union {
		struct tar_block block;
		char bytes[TAR_BLOCK];
	} head;
	size_t head_n;
	bool zero_seen;	    /* one block of zeros; a second one ends the archive */
	uint64_t remaining; /* bytes of content, of an extended header, or to skip */
	size_t padding;	    /* zeros behind them */
	char extended_type; /* 'x', 'g', 'L' or 'K' */
	char *extended;	    /* what has come of it */
	size_t extended_n;
	char *next_path; /* what extended headers say about the next entry; NULL: nothing */
	uint64_t next_size;
	int64_t next_mtime;
	bool has_size, has_mtime;
	uint64_t entries, total;
};

struct tar_reader *tar_reader_new(const struct tar_events *events, const struct tar_limits *limits, void *arg)
{
	struct tar_reader *r = NEW(struct tar_reader);

	r->events = events;
	r->arg = arg;
	if (limits)
		r->limits = *limits;
	return r;
}

void tar_reader_free(struct tar_reader **r)
{
	if (!*r)
		return;
	free((*r)->extended);
	free((*r)->next_path);
	free(*r);
	*r = NULL;
}

static int bad(struct error **err, const char *what)
{
	return error_set(err, ERR_INVALID, "not a valid tar archive: %s", what);
}

/* Octal digits, led by spaces and ended by space, NUL or the field; or GNU's base 256 with the top bit set. */
static int read_number(const char *field, size_t n, uint64_t *ret, struct error **err)
{
	uint64_t value = 0;
	size_t i = 0;

	if ((unsigned char)field[0] & 0x80) {
		if ((unsigned char)field[0] != 0x80)
			return bad(err, "a number is negative or too large");
		for (i = 1; i < n; i++) {
			if (value >> 55)
				return bad(err, "a number is too large");
			value = value << 8 | (unsigned char)field[i];
		}
		*ret = value;
		return 0;
	}
	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0'); /* at most 12 digits: 36 bits */
	for (; i < n; i++)
		if (field[i] != ' ' && field[i] != 0)
			return bad(err, "a number is not octal");
	*ret = value;
	return 0;
}

static int check_block(const struct tar_block *b, struct error **err)
{
	uint64_t sum = 0;

	if (memcmp(b->magic, "ustar", 5) != 0 || (b->magic[5] != 0 && b->magic[5] != ' '))
		return bad(err, "a header lacks the mark \"ustar\"");
	if (read_number(b->checksum, sizeof(b->checksum), &sum, err))
		return -1;
	if (sum != tar_checksum(b))
		return bad(err, "a header's checksum is wrong");
	return 0;
}

/* Drops leading "./" and a slash at the end; NULL with no error set when nothing is left: the root itself. */
static int clean_path(const char *raw, char **ret, struct error **err)
{
	cleanup_free char *copy = NULL;
	size_t n;

	while (raw[0] == '.' && raw[1] == '/')
		raw += 2;
	if (!*raw || str_eq(raw, "."))
		return 0;
	copy = str_dup(raw);
	n = strlen(copy);
	if (n > 1 && copy[n - 1] == '/')
		copy[n - 1] = 0;
	if (!tar_path_ok(copy)) {
		cleanup_free char *shown = str_escape(copy, strnlen(copy, 200));

		return error_set(err, ERR_INVALID, "not a valid tar archive: entry path \"%s\" is not allowed", shown);
	}
	*ret = TAKE_PTR(copy);
	return 0;
}

static char *block_path(const struct tar_block *b)
{
	cleanup_free char *name = str_ndup(b->name, strnlen(b->name, sizeof(b->name)));
	cleanup_free char *prefix = str_ndup(b->prefix, strnlen(b->prefix, sizeof(b->prefix)));

	/* GNU's old format has other fields where POSIX has the prefix. */
	if (!*prefix || b->magic[5] == ' ')
		return TAKE_PTR(name);
	return str_fmt("%s/%s", prefix, name);
}

static void forget_extended(struct tar_reader *r)
{
	free(r->next_path);
	r->next_path = NULL;
	r->has_size = r->has_mtime = false;
}

static void begin_content(struct tar_reader *r, uint64_t size, enum state state)
{
	r->remaining = size;
	r->padding = tar_padding(size);
	r->state = state;
}

static int begin_extended(struct tar_reader *r, char type, uint64_t size, struct error **err)
{
	if (size > TAR_MAX_PAX)
		return error_set(err, ERR_TOO_LARGE, "an extended tar header of %llu bytes is over the limit of %d",
				 (unsigned long long)size, TAR_MAX_PAX);
	free(r->extended);
	r->extended = mem_alloc((size_t)size + 1);
	r->extended_n = 0;
	r->extended_type = type;
	begin_content(r, size, STATE_EXTENDED);
	return 0;
}

static int count_entry(struct tar_reader *r, uint64_t size, struct error **err)
{
	r->entries++;
	if (r->limits.max_entries && r->entries > r->limits.max_entries)
		return error_set(err, ERR_TOO_LARGE, "the archive has more than %llu entries",
				 (unsigned long long)r->limits.max_entries);
	if (r->limits.max_total && size > r->limits.max_total - r->total)
		return error_set(err, ERR_TOO_LARGE, "the archive holds more than %llu bytes",
				 (unsigned long long)r->limits.max_total);
	r->total += size;
	return 0;
}

static int end_entry(struct tar_reader *r, struct error **err)
{
	r->state = r->padding ? STATE_PADDING : STATE_HEADER;
	return r->events->on_entry_end(r->arg, err);
}

static int begin_entry(struct tar_reader *r, bool directory, uint64_t size, struct error **err)
{
	const struct tar_block *b = &r->head.block;
	cleanup_free char *raw = r->next_path ? TAKE_PTR(r->next_path) : block_path(b);
	cleanup_free char *path = NULL;
	uint64_t mode = 0, mtime = 0;
	struct tar_entry e = {.directory = directory, .size = directory ? 0 : size};

	/* Archives older than POSIX mark a directory by the slash alone. */
	if (!directory && size == 0 && str_ends(raw, "/"))
		directory = e.directory = true;
	if (read_number(b->mode, sizeof(b->mode), &mode, err) || read_number(b->mtime, sizeof(b->mtime), &mtime, err) ||
	    clean_path(raw, &path, err))
		return -1;
	e.path = path;
	e.mode = mode & 0777;
	e.mtime = r->has_mtime ? r->next_mtime : mtime > INT64_MAX ? 0 : (int64_t)mtime;
	forget_extended(r);
	if (count_entry(r, e.size, err))
		return -1;
	if (!path && !directory)
		return bad(err, "a file has no name");
	begin_content(r, e.size, path ? STATE_CONTENT : STATE_HEADER);
	if (path && r->events->on_entry(r->arg, &e, err))
		return -1;
	return path && e.size == 0 ? end_entry(r, err) : 0;
}

static int skip_entry(struct tar_reader *r, uint64_t size, struct error **err)
{
	forget_extended(r);
	begin_content(r, size, STATE_SKIP);
	return count_entry(r, 0, err);
}

static int begin_by_type(struct tar_reader *r, uint64_t size, struct error **err)
{
	char type = r->head.block.type;

	switch (type) {
	case 0:
	case '0':
	case '7':
		return begin_entry(r, false, size, err);
	case '5':
		return begin_entry(r, true, 0, err);
	case '1': /* links, devices, FIFOs: a header without content, whatever their size says */
	case '2':
	case '3':
	case '4':
	case '6':
		return skip_entry(r, 0, err);
	case 'x':
	case 'g':
	case 'L':
	case 'K':
		return begin_extended(r, type, size, err);
	case 'S':
		return bad(err, "sparse files are not supported; create it without sparse files");
	default:
		return skip_entry(r, size, err);
	}
}

static int on_header(struct tar_reader *r, struct error **err)
{
	static const char zeros[TAR_BLOCK];
	uint64_t size = 0;
	bool is_extended = strchr("xgLK", r->head.block.type) && r->head.block.type;

	r->head_n = 0;
	if (!memcmp(r->head.bytes, zeros, TAR_BLOCK)) {
		r->state = r->zero_seen ? STATE_END : STATE_HEADER;
		r->zero_seen = true;
		return 0;
	}
	if (r->zero_seen)
		return bad(err, "a single block of zeros in its middle");
	if (check_block(&r->head.block, err) || read_number(r->head.block.size, sizeof(r->head.block.size), &size, err))
		return -1;
	if (r->has_size && !is_extended)
		size = r->next_size;
	if (size > INT64_MAX)
		return bad(err, "a size is too large");
	return begin_by_type(r, size, err);
}

/* Seconds with an optional fraction and sign, as pax writes times; the fraction is dropped. */
static int read_pax_time(const char *value, int64_t *ret, struct error **err)
{
	cleanup_free char *whole = str_ndup(value, strcspn(value, "."));
	bool negative = whole[0] == '-';
	uint64_t seconds = 0;

	if (str_to_u64(whole + negative, 0, INT64_MAX / 2, "mtime", &seconds, NULL))
		return bad(err, "a time is not a number");
	*ret = negative ? -(int64_t)seconds : (int64_t)seconds;
	return 0;
}

static int on_pax_record(struct tar_reader *r, const char *key, const char *value, struct error **err)
{
	if (str_eq(key, "path")) {
		free(r->next_path);
		r->next_path = str_dup(value);
	} else if (str_eq(key, "size")) {
		if (str_to_u64(value, 0, INT64_MAX, "size", &r->next_size, NULL))
			return bad(err, "a size is not a number");
		r->has_size = true;
	} else if (str_eq(key, "mtime")) {
		r->has_mtime = true;
		return read_pax_time(value, &r->next_mtime, err);
	} else if (str_starts(key, "GNU.sparse.")) {
		return bad(err, "sparse files are not supported; create it without sparse files");
	}
	return 0;
}

/* Cuts the record at `at` ("LENGTH KEY=VALUE\n") out of n bytes; returns its length, 0 with *err set. */
static size_t cut_record(char *at, size_t n, char **ret_key, char **ret_value, struct error **err)
{
	size_t digits = strspn(at, "0123456789");
	size_t length = 0;
	char *equals;

	for (size_t i = 0; i < digits && length <= n; i++)
		length = length * 10 + (size_t)(at[i] - '0');
	if (digits == 0 || at[digits] != ' ' || length > n || length < digits + 3 || at[length - 1] != '\n') {
		bad(err, "a malformed pax record");
		return 0;
	}
	at[length - 1] = 0;
	*ret_key = at + digits + 1;
	equals = strchr(*ret_key, '=');
	if (!equals || equals == *ret_key) {
		bad(err, "a malformed pax record");
		return 0;
	}
	*equals = 0;
	*ret_value = equals + 1;
	/* A NUL may be in binary values of keys that nobody reads here, never in these. */
	if (strlen(*ret_value) != (size_t)(at + length - 1 - *ret_value) &&
	    (str_eq(*ret_key, "path") || str_eq(*ret_key, "size") || str_eq(*ret_key, "mtime"))) {
		bad(err, "a NUL byte in a pax record");
		return 0;
	}
	return length;
}

static int on_extended(struct tar_reader *r, struct error **err)
{
	size_t at = 0;

	r->state = r->padding ? STATE_PADDING : STATE_HEADER;
	if (r->extended_type == 'L') {
		free(r->next_path);
		r->next_path = str_dup(r->extended); /* ended by a NUL */
		return 0;
	}
	/* 'K' names a link's target, 'g' holds defaults (comments in practice): neither says anything about a file. */
	if (r->extended_type != 'x')
		return 0;
	while (at < r->extended_n) {
		char *key = NULL, *value = NULL;
		size_t length = cut_record(r->extended + at, r->extended_n - at, &key, &value, err);

		if (length == 0 || on_pax_record(r, key, value, err))
			return -1;
		at += length;
	}
	return 0;
}

static int take_content(struct tar_reader *r, const char *data, size_t n, struct error **err)
{
	r->remaining -= n;
	switch (r->state) {
	case STATE_EXTENDED:
		memcpy(r->extended + r->extended_n, data, n);
		r->extended_n += n;
		return r->remaining ? 0 : on_extended(r, err);
	case STATE_CONTENT:
		if (n && r->events->on_data(r->arg, data, n, err))
			return -1;
		return r->remaining ? 0 : end_entry(r, err);
	default:
		if (!r->remaining)
			r->state = r->padding ? STATE_PADDING : STATE_HEADER;
		return 0;
	}
}

static int take_header(struct tar_reader *r, const char *data, size_t n, struct error **err)
{
	memcpy(r->head.bytes + r->head_n, data, n);
	r->head_n += n;
	return r->head_n == TAR_BLOCK ? on_header(r, err) : 0;
}

/* How many of the next bytes the present state takes at most. */
static uint64_t wanted(const struct tar_reader *r)
{
	switch (r->state) {
	case STATE_HEADER:
		return TAR_BLOCK - r->head_n;
	case STATE_PADDING:
		return r->padding;
	case STATE_END:
		return UINT64_MAX;
	default:
		return r->remaining;
	}
}

int tar_reader_feed(struct tar_reader *r, const void *data, size_t n, struct error **err)
{
	const char *at = data;

	/* States that want nothing (an empty extended header) are left before more bytes are looked at. */
	while (n > 0 || (wanted(r) == 0 && r->state != STATE_HEADER)) {
		uint64_t want = wanted(r);
		size_t take = n < want ? n : (size_t)want;
		int rc = 0;

		if (r->state == STATE_HEADER) {
			rc = take_header(r, at, take, err);
		} else if (r->state == STATE_PADDING) {
			r->padding -= take;
			if (!r->padding)
				r->state = STATE_HEADER;
		} else if (r->state != STATE_END) { /* what follows the end is the filling of the last record */
			rc = take_content(r, at, take, err);
		}
		if (rc)
			return -1;
		at += take;
		n -= take;
	}
	return 0;
}

int tar_reader_finish(struct tar_reader *r, struct error **err)
{
	return r->state == STATE_END ? 0 : bad(err, "it is cut short");
}
