/* SPDX-License-Identifier: MIT */
/* One JSON file per VM. A record of a newer version is refused, never rewritten; unknown members are ignored. */
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"
#include "vm/manager_impl.h"

enum { RECORD_VERSION = 1 };

static void record_add_override(const struct vm *vm, struct json_object *obj)
{
	struct json_object *override = json_object_new_object();

	if (vm->override_allow)
		js_add_strv(override, "allow", vm->allow);
	if (vm->override_drop)
		js_add_strv(override, "drop", vm->drop);
	js_add(obj, "network_override", override);
}

static void record_add_processes(const struct vm *vm, struct json_object *obj)
{
	struct json_object *p = json_object_new_object();

	js_add_i64(p, "monitor_pid", vm->processes.monitor_pid);
	js_add_u64(p, "monitor_start", vm->processes.monitor_start);
	js_add_i64(p, "vmm_pid", vm->processes.vmm_pid);
	js_add_u64(p, "vmm_start", vm->processes.vmm_start);
	js_add_string(p, "boot_id", vm->manager->boot_id);
	js_add(obj, "processes", p);
}

static bool record_is_slot(const struct vm *vm)
{
	cleanup_free char *numbered = str_fmt("%s-%u", vm->group, vm->number);

	return !str_eq(numbered, vm->hostname);
}

static void record_add_spec(const struct vm *vm, struct json_object *obj)
{
	cleanup_free char *created = time_rfc3339(vm->created_at);

	js_add_string(obj, "hostname", vm->hostname);
	js_add_string(obj, "group", vm->group);
	js_add_u64(obj, "number", vm->number);
	js_add_bool(obj, "slot", record_is_slot(vm));
	js_add_bool(obj, "service", vm->service || vm->demoted);
	js_add_bool(obj, "persistent", vm->persistent);
	js_add_u64(obj, "vcpus", vm->vcpus);
	js_add_u64(obj, "ram_bytes", vm->ram_bytes);
	js_add_u64(obj, "group_vcpus", vm->group_vcpus);
	js_add_u64(obj, "group_ram_bytes", vm->group_ram_bytes);
	js_add_u64(obj, "disk_bytes", vm->disk_bytes);
	js_add_u64(obj, "disk_bandwidth", vm->disk_bandwidth);
	js_add_u64(obj, "disk_operations", vm->disk_operations);
	js_add_u64(obj, "network_bandwidth", vm->network_bandwidth);
	js_add_u64(obj, "network_packets", vm->network_packets);
	js_add_u64(obj, "network_connections", vm->network_connections);
	js_add_string(obj, "ip", vm->ip);
	js_add_string(obj, "ip_asked", vm->ip_asked);
	js_add_strv(obj, "tags", vm->tags);
	js_add_strv(obj, "ssh_keys", vm->ssh_keys);
	js_add_strv(obj, "dns", vm->dns);
	js_add_string(obj, "userdata", vm->userdata);
	js_add_string(obj, "image", vm->image);
	js_add_string(obj, "image_digest", vm->image_digest);
	js_add_string(obj, "machine_id", vm->machine_id);
	js_add_string(obj, "created_at", created);
	js_add_u64(obj, "uid_slot", vm->uid_slot);
}

char *record_format(const struct vm *vm, const char *op, const char *step)
{
	cleanup_json struct json_object *obj = json_object_new_object();

	js_add_u64(obj, "version", RECORD_VERSION);
	record_add_spec(vm, obj);
	if (vm->has_override)
		record_add_override(vm, obj);
	if (vm->network)
		js_add(obj, "network", json_object_get(vm->network));
	js_add_string(obj, "state", vm_state_name(vm->state));
	js_add_string(obj, "last_error", vm->last_error);
	if (vm->processes.vmm_pid)
		record_add_processes(vm, obj);
	if (op) {
		struct json_object *under_way = json_object_new_object();

		js_add_string(under_way, "name", op);
		js_add_string(under_way, "step", step);
		js_add(obj, "operation", under_way);
	}
	return js_to_string_pretty(obj);
}

static int record_get_string(struct json_object *obj, const char *key, char **ret, struct error **err)
{
	const char *value = NULL;

	if (js_get_string(obj, key, &value, err))
		return -1;
	free(*ret);
	*ret = str_dup(value);
	return 0;
}

static int record_get_processes(struct vm *vm, struct json_object *obj, struct error **err)
{
	struct json_object *p = NULL;
	const char *boot_id = NULL;
	uint64_t monitor = 0, vmm = 0;

	if (js_get_object(obj, "processes", &p, err))
		return -1;
	if (!p)
		return 0;
	if (js_get_u64(p, "monitor_pid", INT32_MAX, &monitor, err) || js_get_u64(p, "vmm_pid", INT32_MAX, &vmm, err) ||
	    js_get_u64(p, "monitor_start", UINT64_MAX, &vm->processes.monitor_start, err) ||
	    js_get_u64(p, "vmm_start", UINT64_MAX, &vm->processes.vmm_start, err) ||
	    js_get_string(p, "boot_id", &boot_id, err))
		return -1;
	/* Pids of another boot of the host name other processes. */
	if (!str_eq(boot_id, vm->manager->boot_id))
		memset(&vm->processes, 0, sizeof(vm->processes));
	else {
		vm->processes.monitor_pid = (pid_t)monitor;
		vm->processes.vmm_pid = (pid_t)vmm;
	}
	return 0;
}

static int record_get_override(struct vm *vm, struct json_object *obj, struct error **err)
{
	struct json_object *o = NULL;

	if (js_get_object(obj, "network_override", &o, err))
		return -1;
	if (!o)
		return 0;
	vm->has_override = true;
	if (js_get_strv(o, "allow", &vm->allow, &vm->override_allow, err))
		return -1;
	return js_get_strv(o, "drop", &vm->drop, &vm->override_drop, err);
}

static int record_get_network(struct vm *vm, struct json_object *obj, struct error **err)
{
	struct json_object *network = NULL;

	if (js_get_object(obj, "network", &network, err))
		return -1;
	vm->network = json_object_get(network);
	return 0;
}

static int record_get_strings(struct vm *vm, struct json_object *obj, struct error **err)
{
	const struct {
		const char *key;
		char **ret;
	} strings[] = {
		{"ip", &vm->ip},
		{"ip_asked", &vm->ip_asked},
		{"userdata", &vm->userdata},
		{"image", &vm->image},
		{"image_digest", &vm->image_digest},
		{"machine_id", &vm->machine_id},
		{"last_error", &vm->last_error},
	};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		if (record_get_string(obj, strings[i].key, strings[i].ret, err))
			return -1;
	if (js_get_strv(obj, "tags", &vm->tags, NULL, err) || js_get_strv(obj, "ssh_keys", &vm->ssh_keys, NULL, err))
		return -1;
	return js_get_strv(obj, "dns", &vm->dns, NULL, err);
}

static int record_get_spec(struct vm *vm, struct json_object *obj, struct error **err)
{
	uint64_t vcpus = 0, group_vcpus = 0, uid_slot = 0;
	const char *created = NULL;

	if (record_get_strings(vm, obj, err) || js_get_bool(obj, "service", &vm->service, err) ||
	    js_get_bool(obj, "persistent", &vm->persistent, err) || js_get_u64(obj, "vcpus", 1024, &vcpus, err) ||
	    js_get_u64(obj, "ram_bytes", UINT64_MAX, &vm->ram_bytes, err) ||
	    js_get_u64(obj, "group_vcpus", 1024, &group_vcpus, err) ||
	    js_get_u64(obj, "group_ram_bytes", UINT64_MAX, &vm->group_ram_bytes, err) ||
	    js_get_u64(obj, "disk_bytes", UINT64_MAX, &vm->disk_bytes, err) ||
	    js_get_u64(obj, "disk_bandwidth", INT64_MAX, &vm->disk_bandwidth, err) ||
	    js_get_u64(obj, "disk_operations", UINT32_MAX, &vm->disk_operations, err) ||
	    js_get_u64(obj, "network_bandwidth", INT64_MAX, &vm->network_bandwidth, err) ||
	    js_get_u64(obj, "network_packets", UINT32_MAX, &vm->network_packets, err) ||
	    js_get_u64(obj, "network_connections", UINT32_MAX, &vm->network_connections, err) ||
	    js_get_u64(obj, "uid_slot", MAX_VMS - 1, &uid_slot, err) || js_get_string(obj, "created_at", &created, err))
		return -1;
	vm->vcpus = (unsigned)vcpus;
	vm->group_vcpus = (unsigned)group_vcpus;
	vm->uid_slot = (unsigned)uid_slot;
	return created ? time_parse_rfc3339(created, &vm->created_at, err) : 0;
}

static int record_get_operation(struct json_object *obj, struct record_op *ret, struct error **err)
{
	struct json_object *o = NULL;
	const char *name = NULL, *step = NULL;

	if (js_get_object(obj, "operation", &o, err))
		return -1;
	if (o && (js_get_string(o, "name", &name, err) || js_get_string(o, "step", &step, err)))
		return -1;
	ret->op = str_dup(name);
	ret->step = str_dup(step);
	return 0;
}

static int record_get_all(struct vm *vm, struct json_object *obj, struct error **err)
{
	const char *state = NULL;

	if (js_get_string(obj, "state", &state, err) || vm_state_parse(state, &vm->state, err) ||
	    record_get_spec(vm, obj, err) || record_get_override(vm, obj, err) || record_get_network(vm, obj, err))
		return -1;
	return record_get_processes(vm, obj, err);
}

/* A slot that has left the configuration is still called what it was. */
static void record_take_slot(struct vm *vm, struct json_object *obj, const char *hostname)
{
	bool slot = false;

	if (js_get_bool(obj, "slot", &slot, NULL) || !slot || str_eq(vm->hostname, hostname) || !*hostname ||
	    hostname[strspn(hostname, "abcdefghijklmnopqrstuvwxyz0123456789-")])
		return;
	free(vm->hostname);
	vm->hostname = str_dup(hostname);
}

struct vm *record_parse(struct manager *m, const char *text, size_t n, struct record_op *ret, struct error **err)
{
	cleanup_json struct json_object *obj = js_parse(text, n, err);
	const char *hostname = NULL, *group = NULL;
	uint64_t version = 0, number = 0;
	struct vm *vm;

	if (!obj || js_get_u64(obj, "version", UINT32_MAX, &version, err) || js_get_string(obj, "group", &group, err) ||
	    js_get_string(obj, "hostname", &hostname, err) || js_get_u64(obj, "number", UINT32_MAX, &number, err))
		return NULL;
	if (version != RECORD_VERSION || !group || !hostname) {
		error_set(err, ERR_UNSUPPORTED, "record version %llu is not one of this slicer (%d)",
			  (unsigned long long)version, RECORD_VERSION);
		return NULL;
	}
	vm = vm_new(m, group, (unsigned)number);
	record_take_slot(vm, obj, hostname);
	if (!str_eq(vm->hostname, hostname) || record_get_all(vm, obj, err) || record_get_operation(obj, ret, err)) {
		if (err && !*err)
			error_set(err, ERR_INVALID, "hostname \"%s\" does not fit group and number", hostname);
		vm_forget(vm);
		return NULL;
	}
	return vm;
}

int record_save(const char *dir, const char *text, struct error **err)
{
	cleanup_free char *path = fs_join(dir, "record.json");

	if (fs_mkdir_p(dir, 0700, err))
		return -1;
	return fs_write_atomic(path, text, strlen(text), 0600, err);
}
