/* SPDX-License-Identifier: MIT */
/* Launch: from a record to a running VMM. Also the way back up of a VM that was stopped, whose first boot hung, or whose
 * launch a crash interrupted: every step stands on what is there already. */
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "disk/disk.h"
#include "vm/manager_impl.h"
#include "vm/network.h"

enum { RETRY_SHIFT_MAX = 5, NOTES_MAX = 16 /* different ones that are said */ };

struct launch {
	struct vm *vm; /* for the loop's steps only */
	bool fresh;    /* a failed launch removes it */
	bool refused;  /* its name is taken; what has it is another daemon's */
	/* Copies for the workers. */
	const struct vmm_ops *ops;
	char *state_dir, *run_dir, *data_disk, *config_disk, *console, *exit_record, *name, *cgroup;
	struct json_object *guest_config;
	const char *templates_dir; /* the manager's options outlive all operations */
	uint64_t disk_bytes;
	struct network_job net;
	struct vmm_spec spec;
	struct vmm_process process; /* as recorded before; then the new one */
};

static int launch_dirs(void *ctx, struct op *op, struct error **err)
{
	struct launch *l = ctx;

	if (vm_name_claim(l->run_dir, l->fresh, &l->refused, err) < 0)
		return -1;
	return fs_mkdir_p(l->state_dir, 0700, err);
}

static int launch_end_vmm(struct launch *l, struct error **err)
{
	return vmm_destroy(l->run_dir, l->process.monitor_pid ? &l->process : NULL, err);
}

/* What ran before this launch (a boot that hung, a launch that a crash interrupted) is found by its run directory: it ends
 * before that goes. */
static int launch_dirs_undo(void *ctx, struct error **err)
{
	struct launch *l = ctx;

	if (launch_end_vmm(l, err) || fs_remove_tree(l->run_dir, err))
		return -1;
	if (!l->fresh)
		return 0;
	if (!l->refused && fs_unlink(l->console, err))
		return -1;
	return fs_remove_tree(l->state_dir, err);
}

static int launch_disk(void *ctx, struct op *op, struct error **err)
{
	struct launch *l = ctx;

	if (!l->disk_bytes || fs_exists(l->data_disk))
		return 0;
	return disk_create(l->templates_dir, l->data_disk, l->disk_bytes, l->spec.uid, l->spec.gid, err);
}

static int launch_disk_undo(void *ctx, struct error **err)
{
	struct launch *l = ctx;

	return l->fresh ? disk_remove(l->data_disk, err) : 0;
}

static int launch_config(void *ctx, struct op *op, struct error **err)
{
	struct launch *l = ctx;
	cleanup_free char *text = NULL;

	network_job_guest(&l->net, l->guest_config);
	text = js_to_string(l->guest_config);
	return disk_write_config(l->config_disk, text, strlen(text), err);
}

static int launch_vmm(void *ctx, struct op *op, struct error **err)
{
	struct launch *l = ctx;

	memset(&l->process, 0, sizeof(l->process));
	if (fs_unlink(l->exit_record, err))
		return -1;
	return vmm_launch(l->ops, &l->spec, &l->process, err);
}

/* After what ran before has ended, a boot that hung or a launch that a crash interrupted (whose record may not have had the
 * pids yet): it may hold the tap. */
static int launch_network(void *ctx, struct op *op, struct error **err)
{
	struct launch *l = ctx;

	if (launch_end_vmm(l, err))
		return -1;
	return network_job_up(&l->net, &l->spec.net, err);
}

static void launch_network_finish(void *ctx)
{
	struct launch *l = ctx;

	network_job_finish(&l->net, l->vm);
}

static int launch_network_undo(void *ctx, struct error **err)
{
	struct launch *l = ctx;

	if (launch_end_vmm(l, err))
		return -1;
	return network_job_down(&l->net, err);
}

static void launch_tell_note(const struct launch *l)
{
	char ***told = &l->vm->manager->told_of_host;

	if (!l->process.note[0])
		return;
	if (strv_contains(*told, l->process.note) || strv_len(*told) >= NOTES_MAX) {
		log_debug("[%s] %s", l->name, l->process.note);
		return;
	}
	log_warn("[%s] %s; so it is for other VMs, which is said once", l->name, l->process.note);
	strv_append(told, l->process.note);
}

static void launch_vmm_finish(void *ctx)
{
	struct launch *l = ctx;

	launch_tell_note(l);
	l->vm->processes = (struct vm_processes){
		.monitor_pid = l->process.monitor_pid,
		.monitor_start = l->process.monitor_start,
		.vmm_pid = l->process.vmm_pid,
		.vmm_start = l->process.vmm_start,
	};
}

static int launch_vmm_undo(void *ctx, struct error **err)
{
	return launch_end_vmm(ctx, err);
}

static int launch_connect(void *ctx, struct op *op, struct error **err)
{
	struct launch *l = ctx;

	/* From here on the agent may be used: what is left is the record. */
	if (vm_attach(l->vm, err))
		return -1;
	vm_set_state(l->vm, VM_STATE_RUNNING);
	return 0;
}

static int launch_commit(void *ctx, struct op *op, struct error **err)
{
	return 0; /* the record of this step is the commit */
}

static const struct op_step launch_steps[] = {
	{.name = "dirs", .kind = OP_STEP_WORKER, .run = launch_dirs, .undo = launch_dirs_undo},
	{.name = "disk", .kind = OP_STEP_WORKER, .run = launch_disk, .undo = launch_disk_undo},
	{.name = "network",
	 .kind = OP_STEP_WORKER,
	 .run = launch_network,
	 .finish = launch_network_finish,
	 .undo = launch_network_undo},
	{.name = "config", .kind = OP_STEP_WORKER, .run = launch_config},
	{.name = "vmm",
	 .kind = OP_STEP_WORKER,
	 .run = launch_vmm,
	 .finish = launch_vmm_finish,
	 .undo = launch_vmm_undo},
	{.name = "connect", .kind = OP_STEP_LOOP, .run = launch_connect},
	{.name = "commit", .kind = OP_STEP_WORKER, .run = launch_commit},
};

/* Twice: before anything is made, and when all is. What lies between needs no record of its own, because each step and each
 * undo stands on what is there; and each record waits for the disk. */
static char *launch_record(void *ctx, const char *step)
{
	struct launch *l = ctx;

	if (str_eq(step, "commit"))
		return record_format(l->vm, NULL, NULL);
	return str_eq(step, launch_steps[0].name) ? record_format(l->vm, "launch", step) : NULL;
}

static int launch_save(void *ctx, const char *record, struct error **err)
{
	return record_save(((struct launch *)ctx)->state_dir, record, err);
}

static void launch_free(struct launch *l)
{
	free(l->state_dir);
	free(l->run_dir);
	free(l->data_disk);
	free(l->config_disk);
	free(l->console);
	free(l->exit_record);
	free(l->name);
	js_put(&l->guest_config);
	free(l->cgroup);
	network_job_clear(&l->net);
	free(l);
}

/* What kept it from starting may pass: memory that is short, an interface that is taken. Each time later, up to a quarter of an
 * hour, by the looks of reconciliation. */
static void launch_put_off(struct vm *vm)
{
	unsigned shift = vm->launch_failures < RETRY_SHIFT_MAX ? vm->launch_failures : RETRY_SHIFT_MAX;

	vm->launch_failures++;
	vm->retry_at = clock_ms() + (vm->manager->look_ms << shift);
}

/* Its record goes last; while it is there, so may be processes, which run as the VM's users. */
static bool launch_is_undone(const struct vm *vm)
{
	cleanup_free char *dir = vm_state_path(vm, NULL);

	return !fs_exists(dir);
}

static void launch_failed(struct vm *vm, bool fresh, const struct error *error)
{
	log_error("[%s] launch failed: %s", vm->hostname, error_message(error));
	vm_note_error(vm, "%s", error_message(error));
	vm->last_error_code = error->code;
	launch_put_off(vm);
	vm_detach(vm);
	memset(&vm->processes, 0, sizeof(vm->processes));
	if (!fresh)
		vm_settle_start(vm, VM_STATE_STOPPED);
	else if (launch_is_undone(vm))
		vm_forget(vm);
	else
		vm_delete_start(vm); /* what cannot be removed stays listed, and reconciliation tries again */
}

static void launch_done(void *ctx, const struct error *error)
{
	struct launch *l = ctx;
	struct vm *vm = l->vm;
	bool fresh = l->fresh;

	vm->op = NULL;
	launch_free(l);
	if (error) {
		launch_failed(vm, fresh, error);
		return;
	}
	if (!vm->vmm_gone) /* else it says why this run has ended already */
		mem_freep(&vm->last_error);
	vm->launch_failures = 0;
	vm_touch(vm);
	log_info("[%s] IP: %s", vm->hostname, vm->ip && vm->ip[0] ? vm->ip : "not known yet");
	vm_op_ended(vm);
}

static const struct op_table launch_table = {
	.name = "launch",
	.steps = launch_steps,
	.nsteps = ARRAY_LEN(launch_steps),
	.record = launch_record,
	.save = launch_save,
	.done = launch_done,
};

static struct launch *launch_new(struct vm *vm, bool fresh, const struct manager_image *image,
				 struct network_job *take_network)
{
	const struct manager_options *o = vm->manager->options;
	struct launch *l = NEW(struct launch);

	l->vm = vm;
	l->fresh = fresh;
	l->ops = o->ops;
	l->templates_dir = o->templates_dir;
	l->name = str_dup(vm->hostname);
	l->state_dir = vm_state_path(vm, NULL);
	l->run_dir = vm_run_path(vm, NULL);
	l->data_disk = vm_state_path(vm, "disk.qcow2");
	l->config_disk = vm_state_path(vm, "config.raw");
	l->exit_record = vm_state_path(vm, "exit.json");
	l->console = vm_log_path(vm);
	l->net = *take_network;
	l->guest_config = guest_config(vm, image->modules != NULL);
	l->cgroup = str_fmt("%s/%s", o->daemon_id, vm->hostname);
	l->disk_bytes = vm->disk_bytes;
	l->process = (struct vmm_process){
		.monitor_pid = vm->processes.monitor_pid,
		.monitor_start = vm->processes.monitor_start,
		.vmm_pid = vm->processes.vmm_pid,
		.vmm_start = vm->processes.vmm_start,
	};
	l->spec = (struct vmm_spec){
		.name = l->name,
		.probe = o->probe,
		.vcpus = vm->vcpus,
		.ram_bytes = vm->ram_bytes,
		.kernel = image->kernel,
		.initrd = image->initrd,
		.root_image = image->rootfs,
		.modules_image = image->modules,
		.data_disk = vm->disk_bytes ? l->data_disk : NULL,
		.disk_bytes = vm->disk_bytes,
		.disk_bandwidth = vm->disk_bandwidth,
		.disk_operations = vm->disk_operations,
		.config_disk = l->config_disk,
		.uid = o->uid_base + UIDS_PER_VM * vm->uid_slot,
		.gid = o->uid_base + UIDS_PER_VM * vm->uid_slot,
		.cgroup = l->cgroup,
		.run_dir = l->run_dir,
		.console_path = l->console,
		.console_limit = CONSOLE_LIMIT,
		.exit_record = l->exit_record,
		.monitor_exe = o->monitor_exe,
	};
	return l;
}

/* A writable disk holds changes to one image: over another they are garbage. */
static int launch_check_image(struct vm *vm, const struct manager_image *image)
{
	if (!image)
		vm_note_error(vm, "its image \"%s\" is not in the configuration any more", vm->image ? vm->image : "");
	else if (vm->disk_bytes && !str_eq(image->digest, vm->image_digest))
		vm_note_error(
			vm,
			"its disk belongs to another build of the image \"%s\" (%.19s): put that back, or delete the VM",
			vm->image, vm->image_digest ? vm->image_digest : "unknown");
	else
		return 0;
	log_error("[%s] %s", vm->hostname, vm->last_error);
	return -1;
}

static int launch_plan_network(struct network_job *ret, struct vm *vm)
{
	cleanup_error struct error *error = NULL;

	if (network_job_plan(ret, vm, &error) == 0)
		return 0;
	network_job_clear(ret);
	vm_note_error(vm, "network: %s", error_message(error));
	vm->last_error_code = error->code;
	launch_put_off(vm);
	log_error("[%s] %s", vm->hostname, vm->last_error);
	return -1;
}

void vm_launch_start(struct vm *vm, bool fresh)
{
	struct manager *m = vm->manager;
	const struct manager_image *image = manager_image(m, vm->image);
	struct network_job network;

	if (launch_check_image(vm, image) || launch_plan_network(&network, vm)) {
		vm_stop_start(vm, false, true); /* of an interrupted launch there may be something left */
		return;
	}
	vm_set_state(vm, VM_STATE_STARTING);
	vm->op = op_start(m->loop, m->pool, &launch_table, launch_new(vm, fresh, image, &network));
}
