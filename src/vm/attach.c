/* SPDX-License-Identifier: MIT */
/* The daemon's connections to a VM that runs, and what follows from its end. */
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "vm/manager_impl.h"

/* What its console has said so far is of no interest when it resets. */
static void attach_see_console(struct vm *vm)
{
	cleanup_free char *path = vm_log_path(vm);

	vm->console_seen = console_size(path);
}

static void attach_on_ready(void *arg)
{
	struct vm *vm = arg;

	vm->guest_said_bye = false;
	if (!timer_pending(vm->reset_timer))
		attach_see_console(vm);
	vm->silent_resets = 0;
	timer_cancel(vm->boot_timer);
	log_info("[%s] agent %s is ready", vm->hostname, session_facts(vm->session)->agent_version);
	vm_changed(vm);
}

/* Not more often than that: a guest must not fill the log. */
static void attach_on_lost(void *arg)
{
	struct vm *vm = arg;
	int64_t now = clock_ms();

	if (!vm->lost_told_at || now - vm->lost_told_at > LOST_TOLD_MS) {
		vm->lost_told_at = now;
		log_info("[%s] agent lost: %s", vm->hostname, session_lost_why(vm->session));
	}
	vm_changed(vm);
}

static void attach_on_event(void *arg)
{
	vm_changed(arg);
}

static void attach_on_bye(void *arg, bool reboot)
{
	struct vm *vm = arg;

	if (!vm->guest_said_bye) /* once a boot: a guest must not fill the log */
		log_info("[%s] the guest %s", vm->hostname, reboot ? "reboots" : "powers off");
	vm->guest_said_bye = true;
}

static void attach_on_touch(void *arg)
{
	vm_touch(arg);
}

static const struct session_events session_events = {
	.on_touch = attach_on_touch,
	.on_ready = attach_on_ready,
	.on_lost = attach_on_lost,
	.on_event = attach_on_event,
	.on_bye = attach_on_bye,
};

static void attach_arm_boot_timer(struct vm *vm)
{
	timer_set_deadline(vm->boot_timer, BOOT_SIGN_MS);
}

/* A guest that has not said a word is started once more: under emulation a boot may hang in the kernel's calibration. */
static void attach_boot_expired(void *arg)
{
	struct vm *vm = arg;

	if (vm_is_settling(vm)) {
		timer_set(vm->boot_timer, CONSOLE_SETTLE_MS);
		return;
	}
	if (vm->op || vm->state != VM_STATE_RUNNING || session_was_heard(vm->session))
		return;
	if (vm->boot_retries >= BOOT_MAX_RETRIES) {
		vm_note_error(vm, "no sign of life from its agent after %u boots; see slicer vm logs %s",
			      vm->boot_retries + 1, vm->hostname);
		log_error("[%s] %s", vm->hostname, vm->last_error);
		return;
	}
	vm->boot_retries++;
	log_warn("[%s] no sign of life from its agent: starting it once more", vm->hostname);
	vm_detach(vm);
	vm_launch_start(vm, false);
}

static char *attach_say_end(const struct vmm_exit *ended)
{
	cleanup_free char *limit = NULL;

	if (!ended->signalled)
		return str_fmt("its VMM ended with status %d", ended->exit_code);
	if (!ended->memory_limit)
		return str_fmt("its VMM was killed by %s", ended->signal);
	limit = size_format(ended->memory_limit);
	return str_fmt("its VMM was killed at its memory limit (%s)", limit);
}

static bool attach_is_clean(const struct vmm_exit *ended)
{
	return !ended->signalled && ended->exit_code == 0;
}

/* With the VMM's last words, where it ended badly. */
static char *attach_say_why(const struct vmm_exit *ended)
{
	char *why = attach_say_end(ended), *full;
	const char *message = ended->vmm_message ? ended->vmm_message : "";
	cleanup_free char *words = str_escape(message, strlen(message));

	if (attach_is_clean(ended) || !words[0])
		return why;
	full = str_fmt("%s: %s", why, words);
	free(why);
	return full;
}

static void attach_on_vmm_exit(void *arg, const struct vmm_exit *ended)
{
	cleanup_free char *why = attach_say_why(ended);

	vm_ended(arg, why, attach_is_clean(ended));
}

static void attach_note_end(struct vm *vm, const char *why, bool expected)
{
	free(vm->end_why);
	vm->end_why = str_dup(expected && vm->guest_said_bye ? "its guest powered off" : why);
	if (expected)
		return;
	vm_note_error(vm, "%s", why);
	log_error("[%s] %s", vm->hostname, why);
}

void vm_end_known(struct vm *vm, const struct vmm_exit *ended)
{
	cleanup_free char *why = attach_say_why(ended);

	if (!vm->end_unknown)
		return;
	vm->end_unknown = false;
	if (str_eq(vm->last_error, vm->end_why)) {
		mem_freep(&vm->last_error);
		vm_touch(vm);
	}
	attach_note_end(vm, why, attach_is_clean(ended));
}

static void attach_on_monitor_down(void *arg, const struct error *error)
{
	struct vm *vm = arg;

	monitor_client_free(&vm->monitor);
	if (error)
		vm_ended(vm, "its monitor was killed", false);
}

static const struct monitor_client_events monitor_events = {
	.on_exit = attach_on_vmm_exit,
	.on_down = attach_on_monitor_down,
};

/* Leave that was taken is of one reset: what comes after it may be another matter. */
static bool attach_was_announced(struct vm *vm)
{
	bool announced = vm->guest_said_bye;

	vm->guest_said_bye = false;
	return announced;
}

/* A kernel that panics resets the machine (panic=-1). What it said last tells a panic from a reboot that nobody announced, and
 * a machine that never gets as far as its agent would go round for ever. */
static void attach_look_at_reset(struct vm *vm)
{
	cleanup_free char *path = vm_log_path(vm);
	cleanup_free char *last = console_find_last(path, "Kernel panic - not syncing", vm->console_seen);

	if (vm->op || attach_was_announced(vm))
		return;
	if (!last && ++vm->silent_resets < MAX_SILENT_RESETS)
		return;
	vm_note_error(vm, "%s; see slicer vm logs %s", last ? last : "it resets again and again", vm->hostname);
	log_error("[%s] %s", vm->hostname, vm->last_error);
	vm->vmm_gone = true; /* as good as: the operation that follows kills it */
	free(vm->end_why);
	vm->end_why = str_dup(vm->last_error);
	vm_op_ended(vm);
}

/* What the guest said before it was reset was in the monitor's pipe by then, which it reads before it answers. */
static void attach_console_is_out(void *arg, const struct monitor_status *status, const struct error *error)
{
	struct vm *vm = arg; /* still there: its client answers at the latest when it is freed */

	if (error || !vm->console_asked || !timer_pending(vm->reset_timer))
		return;
	timer_set(vm->reset_timer, 0);
}

static void attach_on_reset_timer(void *arg)
{
	struct vm *vm = arg;
	bool asked = vm->console_asked;

	vm->console_asked = false;
	if (vm_is_settling(vm)) { /* it goes on after that */
		timer_set_deadline(vm->reset_timer, CONSOLE_SETTLE_MS);
	} else if (vm->monitor && !asked) {
		vm->console_asked = true;
		timer_set_deadline(vm->reset_timer, MONITOR_ANSWER_MS);
		monitor_client_status(vm->monitor, attach_console_is_out, vm);
	} else {
		attach_look_at_reset(vm);
	}
}

/* In place: the VMM and our connections to it go on. The new boot may hang like the first. */
static void attach_on_reset(struct vm *vm)
{
	session_expect_boot(vm->session);
	attach_arm_boot_timer(vm);
	/* One that resets faster than that is looked at all the same. */
	if (!attach_was_announced(vm) && !timer_pending(vm->reset_timer))
		timer_set_deadline(vm->reset_timer, CONSOLE_SETTLE_MS);
}

static void attach_on_vmm_event(void *arg, enum vmm_event event)
{
	struct vm *vm = arg;
	bool rests = !vm->op || vm_is_settling(vm);

	if (event == VMM_EVENT_STOP && vm->state == VM_STATE_RUNNING && rests)
		vm_set_state(vm, VM_STATE_PAUSED);
	else if (event == VMM_EVENT_RESUME && vm->state == VM_STATE_PAUSED && rests)
		vm_set_state(vm, VM_STATE_RUNNING);
	else if (event == VMM_EVENT_RESET)
		attach_on_reset(vm);
}

/* The VMM may only have been slow; its end is the monitor's to tell. */
static void attach_on_vmm_down(void *arg, const struct error *error)
{
	struct vm *vm = arg;

	log_debug("[%s] control channel: %s", vm->hostname, error_message(error));
	vmm_client_free(&vm->vmm);
	timer_set(vm->vmm_timer, VMM_RECONNECT_MS);
}

static const struct vmm_client_events vmm_events = {
	.on_event = attach_on_vmm_event,
	.on_down = attach_on_vmm_down,
};

static void attach_vmm(struct vm *vm)
{
	struct manager *m = vm->manager;
	cleanup_free char *run = vm_run_path(vm, NULL);

	vm->vmm = vmm_client_new(m->loop, m->options->ops, run, &vmm_events, vm, NULL);
	if (!vm->vmm)
		timer_set(vm->vmm_timer, VMM_RECONNECT_MS);
}

/* Its monitor tells when the VMM ends, and how, as soon as that is on the disk, which may be slow. One that stands still does
 * not. */
static void attach_vmm_has_ended(struct vm *vm)
{
	if (!vm->end_seen)
		vm->end_seen = clock_ms();
	if (vm->monitor && clock_ms() - vm->end_seen < MONITOR_TELLS_MS) {
		timer_set(vm->vmm_timer, VMM_RECONNECT_MS);
		return;
	}
	vm->end_unknown = true;
	vm_ended(vm, "its VMM has ended, and its monitor does not say how", false);
}

static void attach_vmm_again(void *arg)
{
	struct vm *vm = arg;

	if (vm->vmm_gone) /* as is known already */
		return;
	if (!vm_runs(vm))
		attach_vmm_has_ended(vm);
	else if (!vm->vmm)
		attach_vmm(vm);
}

int vm_attach(struct vm *vm, struct error **err)
{
	struct manager *m = vm->manager;
	cleanup_free char *run = vm_run_path(vm, NULL);
	cleanup_free char *control = vm_run_path(vm, "control.sock");
	cleanup_free char *agent = vm_run_path(vm, "agent.sock");

	vm_detach(vm);
	vm->monitor = monitor_client_new(m->loop, run, &monitor_events, vm, err);
	if (!vm->monitor)
		return -1;
	vm->guest_said_bye = vm->vmm_gone = vm->end_unknown = false;
	vm->end_seen = 0;
	vm->console_asked = false;
	attach_see_console(vm);
	vm->silent_resets = 0;
	vm->boot_timer = timer_new(m->loop, attach_boot_expired, vm);
	attach_arm_boot_timer(vm);
	vm->reset_timer = timer_new(m->loop, attach_on_reset_timer, vm);
	vm->session = session_new(m->loop, control, agent, &session_events, vm);
	vm->vmm_timer = timer_new(m->loop, attach_vmm_again, vm);
	attach_vmm(vm);
	return 0;
}

void vm_detach(struct vm *vm)
{
	session_free(&vm->session);
	vmm_client_free(&vm->vmm);
	monitor_client_free(&vm->monitor);
	timer_free(&vm->boot_timer);
	timer_free(&vm->reset_timer);
	timer_free(&vm->vmm_timer);
}

void vm_ended(struct vm *vm, const char *why, bool expected)
{
	struct error *error = NULL;

	attach_note_end(vm, why, expected);
	vm->vmm_gone = true;
	vm->stuck = false; /* what kept it from ending may be gone as well */
	if (!vm->op) {
		vm_op_ended(vm);
	} else if (str_eq(op_name(vm->op), "stop")) {
		op_continue(vm->op, NULL);
	} else if (str_eq(op_name(vm->op), "launch")) {
		error_set(&error, ERR_INTERNAL, "%s", why);
		op_cancel(vm->op, error);
	}
}

struct pause_call {
	struct vm *vm;
	enum vm_state then;
	vm_done_fn *done;
	void *arg;
};

static void pause_done(void *arg, const struct error *error)
{
	struct pause_call *call = arg;
	struct vm *vm = call->vm; /* still there: its client answers at the latest when it is freed */
	cleanup_error struct error *failure = NULL;

	vm->vmm_asked = false;
	if (!error && !vm->op) {
		vm_settle_start(vm, call->then);
		if (call->then == VM_STATE_RUNNING && !session_was_heard(vm->session))
			attach_arm_boot_timer(vm);
	} else if (error && error->code == ERR_CANCELLED) {
		error_set(&failure, ERR_CONFLICT, "VM \"%s\" ends", vm->hostname);
	} else if (error && error->code == ERR_TIMEOUT) {
		error_set(&failure, ERR_INTERNAL, "%s", error_message(error));
	}
	if (vm->dirty && error && error->code != ERR_CANCELLED)
		vm_op_ended(vm); /* what waited for the answer */
	call->done(call->arg, failure ? failure : error);
	free(call);
}

static void pause_or_resume(struct vm *vm, enum vm_request request, vm_done_fn *done, void *arg)
{
	cleanup_error struct error *error = NULL;
	struct pause_call *call;

	vm_check_request(vm, request, &error);
	if (!error && !vm->vmm)
		error_set(&error, ERR_UNAVAILABLE, "the hypervisor of VM \"%s\" is not connected", vm->hostname);
	if (error) {
		done(arg, error);
		return;
	}
	call = NEW(struct pause_call);
	call->vm = vm;
	call->then = request == VM_REQUEST_PAUSE ? VM_STATE_PAUSED : VM_STATE_RUNNING;
	call->done = done;
	call->arg = arg;
	vm->vmm_asked = true;
	(request == VM_REQUEST_PAUSE ? vmm_pause : vmm_resume)(vm->vmm, pause_done, call);
}

void vm_pause(struct vm *vm, vm_done_fn *done, void *arg)
{
	pause_or_resume(vm, VM_REQUEST_PAUSE, done, arg);
}

void vm_resume(struct vm *vm, vm_done_fn *done, void *arg)
{
	pause_or_resume(vm, VM_REQUEST_RESUME, done, arg);
}
