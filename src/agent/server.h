/* SPDX-License-Identifier: MIT */
/* The agent's server process: its context, passed down to all handlers, and the endpoints. One loop; tasks begin in threads. */
#ifndef SLICER_AGENT_SERVER_H
#define SLICER_AGENT_SERVER_H

#include <sys/queue.h>
#include "io/http.h"
#include "io/worker.h"
#include "agent/config.h"
#include "agent/port.h"
#include "agent/task.h"

/* How the process of the server tells its supervisor what to do next. */
enum server_exit { SERVER_EXIT_POWEROFF = 10, SERVER_EXIT_REBOOT = 11 };

/* What the one who starts the server knows. Borrowed for the server's life. */
struct server_options {
	struct port_address control, agent;
	const struct guest_config *config;
	struct task_table *table; /* may be NULL */
	const char *init;	  /* path of the image's init; NULL: the agent is PID 1, or its stand-in */
	bool fake;		  /* behind the fake hypervisor: no cgroups, shutdown only ends the process */
};

struct session;
struct events;

struct server {
	struct loop *loop;
	const struct server_options *options;
	struct worker_pool *pool; /* what waits for files */
	struct task_factory *tasks;
	LIST_HEAD(, facts_question) questions;
	struct session *session;
	struct events *events;
	struct timer *shutdown; /* armed once the system is to go down */
	bool reboot, announced;
	int exit_status;    /* for the supervisor */
	int64_t started_ns; /* CLOCK_MONOTONIC */
	char boot_id[37];
};

/* Runs until the system goes down; returns the exit status of the process. */
int server_main(const struct server_options *options);
/* For tests: the parts without signals and exit. server_free leaves no fd and kills what runs. */
struct server *server_new(struct loop *loop, const struct server_options *options, struct error **err);
void server_free(struct server **s);
/* Announces it (bye, event), then acts after a moment, so that answers are out. */
void server_shutdown(struct server *s, bool reboot);
/* Asks the image's init to bring the system down. */
void shutdown_by_init(bool reboot);

/* Each owns the exchange; q (borrowed) is its target, taken apart. */
typedef void endpoint_fn(struct server *s, struct http_exchange *take, const struct http_query *q);
endpoint_fn health_handle, events_handle, shutdown_handle, exec_handle, cp_handle, shell_handle, forward_handle;
void route_request(struct server *server, struct http_exchange *take);

struct events *events_new(struct server *s);
void events_free(struct events **e);
/* Sends an event to all that listen; owns the object. */
void events_send(struct events *e, struct json_object *take_event);

#endif
