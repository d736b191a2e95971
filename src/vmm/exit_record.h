/* SPDX-License-Identifier: MIT */
#ifndef SLICER_VMM_EXIT_RECORD_H
#define SLICER_VMM_EXIT_RECORD_H

#include "base/json.h"
#include "vmm/monitor_client.h"

/* ERR_INVALID names the member. */
int vmm_exit_parse(struct json_object *obj, struct vmm_exit *ret, struct error **err);

#endif
