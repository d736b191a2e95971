/* SPDX-License-Identifier: MIT */
#ifndef SLICER_VMM_MONITOR_KVM_H
#define SLICER_VMM_MONITOR_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* In the child, as root, before it becomes `uid`: makes /dev/kvm usable for it, by its group where
 * that may use it (added to `groups`, which has room for one more), otherwise by a node of its own
 * in a private mount namespace; *ret_own (may be NULL) says that such a node is needed, and then it
 * is the caller's to make. -1 with errno. */
int monitor_kvm_allow(uid_t uid, gid_t *groups, size_t *ngroups, bool *ret_own);

#endif
