/* SPDX-License-Identifier: MIT */
/* The config disk's JSON: docs/protocol.md §4. */
#include "base/json.h"
#include "base/str.h"
#include "net/mac.h"
#include "vm/manager_impl.h"

static struct json_object *guest_config_network(const struct vm *vm, const struct net_user_plan *plan)
{
	struct json_object *nets = json_object_new_array(), *net = json_object_new_object();
	unsigned char mac[6];
	char text[MAC_TEXT_SIZE];

	mac_from_hostname(vm->hostname, mac);
	mac_format(mac, text);
	js_add_string(net, "mac", text);
	js_add_string(net, "address", plan->address);
	js_add_string(net, "gateway", plan->gateway);
	js_add_u64(net, "mtu", plan->mtu);
	json_object_array_add(nets, net);
	return nets;
}

char *guest_config(const struct vm *vm)
{
	cleanup_json struct json_object *obj = json_object_new_object();
	struct json_object *root = json_object_new_object();
	struct net_user_plan plan;
	char *text;

	net_user_plan(&vm->manager->net_host, vm->dns, &plan);
	js_add_u64(obj, "version", 1);
	js_add_string(obj, "hostname", vm->hostname);
	js_add_string(obj, "group", vm->group);
	js_add_string(obj, "machine_id", vm->machine_id);
	js_add_string(root, "lower", "slicer-root");
	js_add_string(root, "upper", "slicer-data");
	js_add(obj, "root", root);
	js_add(obj, "network", guest_config_network(vm, &plan));
	js_add_strv(obj, "dns", plan.dns);
	js_add_strv(obj, "ssh_keys", vm->ssh_keys);
	js_add_string(obj, "userdata", vm->userdata);
	text = js_to_string(obj);
	net_user_plan_clear(&plan);
	return text;
}
