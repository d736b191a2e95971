/* SPDX-License-Identifier: MIT */
/* What a file tells about the kernel in it. Pure. */
#include "image/kernel_file.h"

#include <elf.h>

#include "base/str.h"

#define BANNER "Linux version "
#define RELEASE_MAX 64 /* __NEW_UTS_LEN */
#define PHYS32_ENTRY 18

/* bzImage: boot.rst, "The Real-Mode Kernel Header" */
enum { HEADER_MAGIC = 0x202, KERNEL_VERSION = 0x20e, HEADER_BASE = 0x200, HEADER_END = 0x250 };

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#else
#define HOST_MACHINE EM_AARCH64
#endif

static char *take_release(const char *at, size_t n)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_~-";
	size_t length = 0;

	while (length < n && length <= RELEASE_MAX && at[length] && strchr(allowed, at[length]))
		length++;
	if (length < 3 || length > RELEASE_MAX || length == n || at[length] != ' ' || at[0] < '0' || at[0] > '9')
		return NULL;
	return str_ndup(at, length);
}

char *kernel_file_release(const void *data, size_t n, struct error **err)
{
	const char *p = data, *end = p + n;
	char *release = NULL;

	if (n >= HEADER_END && memcmp(p + HEADER_MAGIC, "HdrS", 4) == 0) {
		size_t offset = HEADER_BASE +
				((unsigned char)p[KERNEL_VERSION] | (size_t)(unsigned char)p[KERNEL_VERSION + 1] << 8);
		release = offset < n ? take_release(p + offset, n - offset) : NULL;
	}
	while (!release && (p = memmem(p, (size_t)(end - p), BANNER, strlen(BANNER)))) {
		p += strlen(BANNER);
		release = take_release(p, (size_t)(end - p));
	}
	if (!release)
		error_set(err, ERR_INVALID, "it is not a Linux kernel: nothing in it says which version it is");
	return release;
}

static size_t align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* Notes as in the System V gABI, chapter 5: three words, then name and description, each padded to four bytes. */
static bool has_entry_note(const char *notes, size_t n)
{
	Elf64_Nhdr head;

	while (n >= sizeof(head)) {
		memcpy(&head, notes, sizeof(head));
		size_t name = sizeof(head), next = name + align4(head.n_namesz) + align4(head.n_descsz);
		if (head.n_namesz > n || head.n_descsz > n || next > n)
			return false;
		if (head.n_type == PHYS32_ENTRY && head.n_namesz == 4 && memcmp(notes + name, "Xen", 4) == 0)
			return true;
		notes += next;
		n -= next;
	}
	return false;
}

static bool has_entry(const char *data, size_t n, const Elf64_Ehdr *head)
{
	for (size_t i = 0; i < head->e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, data + head->e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_NOTE && segment.p_offset <= n && segment.p_filesz <= n - segment.p_offset &&
		    has_entry_note(data + segment.p_offset, segment.p_filesz))
			return true;
	}
	return false;
}

int kernel_file_check(const void *data, size_t n, struct error **err)
{
	Elf64_Ehdr head;

	if (HOST_MACHINE == EM_AARCH64 && n > 64 && memcmp((const char *)data + 56, "ARM\x64", 4) == 0)
		return 0;
	if (n < sizeof(head) || memcmp(data, ELFMAG, SELFMAG) != 0)
		return error_set(err, ERR_INVALID, "it is not an uncompressed kernel (ELF)");
	memcpy(&head, data, sizeof(head));
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != HOST_MACHINE ||
	    (head.e_type != ET_EXEC && head.e_type != ET_DYN))
		return error_set(err, ERR_INVALID, "it is a kernel for another kind of machine");
	if (head.e_phnum == 0 || head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phoff > n ||
	    (n - head.e_phoff) / sizeof(Elf64_Phdr) < head.e_phnum)
		return error_set(err, ERR_INVALID, "its program headers are damaged");
	if (HOST_MACHINE == EM_X86_64 && !has_entry(data, n, &head))
		return error_set(err, ERR_UNSUPPORTED,
				 "it has no PVH entry, by which QEMU starts it: build it with CONFIG_PVH=y");
	return 0;
}

int kernel_file_check_builtin(const void *data, size_t n, struct error **err)
{
	static const char *const drivers[] = {"virtio_blk", "virtio_console", "virtio_net",
					      "ext4",	    "squashfs",	      "overlay"};
	cleanup_strv char **missing = NULL;

	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (!memmem(data, n, drivers[i], strlen(drivers[i]) + 1))
			strv_append(&missing, drivers[i]);
	if (!missing)
		return 0;
	cleanup_free char *names = strv_join(missing, ", ");
	return error_set(err, ERR_UNSUPPORTED, "it needs %s", names);
}
