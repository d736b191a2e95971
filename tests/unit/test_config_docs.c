/* SPDX-License-Identifier: MIT */
/* The tables in docs/configuration.md, between their markers, are those of the field tables.
 * SLICER_GOLDEN_UPDATE=1 writes them anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "config/doc.h"

#define DOC SLICER_SOURCE_ROOT "/docs/configuration.md"

static char *print(void (*fn)(FILE *out))
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	fn(out);
	fclose(out);
	return text;
}

/* Replaces what stands between <!-- begin NAME --> and <!-- end NAME -->. */
static char *replace_section(const char *doc, const char *name, const char *text)
{
	cleanup_free char *begin = str_fmt("<!-- begin %s -->\n", name),
			  *end = str_fmt("<!-- end %s -->", name);
	const char *from = strstr(doc, begin), *to = from ? strstr(from, end) : NULL;

	assert_non_null(to);
	from += strlen(begin);
	return str_fmt("%.*s\n%s\n%s", (int)(from - doc), doc, text, to);
}

static void test_tables(void **state)
{
	cleanup_free char *config = print(doc_print_config), *request = print(doc_print_request);
	cleanup_free char *doc = NULL;
	size_t n;

	assert_int_equal(fs_read_file(DOC, 1 << 20, &doc, &n, NULL), 0);
	cleanup_free char *half = replace_section(doc, "configuration", config);
	cleanup_free char *whole = replace_section(half, "request", request);
	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(DOC, whole, strlen(whole), 0644, NULL), 0);
	else
		assert_string_equal(doc, whole);
}

static void test_content(void **state)
{
	cleanup_free char *config = print(doc_print_config);

	assert_non_null(strstr(config, "| `ram_gb` | 1–16384 GiB | 4 (slots: 1) |"));
	assert_non_null(strstr(config, "`qemu`, `firecracker`†"));
	assert_null(strstr(config, "fake"));
	assert_null(strstr(config, "zvol"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tables),
	    cmocka_unit_test(test_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
