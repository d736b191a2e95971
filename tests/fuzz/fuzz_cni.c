/* SPDX-License-Identifier: MIT */
/* Configuration lists and results of CNI plugins. */
#include "base/json.h"
#include "base/str.h"
#include "net/cni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_list(const char *text, size_t n)
{
	struct cni_list l;

	if (cni_list_parse(text, n, "list", &l, NULL) < 0)
		return;
	if (!l.name || !l.version || l.nplugins == 0 || l.nplugins > CNI_PLUGINS_MAX)
		abort();
	for (size_t i = 0; i < l.nplugins; i++)
		if (!l.plugins[i].type || strchr(l.plugins[i].type, '/'))
			abort();
	cni_list_clear(&l);
}

static void read_result(const char *text, size_t n)
{
	cleanup_json struct json_object *obj = js_parse(text, n, NULL);
	struct cni_result r;

	if (cni_result_parse(obj, "eth0", &r, NULL) < 0)
		return;
	if (!r.address[0] || r.nroutes > CNI_ITEMS_MAX)
		abort();
	for (size_t i = 0; i < r.nroutes; i++)
		if (r.routes[i].to.prefix == 0)
			abort();
	cni_result_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = str_ndup((const char *)data, size);

	read_list(text, strlen(text));
	read_result(text, strlen(text));
	return 0;
}
