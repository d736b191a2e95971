/* SPDX-License-Identifier: MIT */
/* QMP (QEMU's docs/interop/qmp-spec): the control channel of QEMU and of the fake hypervisor. For
 * src/vmm only. */
#ifndef SLICER_VMM_QMP_H
#define SLICER_VMM_QMP_H

#include "vmm/vmm_client.h"

enum { QMP_GREETING_MS = 10 * 1000 }; /* an emulated guest's boot keeps QEMU's main loop busy */

int qmp_await_up(const char *run_dir, struct deadline *deadline, struct error **err);
struct vmm_client *qmp_attach(struct loop *loop, const char *run_dir, struct error **err);
void qmp_pause(struct vmm_client *c, vmm_done_fn *done, void *arg);
void qmp_resume(struct vmm_client *c, vmm_done_fn *done, void *arg);
void qmp_stop(struct vmm_client *c, vmm_done_fn *done, void *arg);
void qmp_kill(struct vmm_client *c, vmm_done_fn *done, void *arg);

#endif
