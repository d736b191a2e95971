/* SPDX-License-Identifier: MIT */
/* A VM runs on while its monitor stands still (somebody stopped it, or debugs it), so nobody would notice until it ends. */
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "vm/manager_impl.h"

static void watch_withdraw(struct vm *vm)
{
	if (vm->last_error && str_eq(vm->last_error, vm->monitor_error)) {
		mem_freep(&vm->last_error);
		vm_touch(vm);
	}
	mem_freep(&vm->monitor_error);
}

static void watch_answered(void *arg, const struct monitor_status *status, const struct error *error)
{
	struct vm *vm = arg; /* still there: its client answers at the latest when it is freed */

	vm->monitor_asked = 0;
	if (!error && vm->monitor_error)
		log_info("[%s] its monitor answers again", vm->hostname);
	watch_withdraw(vm);
}

static void watch_overdue(struct vm *vm)
{
	int pid = (int)vm->processes.monitor_pid;

	vm->monitor_error = str_fmt(
		"its monitor (pid %d) does not answer: it is stopped or stuck. The VM runs on, but what its console says is "
		"not kept and why it ends will not be known; kill -CONT %d lets a stopped one go on",
		pid, pid);
	vm_note_error(vm, "%s", vm->monitor_error);
	log_warn("[%s] %s", vm->hostname, vm->monitor_error);
}

void vm_watch_monitor(struct vm *vm)
{
	if (!vm->monitor || vm->op)
		return;
	if (!vm->monitor_asked) {
		vm->monitor_asked = clock_ms();
		monitor_client_status(vm->monitor, watch_answered, vm);
	} else if (!vm->monitor_error && clock_ms() - vm->monitor_asked >= MONITOR_ANSWER_MS) {
		watch_overdue(vm);
	}
}
