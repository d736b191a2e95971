/* SPDX-License-Identifier: MIT */
#include "net/cni_default.h"

#include "base/fs.h"
#include "base/str.h"
#include "net/cni.h"

/* VMs on one bridge with NAT, as mode bridge has it; the pool is shared by all daemons on this host. */
static const char default_list[] = "{\n"
				   "  \"cniVersion\": \"1.0.0\",\n"
				   "  \"name\": \"slicer\",\n"
				   "  \"plugins\": [\n"
				   "    {\n"
				   "      \"type\": \"bridge\",\n"
				   "      \"bridge\": \"slicer-cni0\",\n"
				   "      \"isGateway\": true,\n"
				   "      \"ipMasq\": true,\n"
				   "      \"ipam\": {\n"
				   "        \"type\": \"host-local\",\n"
				   "        \"ranges\": [[{\"subnet\": \"10.63.0.0/16\"}]],\n"
				   "        \"routes\": [{\"dst\": \"0.0.0.0/0\"}]\n"
				   "      }\n"
				   "    },\n"
				   "    {\"type\": \"firewall\"}\n"
				   "  ]\n"
				   "}\n";

int cni_write_default(const char *dir, const char *network, struct error **err)
{
	cleanup_free char *path = fs_join(dir, CNI_DEFAULT_FILE);
	cleanup_error struct error *why = NULL;
	cleanup_cni_list struct cni_list list = {0};

	if (!str_eq(network, CNI_DEFAULT_NETWORK) || fs_exists(path) || cni_list_find(dir, network, &list, &why) == 0 ||
	    why->code != ERR_NOT_FOUND)
		return 0;
	if (fs_mkdir_p_public(dir, err) < 0 ||
	    fs_write_atomic(path, default_list, sizeof(default_list) - 1, 0644, err) < 0)
		return error_wrap(err, "the default CNI network");
	return 0;
}
