/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>

#include "base/str.h"
#include "image/import.h"
#include "image/kernel_file.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define OTHER EM_AARCH64
#else
#define MACHINE EM_AARCH64
#define OTHER EM_X86_64
#endif

static void check_release(const void *data, size_t n, const char *expected)
{
	cleanup_error struct error *err = NULL;
	cleanup_free char *release = kernel_file_release(data, n, &err);

	if (expected) {
		assert_non_null(release);
		assert_string_equal(release, expected);
	} else {
		assert_null(release);
		assert_int_equal(err->code, ERR_INVALID);
	}
}

static void release_in_banner(void **state)
{
	static const char twice[] = "..Linux version %s (x)\0..Linux version 6.1.0-9-cloud-amd64 (a@b) #1 SMP";
	static const char cut[] = "Linux version 6.1.0-9";

	check_release(twice, sizeof(twice), "6.1.0-9-cloud-amd64");
	check_release(cut, sizeof(cut) - 1, NULL);
	check_release("Linux version ", 14, NULL);
	check_release("Linux version ../../../etc (x)", 30, NULL);
	check_release("no kernel", 9, NULL);
	check_release("", 0, NULL);
}

static void release_in_bzimage(void **state)
{
	unsigned char image[0x400] = {0};

	memcpy(image + 0x202, "HdrS", 4);
	image[0x20e] = 0x80; /* 0x200 bytes before the text */
	memcpy(image + 0x280, "6.6.1-x (user@host) #1", 22);
	check_release(image, sizeof(image), "6.6.1-x");
	image[0x20e] = 0xff;
	image[0x20f] = 0xff;
	check_release(image, sizeof(image), NULL);
}

struct file {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	Elf64_Nhdr first;
	char first_text[8 + 4]; /* name of 5 bytes, padded; description of 3 */
	Elf64_Nhdr note;
	char name[4], entry[4];
};

static struct file make_kernel(void)
{
	struct file k = {
		.head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
			 .e_type = ET_EXEC,
			 .e_machine = MACHINE,
			 .e_phoff = offsetof(struct file, segment),
			 .e_phnum = 1,
			 .e_phentsize = sizeof(Elf64_Phdr)},
		.segment = {.p_type = PT_NOTE,
			    .p_offset = offsetof(struct file, first),
			    .p_filesz = sizeof(struct file) - offsetof(struct file, first)},
		.first = {.n_namesz = 5, .n_descsz = 3, .n_type = 18},
		.first_text = "Xenx",
		.note = {.n_namesz = 4, .n_descsz = 4, .n_type = 18},
		.name = "Xen",
	};

	return k;
}

static void check_kernel(const struct file *k, size_t n, enum error_code code, const char *words)
{
	cleanup_error struct error *err = NULL;
	int r = kernel_file_check(k, n, &err);

	if (!code) {
		assert_int_equal(r, 0);
		return;
	}
	assert_int_equal(r, -1);
	assert_int_equal(err->code, code);
	assert_non_null(strstr(err->message, words));
}

static void kernels(void **state)
{
	struct file k = make_kernel();

	check_kernel(&k, sizeof(k), 0, NULL);
	check_kernel(&k, 20, ERR_INVALID, "uncompressed");
	k.head.e_machine = OTHER;
	check_kernel(&k, sizeof(k), ERR_INVALID, "another kind of machine");
	k = make_kernel();
	k.head.e_phnum = 1000;
	check_kernel(&k, sizeof(k), ERR_INVALID, "damaged");
	k = make_kernel();
	k.head.e_phoff = UINT64_MAX - 8;
	check_kernel(&k, sizeof(k), ERR_INVALID, "damaged");
}

/* QEMU starts x86-64 kernels by that note only. */
static void entry_notes(void **state)
{
#if defined(__x86_64__)
	struct file k = make_kernel();

	k.note.n_type = 17;
	check_kernel(&k, sizeof(k), ERR_UNSUPPORTED, "CONFIG_PVH");
	k = make_kernel();
	k.name[0] = 'x';
	check_kernel(&k, sizeof(k), ERR_UNSUPPORTED, "CONFIG_PVH");
	k = make_kernel();
	k.first.n_descsz = UINT32_MAX;
	check_kernel(&k, sizeof(k), ERR_UNSUPPORTED, "CONFIG_PVH");
	k = make_kernel();
	k.segment.p_filesz = UINT64_MAX;
	check_kernel(&k, sizeof(k), ERR_UNSUPPORTED, "CONFIG_PVH");
	k.segment.p_offset = UINT64_MAX;
	check_kernel(&k, sizeof(k), ERR_UNSUPPORTED, "CONFIG_PVH");
#endif
}

static void built_in_drivers(void **state)
{
	static const char whole[] = "virtio_blk\0virtio_console\0virtio_net\0ext4\0squashfs\0overlay";
	static const char less[] = "virtio_blk\0virtio_console_x\0virtio_net\0ext4\0overlay";
	cleanup_error struct error *err = NULL;

	assert_int_equal(kernel_file_check_builtin(whole, sizeof(whole), NULL), 0);
	assert_int_equal(kernel_file_check_builtin(less, sizeof(less), &err), -1);
	assert_int_equal(err->code, ERR_UNSUPPORTED);
	assert_non_null(strstr(err->message, "virtio_console, squashfs"));
}

static void check_path(const char *given, const char *expected)
{
	cleanup_error struct error *err = NULL;
	cleanup_free char *path = import_path(given, &err);

	if (expected)
		assert_string_equal(path, expected);
	else
		assert_int_equal(err->code, ERR_INVALID);
}

static void import_paths(void **state)
{
	check_path("./a//b/", "a/b");
	check_path("/a/./b", "a/b");
	check_path(".", "");
	check_path("", "");
	check_path("..a/b..", "..a/b..");
	check_path("a/..", NULL);
	check_path("..", NULL);
	check_path("/../a", NULL);
}

static void check_user(const char *passwd, const char *expected)
{
	cleanup_free char *user = import_default_user(passwd);

	assert_string_equal(user, expected);
}

static void import_users(void **state)
{
	check_user("root:x:0:0::/:\nanna:x:1001:1:::\nbert:x:1000:1:::\n", "anna");
	check_user("anna:x:1001\nnobody:x:65534:1:::\n:x:1000:1:::\n", "root");
	check_user("", "root");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(release_in_banner), cmocka_unit_test(release_in_bzimage),
		cmocka_unit_test(kernels),	     cmocka_unit_test(entry_notes),
		cmocka_unit_test(built_in_drivers),  cmocka_unit_test(import_paths),
		cmocka_unit_test(import_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
