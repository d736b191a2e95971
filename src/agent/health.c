/* SPDX-License-Identifier: MIT */
/* GET|HEAD /health and POST /shutdown, and the facts about the system that events tell as well. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <time.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/server.h"
#include "agent/userdata.h"

enum { SHUTDOWN_BODY_LIMIT = 4096 };

bool userdata_ran(int *ret_exit_code)
{
	cleanup_free char *text = NULL;
	uint64_t code;
	size_t n;

	*ret_exit_code = -1;
	if (fs_read_file(USERDATA_MARKER, 64, &text, &n, NULL) < 0)
		return false;
	if (str_to_u64(str_trim(text), 0, 255, "exit code", &code, NULL) == 0)
		*ret_exit_code = (int)code;
	return true;
}

/* getifaddrs(3) asks the kernel by netlink; it loads no NSS modules. */
char *primary_ip(void)
{
	struct ifaddrs *list = NULL;
	char *found = NULL;

	if (getifaddrs(&list) < 0)
		return NULL;
	for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		char text[INET_ADDRSTRLEN];
		const struct sockaddr_in *in = (const struct sockaddr_in *)i->ifa_addr;

		if (!in || in->sin_family != AF_INET || i->ifa_flags & IFF_LOOPBACK || !(i->ifa_flags & IFF_UP))
			continue;
		if (inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			found = str_dup(text);
	}
	freeifaddrs(list);
	return found;
}

static int64_t system_uptime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void health_handle(struct server *s, struct http_exchange *take, const struct http_query *q)
{
	cleanup_json struct json_object *doc = json_object_new_object();
	cleanup_free char *text = NULL, *ip = primary_ip();
	char hostname[256] = "";
	int exit_code;

	if (s->options->fake && s->options->config->hostname)
		snprintf(hostname, sizeof(hostname), "%s", s->options->config->hostname);
	else
		gethostname(hostname, sizeof(hostname) - 1);
	js_add_string(doc, "hostname", hostname);
	js_add_i64(doc, "agent_uptime", clock_ns() - s->started_ns);
	js_add_string(doc, "agent_version", SLICER_VERSION);
	js_add_i64(doc, "system_uptime", system_uptime_ns());
	/* Who waits for userdata where there is none waits for nothing. */
	if (!fs_exists(USERDATA_SCRIPT) && !fs_exists(USERDATA_MARKER)) {
		js_add_bool(doc, "userdata_ran", true);
	} else if (userdata_ran(&exit_code)) {
		js_add_bool(doc, "userdata_ran", true);
		if (exit_code >= 0)
			js_add_i64(doc, "userdata_exit_code", exit_code);
	}
	js_add_string(doc, "ip", ip);
	text = js_to_string(doc);
	http_reply(&take, 200, "application/json", text, strlen(text));
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
