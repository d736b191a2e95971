/* SPDX-License-Identifier: MIT */
#include <event2/buffer.h>
#include "vmm/lines.h"

static char *lines_take(struct lines *l, size_t *ret_len)
{
	size_t n = evbuffer_get_length(l->partial);
	char *line = mem_alloc(n + 1);

	evbuffer_remove(l->partial, line, n);
	n--; /* the LF */
	if (n && line[n - 1] == '\r')
		n--;
	line[n] = '\0';
	*ret_len = n;
	return line;
}

int lines_next(struct lines *l, struct evbuffer *in, char **ret, size_t *ret_len, struct error **err)
{
	/* Only what is new is searched, so that a peer that sends a byte at a time costs no more
	 * than one that does not. */
	struct evbuffer_ptr end = evbuffer_search(in, "\n", 1, NULL);
	size_t n = end.pos < 0 ? evbuffer_get_length(in) : (size_t)end.pos + 1;

	if (!l->partial)
		l->partial = evbuffer_new();
	if (evbuffer_get_length(l->partial) + n > l->max + (end.pos >= 0))
		return error_set(err, ERR_PROTOCOL, "it sent a line of more than %zu bytes", l->max);
	buffer_move(l->partial, in, n);
	if (end.pos < 0)
		return 0;
	*ret = lines_take(l, ret_len);
	return 1;
}

void lines_clear(struct lines *l)
{
	if (l->partial)
		evbuffer_free(l->partial);
	l->partial = NULL;
}
