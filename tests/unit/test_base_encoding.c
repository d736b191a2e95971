/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"

static void test_hex(void **state)
{
	cleanup_free char *text = hex_encode("\x00\xff\x1a", 3), *none = hex_encode(NULL, 0);
	unsigned char out[3] = {9, 9, 9};

	assert_string_equal(text, "00ff1a");
	assert_string_equal(none, "");
	assert_int_equal(hex_decode("00FF1a", out, 3), 0);
	assert_memory_equal(out, "\x00\xff\x1a", 3);
	assert_int_equal(hex_decode("", out, 0), 0);
}

static void test_hex_refuses(void **state)
{
	static const char *const bad[] = {"",	    "0",      "00ff1",	"00ff1a0", "00ff1a00",
					  "00ff1g", "0x00ff", " 0ff1a", "00ff1a\n"};
	unsigned char out[3] = {9, 9, 9};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(hex_decode(bad[i], out, 3), -1);
	assert_memory_equal(out, "\x09\x09\x09", 3);
}

/* RFC 4648 §10. */
static const struct {
	const char *plain, *encoded, *url;
} vectors[] = {
	{"", "", ""},
	{"f", "Zg==", "Zg"},
	{"fo", "Zm8=", "Zm8"},
	{"foo", "Zm9v", "Zm9v"},
	{"foob", "Zm9vYg==", "Zm9vYg"},
	{"fooba", "Zm9vYmE=", "Zm9vYmE"},
	{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	{"\xfb\xff\xfe", "+//+", "-__-"},
};

static void test_base64(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		size_t n = strlen(vectors[i].plain), len = 99;
		cleanup_free char *text = base64_encode(vectors[i].plain, n);
		cleanup_free char *url = base64url_encode(vectors[i].plain, n);
		cleanup_free unsigned char *back = NULL;

		assert_string_equal(text, vectors[i].encoded);
		assert_string_equal(url, vectors[i].url);
		assert_int_equal(base64_decode(text, strlen(text), &back, &len, NULL), 0);
		assert_int_equal(len, n);
		assert_memory_equal(back, vectors[i].plain, n);
	}
}

static void test_base64_is_strict(void **state)
{
	static const char *const bad[] = {
		"Zg",	    "Zg=",	"Zg===",   "Z===",  "====",	"=",	"Z=g=",
		"Zg==Zg==", "Zm8 ",	"Zm9v\n",  "Zm\n9", "Zm9v Zm9", "-__-", "Zh==", /* unused bits set */
		"Zm9=",	    "Zm9vYmF=", "Zm9\x80",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *err = NULL;
		unsigned char *out = NULL;
		size_t len = 99;

		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &out, &len, &err), -1);
		assert_int_equal(err->code, ERR_INVALID);
		assert_null(out);
		assert_int_equal(len, 99);
	}
	assert_int_equal(base64_decode("Zm9\0", 4, &(unsigned char *){NULL}, &(size_t){0}, NULL), -1);
}

/* FIPS 180-4 examples, and lengths around the padding's edges (from sha256sum). */
static void test_sha256(void **state)
{
	static const struct {
		size_t n;
		const char *digest;
	} letters[] = {
		{0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
		{56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
		{63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
		{64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
		{1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
	};
	cleanup_free char *abc = sha256_hex("abc", 3);
	cleanup_free char *a = mem_alloc(1000000);

	assert_string_equal(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(a, 'a', 1000000);
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		cleanup_free char *digest = sha256_hex(letters[i].n ? a : NULL, letters[i].n);

		assert_string_equal(digest, letters[i].digest);
	}
}

static void test_random_and_compare(void **state)
{
	unsigned char a[300] = {0}, b[300] = {0};

	assert_int_equal(random_bytes(a, sizeof(a), NULL), 0);
	assert_int_equal(random_bytes(b, sizeof(b), NULL), 0);
	assert_false(bytes_equal_ct(a, b, sizeof(a)));
	assert_true(bytes_equal_ct(a, a, sizeof(a)));
	assert_true(bytes_equal_ct(a, b, 0));
	memcpy(b, a, sizeof(a));
	b[299] ^= 0x80;
	assert_false(bytes_equal_ct(a, b, sizeof(a)));
	mem_wipe(a, sizeof(a));
	memset(b, 0, sizeof(b));
	assert_memory_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),    cmocka_unit_test(test_hex_refuses),
		cmocka_unit_test(test_base64), cmocka_unit_test(test_base64_is_strict),
		cmocka_unit_test(test_sha256), cmocka_unit_test(test_random_and_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
