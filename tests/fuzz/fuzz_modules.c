/* SPDX-License-Identifier: MIT */
/* modules.dep and modules.builtin, one after the other with a NUL between them; and apt's output. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "image/apt.h"
#include "image/modules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void try_modules(const char *dep, const char *builtin)
{
	cleanup_error struct error *err = NULL;
	cleanup_strv char **order = NULL;

	if (modules_boot_order(dep, builtin, &order, &err) < 0) {
		require(err && !order);
		return;
	}
	for (size_t i = 0; i < strv_len(order); i++) {
		cleanup_free char *plain = modules_plain_path(order[i]);

		require(strlen(plain) <= strlen(order[i]));
		for (size_t k = 0; k < i; k++)
			require(!str_eq(order[i], order[k]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = str_ndup((const char *)data, size);
	cleanup_free char *name = apt_parse_depends(text, "linux-image-", NULL);
	struct apt_package package = {0};
	size_t first = strlen(text);

	require(!name || str_starts(name, "linux-image-"));
	if (apt_parse_uri(text, &package, NULL) == 0)
		require(package.hash != NULL);
	apt_package_clear(&package);
	if (first < size) {
		cleanup_free char *rest = str_ndup((const char *)data + first + 1, size - first - 1);

		try_modules(text, rest);
	} else {
		try_modules(text, "");
	}
	return 0;
}
