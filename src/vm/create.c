/* SPDX-License-Identifier: MIT */
/* From a request, or from `count:`, to a VM object with all that it needs reserved; and what users ask of VMs. */
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "vm/manager_impl.h"
#include "vm/network.h"

bool create_is_left_alone(const struct manager *m, const char *group, unsigned number)
{
	cleanup_free char *hostname = manager_hostname(m, group, number);

	return strv_contains(m->left_alone, hostname);
}

static unsigned create_next_number(const struct manager *m, const char *group, unsigned services)
{
	unsigned next = services + 1;

	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		if (str_eq(vm->group, group) && vm->number >= next)
			next = vm->number + 1;
	while (create_is_left_alone(m, group, next))
		next++;
	return next;
}

/* A VM whose record cannot be read may run. Whom it runs as is told by whose its disk is. */
static void create_spare_users(const struct manager *m, unsigned char *used)
{
	uid_t first = m->options->uid_base;
	struct stat st;

	for (char **name = m->left_alone; name && *name; name++) {
		cleanup_free char *disk = str_fmt("%s/vms/%s/disk.qcow2", m->options->state_dir, *name);

		if (lstat(disk, &st) == 0 && st.st_uid >= first && st.st_uid - first < MANAGER_UIDS)
			used[(st.st_uid - first) / UIDS_PER_VM] = 1;
	}
}

static int create_uid_slot(const struct manager *m, unsigned *ret, struct error **err)
{
	cleanup_free unsigned char *used = mem_alloc(MAX_VMS);

	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		used[vm->uid_slot] = 1;
	create_spare_users(m, used);
	for (unsigned i = 0; i < MAX_VMS; i++) {
		if (!used[i]) {
			*ret = i;
			return 0;
		}
	}
	return error_set(err, ERR_UNAVAILABLE, "this daemon has %d VMs, which is its limit", MAX_VMS);
}

static int create_machine_id(struct vm *vm, struct error **err)
{
	unsigned char id[16];

	if (random_bytes(id, sizeof(id), err))
		return -1;
	id[6] = (unsigned char)((id[6] & 0x0f) | 0x40); /* as systemd's: a valid version 4 UUID */
	id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
	vm->machine_id = hex_encode(id, sizeof(id));
	return 0;
}

int create_userdata(struct vm *vm, const struct config_group *g, const char *requested, struct error **err)
{
	size_t n;

	if (requested || g->userdata) {
		vm->userdata = str_dup(requested ? requested : g->userdata);
		return 0;
	}
	if (!g->userdata_file)
		return 0;
	return fs_read_file(g->userdata_file, CONFIG_USERDATA_MAX, &vm->userdata, &n, err)
		       ? error_wrap(err, "host group \"%s\": userdata_file", g->name)
		       : 0;
}

static int create_fill(struct vm *vm, const struct config_group *g, struct error **err)
{
	struct manager *m = vm->manager;
	const struct manager_image *image = manager_image(m, config_group_image(m->options->config, g));

	if (!image)
		return error_set(err, ERR_NOT_FOUND, "the image of host group \"%s\" is not there", g->name);
	if (create_uid_slot(m, &vm->uid_slot, err) || create_machine_id(vm, err))
		return -1;
	vm->image = str_dup(image->name);
	vm->image_digest = str_dup(image->digest);
	vm->vcpus = g->vcpu;
	vm->ram_bytes = g->ram_bytes;
	vm->group_vcpus = g->vcpu;
	vm->group_ram_bytes = g->ram_bytes;
	vm->disk_bytes = m->options->ops == &vmm_fake ? 0 : g->storage_size;
	vm->disk_bandwidth = g->limits.disk_bandwidth;
	vm->disk_operations = g->limits.disk_operations;
	vm->network_bandwidth = g->limits.network_bandwidth;
	vm->network_packets = g->limits.network_packets;
	vm->network_connections = g->limits.network_connections;
	vm->dns = strv_copy(g->dns_servers);
	vm->ssh_keys = strv_copy(m->options->config->ssh_keys);
	vm->created_at = clock_realtime_ns();
	return 0;
}

struct vm *create_vm(struct manager *m, const struct config_group *g, unsigned number, const char *ip,
		     struct error **err)
{
	struct vm *vm = vm_new(m, g->name, number);

	if (create_fill(vm, g, err) || vm_network_reserve(vm, ip, err)) {
		vm_forget(vm);
		return NULL;
	}
	return vm;
}

static void create_apply_network(struct vm *vm, const struct request_network *n)
{
	vm->has_override = n->has_allow || n->has_drop;
	vm->override_allow = n->has_allow;
	vm->override_drop = n->has_drop;
	vm->allow = strv_copy(n->allow);
	vm->drop = strv_copy(n->drop);
}

static int create_apply(struct vm *vm, const struct config_group *g, const struct node_request *r, struct error **err)
{
	if (r->cpus)
		vm->vcpus = r->cpus;
	if (r->ram_bytes)
		vm->ram_bytes = r->ram_bytes;
	vm->persistent = r->persistent;
	vm->tags = strv_copy(r->tags);
	for (char *const *key = r->ssh_keys; key && *key; key++)
		if (!strv_contains(vm->ssh_keys, *key))
			strv_append(&vm->ssh_keys, *key);
	create_apply_network(vm, &r->network);
	return create_userdata(vm, g, r->userdata, err);
}

/* "name=" is the friendly name: unique, and never what a hostname could be. */
static int create_check_name(struct manager *m, const char *tag, struct error **err)
{
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		if (strv_contains(vm->tags, tag) || str_eq(vm->hostname, tag + strlen("name=")))
			return error_set(err, ERR_CONFLICT, "the name \"%s\" is taken by VM \"%s\"",
					 tag + strlen("name="), vm->hostname);
	return 0;
}

static bool create_is_label(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

int tags_check(struct manager *m, const char *group, char *const *tags, struct error **err)
{
	for (char *const *tag = tags; tag && *tag; tag++) {
		const char *name = *tag + strlen("name=");

		if (!str_starts(*tag, "name="))
			continue;
		if (!create_is_label(name))
			return error_set(err, ERR_INVALID, "the name \"%s\" is not a lower-case DNS label", name);
		for (size_t i = 0; i < m->options->config->ngroups; i++) {
			const char *prefix = m->options->config->groups[i].name;
			size_t len = strlen(prefix);

			if (strncmp(name, prefix, len) == 0 && name[len] == '-' && name[len + 1] &&
			    strspn(name + len + 1, "0123456789") == strlen(name + len + 1))
				return error_set(err, ERR_INVALID,
						 "the name \"%s\" looks like a hostname of host group \"%s\"", name,
						 prefix);
		}
		if (create_check_name(m, *tag, err))
			return -1;
	}
	return 0;
}

void create_log_launch(const char *hostname, uint64_t ram_bytes, unsigned vcpus)
{
	cleanup_free char *ram = size_format(ram_bytes);

	log_info("Launching: %s  %s  %u vCPU", hostname, ram, vcpus);
}

struct vm *manager_create(struct manager *m, const char *group, const struct node_request *request, struct error **err)
{
	const struct config_group *g = config_group_find(m->options->config, group);
	struct vm *vm;

	if (!g) {
		error_set(err, ERR_NOT_FOUND, "host group \"%s\" is not in the configuration", group);
		return NULL;
	}
	if (m->stopping) {
		error_set(err, ERR_UNAVAILABLE, "the daemon is stopping");
		return NULL;
	}
	if (g->nslots) {
		error_set(err, ERR_FORBIDDEN,
			  "host group \"%s\" has slots, one VM each: add a slot to the configuration", group);
		return NULL;
	}
	if (node_request_check(request, g, err) || tags_check(m, group, request->tags, err))
		return NULL;
	vm = create_vm(m, g, create_next_number(m, g->name, g->count), request->ip, err);
	if (!vm)
		return NULL;
	if (create_apply(vm, g, request, err)) {
		vm_forget(vm);
		return NULL;
	}
	vm_insert(vm);
	create_log_launch(vm->hostname, vm->ram_bytes, vm->vcpus);
	vm_launch_start(vm, true);
	return vm;
}

bool vm_is_settling(const struct vm *vm)
{
	if (!vm->op)
		return false;
	return str_eq(op_name(vm->op), "settle") ||
	       (vm->state == VM_STATE_RUNNING && str_eq(op_name(vm->op), "launch"));
}

int vm_check_request(const struct vm *vm, enum vm_request request, struct error **err)
{
	if (vm_state_check(vm->hostname, vm->state, request, err))
		return -1;
	if (request == VM_REQUEST_DELETE)
		return 0;
	if (vm->op)
		return error_set(err, ERR_CONFLICT, "VM \"%s\" is busy with its %s", vm->hostname, op_name(vm->op));
	if (vm->vmm_asked)
		return error_set(err, ERR_CONFLICT, "VM \"%s\" is just being paused or resumed", vm->hostname);
	return 0;
}

static int request_begin(struct vm *vm, enum vm_request request, struct error **err)
{
	if (vm_check_request(vm, request, err))
		return -1;
	vm->stuck = vm->restart = false;
	return 0;
}

int vm_shutdown(struct vm *vm, struct error **err)
{
	if (request_begin(vm, VM_REQUEST_SHUTDOWN, err))
		return -1;
	vm_stop_start(vm, true, false);
	return 0;
}

int vm_relaunch(struct vm *vm, struct error **err)
{
	if (request_begin(vm, VM_REQUEST_RELAUNCH, err))
		return -1;
	if (vm->manager->stopping)
		return error_set(err, ERR_UNAVAILABLE, "the daemon is stopping");
	if (!vm_is_kept(vm))
		return error_set(err, ERR_CONFLICT, "VM \"%s\" is not persistent", vm->hostname);
	vm->boot_retries = 0;
	vm_launch_start(vm, false);
	return 0;
}

int vm_delete(struct vm *vm, struct error **err)
{
	struct error *why = NULL;

	if (request_begin(vm, VM_REQUEST_DELETE, err))
		return -1;
	if (vm->service && !vm->manager->stopping)
		return error_set(
			err, ERR_FORBIDDEN,
			"VM \"%s\" is a service (count: or slots: in the configuration) and protected: change the configuration, or shut it down",
			vm->hostname);
	if (!vm->op) {
		vm_delete_start(vm);
		return 0;
	}
	vm->delete_wanted = true;
	error_set(&why, ERR_CANCELLED, "the VM is being deleted");
	if (str_eq(op_name(vm->op), "stop")) {
		error_free(&why);
		op_continue(vm->op, NULL);
	} else if (str_eq(op_name(vm->op), "launch")) {
		op_cancel(vm->op, why);
	} else {
		error_free(&why);
	}
	return 0;
}

void vm_set_tags(struct vm *vm, char **take_tags)
{
	strv_free(&vm->tags);
	vm->tags = take_tags;
	vm_touch(vm);
	vm->dirty = true;
	vm_op_ended(vm);
}

static void service_restart(struct vm *vm)
{
	vm->restart = false;
	log_info("Launching: %s again", vm->hostname);
	vm_launch_start(vm, false);
}

/* An operation left the VM in a state of rest: is that where it is to stay? */
void vm_op_ended(struct vm *vm)
{
	bool stopping = vm->manager->stopping;
	bool runs = vm->state == VM_STATE_RUNNING || vm->state == VM_STATE_PAUSED;

	if (vm->op)
		return;
	if (vm->stuck && vm->dirty)
		vm_settle_start(vm, vm->state);
	else if (vm->stuck)
		vm_changed(vm);
	else if (vm->delete_wanted || (!vm_is_kept(vm) && (stopping || vm->vmm_gone || !runs)))
		vm_delete_start(vm);
	else if (runs && vm->vmm_gone)
		vm_stop_start(vm, false, true);
	else if (runs && stopping)
		vm_stop_start(vm, vm->manager->graceful, false);
	else if (vm->restart && vm->state == VM_STATE_STOPPED && !stopping)
		service_restart(vm);
	else if (vm->dirty && !vm->vmm_asked) /* else its record waits for the answer, which may change its state */
		vm_settle_start(vm, vm->state);
	else
		vm_changed(vm);
}
