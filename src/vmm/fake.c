/* SPDX-License-Identifier: MIT */
/* The fake hypervisor of the tests: a program that runs the real agent in namespaces instead of a
 * guest. It speaks QMP. */
#include "base/str.h"
#include "vmm/qmp.h"

static int fake_probe(enum vmm_accel wanted, struct kept *kept, struct vmm_probe *ret, struct error **err)
{
	const char *path = getenv("SLICER_FAKE_VMM");

	if (!path || !*path)
		return error_set(err, ERR_NOT_FOUND, "SLICER_FAKE_VMM does not name its program");
	ret->binary = str_dup(path);
	ret->binary_full = str_dup(path);
	ret->version = str_dup(SLICER_VERSION);
	ret->accel = VMM_ACCEL_TCG;
	ret->reason = str_dup("the fake hypervisor runs no guest");
	return 0;
}

static int fake_prepare(const struct vmm_spec *spec, const struct vmm_fds *fds, struct vmm_command *ret,
			struct error **err)
{
	const char *agent = getenv("SLICER_FAKE_AGENT");

	*ret = (struct vmm_command){.privileged = true};
	if (!agent || !*agent)
		return error_set(err, ERR_NOT_FOUND, "SLICER_FAKE_AGENT does not name the agent");
	strv_append(&ret->argv, spec->probe->binary);
	strv_append_fmt(&ret->argv, "name=%s", spec->name);
	strv_append_fmt(&ret->argv, "agent-program=%s", agent);
	strv_append_fmt(&ret->argv, "qmp=%d", fds->qmp);
	strv_append_fmt(&ret->argv, "agent=%d", fds->agent);
	strv_append_fmt(&ret->argv, "control=%d", fds->control);
	strv_append_fmt(&ret->argv, "console=%d", fds->console);
	if (fds->config >= 0)
		strv_append_fmt(&ret->argv, "config=%d", fds->config);
	strv_append_fmt(&ret->argv, "state=%s", spec->run_dir);
	strv_append(&ret->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	return 0;
}

const struct vmm_ops vmm_fake = {
	.name = "fake",
	.capabilities = VMM_CAN_PAUSE | VMM_CAN_REBOOT | VMM_CAN_USER_NET,
	.probe = fake_probe,
	.prepare = fake_prepare,
	.await_up = qmp_await_up,
	.attach = qmp_attach,
	.pause = qmp_pause,
	.resume = qmp_resume,
	.stop = qmp_stop,
	.kill = qmp_kill,
};
