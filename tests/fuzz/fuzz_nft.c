/* SPDX-License-Identifier: MIT */
/* What nft lists, in which others than slicer write as well: whatever it is, what slicer takes for its own has names that are
 * harmless in paths and in scripts. */
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "host/net_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *json = str_ndup((const char *)data, size);
	cleanup_net_scan struct net_scan scan = {0};

	net_scan_ruleset(&scan, json, NULL);
	for (size_t i = 0; i < scan.nthings; i++) {
		const struct net_thing *t = &scan.things[i];

		if (!net_name_is_sane(t->daemon_id) || strchr(t->daemon_id, '/') || !t->name)
			abort();
		if (t->remove && (strpbrk(t->remove, ";\n\\$#") || !str_starts(t->remove, "delete ")))
			abort();
	}
	return 0;
}
