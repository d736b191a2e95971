/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/vmlinux.h"

#define KERNEL_SIZE 100000
#define IMAGE_SIZE (2 * KERNEL_SIZE)
#define PAYLOAD_AT 1024 /* one setup sector */

struct bzimage {
	unsigned char bytes[IMAGE_SIZE];
	size_t n;
};

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static void fill_kernel(unsigned char *kernel)
{
	for (size_t i = 0; i < KERNEL_SIZE; i++)
		kernel[i] = (unsigned char)(i * i >> 5);
	memcpy(kernel, "\177ELF", 4);
}

static size_t compress_kernel(const char *filter, const unsigned char *kernel, unsigned char *out)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	archive_write_set_format_raw(a);
	assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
	archive_write_set_bytes_per_block(a, 0);
	assert_int_equal(archive_write_open_memory(a, out, IMAGE_SIZE - PAYLOAD_AT - 4, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_pathname(entry, "kernel");
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, kernel, KERNEL_SIZE), KERNEL_SIZE);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(entry);
	archive_write_free(a);
	return used;
}

static void make_bzimage(struct bzimage *image, const char *filter, const unsigned char *kernel)
{
	memset(image, 0, sizeof(*image));
	memcpy(image->bytes + 0x202, "HdrS\x0f\x02", 6);
	image->bytes[0x1f1] = 1;
	size_t n = compress_kernel(filter, kernel, image->bytes + PAYLOAD_AT);
	if (!str_eq(filter, "gzip")) {
		put32(image->bytes + PAYLOAD_AT + n, KERNEL_SIZE);
		n += 4;
	}
	put32(image->bytes + 0x248, 0);
	put32(image->bytes + 0x24c, (uint32_t)n);
	image->n = PAYLOAD_AT + n + 100; /* the signature follows the payload */
}

static int extract(const struct bzimage *image, char **ret, size_t *ret_len, struct error **err)
{
	char from[] = "/tmp/test-bzimage-XXXXXX", to[] = "/tmp/test-vmlinux-XXXXXX";
	cleanup_close int in = mkstemp(from);
	cleanup_close int out = mkstemp(to);

	assert_true(in >= 0 && out >= 0);
	assert_int_equal(fd_write_all(in, image->bytes, image->n, NULL), 0);
	int r = vmlinux_extract(from, to, err);
	if (r == 0)
		assert_int_equal(fs_read_file(to, IMAGE_SIZE, ret, ret_len, NULL), 0);
	unlink(from);
	unlink(to);
	return r;
}

static void every_compression_of_linux(void **state)
{
	static const char *const filters[] = {"gzip", "xz", "zstd", "lz4", "bzip2", "lzma"};
	cleanup_free struct bzimage *image = NEW(struct bzimage);
	cleanup_free unsigned char *kernel = mem_alloc(KERNEL_SIZE);

	fill_kernel(kernel);
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		cleanup_free char *text = NULL;
		cleanup_error struct error *err = NULL;
		size_t n = 0;
		make_bzimage(image, filters[i], kernel);
		if (extract(image, &text, &n, &err) < 0)
			fail_msg("%s: %s", filters[i], error_message(err));
		assert_int_equal(n, KERNEL_SIZE);
		assert_memory_equal(text, kernel, KERNEL_SIZE);
	}
}

static void an_elf_kernel_is_copied(void **state)
{
	cleanup_free struct bzimage *image = NEW(struct bzimage);
	cleanup_free char *text = NULL;
	size_t n = 0;

	fill_kernel(image->bytes);
	image->n = KERNEL_SIZE;
	assert_int_equal(extract(image, &text, &n, NULL), 0);
	assert_int_equal(n, KERNEL_SIZE);
	assert_memory_equal(text, image->bytes, n);
}

static void assert_refused(const struct bzimage *image, enum error_code code)
{
	cleanup_free char *text = NULL;
	cleanup_error struct error *err = NULL;
	size_t n = 0;

	assert_int_equal(extract(image, &text, &n, &err), -1);
	assert_int_equal(err->code, code);
}

static void damaged_images_are_refused(void **state)
{
	cleanup_free struct bzimage *good = NEW(struct bzimage);
	cleanup_free struct bzimage *bad = NEW(struct bzimage);
	cleanup_free unsigned char *kernel = mem_alloc(KERNEL_SIZE);

	fill_kernel(kernel);
	make_bzimage(good, "xz", kernel);

	*bad = *good;
	bad->n = 0x24f; /* ends within the header */
	assert_refused(bad, ERR_INVALID);
	*bad = *good;
	bad->bytes[0x202] = 'h';
	assert_refused(bad, ERR_INVALID);
	*bad = *good;
	bad->bytes[0x206] = 7;
	assert_refused(bad, ERR_UNSUPPORTED);
	*bad = *good;
	put32(bad->bytes + 0x248, UINT32_MAX);
	assert_refused(bad, ERR_INVALID);
	*bad = *good;
	put32(bad->bytes + 0x24c, UINT32_MAX);
	assert_refused(bad, ERR_INVALID);
	*bad = *good;
	put32(bad->bytes + 0x24c, 3);
	assert_refused(bad, ERR_INVALID);
	*bad = *good;
	memset(bad->bytes + PAYLOAD_AT + 20, 0xee, 200); /* not xz any more inside */
	assert_refused(bad, ERR_IO);
}

static void sizes_must_agree(void **state)
{
	cleanup_free struct bzimage *image = NEW(struct bzimage);
	cleanup_free unsigned char *kernel = mem_alloc(KERNEL_SIZE);
	unsigned char *size;

	fill_kernel(kernel);
	make_bzimage(image, "xz", kernel);
	size = image->bytes + image->n - 100 - 4;
	put32(size, KERNEL_SIZE + 1);
	assert_refused(image, ERR_INVALID);
	put32(size, KERNEL_SIZE - 1); /* a claim that the data outgrows */
	assert_refused(image, ERR_TOO_LARGE);
	put32(size, UINT32_MAX);
	assert_refused(image, ERR_TOO_LARGE);
	put32(size, 0);
	assert_refused(image, ERR_TOO_LARGE);
}

static void what_is_inside_must_be_a_kernel(void **state)
{
	cleanup_free struct bzimage *image = NEW(struct bzimage);
	cleanup_free unsigned char *kernel = mem_alloc(KERNEL_SIZE);

	fill_kernel(kernel);
	memcpy(kernel, "GARB", 4);
	make_bzimage(image, "gzip", kernel);
	assert_refused(image, ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_compression_of_linux),	   cmocka_unit_test(an_elf_kernel_is_copied),
		cmocka_unit_test(damaged_images_are_refused),	   cmocka_unit_test(sizes_must_agree),
		cmocka_unit_test(what_is_inside_must_be_a_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
