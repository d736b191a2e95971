/* SPDX-License-Identifier: MIT */
/* A monitor's specification: what is accepted is complete. */
#include <stdint.h>
#include "vmm/monitor_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error *err = NULL;
	struct monitor_spec m;

	if (monitor_spec_parse((const char *)data, size, &m, &err) < 0) {
		if (!err || !*err->message)
			abort();
		error_free(&err);
		return 0;
	}
	if (err || !m.vm || !m.vmm.argv || !m.vmm.argv[0] || m.console_fd < 3 || m.control_fd < 3 || m.ready_fd < 3)
		abort();
	monitor_spec_clear(&m);
	return 0;
}
