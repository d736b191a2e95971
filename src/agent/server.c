/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/facts.h"
#include "agent/session.h"

/* The answer to a shutdown request and the farewell are on their way before anything goes down. */
enum { SHUTDOWN_DELAY_MS = 100 };
enum { THREADS = 64 }; /* so much can hang before others have to wait */

static void announce(struct server *s, bool reboot)
{
	struct json_object *event = json_object_new_object();

	s->announced = true;
	js_add_string(event, "event", "shutdown");
	js_add_string(event, "action", reboot ? "reboot" : "poweroff");
	events_send(s->events, event);
	session_bye(s->session, reboot);
}

void server_shutdown(struct server *s, bool reboot)
{
	if (timer_pending(s->shutdown))
		return;
	s->reboot = reboot;
	if (!s->announced)
		announce(s, reboot);
	timer_set(s->shutdown, SHUTDOWN_DELAY_MS);
}

/* With an init of the image that one goes down its own way; else the supervisor does. */
static void on_shutdown(void *arg)
{
	struct server *s = arg;

	if (s->options->init) {
		shutdown_by_init(s->reboot);
		return;
	}
	s->exit_status = s->reboot ? SERVER_EXIT_REBOOT : SERVER_EXIT_POWEROFF;
	loop_stop(s->loop);
}

/* From the supervisor, or the image's init: the system goes down already. */
static void going_down(struct server *s, bool reboot)
{
	if (!s->options->init)
		server_shutdown(s, reboot);
	else if (!s->announced)
		announce(s, reboot);
}

static void on_reboot_signal(void *arg)
{
	going_down(arg, true);
}

static void on_poweroff_signal(void *arg)
{
	going_down(arg, false);
}

struct server *server_new(struct loop *loop, const struct server_options *options, struct error **err)
{
	struct server *s = NEW(struct server);
	cleanup_free char *boot_id = host_boot_id(err);

	s->loop = loop;
	s->options = options;
	s->started_ns = clock_ns();
	s->pool = worker_pool_new(loop, THREADS, err);
	s->tasks = task_factory_new(loop, s->pool, options->table, !options->fake);
	LIST_INIT(&s->questions);
	s->events = events_new(s);
	s->shutdown = timer_new(loop, on_shutdown, s);
	if (boot_id)
		snprintf(s->boot_id, sizeof(s->boot_id), "%s", boot_id);
	s->session = s->pool && boot_id ? session_new(s, err) : NULL;
	if (!s->session)
		server_free(&s);
	return s;
}

void server_free(struct server **server)
{
	struct server *s = TAKE_PTR(*server);
	bool never = false;

	if (!s)
		return;
	session_free(&s->session);
	loop_run_until(s->loop, &never, 10, NULL); /* the exchanges hear of it */
	worker_pool_free(&s->pool);
	events_free(&s->events);
	timer_free(&s->shutdown);
	task_factory_free(&s->tasks);
	facts_drop_all(s);
	free(s);
}

int server_main(const struct server_options *options)
{
	cleanup_error struct error *error = NULL;
	struct loop *loop = loop_new(&error);
	struct server *s = loop ? server_new(loop, options, &error) : NULL;
	struct loop_signal *signals[2] = {NULL};
	int status = 1;

	if (s) {
		signals[0] = loop_signal_new(loop, SIGTERM, on_reboot_signal, s);
		signals[1] = loop_signal_new(loop, SIGUSR2, on_poweroff_signal, s);
		if (loop_run(loop, &error) == 0)
			status = s->exit_status;
		if (task_factory_is_busy(s->tasks) || !LIST_EMPTY(&s->questions))
			_exit(status); /* a thread that hangs is not waited for; the kernel and the supervisor end the rest */
		loop_signal_free(&signals[0]);
		loop_signal_free(&signals[1]);
		server_free(&s);
	}
	if (error)
		log_error("slicer-agent: the server ended: %s", error_message(error));
	if (loop)
		loop_free(&loop);
	return status;
}
