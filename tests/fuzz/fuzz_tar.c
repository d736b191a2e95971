/* SPDX-License-Identifier: MIT */
/* The tar reader: whatever comes, and however it is cut, the events are the same and the paths are clean. */
#include "base/str.h"
#include "base/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t entries, bytes, open, declared;
};

static int on_entry(void *arg, const struct tar_entry *e, struct error **err)
{
	struct seen *s = arg;

	if (!tar_path_ok(e->path) || e->mode & ~(mode_t)0777 || s->open)
		abort();
	s->entries++;
	s->open = 1;
	s->declared = e->size;
	return 0;
}

static int on_data(void *arg, const void *data, size_t n, struct error **err)
{
	struct seen *s = arg;

	if (!s->open || n > s->declared)
		abort();
	s->declared -= n;
	s->bytes += n;
	return 0;
}

static int on_entry_end(void *arg, struct error **err)
{
	struct seen *s = arg;

	if (!s->open || s->declared)
		abort();
	s->open = 0;
	return 0;
}

static int read_in_steps(const uint8_t *data, size_t size, size_t step, struct seen *seen)
{
	static const struct tar_events events = {on_entry, on_data, on_entry_end};
	const struct tar_limits limits = {.max_entries = 1000, .max_total = 1 << 20};
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(&events, &limits, seen);

	for (size_t at = 0; at < size; at += step)
		if (tar_reader_feed(r, data + at, size - at < step ? size - at : step, NULL))
			return -1;
	return tar_reader_finish(r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, cut = {0};
	int a = read_in_steps(data, size, size ? size : 1, &whole);
	int b = read_in_steps(data, size, 97, &cut);

	if (a != b || whole.entries != cut.entries || (!a && whole.bytes != cut.bytes))
		abort();
	return 0;
}
