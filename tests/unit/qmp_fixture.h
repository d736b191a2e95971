/* SPDX-License-Identifier: MIT */
/* For tests of the QMP client: a listening peer, and a record of what the client reported. */
#ifndef TESTS_UNIT_QMP_FIXTURE_H
#define TESTS_UNIT_QMP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

static char dir[] = "/tmp/test_qmp_XXXXXX";
static struct loop *loop;
static int listener;

/* What the client reported. */
struct seen {
	bool up, down, answered, stop_on_event;
	int answers, events;
	enum vmm_event last_event;
	enum error_code code; /* of the last answer; 0: success */
	char message[256];
	enum error_code down_code;
	char status[32];
	bool running;
	struct vmm_client **free_in_callback;
};

static inline int setup(void **state)
{
	cleanup_free char *path = NULL;

	if (!mkdtemp(dir))
		return -1;
	path = fs_join(dir, "qmp.sock");
	listener = fd_listen_unix(path, 0600, NULL);
	loop = loop_new(NULL);
	return listener < 0 || !loop ? -1 : 0;
}

static inline int teardown(void **state)
{
	close(listener);
	loop_free(&loop);
	return fs_remove_tree(dir, NULL);
}

static inline void on_up(void *arg)
{
	((struct seen *)arg)->up = true;
}

static inline void on_event(void *arg, enum vmm_event event)
{
	struct seen *s = arg;

	s->events++;
	s->last_event = event;
	if (s->free_in_callback)
		vmm_client_free(s->free_in_callback);
}

static inline void on_down(void *arg, const struct error *error)
{
	struct seen *s = arg;

	assert_false(s->down);
	s->down = true;
	s->down_code = error->code;
	if (s->free_in_callback)
		vmm_client_free(s->free_in_callback);
}

static inline void on_done(void *arg, const struct error *error)
{
	struct seen *s = arg;

	s->answered = true;
	s->answers++;
	s->code = error ? error->code : 0;
	snprintf(s->message, sizeof(s->message), "%s", error ? error->message : "");
	if (s->free_in_callback)
		vmm_client_free(s->free_in_callback);
}

static inline void on_status(void *arg, bool running, const char *status, const struct error *error)
{
	struct seen *s = arg;

	s->answered = true;
	s->code = error ? error->code : 0;
	s->running = running;
	snprintf(s->status, sizeof(s->status), "%s", status ? status : "");
}

static const struct vmm_client_events events = {.on_up = on_up, .on_event = on_event, .on_down = on_down};

static inline int open_client(struct vmm_client **ret, struct seen *s)
{
	int fd;

	*s = (struct seen){0};
	*ret = vmm_client_new(loop, &vmm_qemu, dir, &events, s, NULL);
	assert_non_null(*ret);
	fd = accept(listener, NULL, NULL);
	while (fd < 0 && errno == EAGAIN) {
		poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 1000);
		fd = accept(listener, NULL, NULL);
	}
	assert_true(fd >= 0);
	return fd;
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* For that long, and for what follows from what is ready by then: a busy machine may have let all of the time pass at once. */
static inline void spin(int64_t ms)
{
	bool never = false;

	loop_run_until(loop, &never, ms, NULL);
	for (int i = 0; i < 20; i++)
		loop_run_until(loop, &never, 0, NULL);
}

static inline void await(const bool *done)
{
	assert_int_equal(loop_run_until(loop, done, 3000, NULL), 0);
}

/* What the client sent until now. */
static inline void expect(int fd, const char *text)
{
	char buf[512] = "";
	ssize_t n;

	spin(20);
	n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	assert_true(n >= 0);
	assert_string_equal(buf, text);
}

static inline int open_up(struct vmm_client **ret, struct seen *s)
{
	int fd = open_client(ret, s);

	say(fd, GREETING);
	expect(fd, "{\"execute\":\"qmp_capabilities\",\"id\":0}\n");
	say(fd, "{\"return\": {}, \"id\": 0}\r\n");
	await(&s->up);
	return fd;
}

#endif
