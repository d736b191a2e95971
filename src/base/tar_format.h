/* SPDX-License-Identifier: MIT */
/* The ustar header block (POSIX.1-2017, pax, "ustar Interchange Format"), for tar_read.c and tar_write.c. */
#ifndef SLICER_BASE_TAR_FORMAT_H
#define SLICER_BASE_TAR_FORMAT_H

struct tar_block {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
	char type;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct tar_block) == 512, "a tar header is one block");

/* The sum of all bytes, those of the checksum field taken as spaces. */
unsigned tar_checksum(const struct tar_block *b);

#endif
