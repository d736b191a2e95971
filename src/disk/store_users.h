/* SPDX-License-Identifier: MIT */
/* Who uses what of an image store, so that nothing is removed under a VM. Two things tell: STORE/users/ID.json, written by
 * each daemon, names the directory of its VMs' records (running or not, with or without the daemon); and a running daemon
 * holds locks on the directories of the images and kernels, on the root filesystems, and on the initramfs archives, that it
 * boots. */
#ifndef SLICER_DISK_STORE_USERS_H
#define SLICER_DISK_STORE_USERS_H

#include "disk/store.h"

/* Writes users/ID.json. `id` is the daemon's, `state_dir` absolute. A store that the caller may not write is left as it is. */
int store_add_user(const struct store *store, const char *id, const char *state_dir, struct error **err);

/* A shared lock on a directory or file of the store, for as long as the returned fd is open. What is there stays then, unless the
 * same is built anew in its place. Waits for who is just removing it: ERR_NOT_FOUND when it is gone. */
int store_lock_shared(const char *path, struct error **err);
bool store_lock_holds(int fd, const char *path); /* is what was locked still what the path names? */
bool store_is_locked(const char *path);		 /* by anybody else */
/* For its removal: false when it is locked. Otherwise nobody can lock it until *ret_fd is closed, which is -1 when it cannot be
 * opened. */
bool store_lock_alone(const char *path, int *ret_fd);

struct store_use {
	char *digest; /* of the image that the VM's disk stands on, "sha256:HEX" */
	char *who;    /* "VM vm-1 of /srv/vms", for messages */
};
struct store_uses {
	struct store_use *list;
	size_t n;
};
/* All VMs of all daemons that were registered. Daemons whose directory is gone are forgotten; a record that cannot be read is
 * an error, because what it uses is not known. */
int store_find_uses(const struct store *store, struct store_uses *ret, struct error **err);
void store_uses_clear(struct store_uses *uses);
#define cleanup_uses __attribute__((cleanup(store_uses_clear)))

#endif
