/* SPDX-License-Identifier: MIT */
#include "image/vmlinux.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "image/unpack.h"

#define VMLINUZ_LIMIT ((size_t)128 << 20)
#define VMLINUX_LIMIT ((uint32_t)512 << 20)

/* Offsets in a bzImage (boot.rst, "The Real-Mode Kernel Header") */
#define SETUP_SECTS 0x1f1
#define HEADER_MAGIC 0x202 /* "HdrS" */
#define PROTOCOL_VERSION 0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END 0x250
#define FIRST_WITH_PAYLOAD 0x0208

#define ARM64_MAGIC_OFFSET 56 /* Documentation/arch/arm64/booting.rst */

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int bzimage_payload(const void *data, size_t n, struct kernel_payload *ret, struct error **err)
{
	const unsigned char *p = data;

	if (n < HEADER_END || memcmp(p + HEADER_MAGIC, "HdrS", 4) != 0)
		return error_set(err, ERR_INVALID, "it is not a Linux bzImage");
	unsigned version = p[PROTOCOL_VERSION] | (unsigned)p[PROTOCOL_VERSION + 1] << 8;
	if (version < FIRST_WITH_PAYLOAD)
		return error_set(err, ERR_UNSUPPORTED, "its boot protocol %u.%02u is older than 2.08", version >> 8,
				 version & 0xff);
	/* 0 means 4, from the times of zImage */
	size_t setup = ((size_t)(p[SETUP_SECTS] ? p[SETUP_SECTS] : 4) + 1) * 512;
	size_t offset = setup + le32(p + PAYLOAD_OFFSET);
	size_t length = le32(p + PAYLOAD_LENGTH);
	if (length < 16 || offset > n || length > n - offset)
		return error_set(err, ERR_INVALID, "its payload lies outside the file");
	/* The last four bytes are the size: gzip's own trailer, or appended by the kernel's build.
	 */
	bool gzip = p[offset] == 0x1f && p[offset + 1] == 0x8b;
	ret->size = le32(p + offset + length - 4);
	ret->offset = offset;
	ret->length = gzip ? length : length - 4;
	if (ret->size == 0 || ret->size > VMLINUX_LIMIT)
		return error_set(err, ERR_TOO_LARGE, "its kernel claims %u bytes, the limit is %u", ret->size,
				 VMLINUX_LIMIT);
	return 0;
}

static bool is_bootable(const void *data, size_t n)
{
	if (n < sizeof(Elf64_Ehdr))
		return false;
	return memcmp(data, ELFMAG, SELFMAG) == 0 || memcmp((const char *)data + ARM64_MAGIC_OFFSET, "ARM\x64", 4) == 0;
}

static int check_result(int fd, struct error **err)
{
	char head[sizeof(Elf64_Ehdr)];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return error_errno(err, errno, "read");
	return is_bootable(head, (size_t)n) ? 0 : error_set(err, ERR_INVALID, "what it holds is not an ELF kernel");
}

static int decompress(const char *data, size_t n, int fd, struct error **err)
{
	struct kernel_payload payload;
	uint64_t size = 0;

	if (bzimage_payload(data, n, &payload, err) < 0 ||
	    unpack_data(data + payload.offset, payload.length, fd, payload.size, &size, err) < 0)
		return -1;
	if (size != payload.size)
		return error_set(err, ERR_INVALID, "it unpacks to %llu bytes instead of %u", (unsigned long long)size,
				 payload.size);
	return check_result(fd, err);
}

int vmlinux_extract(const char *vmlinuz, const char *to, struct error **err)
{
	cleanup_free char *data = NULL;
	size_t n = 0;

	if (fs_read_file(vmlinuz, VMLINUZ_LIMIT, &data, &n, err) < 0)
		return -1;
	cleanup_close int fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, errno, "create %s", to);
	int r = is_bootable(data, n) ? fd_write_all(fd, data, n, err) : decompress(data, n, fd, err);
	return r < 0 ? error_wrap(err, "kernel %s", vmlinuz) : 0;
}
