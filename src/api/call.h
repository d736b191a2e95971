/* SPDX-License-Identifier: MIT */
/* One API request on its way through a handler. */
#ifndef SLICER_API_CALL_H
#define SLICER_API_CALL_H

#include <json-c/json.h>
#include "api/api.h"
#include "vm/vm.h"

struct api {
	struct loop *loop;
	struct manager *manager;
	const struct api_options *options;
	struct http_shared *nodes; /* the list of all VMs as of nodes_revision (manager_revision); NULL: not made yet */
	uint64_t nodes_revision;
	struct call *reloading; /* who waits for api_reloaded(); NULL: nobody */
	bool check_kept;	/* see view_node_text */
};

struct call;
struct import;
typedef void call_fn(struct call *call);

/* A handler owns the call: it answers by one of the call_reply functions or hands the exchange on, and the call is freed. */
struct call {
	struct api *api;
	struct http_exchange *x;
	struct http_query *query;
	char *vm, *group, *node; /* path parameters; NULL where the route has none */
	/* For handlers that wait. */
	struct vm_waiter *waiter;
	struct timer *timer;
	struct import *import;						   /* keys that are being downloaded */
	struct http_exchange *agent;					   /* a request to the VM's */
	char *hostname;							   /* of the VM that was created */
	bool undo;							   /* delete that VM when the client leaves */
	void (*upgrade)(struct vm *vm, struct http_exchange *take_client); /* what begins when the agent is there */
	call_fn *left;							   /* see call_watch_client */
};

/* With the whole body, at most REQUEST_BODY_MAX. */
typedef void call_body_fn(struct call *call, const char *body, size_t n);

void call_reply_json(struct call *take, int status, struct json_object *take_obj);
void call_reply_shared(struct call *take, struct http_shared *body); /* 200, JSON */
void call_reply_text(struct call *take, int status, const char *text);
void call_reply_error(struct call *take, const struct error *error); /* NULL: its VM went meanwhile */
void call_free(struct call **call);
/* The VM of the path; NULL after answering 404: the call is freed then. */
struct vm *call_vm(struct call *call);
void call_read_body(struct call *call, call_body_fn *fn);
/* From now on a client that leaves ends the call: left() is called, then must free it. Nothing is sent meanwhile. */
void call_watch_client(struct call *call, call_fn *left); /* drops what is left of the request's body */
void call_watch_end(struct call *call, call_fn *left);	  /* leaves the body alone */

/* handlers */
call_fn server_info, server_healthz, server_hostgroups, server_reload;
call_fn nodes_list, nodes_create, nodes_delete;
call_fn vm_describe, vm_logs, vm_health, vm_post_shutdown, vm_post_pause, vm_post_resume, vm_post_relaunch,
	vm_post_reboot, vm_get_tags, vm_patch_tags;
call_fn agent_pass, agent_shell, agent_forward;

/* views.c */
struct json_object *view_node(const struct vm *vm);
/* The same as text, kept with the VM until it changes; borrowed. With SLICER_CHECK_KEPT in the environment (the tests set it)
 * what is kept is compared with the VM each time, and a difference ends the process: somebody forgot vm_touch(). */
const char *view_node_text(const struct api *api, struct vm *vm);
struct json_object *view_created(const struct vm *vm);
struct json_object *view_describe(const struct vm *vm);
const char *view_arch(void); /* as uname -m */

#endif
