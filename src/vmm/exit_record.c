/* SPDX-License-Identifier: MIT */
/* Reading how a VMM ended: the file that the monitor leaves, and its exit event (docs/protocol.md
 * §5). */
#include "base/json.h"
#include "base/str.h"
#include "vmm/exit_record.h"

enum { EXIT_RECORD_MAX = 64 * 1024 };

static int exit_copy_string(struct json_object *obj, const char *key, bool required, char **ret, struct error **err)
{
	const char *s = NULL;

	if (js_get_string(obj, key, &s, err) < 0)
		return -1;
	if (!s && required)
		return error_set(err, ERR_INVALID, "'%s' is missing", key);
	*ret = str_dup(s ? s : "");
	return 0;
}

static int exit_parse_outcome(struct json_object *obj, struct vmm_exit *ret, struct error **err)
{
	const char *sig = NULL;
	uint64_t code = UINT64_MAX, pid = 0;

	if (js_get_string(obj, "signal", &sig, err) < 0 || js_get_u64(obj, "exit_code", 255, &code, err) < 0 ||
	    js_get_u64(obj, "memory_limit", INT64_MAX, &ret->memory_limit, err) < 0 ||
	    js_get_u64(obj, "vmm_pid", INT32_MAX, &pid, err) < 0)
		return -1;
	if (!sig == (code == UINT64_MAX))
		return error_set(err, ERR_INVALID, "exactly one of 'exit_code' and 'signal' is needed");
	ret->vmm_pid = (pid_t)pid;
	ret->signalled = sig;
	ret->signal = str_dup(sig);
	ret->exit_code = sig ? 0 : (int)code;
	return 0;
}

int vmm_exit_parse(struct json_object *obj, struct vmm_exit *ret, struct error **err)
{
	*ret = (struct vmm_exit){0};
	if (json_object_is_type(obj, json_type_object) && exit_copy_string(obj, "vm", true, &ret->vm, err) == 0 &&
	    exit_copy_string(obj, "boot_id", true, &ret->boot_id, err) == 0 && exit_parse_outcome(obj, ret, err) == 0 &&
	    exit_copy_string(obj, "ended_at", true, &ret->ended_at, err) == 0 &&
	    exit_copy_string(obj, "console_tail", false, &ret->console_tail, err) == 0 &&
	    exit_copy_string(obj, "vmm_message", false, &ret->vmm_message, err) == 0)
		return 0;
	vmm_exit_clear(ret);
	if (err && !*err)
		error_set(err, ERR_INVALID, "not an object");
	return error_wrap(err, "exit record");
}

int vmm_exit_read(const char *path, struct vmm_exit *ret, struct error **err)
{
	cleanup_json struct json_object *obj = js_parse_file(path, EXIT_RECORD_MAX, err);

	if (!obj)
		return -1;
	return vmm_exit_parse(obj, ret, err) < 0 ? error_wrap(err, "%s", path) : 0;
}

void vmm_exit_clear(struct vmm_exit *e)
{
	mem_freep(&e->vm);
	mem_freep(&e->boot_id);
	mem_freep(&e->signal);
	mem_freep(&e->ended_at);
	mem_freep(&e->console_tail);
	mem_freep(&e->vmm_message);
	*e = (struct vmm_exit){0};
}
