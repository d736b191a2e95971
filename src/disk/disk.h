/* SPDX-License-Identifier: MIT */
/* The disks of a VM: a writable one (qcow2 from birth, holding an empty ext4) and the config disk.
 * All functions block: for worker threads. On failure nothing is left; ERR_NO_SPACE says which file
 * system is full. */
#ifndef SLICER_DISK_DISK_H
#define SLICER_DISK_DISK_H

#include "base/error.h"

enum { DISK_CONFIG_MAX = 1024 * 1024 };
#define DISK_SIZE_MIN (64ULL << 20) /* smaller than that, an ext4 with a journal has no room for an overlay */
#define DISK_SIZE_MAX (16ULL << 40)

/* A new sparse disk of `size` bytes (a multiple of 1 MiB), owned by uid:gid, mode 0600 (owner kept
 * when not root). The first of a size makes TEMPLATES/ext4-<MiB>.qcow2 (about 0.3 s), later ones
 * are copies of that (milliseconds). ERR_CONFLICT when `path` exists. Needs mkfs.ext4 and qemu-img
 * (ERR_NOT_FOUND names the package). */
int disk_create(const char *templates, const char *path, uint64_t size, uid_t uid, gid_t gid, struct error **err);
int disk_remove(const char *path, struct error **err); /* success when there is none */

/* docs/protocol.md §4: `json` padded with zeros to a multiple of 4,096 bytes, mode 0600, atomically
 * replaced. It stays the caller's: the VMM has it as an fd for reading, and must not be able to open it anew for writing. ERR_TOO_LARGE beyond DISK_CONFIG_MAX. */
int disk_write_config(const char *path, const char *json, size_t n, struct error **err);

#endif
