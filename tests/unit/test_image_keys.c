/* SPDX-License-Identifier: MIT */
/* Which lines of what a server sends are public keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "image/ssh_keys.h"

/* As ssh-keygen makes it: the type as a string, then the rest of the blob. */
static char *key(const char *type, const char *says, size_t rest)
{
	size_t n = strlen(says);
	cleanup_free char *blob = mem_alloc(4 + n + rest), *base64 = NULL;

	blob[3] = (char)n;
	memcpy(blob + 4, says, n);
	memset(blob + 4 + n, 'k', rest);
	base64 = base64_encode(blob, 4 + n + rest);
	return str_fmt("%s %s", type, base64);
}

static void expect(const char *text, const char *want)
{
	cleanup_strv char **keys = ssh_keys_parse(text);
	cleanup_free char *have = keys ? strv_join(keys, "|") : NULL;

	if (!str_eq(have, want))
		fail_msg("%s\ngives %s", text, have ? have : "none");
}

static void test_types(void **state)
{
	static const char *const good[] = {"ssh-ed25519",
					   "ssh-rsa",
					   "ecdsa-sha2-nistp256",
					   "ecdsa-sha2-nistp384",
					   "ecdsa-sha2-nistp521",
					   "sk-ssh-ed25519@openssh.com",
					   "sk-ecdsa-sha2-nistp256@openssh.com"};
	static const char *const bad[] = {"ssh-dss", "ssh-ed25519-cert-v01@openssh.com", "SSH-RSA", "ssh-rsa2", "x"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		cleanup_free char *one = key(good[i], good[i], 32);

		expect(one, one);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *one = key(bad[i], bad[i], 32);

		expect(one, NULL);
	}
}

static void test_lines(void **state)
{
	cleanup_free char *a = key("ssh-ed25519", "ssh-ed25519", 32), *b = key("ssh-rsa", "ssh-rsa", 256);
	cleanup_free char *both = str_fmt("%s|%s", a, b);
	cleanup_free char *text =
		str_fmt("<html>\n\n# no\n  %s  me@host and more\r\n%s\n%s other comment\n\t%s\nssh-rsa\n", a, b, a, b);

	expect(text, both);
	expect("", NULL);
	expect("\n\n", NULL);
	expect("ssh-rsa AAAA", NULL);
	expect("ssh-rsa !!!!", NULL);
	expect("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n", NULL);
}

static void test_hostile(void **state)
{
	cleanup_free char *a = key("ssh-ed25519", "ssh-ed25519", 32), *lies = key("ssh-ed25519", "ssh-rsa", 32);
	cleanup_free char *empty = key("ssh-rsa", "ssh-rsa", 0), *huge = key("ssh-rsa", "ssh-rsa", SSH_KEY_LINE_MAX);
	cleanup_free char *options = str_fmt("command=\"evil\" %s", a), *escape = str_fmt("%s \x1b[2J", a);
	cleanup_free char *control = str_fmt("%s a\rssh-rsa b", a), *latin = str_fmt("%s \xe4", a);

	expect(lies, NULL);
	expect(empty, NULL);
	expect(huge, NULL);
	expect(options, NULL); /* nothing that sshd would obey */
	expect(escape, NULL);
	expect(control, NULL);
	expect(latin, NULL);
}

static void test_limit(void **state)
{
	cleanup_strv char **many = NULL, **keys = NULL;
	cleanup_free char *text = NULL;

	for (size_t i = 0; i < SSH_KEYS_MAX + 10; i++)
		strv_append_take(&many, key("ssh-rsa", "ssh-rsa", i + 1));
	text = strv_join(many, "\n");
	keys = ssh_keys_parse(text);
	assert_int_equal(strv_len(keys), SSH_KEYS_MAX);
	assert_string_equal(keys[SSH_KEYS_MAX - 1], many[SSH_KEYS_MAX - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
