/* SPDX-License-Identifier: MIT */
/* VMs as the API shows them. */
#include <sys/utsname.h>

#include "api/call.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"

const char *view_arch(void)
{
#if defined(__x86_64__)
	return "x86_64";
#elif defined(__aarch64__)
	return "arm64";
#else
	return "unknown";
#endif
}

/* What the guest says of its address stands in where the host does not assign one. Without the mask, as lists show it. */
static char *view_ip(const struct vm *vm, bool with_mask)
{
	const char *ip = vm->ip && vm->ip[0]		 ? vm->ip
			 : session_is_ready(vm->session) ? session_facts(vm->session)->ip
							 : "";

	return str_ndup(ip, with_mask ? strlen(ip) : strcspn(ip, "/"));
}

static void view_add_node(const struct vm *vm, struct json_object *obj)
{
	cleanup_free char *ip = view_ip(vm, false);
	cleanup_free char *created = time_rfc3339(vm->created_at);

	js_add_string(obj, "hostname", vm->hostname);
	js_add_string(obj, "hostgroup", vm->group);
	js_add_string(obj, "ip", ip);
	js_add_string(obj, "mac", vm_mac(vm));
	js_add_u64(obj, "ram_bytes", vm->ram_bytes);
	js_add_u64(obj, "cpus", vm->vcpus);
	js_add_string(obj, "created_at", created);
	js_add_string(obj, "arch", view_arch());
	js_add_strv(obj, "tags", vm->tags);
	js_add_string(obj, "status", vm_state_name(vm->state));
	js_add_bool(obj, "persistent", vm->persistent);
	js_add_string(obj, "last_error", vm->last_error);
}

struct json_object *view_node(const struct vm *vm)
{
	struct json_object *obj = json_object_new_object();

	view_add_node(vm, obj);
	return obj;
}

static char *view_node_format(const struct vm *vm)
{
	cleanup_json struct json_object *obj = view_node(vm);

	return js_to_string(obj);
}

const char *view_node_text(const struct api *api, struct vm *vm)
{
	if (vm_shown(vm) && api->check_kept) {
		cleanup_free char *now = view_node_format(vm);

		if (!str_eq(now, vm_shown(vm))) {
			log_error("[%s] shown as %s, but is %s", vm->hostname, vm_shown(vm), now);
			abort();
		}
	}
	if (!vm_shown(vm))
		vm_show(vm, view_node_format(vm));
	return vm_shown(vm);
}

struct json_object *view_created(const struct vm *vm)
{
	struct json_object *obj = json_object_new_object();
	cleanup_free char *ip = view_ip(vm, true);
	cleanup_free char *created = time_rfc3339(vm->created_at);

	js_add_string(obj, "hostname", vm->hostname);
	js_add_string(obj, "hostgroup", vm->group);
	js_add_string(obj, "ip", ip);
	js_add_string(obj, "created_at", created);
	js_add_string(obj, "arch", view_arch());
	js_add_bool(obj, "persistent", vm->persistent);
	return obj;
}

static struct json_object *view_lists(char *const *allow, bool has_allow, char *const *drop, bool has_drop)
{
	struct json_object *obj = json_object_new_object();

	if (has_allow)
		js_add_strv(obj, "allow", allow);
	if (has_drop)
		js_add_strv(obj, "drop", drop);
	return obj;
}

static void view_add_network(const struct vm *vm, const struct config_group *g, struct json_object *obj)
{
	struct json_object *net = json_object_new_object();
	char **allow = vm->override_allow ? vm->allow : g->network.allow;
	char **drop = vm->override_drop ? vm->drop : g->network.drop;

	js_add_string(net, "mode", config_net_mode_name(g->network.mode));
	js_add_string(net, "ipv6", vm_has_ipv6(vm) ? "slaac" : "off");
	js_add_string(net, "policy_source", vm->has_override ? "vm" : "host_group");
	js_add(net, "host_group", view_lists(g->network.allow, true, g->network.drop, true));
	if (vm->has_override)
		js_add(net, "override", view_lists(vm->allow, vm->override_allow, vm->drop, vm->override_drop));
	js_add(net, "effective", view_lists(allow, true, drop, true));
	js_add(obj, "network", net);
}

struct json_object *view_describe(const struct vm *vm)
{
	const struct config *cfg = manager_config(vm->manager);
	const struct config_group *g = config_group_find(cfg, vm->group);
	struct json_object *obj = view_node(vm);

	js_add_string(obj, "image", vm->image);
	js_add_string(obj, "image_digest", vm->image_digest);
	js_add_bool(obj, "protected", vm->service);
	js_add_bool(obj, "agent_ready", session_is_ready(vm->session));
	js_add_u64(obj, "boot_retries", vm->boot_retries);
	if (g) {
		js_add_string(obj, "storage", config_storage_name(g->storage));
		js_add_string(obj, "hypervisor", config_hypervisor_name(cfg->hypervisor));
		view_add_network(vm, g, obj);
	}
	return obj;
}
