/* SPDX-License-Identifier: MIT */
/* Lines as a VMM or a monitor may send them, cut into pieces by the first byte: each is refused, or
 * is one of the four kinds. */
#include <stdint.h>
#include <string.h>
#include "vmm/exit_record.h"
#include "vmm/lines.h"
#include "vmm/qmp_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_line(const char *line, size_t n)
{
	struct qmp_message m;
	struct vmm_exit record;

	if (qmp_message_parse(line, n, &m, NULL) == 0) {
		if ((m.kind == QMP_EVENT || m.kind == QMP_ERROR) && !m.text)
			abort();
		if (vmm_exit_parse(m.json, &record, NULL) == 0) {
			if (!record.vm || !record.boot_id || record.signalled != !!record.signal)
				abort();
			vmm_exit_clear(&record);
		}
		qmp_message_clear(&m);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lines lines = {.max = 4096};
	struct evbuffer *in = evbuffer_new();
	size_t piece = size ? data[0] + 1u : 1;
	bool ok = true;

	for (size_t at = 1; ok && at < size; at += piece) {
		char *line;
		size_t n;
		int rc;

		evbuffer_add(in, data + at, size - at < piece ? size - at : piece);
		while ((rc = lines_next(&lines, in, &line, &n, NULL)) == 1) {
			if (n > lines.max || line[n])
				abort();
			try_line(line, n);
			free(line);
		}
		ok = rc == 0;
	}
	lines_clear(&lines);
	evbuffer_free(in);
	return 0;
}
