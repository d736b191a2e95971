/* SPDX-License-Identifier: MIT */
/* What the agent parses: frames of /shell (the same however they are cut), the config disk, passwd and group. */
#include <string.h>
#include "agent/config.h"
#include "agent/forward_dial.h"
#include "agent/shell_frame.h"
#include "agent/users.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sum over what the frames say, not over their pieces. */
static uint64_t read_frames(const uint8_t *data, size_t size, size_t piece)
{
	struct shell_reader r = {0};
	uint64_t sum = 0;

	for (size_t at = 0; at < size;) {
		struct shell_event e;
		size_t n = size - at < piece ? size - at : piece;
		ssize_t used = shell_reader_push(&r, data + at, n, &e, NULL);

		if (used < 0)
			return sum * 31 + 7;
		if (used == 0 || (size_t)used > n || e.n > (size_t)used || e.columns > 65535 || e.rows > 65535)
			abort();
		at += (size_t)used;
		if (e.type == SHELL_DATA)
			for (size_t i = 0; i < e.n; i++)
				sum = sum * 31 + ((const uint8_t *)e.data)[i];
		else if (e.type)
			sum = sum * 31 + e.type + e.columns * 3 + e.rows * 5;
	}
	return sum;
}

static void read_users(const char *text)
{
	cleanup_user struct user *u = users_parse_default(text);
	struct user *root = users_parse_uid(text, 0);

	user_free(&root);
	if (!u || !u->name || !u->home || !u->shell)
		abort();
	users_parse_groups(text, u);
	if (u->ngroups > USERS_MAX_GROUPS)
		abort();
}

static void read_upstream(const char *text)
{
	struct upstream u;

	if (upstream_parse(text, &u, NULL) == 0 && (!u.host == !u.path || (u.host && !u.port)))
		abort();
	upstream_clear(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = str_ndup((const char *)data, size);
	struct guest_config *config = guest_config_parse((const char *)data, size, NULL);
	uint64_t whole = read_frames(data, size, size ? size : 1);

	guest_config_free(&config);
	if (read_frames(data, size, 1) != whole || read_frames(data, size, 6) != whole)
		abort();
	read_users(text);
	read_upstream(text);
	return 0;
}
