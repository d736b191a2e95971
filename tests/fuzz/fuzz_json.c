/* SPDX-License-Identifier: MIT */
/* What js_parse accepts must print, parse again and mean the same; what it refuses must say why. */
#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_error struct error *err = NULL;
	cleanup_json struct json_object *obj = js_parse((const char *)data, size, &err), *again = NULL;
	cleanup_free char *text = NULL, *second = NULL;

	if (!obj) {
		if (!err || err->code != ERR_INVALID || !*err->message)
			abort();
		return 0;
	}
	if (err)
		abort();
	text = js_to_string(obj);
	again = js_parse(text, strlen(text), NULL);
	if (!again)
		abort();
	second = js_to_string(again);
	if (strcmp(text, second) != 0)
		abort();
	return 0;
}
