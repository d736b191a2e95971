/* SPDX-License-Identifier: MIT */
#include "image/ssh_keys.h"

#include "base/str.h"

static const char *const types[] = {
	"ssh-ed25519",
	"ssh-rsa",
	"ecdsa-sha2-nistp256",
	"ecdsa-sha2-nistp384",
	"ecdsa-sha2-nistp521",
	"sk-ssh-ed25519@openssh.com",
	"sk-ecdsa-sha2-nistp256@openssh.com",
};

/* The blob begins with its type as a string: four bytes of length, network order, then the bytes. Something must follow. */
static bool blob_is_of(const char *base64, const char *type)
{
	cleanup_free unsigned char *blob = NULL;
	size_t n, want = strlen(type);

	if (base64_decode(base64, strlen(base64), &blob, &n, NULL) < 0 || n <= 4 + want)
		return false;
	return blob[0] == 0 && blob[1] == 0 && blob[2] == 0 && blob[3] == want && memcmp(blob + 4, type, want) == 0;
}

/* "TYPE BASE64"; the caller's. NULL when the line is not a key. */
static char *key_of(char *line)
{
	char *rest, *type, *base64;

	for (const char *c = line; *c; c++)
		if ((*c < ' ' && *c != '\t') || *c > '~')
			return NULL;
	type = strtok_r(line, " \t", &rest);
	base64 = type ? strtok_r(NULL, " \t", &rest) : NULL;
	for (size_t i = 0; base64 && i < ARRAY_LEN(types); i++)
		if (str_eq(type, types[i]) && blob_is_of(base64, type))
			return str_fmt("%s %s", type, base64);
	return NULL;
}

char **ssh_keys_parse(const char *text)
{
	char **keys = NULL;

	while (*text && strv_len(keys) < SSH_KEYS_MAX) {
		size_t n = strcspn(text, "\n");
		cleanup_free char *line = n <= SSH_KEY_LINE_MAX ? str_ndup(text, n) : str_dup("");
		cleanup_free char *key = key_of(str_trim(line));

		if (key && !strv_contains(keys, key))
			strv_append(&keys, key);
		text += n + (text[n] == '\n');
	}
	return keys;
}
