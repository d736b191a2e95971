/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include "base/str.h"
#include "agent/shell_frame.h"

enum { MAX_CELLS = 65535 };

static uint32_t get_u32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

void shell_frame_header(unsigned type, uint32_t length, unsigned char ret[SHELL_HEADER])
{
	uint32_t be = htobe32(length);

	ret[0] = (unsigned char)type;
	memcpy(ret + 1, &be, sizeof(be));
}

static void end_of_frame(struct shell_reader *r, struct shell_event *ret)
{
	uint32_t length = get_u32(r->header + 1);
	unsigned type = r->header[0];

	r->in_payload = false;
	r->have = 0;
	if (type == SHELL_WINDOW_SIZE) {
		uint32_t columns = get_u32(r->small), rows = get_u32(r->small + 4);

		if (length != sizeof(r->small) || columns > MAX_CELLS || rows > MAX_CELLS)
			return;
		ret->columns = columns;
		ret->rows = rows;
	}
	if (type != SHELL_DATA && type >= SHELL_WINDOW_SIZE && type <= SHELL_SESSION_CLOSE)
		ret->type = type;
}

static size_t take_header(struct shell_reader *r, const unsigned char *data, size_t n)
{
	size_t take = n < SHELL_HEADER - r->have ? n : SHELL_HEADER - r->have;

	memcpy(r->header + r->have, data, take);
	r->have += take;
	return take;
}

static size_t take_payload(struct shell_reader *r, const unsigned char *data, size_t n, struct shell_event *ret)
{
	size_t take = n < r->left ? n : r->left;

	r->left -= (uint32_t)take;
	if (r->header[0] == SHELL_DATA) {
		*ret = (struct shell_event){.type = SHELL_DATA, .data = data, .n = take};
		return take;
	}
	for (size_t i = 0; i < take && r->have < sizeof(r->small); i++)
		r->small[r->have++] = data[i];
	return take;
}

ssize_t shell_reader_push(struct shell_reader *r, const void *data, size_t n, struct shell_event *ret,
			  struct error **err)
{
	const unsigned char *p = data;
	size_t used = 0;

	*ret = (struct shell_event){0};
	while (used < n && ret->type == 0) {
		if (r->in_payload) {
			used += take_payload(r, p + used, n - used, ret);
		} else {
			used += take_header(r, p + used, n - used);
			if (r->have < SHELL_HEADER)
				break;
			r->left = get_u32(r->header + 1);
			if (r->left > SHELL_MAX_PAYLOAD)
				return error_set(err, ERR_PROTOCOL, "shell frame over %d bytes", SHELL_MAX_PAYLOAD);
			r->in_payload = true;
			r->have = 0;
		}
		if (r->in_payload && r->left == 0)
			end_of_frame(r, ret);
	}
	return (ssize_t)used;
}
