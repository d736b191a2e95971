/* SPDX-License-Identifier: MIT */
/* load SOCKET TARGET CONNECTIONS SECONDS CPU: GETs one target over so many keep-alive connections, each with one request under
 * way at a time, pinned to one CPU (-1: to none). Prints "REQUESTS SECONDS P50 P99 MAX BYTES", times in microseconds.
 * An answer that is not 200 or not of the first answer's length ends it with an error. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64, MAX_SAMPLES = 4 * 1000 * 1000, CHUNK = 1024 * 1024, WARM_US = 300 * 1000 };

struct connection {
	int fd;
	long long begun; /* of the request under way, µs */
	long long left;	 /* of its answer; -1: the head is not complete */
	char head[4096];
	size_t nhead;
};

struct load {
	char request[4096];
	size_t nrequest;
	long long length; /* of every body; -1: not known yet */
	struct connection connections[MAX_CONNECTIONS];
	int *samples;
	size_t nsamples;
	char *chunk;
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(1);
}

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		die("the socket's path is too long");
	strcpy(a.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die(path);
	return fd;
}

static void begin(struct load *l, struct connection *c)
{
	c->begun = now_us();
	c->left = -1;
	c->nhead = 0;
	if (write(c->fd, l->request, l->nrequest) != (ssize_t)l->nrequest)
		die("writing a request");
}

/* Returns how much of the body came along. */
static long long take_head(struct load *l, struct connection *c, const char *data, size_t n)
{
	size_t room = sizeof(c->head) - 1 - c->nhead;
	size_t take = n < room ? n : room, before = c->nhead;
	const char *end, *field;
	long long length;

	memcpy(c->head + c->nhead, data, take);
	c->nhead += take;
	c->head[c->nhead] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return 0;
	field = strcasestr(c->head, "content-length:");
	errno = 0;
	if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || !field || field > end)
		die(c->head);
	length = atoll(field + strlen("content-length:"));
	if (l->length >= 0 && l->length != length)
		die("answers differ in length");
	l->length = length;
	c->left = length;
	return (long long)n - (end + 4 - c->head - (long long)before);
}

static void readable(struct load *l, struct connection *c, long long counts_from)
{
	ssize_t n = read(c->fd, l->chunk, CHUNK);
	long long body = n, now;

	if (n <= 0)
		die("the connection ended");
	if (c->left < 0)
		body = take_head(l, c, l->chunk, (size_t)n);
	if (c->left < 0)
		return;
	c->left -= body;
	if (c->left > 0)
		return;
	now = now_us();
	if (now >= counts_from && l->nsamples < MAX_SAMPLES)
		l->samples[l->nsamples++] = (int)(now - c->begun);
	begin(l, c);
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu < 0)
		return;
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("pinning");
}

static void run(struct load *l, int epoll, double seconds)
{
	long long from = now_us() + WARM_US, until = from + (long long)(seconds * 1e6);
	struct epoll_event events[MAX_CONNECTIONS];

	while (now_us() < until) {
		int n = epoll_wait(epoll, events, MAX_CONNECTIONS, 1000);

		if (n == 0)
			die("no answer within a second");
		for (int i = 0; i < n; i++)
			readable(l, events[i].data.ptr, from);
	}
	if (l->nsamples == 0)
		die("nothing was answered");
	qsort(l->samples, l->nsamples, sizeof(*l->samples), compare);
	printf("%zu %.6f %d %d %d %lld\n", l->nsamples, (double)(now_us() - from) / 1e6, l->samples[l->nsamples / 2],
	       l->samples[l->nsamples * 99 / 100], l->samples[l->nsamples - 1], l->length);
}

int main(int argc, char **argv)
{
	struct load *l = calloc(1, sizeof(*l));
	int epoll = epoll_create1(EPOLL_CLOEXEC), count = argc == 6 ? atoi(argv[3]) : 0;

	errno = 0;
	if (!l || count < 1 || count > MAX_CONNECTIONS)
		die("usage: load SOCKET TARGET CONNECTIONS SECONDS CPU");
	l->samples = calloc(MAX_SAMPLES, sizeof(*l->samples));
	l->chunk = malloc(CHUNK);
	l->length = -1;
	pin(atoi(argv[5]));
	l->nrequest =
		(size_t)snprintf(l->request, sizeof(l->request), "GET %s HTTP/1.1\r\nHost: load\r\n\r\n", argv[2]);
	for (int i = 0; i < count; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &l->connections[i]};

		l->connections[i].fd = connect_to(argv[1]);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, l->connections[i].fd, &e))
			die("epoll");
		begin(l, &l->connections[i]);
	}
	run(l, epoll, atof(argv[4]));
	return 0;
}
