/* SPDX-License-Identifier: MIT */
/* The monitor's control socket: one JSON object per line. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/proc.h"
#include "base/str.h"
#include "vmm/monitor_impl.h"

static void peer_close(struct monitor_peer *p)
{
	fd_closep(&p->fd);
	p->have = 0;
}

/* A client that does not read its answers is let go: the monitor waits for nobody. */
static void peer_send(struct monitor_peer *p, const char *data, size_t n)
{
	if (p->fd >= 0 && send(p->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
		peer_close(p);
}

static void peer_answer(struct monitor_peer *p, struct json_object *obj)
{
	cleanup_free char *text = js_to_string(obj);
	cleanup_free char *line = str_fmt("%s\n", text);

	peer_send(p, line, strlen(line));
}

static void answer_error(struct json_object *answer, const char *why)
{
	js_add_bool(answer, "ok", false);
	js_add_string(answer, "error", why);
}

static void cmd_status(struct monitor *m, struct json_object *answer)
{
	js_add_bool(answer, "ok", true);
	js_add_string(answer, "state", m->vmm_ended ? "exited" : "running");
	js_add_u64(answer, "vmm_pid", (uint64_t)m->vmm);
	js_add_u64(answer, "vmm_start", m->vmm_start);
	js_add_u64(answer, "monitor_pid", (uint64_t)getpid());
	js_add_u64(answer, "monitor_start", proc_start_time(getpid()));
	js_add_bool(answer, "helper_failed", m->helper_failed);
}

static void cmd_kill(struct monitor *m, struct json_object *answer)
{
	if (!m->vmm_ended)
		kill(m->vmm, SIGKILL);
	js_add_bool(answer, "ok", true);
}

static const struct {
	const char *name;
	void (*run)(struct monitor *m, struct json_object *answer);
} commands[] = {
	{"status", cmd_status},
	{"kill", cmd_kill},
};

static void control_command(struct monitor *m, struct json_object *request, struct json_object *answer)
{
	cleanup_error struct error *error = NULL;
	const char *name = NULL;

	if (!json_object_is_type(request, json_type_object)) {
		answer_error(answer, "not an object");
		return;
	}
	if (js_get_string(request, "cmd", &name, &error) < 0) {
		answer_error(answer, error_message(error));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (str_eq(name, commands[i].name)) {
			commands[i].run(m, answer);
			return;
		}
	}
	answer_error(answer, "unknown command: use status or kill");
}

static void control_line(struct monitor *m, struct monitor_peer *p, const char *line, size_t n)
{
	cleanup_error struct error *error = NULL;
	cleanup_json struct json_object *request = js_parse(line, n, &error);
	cleanup_json struct json_object *answer = json_object_new_object();

	if (request)
		control_command(m, request, answer);
	else
		answer_error(answer, error_message(error));
	peer_answer(p, answer);
}

static void control_lines(struct monitor *m, struct monitor_peer *p)
{
	char *end;

	while (p->fd >= 0 && (end = memchr(p->line, '\n', p->have))) {
		size_t n = (size_t)(end - p->line);

		control_line(m, p, p->line, n);
		if (p->fd < 0)
			return;
		p->have -= n + 1;
		memmove(p->line, end + 1, p->have);
	}
	if (p->fd >= 0 && p->have == sizeof(p->line)) {
		static const char too_long[] = "{\"ok\":false,\"error\":\"line of more than 4096 bytes\"}\n";

		peer_send(p, too_long, strlen(too_long));
		peer_close(p);
	}
}

void control_read(struct monitor *m, struct monitor_peer *p)
{
	ssize_t n = recv(p->fd, p->line + p->have, sizeof(p->line) - p->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		peer_close(p);
		return;
	}
	p->have += (size_t)n;
	control_lines(m, p);
}

void control_accept(struct monitor *m)
{
	static const char busy[] = "{\"ok\":false,\"error\":\"too many clients\"}\n";
	int fd = accept4(m->control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(m->peers); i++) {
		if (m->peers[i].fd >= 0)
			continue;
		m->peers[i].fd = fd;
		m->peers[i].have = 0;
		return;
	}
	send(fd, busy, strlen(busy), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

void control_broadcast(struct monitor *m, const char *line, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(m->peers); i++)
		peer_send(&m->peers[i], line, n);
}
