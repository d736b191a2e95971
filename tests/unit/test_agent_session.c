/* SPDX-License-Identifier: MIT */
/* The session on ports of this test's own: what the kernel says of a port, and when, is up to it. */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent/session.h"
#include "base/fs.h"
#include "base/str.h"
#include "io/control.h"

#define NONCE "0123456789abcdef0123456789abcdef"

struct port {
	loop_fn *ready;
	void *arg;
	int fd, host; /* the guest's end and the host's */
	unsigned lost;
};

struct port *port_new(struct loop *loop, const struct port_address *address, loop_fn *ready, void *arg)
{
	struct port *p = NEW(struct port);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*p = (struct port){.ready = ready, .arg = arg, .fd = pair[0], .host = pair[1]};
	*(struct port **)(uintptr_t)address->path = p; /* the test's */
	return p;
}

void port_free(struct port **p)
{
	fd_closep(&(*p)->fd);
	fd_closep(&(*p)->host);
	free(TAKE_PTR(*p));
}

int port_dup(struct port *p)
{
	return fcntl(p->fd, F_DUPFD_CLOEXEC, 3);
}

void port_lost(struct port *p)
{
	p->lost++;
}

static void run(struct loop *loop)
{
	bool never = false;

	loop_run_until(loop, &never, 50, NULL);
}

static void say(const struct port *p, const char *text, size_t n)
{
	assert_int_equal(write(p->host, text, n), n);
}

/* More than is read at once, in frames of a type that nobody knows (RFC 9113, 5.5). */
static void say_much(const struct port *p)
{
	enum { FRAME = 9 + 16384 };
	static char frames[8 * FRAME];

	for (size_t at = 0; at < sizeof(frames); at += FRAME)
		memcpy(frames + at, "\0\x40\0\xfa\0\0\0\0\0", 9);
	say(p, frames, sizeof(frames));
}

/* The port is seen to be connected when the host has already asked for a new session and the port is read: one reader remains,
 * and no byte goes elsewhere. */
static void test_connected_after_a_reset(void **state)
{
	struct port *control = NULL, *agent = NULL;
	const struct server_options options = {.control.path = (const char *)&control,
					       .agent.path = (const char *)&agent};
	struct loop *loop = loop_new(NULL);
	struct server server = {.loop = loop, .options = &options, .boot_id = "01234567-89ab-cdef-0123-456789abcdef"};
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	const struct control_line reset = {.verb = CONTROL_RESET, .nonce = NONCE};
	cleanup_free char *line = control_format(&reset);
	struct control_scan scan;
	char answer[256];
	ssize_t n;

	server.session = session_new(&server, NULL);
	assert_non_null(server.session);
	control->ready(control->arg);
	say(control, line, strlen(line));
	run(loop);
	agent->ready(agent->arg);
	control_scan_init(&scan, NONCE);
	say(agent, "before", 6);
	run(loop);
	say(agent, scan.want, sizeof(scan.want));
	run(loop);
	say(agent, preface, sizeof(preface) - 1);
	say_much(agent);
	run(loop);
	n = read(agent->host, answer, sizeof(answer));
	assert_true(n > (ssize_t)sizeof(scan.want) + 9);
	assert_memory_equal(answer, scan.want, sizeof(scan.want));
	assert_int_equal(answer[sizeof(scan.want) + 3], 4); /* SETTINGS */
	assert_int_equal(agent->lost, 0);
	session_free(&server.session);
	loop_free(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_connected_after_a_reset)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
