/* SPDX-License-Identifier: MIT */
/* The steps of the boot, in their order. They run as PID 1, may block, and each has a deadline where it waits. */
#ifndef SLICER_AGENT_BOOT_STEPS_H
#define SLICER_AGENT_BOOT_STEPS_H

#include "agent/config.h"

enum { BOOT_DEVICE_MS = 10000 }; /* until a disk or port must have appeared */

/* boot_mount.c, in the initramfs */
int boot_mount_kernel(struct error **err); /* /proc /sys /dev /run */
void boot_load_modules(void);		   /* failures go to the console: what is missing shows later */
/* A block device by its serial, waited for; the caller's. */
char *boot_find_disk(const char *serial, struct error **err);
int boot_mount_root(const struct guest_config *c, struct error **err); /* at /newroot */
int boot_switch_root(struct error **err);	       /* /newroot becomes /, with the kernel's filesystems */
int boot_mount_rest(bool cgroup2, struct error **err); /* devpts, shm; in the new root */
/* In the new root: /lib/modules/<release> from their disk where the image lacks them. What fails goes to the console. */
void boot_mount_modules(const struct guest_config *c);

/* boot_identity.c, in the new root: each leaves alone what is right already */
int boot_write_identity(const struct guest_config *c, struct error **err); /* hostname, hosts, DNS, machine-id, keys */
char *dns_text(char *const *servers);					   /* lines of resolv.conf(5); the caller's */
int boot_install_self(int self_fd, struct error **err); /* /run/slicer/bin/slicer-agent and its link */
int boot_write_userdata(const struct guest_config *c, struct error **err);

/* boot_network.c */
int boot_network(const struct guest_config *c, struct error **err); /* in the initramfs: DHCP's client lives there */

/* boot_systemd.c */
bool boot_is_systemd(const char *init);
int boot_write_units(const struct guest_config *c, struct error **err);

/* A line on the console, prefixed "slicer-agent: "; opens it each time (getty's vhangup closes what is open). */
void console_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void console_reopen(void); /* as stdout and stderr */

#endif
