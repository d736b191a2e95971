/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/wait.h>
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/monitor_cgroup.h"
#include "vmm/monitor_impl.h"

static char *signal_name(int signo)
{
	const char *abbrev = sigabbrev_np(signo);

	return abbrev ? str_fmt("SIG%s", abbrev) : str_fmt("SIG%d", signo);
}

struct json_object *record_make(const struct monitor *m)
{
	struct json_object *obj = json_object_new_object();
	cleanup_free char *boot_id = host_boot_id(NULL), *ended = time_rfc3339(clock_realtime_ns());
	cleanup_free char *console = tail_text(&m->console.tail), *words = tail_text(&m->last_words);

	js_add_u64(obj, "version", 1);
	js_add_string(obj, "vm", m->spec.vm);
	js_add_string(obj, "boot_id", boot_id ? boot_id : "");
	js_add_u64(obj, "vmm_pid", (uint64_t)m->vmm);
	if (WIFSIGNALED(m->vmm_status)) {
		cleanup_free char *name = signal_name(WTERMSIG(m->vmm_status));

		js_add_string(obj, "signal", name);
		if (WTERMSIG(m->vmm_status) == SIGKILL && m->spec.cgroup.path &&
		    monitor_cgroup_was_oom(m->spec.cgroup.path))
			js_add_u64(obj, "memory_limit", m->spec.cgroup.memory_bytes);
	} else {
		js_add_u64(obj, "exit_code", (uint64_t)WEXITSTATUS(m->vmm_status));
	}
	js_add_string(obj, "ended_at", ended);
	js_add_string(obj, "console_tail", console);
	js_add_string(obj, "vmm_message", str_trim(words));
	return obj;
}
