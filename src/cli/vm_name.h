/* SPDX-License-Identifier: MIT */
/* Which VM is meant: a hostname, a friendly name (tag "name=..."), or none given and there is only one. */
#ifndef SLICER_CLI_VM_NAME_H
#define SLICER_CLI_VM_NAME_H

#include "cli/client.h"

/* The hostname of the only VM there is; ERR_INVALID lists them when there are more. The caller's. */
char *vm_only(struct client *c, struct error **err);
/* `given`, or the only VM when it is NULL. The caller's. */
char *vm_or_only(struct client *c, const char *given, struct error **err);
/* For an identifier that was answered with 404: the hostname of the one VM with that friendly name, NULL (no error) when
 * there is not exactly one. The caller's. */
char *vm_by_friendly_name(struct client *c, const char *name);

/* client_call() on /vm/NAME + rest (which begins with '/' or '?', or is empty). *vm is sent unchanged; after a 404 once
 * more with the hostname behind the friendly name, which then replaces *vm. */
int vm_call(struct client *c, char **vm, const char *method, const char *rest, const char *json, int64_t timeout_ms,
	    struct reply *ret, struct error **err);
/* What was under way with the VM broke off, as *err says. Where something became of the VM, that is why: "WHAT: VM … is Stopped: …". */
void vm_explain_loss(struct client *c, const char *vm, const char *what, struct error **err);
/* The JSON object that an answer is; the caller's. ERR_PROTOCOL. */
struct json_object *vm_reply_json(const struct reply *reply, const char *vm, struct error **err);
struct json_object *vm_json(struct client *c, char **vm, const char *method, const char *rest, const char *json,
			    int64_t timeout_ms, struct error **err);

#endif
