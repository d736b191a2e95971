/* SPDX-License-Identifier: MIT */
/* What a server sends as somebody's public keys. */
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "image/ssh_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = str_ndup((const char *)data, size);
	cleanup_strv char **keys = ssh_keys_parse(text), **again = NULL;
	cleanup_free char *joined = keys ? strv_join(keys, "\n") : NULL;

	require(strv_len(keys) <= SSH_KEYS_MAX);
	for (size_t i = 0; i < strv_len(keys); i++)
		for (const char *c = keys[i]; *c; c++)
			require(*c >= ' ' && *c <= '~');
	if (!joined)
		return 0;
	/* What was taken is taken again, as it is. */
	again = ssh_keys_parse(joined);
	require(strv_len(again) == strv_len(keys));
	for (size_t i = 0; i < strv_len(keys); i++)
		require(str_eq(again[i], keys[i]));
	return 0;
}
