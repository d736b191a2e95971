/* SPDX-License-Identifier: MIT */
/* The small parsers of slicer-image: apt's output, ELF headers, busybox's list of applets, .deb
 * files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/apt.h"
#include "image/deb.h"
#include "image/hash.h"
#include "image/rootfs.h"
#include "image/static_elf.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void uri_line(void **state)
{
	struct apt_package package = {0};

	assert_int_equal(
		apt_parse_uri("Need to get 1 B\n'http://h/p.deb' p_1%3a2_all.deb 123 SHA256:" HEX "\n", &package, NULL),
		0);
	assert_string_equal(package.hash, "SHA256:" HEX);
	assert_int_equal(package.size, 123);
	apt_package_clear(&package);
	assert_int_equal(apt_parse_uri("", &package, NULL), -1);
	assert_int_equal(apt_parse_uri("'http://h/p.deb' p.deb 123\n", &package, NULL), -1);
	assert_int_equal(apt_parse_uri("'http://h/p.deb' p.deb 123 nohash\n", &package, NULL), -1);
	assert_int_equal(apt_parse_uri("'http://h/p.deb' p.deb 123 SHA256:00ff\n", &package, NULL), -1);
	assert_int_equal(apt_parse_uri("'http://h/p.deb' p.deb 123 SHA512:" HEX "\n", &package, NULL), -1);
	assert_int_equal(apt_parse_uri("'http://h/p.deb' p.deb x SHA256:" HEX "\n", &package, NULL), -1);
	assert_null(package.hash);
}

static void paths_of_apt_config(void **state)
{
	const char *text = "ONE='/etc/apt/auth.conf'\nMANY='/etc/apt/a b/'\nNONE=''\nOPEN='/x\n";
	cleanup_free char *one = apt_parse_path(text, "ONE"), *many = apt_parse_path(text, "MANY");

	assert_string_equal(one, "/etc/apt/auth.conf");
	assert_string_equal(many, "/etc/apt/a b/");
	assert_null(apt_parse_path(text, "NONE"));
	assert_null(apt_parse_path(text, "OPEN"));
	assert_null(apt_parse_path(text, "NE"));
}

static void depends(void **state)
{
	const char *text = "Package: linux-image-cloud-amd64\nPre-Depends: linux-image-0\n"
			   "Depends: other, linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), linux-image-7 | x\n"
			   "Depends: linux-image-8\n";
	cleanup_free char *name = apt_parse_depends(text, "linux-image-", NULL);

	assert_string_equal(name, "linux-image-6.1.0-56-cloud-amd64");
	assert_null(apt_parse_depends("Depends: linux-image-x;reboot\n", "linux-image-", NULL));
	assert_null(apt_parse_depends("Depends: linux-image-../../x\n", "linux-image-", NULL));
	assert_null(apt_parse_depends("", "linux-image-", NULL));
}

static void targets(void **state)
{
	const char *text = "Debian|bookworm|main|http://m/debian/\n"
			   "Debian|bookworm|contrib|http://m/debian/\n"
			   "Debian|bookworm|main|http://m/debian/\n"
			   "Debian|bookworm-security|main|https://s/x\n"
			   "Debian|bookworm-backports|main|http://m/debian/\n"
			   "Debian|trixie|main|http://m/debian/\n"
			   "Somebody|bookworm|main|http://elsewhere/\n"
			   "Debian|bookworm|main|http://m/ [trusted=yes] x\n"
			   "Debian|bookworm|main\n";
	cleanup_strv char **sources = apt_parse_targets(text, "bookworm");

	assert_int_equal(strv_len(sources), 2);
	assert_string_equal(sources[0], "deb http://m/debian/ bookworm main");
	assert_string_equal(sources[1], "deb https://s/x bookworm-security main");
	assert_null(apt_parse_targets(text, "book"));
	assert_null(apt_parse_targets("", "bookworm"));
}

static void closures(void **state)
{
	size_t n = 0;
	cleanup_free char *one =
		apt_parse_closure("'http://m/a' a_1 5 SHA256:0\n'http://m/b' b_1 6 SHA256:1\n", &n, NULL);
	cleanup_free char *moved =
		apt_parse_closure("'http://n/b' b_1 6 SHA256:1\nN: hi\n'http://n/a' a_1 5 SHA256:0", NULL, NULL);
	cleanup_free char *newer =
		apt_parse_closure("'http://m/a' a_2 5 SHA256:2\n'http://m/b' b_1 6 SHA256:1\n", NULL, NULL);

	assert_int_equal(n, 2);
	assert_string_equal(one, moved);
	assert_string_not_equal(one, newer);
	assert_null(apt_parse_closure("", NULL, NULL));
	assert_null(apt_parse_closure("E: Unable to locate\n", NULL, NULL));
}

struct program_file {
	Elf64_Ehdr head;
	Elf64_Phdr segments[2];
};

static struct program_file good_program(void)
{
	struct program_file p = {0};

	memcpy(p.head.e_ident, ELFMAG, SELFMAG);
	p.head.e_ident[EI_CLASS] = ELFCLASS64;
	p.head.e_ident[EI_DATA] = ELFDATA2LSB;
	p.head.e_type = ET_EXEC;
#if defined(__x86_64__)
	p.head.e_machine = EM_X86_64;
#else
	p.head.e_machine = EM_AARCH64;
#endif
	p.head.e_phoff = sizeof(p.head);
	p.head.e_phentsize = sizeof(p.segments[0]);
	p.head.e_phnum = 2;
	p.segments[0].p_type = PT_LOAD;
	p.segments[1].p_type = PT_LOAD;
	return p;
}

static void static_programs(void **state)
{
	struct program_file p = good_program();

	assert_int_equal(elf_check_static(&p, sizeof(p), NULL), 0);
	p.segments[1].p_type = PT_INTERP;
	assert_int_equal(elf_check_static(&p, sizeof(p), NULL), -1);
	p = good_program();
	assert_int_equal(elf_check_static(&p, sizeof(p) - 1, NULL), -1); /* the last header is cut */
	assert_int_equal(elf_check_static(&p, 0, NULL), -1);
	p.head.e_phoff = UINT64_MAX - 8;
	assert_int_equal(elf_check_static(&p, sizeof(p), NULL), -1);
	p = good_program();
	p.head.e_machine = EM_S390;
	assert_int_equal(elf_check_static(&p, sizeof(p), NULL), -1);
	p = good_program();
	p.head.e_type = ET_REL;
	assert_int_equal(elf_check_static(&p, sizeof(p), NULL), -1);
	assert_int_equal(elf_check_static("#!/bin/sh\n", 10, NULL), -1);
	/* this test itself is linked dynamically */
	assert_int_equal(elf_check_static_file("/proc/self/exe", NULL), -1);
}

static void applets(void **state)
{
	cleanup_strv char **links = rootfs_applet_links("bin/ls\nusr/bin/[\nsbin/init\nlinuxrc\nusr/bin/wget\n"
							"sbin/ip\nusr/sbin/chroot\nbin/su\nusr/bin/ls\nbin/\n\n");
	cleanup_free char *text = strv_join(links, " ");

	assert_string_equal(text, "usr/bin/ls usr/bin/[ usr/sbin/ip usr/sbin/chroot");
	assert_null(rootfs_applet_links(""));
	/* mksquashfs would run it */
	assert_null(rootfs_applet_links("bin/x f 755 0 0 reboot\nbin/a\tb\nbin/\"a\nbin/a\\\n"));
}

static void hashes_tell_parts_apart(void **state)
{
	cleanup_free char *a = hash_strings((const char *const[]){"ab", "c", NULL});
	cleanup_free char *b = hash_strings((const char *const[]){"a", "bc", NULL});
	cleanup_free char *c = hash_strings((const char *const[]){"ab", "c", "", NULL});

	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
	assert_int_equal(strlen(a), 64);
}

static void garbage_is_no_package(void **state)
{
	char path[] = "/tmp/test-deb-XXXXXX";
	cleanup_close int fd = mkstemp(path);
	const char *const wanted[] = {"bin/x", NULL};
	const char *const contents[] = {"", "garbage", "!<arch>\n",
					"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"};

	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		cleanup_error struct error *err = NULL;
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, contents[i], strlen(contents[i]), 0), (ssize_t)strlen(contents[i]));
		assert_int_equal(deb_extract_file(path, wanted, "/nonexistent/x", &err), -1);
		assert_non_null(err);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uri_line),
		cmocka_unit_test(paths_of_apt_config),
		cmocka_unit_test(depends),
		cmocka_unit_test(targets),
		cmocka_unit_test(closures),
		cmocka_unit_test(static_programs),
		cmocka_unit_test(applets),
		cmocka_unit_test(hashes_tell_parts_apart),
		cmocka_unit_test(garbage_is_no_package),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
