/* SPDX-License-Identifier: MIT */
/* Files and fds. All fds that these functions open are O_CLOEXEC; fds returned are the caller's. */
#ifndef SLICER_BASE_FS_H
#define SLICER_BASE_FS_H

#include <sys/stat.h>
#include "base/error.h"

int fd_set_nonblock(int fd, bool on, struct error **err);
int fd_set_cloexec(int fd, bool on, struct error **err);
int fd_write_all(int fd, const void *data, size_t n, struct error **err); /* blocking fds; resumes after EINTR */
/* Reads to the end; ERR_TOO_LARGE beyond `limit` bytes. *ret has a NUL behind its last byte. */
int fd_read_all(int fd, size_t limit, char **ret, size_t *ret_len, struct error **err);
/* An anonymous file of that content, at offset 0; sealed against writing, growing and shrinking when `sealed`. */
int fd_memfile(const char *name, const void *data, size_t n, bool sealed, struct error **err);
/* Guest memory: an empty memfd of `size` bytes with F_SEAL_WRITE|SHRINK|GROW|SEAL (memfd_create(2)). */
int fd_guest_memory(const char *name, uint64_t size, struct error **err);
/* flock(2), `how` LOCK_EX or LOCK_SH; ERR_TIMEOUT when another holds it for longer. For workers. */
int fd_lock(int fd, int how, int timeout_ms, struct error **err);
/* A pair of connected close-on-exec Unix stream sockets. */
int fd_socketpair(int ret[2], struct error **err);
/* Listens on a Unix stream socket; the path is created with `mode`. ERR_CONFLICT when somebody answers there already,
 * a stale socket is replaced. Paths over 107 bytes are refused with ERR_INVALID. The fd is non-blocking. */
int fd_listen_unix(const char *path, mode_t mode, struct error **err);
/* Connects, non-blocking fd; the connect itself is immediate for Unix sockets. ERR_UNAVAILABLE when nobody listens. */
int fd_connect_unix(const char *path, struct error **err);
/* Listens on a TCP socket (IPv4), non-blocking. ERR_CONFLICT when the port is in use. */
struct sockaddr_in;
int fd_listen_tcp(const struct sockaddr_in *addr, struct error **err);
/* Closes all from 3 on but those of `keep`, which it sorts. -1 with errno: the kernel is older than close_range(2), Linux 5.9. For
 * a process that has only one thread. */
int fd_close_others(int *keep, size_t n);
/* Opens what is missing of 0, 1 and 2 (`PROGRAM >&-`), or the next file or socket that is opened would be taken for them: input is
 * empty, output fails as it would on what is closed. */
int fd_fill_stdio(struct error **err);
size_t fd_count_open(void); /* of this process, from /proc/self/fd */

int fs_read_file(const char *path, size_t limit, char **ret, size_t *ret_len, struct error **err);
/* temp file in the same directory + fsync + rename + fsync of the directory: the old or the new content, never a mix. */
int fs_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct error **err);
/* The same without waiting for the disk: for what is written anew at each start. After a crash of the machine the file may be
 * the old one, the new one, or empty. */
int fs_write_replace(const char *path, const void *data, size_t n, mode_t mode, struct error **err);
/* As fs_write_atomic(), but a file that is there already stays as it is, which is success: of several that make it at once all
 * find the same one. */
int fs_write_first(const char *path, const void *data, size_t n, mode_t mode, struct error **err);
int fs_mkdir_p(const char *path, mode_t mode, struct error **err);
/* The same with mode 0755, whatever the umask: for directories that others are to reach into. */
int fs_mkdir_p_public(const char *path, struct error **err);
/* Does not follow symlinks; ERR_CONFLICT at a mount point; success when there is nothing. */
int fs_remove_tree(const char *path, struct error **err);
int fs_unlink(const char *path, struct error **err); /* success when there is nothing */
bool fs_exists(const char *path);
/* The directories in a directory, symlinks and hidden ones left out, in version order. None: *ret is NULL, also without `path`. */
int fs_list_dirs(const char *path, char ***ret, struct error **err);
int fs_list_files(const char *path, char ***ret, struct error **err); /* the same of regular files */
int fs_copy_file(const char *from, const char *to, mode_t mode,
		 struct error **err);					   /* reflink, else sparse; no fsync */
int fs_copy_fd(int from, const char *to, mode_t mode, struct error **err); /* the same of a regular file that is open */
/* flock(2) on a file created 0600 that holds the owner's pid; ERR_CONFLICT names that pid. Returns the fd that holds it. */
int fs_lock(const char *path, struct error **err);
char *fs_self_exe(void); /* of this program; NULL if unknown */
char *fs_dirname(const char *path);
char *fs_basename(const char *path);
char *fs_join(const char *dir, const char *name);
char *fs_absolute(const char *path); /* against the working directory; lexical, symlinks stay */

#endif
