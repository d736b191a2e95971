/* SPDX-License-Identifier: MIT */
#include "image/static_elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define HEAD_LIMIT (64 * 1024) /* the program headers of every real executable are at its beginning */

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#else
#error "images are made for x86_64 and aarch64 only"
#endif

int elf_check_static(const void *data, size_t n, struct error **err)
{
	Elf64_Ehdr head;

	if (n < sizeof(head) || memcmp(data, ELFMAG, SELFMAG) != 0)
		return error_set(err, ERR_INVALID, "it is not an ELF program");
	memcpy(&head, data, sizeof(head));
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB ||
	    head.e_machine != HOST_MACHINE)
		return error_set(err, ERR_INVALID, "it is a program for another kind of machine");
	if (head.e_type != ET_EXEC && head.e_type != ET_DYN)
		return error_set(err, ERR_INVALID, "it is an ELF file but no program");
	if (head.e_phnum == 0 || head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phoff > n ||
	    (n - head.e_phoff) / sizeof(Elf64_Phdr) < head.e_phnum)
		return error_set(err, ERR_INVALID, "its program headers are damaged");
	for (size_t i = 0; i < head.e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, (const char *)data + head.e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_INTERP)
			return error_set(err, ERR_INVALID, "it is linked dynamically, a static program is needed");
	}
	return 0;
}

int elf_check_static_file(const char *path, struct error **err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *head = mem_alloc(HEAD_LIMIT);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, HEAD_LIMIT, 0);

	if (n < 0)
		return error_errno(err, errno, "read %s", path);
	if (elf_check_static(head, (size_t)n, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}
