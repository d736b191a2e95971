/* SPDX-License-Identifier: MIT */
/* Stop and delete, and the one-step operation that only writes the record. */
#include "base/deadline.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "net/apply.h"
#include "vm/manager_impl.h"
#include "vm/network.h"
#include "vmm/cgroup.h"

enum { AGENT_LOOK_MS = 50, AGENT_MS = 5000 /* for an agent that is away for a moment, as it is from a new daemon */ };

struct stop {
	struct vm *vm;		       /* for the loop's steps only */
	bool ask;		       /* the guest first */
	struct http_exchange *request; /* to its agent */
	struct timer *look;	       /* whether its agent is there by now; NULL: not waited for */
	struct deadline look_until;
	enum vm_state before, then;
	/* Copies for the workers. */
	char *state_dir, *run_dir, *console, *cgroup;
	const char *daemon_id; /* the manager's options outlive all operations */
	char *exit_record;
	char *boot_id;	       /* of the host */
	struct vmm_exit ended; /* as its monitor has left word; no members: it has not */
	char *stray;	       /* name of one that has no record of what it has on this host; NULL: it has */
	struct vmm_process process;
	struct network_job net;
};

static struct stop *stop_new(struct vm *vm)
{
	struct stop *s = NEW(struct stop);
	cleanup_error struct error *error = NULL;

	s->vm = vm;
	s->before = vm->state;
	if (network_job_recorded(&s->net, vm, &error))
		log_warn("[%s] what its record says of its network is not usable: %s", vm->hostname,
			 error_message(error));
	s->state_dir = vm_state_path(vm, NULL);
	s->run_dir = vm_run_path(vm, NULL);
	s->console = vm_log_path(vm);
	s->daemon_id = vm->manager->options->daemon_id;
	s->cgroup = str_fmt("%s/%s", s->daemon_id, vm->hostname);
	s->stray = vm->stray ? str_dup(vm->hostname) : NULL;
	s->exit_record = vm_state_path(vm, "exit.json");
	s->boot_id = str_dup(vm->manager->boot_id);
	s->process = (struct vmm_process){
		.monitor_pid = vm->processes.monitor_pid,
		.monitor_start = vm->processes.monitor_start,
		.vmm_pid = vm->processes.vmm_pid,
		.vmm_start = vm->processes.vmm_start,
	};
	return s;
}

static void stop_free(struct stop *s)
{
	http_exchange_free(&s->request);
	timer_free(&s->look);
	free(s->state_dir);
	free(s->run_dir);
	free(s->console);
	free(s->cgroup);
	free(s->stray);
	free(s->exit_record);
	free(s->boot_id);
	vmm_exit_clear(&s->ended);
	network_job_clear(&s->net);
	free(s);
}

static void stop_look(void *arg);

static void stop_await_agent(struct stop *s)
{
	if (!s->look) {
		s->look = timer_new(s->vm->manager->loop, stop_look, s);
		s->look_until = deadline_in(AGENT_MS);
	}
	timer_set(s->look, AGENT_LOOK_MS);
}

/* The answer says only that the agent heard; the end of the VMM ends the step (vm_ended). Without one the agent's server may
 * have died: there is another soon. */
static void stop_answered(void *arg, struct http_exchange *x, const struct error *error)
{
	struct stop *s = arg;

	if (error) {
		http_exchange_free(&s->request);
		stop_await_agent(s);
	} else if (http_exchange_response(x)->status != 200) {
		op_continue(s->vm->op, NULL);
	}
}

static int stop_send(struct stop *s, struct error **err)
{
	static const char body[] = "{\"action\":\"poweroff\"}";
	struct http_head *head = http_head_new_request("POST", "/shutdown");

	http_head_add(head, "content-type", "application/json");
	head->content_length = sizeof(body) - 1;
	s->request = session_open(s->vm->session, head, err);
	if (!s->request)
		return -1;
	http_exchange_on_response(s->request, stop_answered, s);
	stream_write(http_exchange_stream(s->request), body, sizeof(body) - 1);
	stream_end(http_exchange_stream(s->request));
	return 0;
}

/* One that took leave is on its way down: it has as long as any. */
static void stop_look(void *arg)
{
	struct stop *s = arg;
	struct error *error = NULL;

	if (session_is_ready(s->vm->session) && stop_send(s, &error) < 0)
		op_continue(s->vm->op, error);
	else if (!s->request && !s->vm->guest_said_bye && deadline_over(&s->look_until))
		op_continue(s->vm->op, NULL);
	else if (!s->request)
		stop_await_agent(s);
}

static int stop_ask_agent(struct stop *s, struct error **err)
{
	if (session_is_ready(s->vm->session))
		return stop_send(s, err);
	stop_await_agent(s);
	return 0;
}

/* ERR_CANCELLED: it has ended, and its client goes. */
static void stop_resumed(void *arg, const struct error *error)
{
	struct stop *s = arg;
	struct error *failure = NULL;

	if (error && error->code == ERR_CANCELLED)
		return;
	if (!error)
		s->before = VM_STATE_RUNNING;
	if (error || stop_ask_agent(s, &failure) < 0)
		op_continue(s->vm->op, failure);
}

/* A guest that is paused can hear nothing, and would lose what it has not written yet. */
static int stop_ask(void *ctx, struct op *op, struct error **err)
{
	struct stop *s = ctx;
	struct vm *vm = s->vm;
	bool hurry, boots;

	/* What hurries it may have come before this step began. */
	hurry = vm->delete_wanted || (vm->manager->stopping && !vm->manager->graceful);
	boots = !vm->session || timer_pending(vm->boot_timer); /* no word of its agent yet: nothing to lose */
	if (!s->ask || hurry || vm->vmm_gone || (boots && !session_is_ready(vm->session)))
		op_continue(op, NULL);
	else if (s->before != VM_STATE_PAUSED)
		return stop_ask_agent(s, err);
	else if (vm->vmm)
		vmm_resume(vm->vmm, stop_resumed, s);
	else
		op_continue(op, NULL);
	return 0;
}

static int stop_ask_expired(void *ctx, struct error **err)
{
	struct stop *s = ctx;

	log_warn("[%s] did not power off within %d s: killing it", s->vm->hostname, GRACEFUL_STOP_MS / 1000);
	return 0;
}

static int stop_detach(void *ctx, struct op *op, struct error **err)
{
	struct stop *s = ctx;

	http_exchange_free(&s->request);
	timer_free(&s->look);
	vm_detach(s->vm);
	return 0;
}

/* Its monitor has ended by now: what it has written is all that will ever be known. */
static void stop_read_end(struct stop *s)
{
	if (vmm_exit_read(s->exit_record, &s->ended, NULL) == 0 &&
	    (s->ended.vmm_pid != s->process.vmm_pid || !str_eq(s->ended.boot_id, s->boot_id)))
		vmm_exit_clear(&s->ended);
}

/* Of a stray the interface goes before the VMM ends: it would go with it, and with that what names the rules. The control group
 * is removed by its name, whatever has become of the run directory. */
static int stop_kill(void *ctx, struct op *op, struct error **err)
{
	struct stop *s = ctx;

	if (s->stray && net_stray_down(s->daemon_id, s->stray, err))
		return -1;
	if (vmm_destroy(s->run_dir, s->process.monitor_pid ? &s->process : NULL, err) ||
	    cgroup_remove_named(s->cgroup, err))
		return -1;
	stop_read_end(s);
	return fs_remove_tree(s->run_dir, err);
}

static void stop_killed(void *ctx)
{
	struct stop *s = ctx;

	if (s->ended.vm)
		vm_end_known(s->vm, &s->ended);
}

static int stop_network(void *ctx, struct op *op, struct error **err)
{
	return network_job_down(&((struct stop *)ctx)->net, err);
}

/* The record of the step is what it is for. Of the first: what the guest was asked for is finished by the next daemon, should
 * this one not live to see it; of the last: it has stopped. */
static int stop_written(void *ctx, struct op *op, struct error **err)
{
	return 0;
}

static const struct op_step stop_steps[] = {
	{.name = "begin", .kind = OP_STEP_WORKER, .run = stop_written},
	{.name = "ask",
	 .kind = OP_STEP_WAIT,
	 .deadline_ms = GRACEFUL_STOP_MS,
	 .run = stop_ask,
	 .expire = stop_ask_expired},
	{.name = "detach", .kind = OP_STEP_LOOP, .run = stop_detach},
	{.name = "kill", .kind = OP_STEP_WORKER, .run = stop_kill, .finish = stop_killed},
	{.name = "network", .kind = OP_STEP_WORKER, .run = stop_network},
	{.name = "commit", .kind = OP_STEP_WORKER, .run = stop_written},
};

static char *stop_record(void *ctx, const char *step)
{
	struct stop *s = ctx;
	struct vm then =
		*s->vm; /* nobody is shown what can still fail, or told of an end and then refused what follows */

	if (!str_eq(step, "commit")) /* once, before the guest hears of it: see launch_record() */
		return str_eq(step, "begin") ? record_format(s->vm, "stop", step) : NULL;
	then.state = s->then;
	if (s->then == VM_STATE_STOPPED)
		then.processes = (struct vm_processes){0};
	return record_format(&then, NULL, NULL);
}

/* A record that cannot be written must not keep a VM from ending: on a full disk that is what makes room. The old one and what
 * exists then lead the next daemon to the same end. */
static int stop_save(void *ctx, const char *record, struct error **err)
{
	cleanup_error struct error *error = NULL;

	if (record_save(((struct stop *)ctx)->state_dir, record, &error))
		log_warn("%s; going on without", error_message(error));
	return 0;
}

/* It could not be ended. The list goes on telling the truth, and reconciliation tries again what is left of one that does not run. */
static void stop_failed(struct stop *s, const char *what, const struct error *error)
{
	struct vm *vm = s->vm;

	vm_note_error(vm, "%s: %s", what, error_message(error));
	log_error("[%s] %s", vm->hostname, vm->last_error);
	vm->stuck = true;
	vm->delete_wanted = false;
	if (vm_runs(vm) && (vm->session || vm_attach(vm, NULL) == 0)) {
		vm_set_state(vm, s->before == VM_STATE_PAUSED ? VM_STATE_PAUSED : VM_STATE_RUNNING);
		return;
	}
	vm_detach(vm);
	vm_set_state(vm, VM_STATE_STOPPED);
}

static void stop_done(void *ctx, const struct error *error)
{
	struct stop *s = ctx;
	struct vm *vm = s->vm;

	vm->op = NULL;
	if (error) {
		stop_failed(s, "stop", error);
		vm->dirty =
			vm->state != VM_STATE_STOPPED; /* or the next daemon would believe that it is on its way down */
	} else {
		log_info("[%s] stopped", vm->hostname);
		vm->processes = (struct vm_processes){0};
		vm_set_state(vm, VM_STATE_STOPPED);
	}
	stop_free(s);
	vm_op_ended(vm);
}

static const struct op_table stop_table = {
	.name = "stop",
	.steps = stop_steps,
	.nsteps = ARRAY_LEN(stop_steps),
	.record = stop_record,
	.save = stop_save,
	.done = stop_done,
};

void vm_stop_start(struct vm *vm, bool ask, bool already_dead)
{
	struct manager *m = vm->manager;
	struct stop *s = stop_new(vm);

	s->ask = ask && !already_dead && (vm->state == VM_STATE_RUNNING || vm->state == VM_STATE_PAUSED);
	s->then = VM_STATE_STOPPED;
	vm_set_state(vm, VM_STATE_STOPPING);
	vm->op = op_start(m->loop, m->pool, &stop_table, s);
}

static int settle_save(void *ctx, const char *record, struct error **err)
{
	return record_save(((struct stop *)ctx)->state_dir, record, err);
}

static void settle_done(void *ctx, const struct error *error)
{
	struct stop *s = ctx;
	struct vm *vm = s->vm;

	vm->op = NULL;
	if (error) {
		vm_note_error(vm, "%s", error_message(error));
		log_error("[%s] %s", vm->hostname, error_message(error));
	}
	if (vm->state == s->before)
		vm_set_state(vm, s->then);
	else
		vm->dirty = true; /* its VMM has paused or resumed meanwhile */
	stop_free(s);
	vm_op_ended(vm);
}

static const struct op_table settle_table = {
	.name = "settle",
	.steps = &stop_steps[ARRAY_LEN(stop_steps) - 1],
	.nsteps = 1,
	.record = stop_record,
	.save = settle_save,
	.done = settle_done,
};

void vm_settle_start(struct vm *vm, enum vm_state state)
{
	struct manager *m = vm->manager;
	struct stop *s = stop_new(vm);

	vm->dirty = false;
	s->then = state;
	vm->op = op_start(m->loop, m->pool, &settle_table, s);
}

static int delete_files(void *ctx, struct op *op, struct error **err)
{
	struct stop *s = ctx;
	cleanup_free char *rotated = str_fmt("%s.1", s->console);

	if (s->stray || vm_name_check(s->run_dir, false, NULL))
		return 0; /* the log of that name may be another daemon's */
	if (fs_unlink(s->console, err))
		return -1;
	return fs_unlink(rotated, err);
}

/* Last, because it takes the record along. The disk before that: one without a record is left to its owner (adopt.c). */
static int delete_state(void *ctx, struct op *op, struct error **err)
{
	struct stop *s = ctx;
	cleanup_free char *disk = fs_join(s->state_dir, "disk.qcow2");

	if (fs_unlink(disk, err))
		return -1;
	return fs_remove_tree(s->state_dir, err);
}

static const struct op_step delete_steps[] = {
	{.name = "detach", .kind = OP_STEP_LOOP, .run = stop_detach},
	{.name = "kill", .kind = OP_STEP_WORKER, .run = stop_kill, .finish = stop_killed},
	{.name = "network", .kind = OP_STEP_WORKER, .run = stop_network},
	{.name = "files", .kind = OP_STEP_WORKER, .run = delete_files},
	{.name = "state", .kind = OP_STEP_WORKER, .run = delete_state},
};

static char *delete_record(void *ctx, const char *step)
{
	return str_eq(step, "kill") ? record_format(((struct stop *)ctx)->vm, "delete", step) : NULL;
}

static void delete_done(void *ctx, const struct error *error)
{
	struct stop *s = ctx;
	struct vm *vm = s->vm;

	vm->op = NULL;
	if (error) {
		stop_failed(s, "delete", error); /* what is left stays listed, so that it can be deleted again */
	} else {
		log_info("[%s] deleted", vm->hostname);
		if (vm->restart)
			service_replace(vm);
		else
			vm_forget(vm);
	}
	stop_free(s);
}

static const struct op_table delete_table = {
	.name = "delete",
	.steps = delete_steps,
	.nsteps = ARRAY_LEN(delete_steps),
	.record = delete_record,
	.save = stop_save,
	.done = delete_done,
};

void vm_delete_start(struct vm *vm)
{
	struct manager *m = vm->manager;

	vm_set_state(vm, VM_STATE_DELETING);
	vm->op = op_start(m->loop, m->pool, &delete_table, stop_new(vm));
}
