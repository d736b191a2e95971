/* SPDX-License-Identifier: MIT */
/* The agent as /init of the initramfs: from the kernel's hand-over to the image's init beside a running supervisor. */
#ifndef SLICER_AGENT_BOOT_H
#define SLICER_AGENT_BOOT_H

/* Files of modules in the order of loading, one per line; its presence tells that this is our initramfs. */
#define BOOT_MODULES_FILE "/etc/slicer/modules"

int boot_main(int argc, char **argv); /* does not return, except for an error of exec */

#endif
