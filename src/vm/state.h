/* SPDX-License-Identifier: MIT */
/* The life of a VM. This header is the specification; state.c holds it as a table and tests walk it.
 *
 *                create                        relaunch
 *   (nothing) ───────────▶ STARTING ◀─────────────────────────────── STOPPED ──delete──▶ DELETING ──▶ (nothing)
 *                             │ VMM runs                                ▲                    ▲
 *                             ▼               shutdown                  │ persistent         │ ephemeral
 *                          RUNNING ─────────────────────────▶ STOPPING ─┴────────────────────┤
 *                           │   ▲  ◀──resume──                                                │
 *                           └───┴───pause──▶ PAUSED ──shutdown──▶ STOPPING                    │
 *                             │                 │                                             │
 *                             └──VMM exits by itself──▶ STOPPING (nothing left to ask) ───────┘
 *
 * - STARTING, STOPPING and DELETING mean that an operation is under way (struct vm.op is set); the others that none is, or one
 *   that does not change the state.
 * - A failed launch undoes itself: a new VM vanishes, a relaunched one is STOPPED again.
 * - delete is legal in every state but DELETING; it cancels what is under way first.
 * - RUNNING says that the VMM runs its vCPUs. Whether the agent answers is another matter: vm.session, GET /health. */
#ifndef SLICER_VM_STATE_H
#define SLICER_VM_STATE_H

#include "base/error.h"

enum vm_state {
	VM_STATE_STARTING,
	VM_STATE_RUNNING,
	VM_STATE_PAUSED,
	VM_STATE_STOPPING,
	VM_STATE_STOPPED,
	VM_STATE_DELETING,
	VM_STATE_COUNT,
};

enum vm_request {
	VM_REQUEST_AGENT, /* exec, cp, shell, fs, forward: everything that the agent answers */
	VM_REQUEST_PAUSE,
	VM_REQUEST_RESUME,
	VM_REQUEST_SHUTDOWN,
	VM_REQUEST_REBOOT, /* in place, by the guest: not a change of state */
	VM_REQUEST_RELAUNCH,
	VM_REQUEST_DELETE,
	VM_REQUEST_COUNT,
};

const char *vm_state_name(enum vm_state s); /* "Running", as the API shows it */
int vm_state_parse(const char *name, enum vm_state *ret, struct error **err);
bool vm_state_allows(enum vm_state s, enum vm_request r);
/* ERR_CONFLICT with a sentence that names the VM, its state and what to do, when it is not allowed. */
int vm_state_check(const char *hostname, enum vm_state s, enum vm_request r, struct error **err);

#endif
