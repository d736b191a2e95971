/* SPDX-License-Identifier: MIT */
/* What stands between the markers in docs/configuration.md and man/slicer.yaml.5.scd is what the
 * field tables say. SLICER_GOLDEN_UPDATE=1 writes it anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "config/doc.h"

#define DOC SLICER_SOURCE_ROOT "/docs/configuration.md"
#define MAN SLICER_SOURCE_ROOT "/man/slicer.yaml.5.scd"

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

/* `doc` with `text` between the lines `begin` and `end`. */
static char *replace_section(const char *doc, const char *begin, const char *end, const char *text)
{
	const char *from = strstr(doc, begin), *to = from ? strstr(from, end) : NULL;

	assert_non_null(to);
	from += strlen(begin);
	return str_fmt("%.*s\n%s\n%s", (int)(from - doc), doc, text, to);
}

static char *read_text(const char *path)
{
	char *text = NULL;
	size_t n;

	assert_int_equal(fs_read_file(path, 1 << 20, &text, &n, NULL), 0);
	return text;
}

static void check_or_update(const char *path, const char *is, const char *should)
{
	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(path, should, strlen(should), 0644, NULL), 0);
	else
		assert_string_equal(is, should);
}

static void test_tables(void **state)
{
	cleanup_free char *config = print(doc_print_config), *request = print(doc_print_request);
	cleanup_free char *doc = read_text(DOC);
	cleanup_free char *half =
		replace_section(doc, "<!-- begin configuration -->\n", "<!-- end configuration -->", config);
	cleanup_free char *whole = replace_section(half, "<!-- begin request -->\n", "<!-- end request -->", request);

	check_or_update(DOC, doc, whole);
}

static void test_man(void **state)
{
	cleanup_free char *keys = print(doc_print_man), *page = read_text(MAN);
	cleanup_free char *whole = replace_section(page, "; begin configuration\n", "; end configuration", keys);

	check_or_update(MAN, page, whole);
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
		cmocka_unit_test(test_man),
		cmocka_unit_test(test_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
