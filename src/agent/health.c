/* SPDX-License-Identifier: MIT */
/* GET|HEAD /health and POST /shutdown. */
#include <time.h>
#include <unistd.h>
#include "base/str.h"
#include "base/units.h"
#include "agent/facts.h"

enum { SHUTDOWN_BODY_LIMIT = 4096 };

static int64_t system_uptime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct health {
	struct server *server;
	struct http_exchange *x;
	struct facts_question *question;
};

static void health_free(struct health *h)
{
	facts_withdraw(&h->question);
	http_exchange_free(&h->x);
	free(h);
}

static void add_userdata(struct json_object *doc, const struct facts *f)
{
	/* Who waits for userdata where there is none waits for nothing. */
	if (!f->has_userdata || f->userdata_ran)
		js_add_bool(doc, "userdata_ran", true);
	if (f->userdata_ran && f->userdata_status >= 0)
		js_add_i64(doc, "userdata_exit_code", f->userdata_status);
}

static void health_reply(void *arg, const struct facts *f)
{
	struct health *h = arg;
	struct server *s = h->server;
	cleanup_json struct json_object *doc = json_object_new_object();
	cleanup_free char *text = NULL;
	char hostname[256] = "";

	if (s->options->fake && s->options->config->hostname)
		snprintf(hostname, sizeof(hostname), "%s", s->options->config->hostname);
	else
		gethostname(hostname, sizeof(hostname) - 1);
	js_add_string(doc, "hostname", hostname);
	js_add_i64(doc, "agent_uptime", clock_ns() - s->started_ns);
	js_add_string(doc, "agent_version", SLICER_VERSION);
	js_add_i64(doc, "system_uptime", system_uptime_ns());
	add_userdata(doc, f);
	js_add_string(doc, "ip", f->ip);
	text = js_to_string(doc);
	http_reply(&h->x, 200, "application/json", text, strlen(text));
	h->question = NULL; /* it is being answered */
	health_free(h);
}

static void health_closed(void *arg, const struct error *error)
{
	health_free(arg);
}

void health_handle(struct server *s, struct http_exchange *take, const struct http_query *q)
{
	static const struct stream_events events = {.on_closed = health_closed};
	struct health *h = NEW(struct health);

	h->server = s;
	h->x = take;
	stream_set_events(http_exchange_stream(take), &events, h);
	h->question = facts_ask(s, true, health_reply, h);
}

static int parse_action(const char *action, bool *ret_reboot, struct error **err)
{
	*ret_reboot = str_eq(action, "reboot");
	if (*ret_reboot || str_eq(action, "poweroff") || str_eq(action, "shutdown"))
		return 0;
	return error_set(err, ERR_INVALID, "action: '%.40s' is neither 'poweroff' nor 'reboot'", action);
}

static int read_action(const char *body, size_t n, bool *ret_reboot, struct error **err)
{
	cleanup_json struct json_object *doc = NULL;
	const char *action = "poweroff";

	if (n > 0) {
		doc = js_parse(body, n, err);
		if (!doc || js_get_string(doc, "action", &action, err) < 0)
			return -1;
	}
	return parse_action(action, ret_reboot, err);
}

static void on_shutdown_body(void *arg, struct http_exchange *x, const char *body, size_t n,
			     const struct error *read_error)
{
	struct server *s = arg;
	cleanup_error struct error *error = NULL;
	bool reboot;

	if (read_error) {
		http_reply_error(&x, read_error);
		return;
	}
	if (read_action(body, n, &reboot, &error) < 0) {
		http_reply_error(&x, error);
		return;
	}
	http_reply(&x, 200, "text/plain", "", 0);
	server_shutdown(s, reboot);
}

void shutdown_handle(struct server *s, struct http_exchange *take, const struct http_query *q)
{
	http_read_body(take, SHUTDOWN_BODY_LIMIT, on_shutdown_body, s);
}
