/* SPDX-License-Identifier: MIT */
/* traffic ADDRESS                          takes streams and gives datagrams back, on port 8, until it is killed
 * traffic ADDRESS BYTES EXCHANGES          sends a stream, then exchanges datagrams; prints what was measured:
 *   bytes a second of the stream, until the other end says that it has them all
 *   the median of EXCHANGES round trips of a datagram of one byte, in seconds
 *   the same, with a socket of its own for each: the first packet of a flow, which every firewall on the way has to look at */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 8, CHUNK = 256 * 1024, MAX_EXCHANGES = 100 * 1000, PATIENCE_S = 5 };

static char chunk[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int make_socket(int type)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		die("socket");
	return fd;
}

static int bound(int type, const struct sockaddr_in *here)
{
	int fd = make_socket(type);

	if (bind(fd, (const struct sockaddr *)here, sizeof(*here)) < 0 || (type == SOCK_STREAM && listen(fd, 8) < 0))
		die("bind");
	return fd;
}

static void give_back(int fd)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	char byte;

	if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &length) == 1)
		sendto(fd, &byte, 1, 0, (struct sockaddr *)&from, length);
}

/* One stream at a time. */
static void take_stream(int listener)
{
	int fd = accept(listener, NULL, NULL);
	ssize_t n;

	if (fd < 0)
		return;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		;
	if (n == 0)
		send(fd, "x", 1, MSG_NOSIGNAL);
	close(fd);
}

static int serve(const struct sockaddr_in *here)
{
	struct pollfd fds[] = {{bound(SOCK_STREAM, here), POLLIN, 0}, {bound(SOCK_DGRAM, here), POLLIN, 0}};

	puts("ready");
	fflush(stdout);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			take_stream(fds[0].fd);
		if (fds[1].revents)
			give_back(fds[1].fd);
	}
	return 1;
}

static int connected(int type, const struct sockaddr_in *to)
{
	int fd = make_socket(type);

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("connect");
	return fd;
}

static double stream_rate(const struct sockaddr_in *to, size_t bytes)
{
	int fd = connected(SOCK_STREAM, to);
	double start = now();
	char byte;

	for (size_t left = bytes; left > 0;) {
		ssize_t n = send(fd, chunk, left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);

		if (n < 0)
			die("sending the stream");
		left -= (size_t)n;
	}
	if (shutdown(fd, SHUT_WR) < 0 || read(fd, &byte, 1) != 1)
		die("the end of the stream");
	close(fd);
	return (double)bytes / (now() - start);
}

static double exchange(int fd)
{
	double start = now();
	char byte = 'x';

	if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
		die("exchanging datagrams");
	return now() - start;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double round_trip(const struct sockaddr_in *to, size_t n, bool new_flows)
{
	double *took = calloc(n, sizeof(*took)), median;
	int fd = connected(SOCK_DGRAM, to);

	if (!took)
		die("memory");
	exchange(fd); /* neighbours are known from here on */
	for (size_t i = 0; i < n; i++) {
		if (new_flows)
			close(fd), fd = connected(SOCK_DGRAM, to);
		took[i] = exchange(fd);
	}
	close(fd);
	qsort(took, n, sizeof(*took), by_size);
	median = took[n / 2];
	free(took);
	return median;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	long bytes, n;

	if (argc == 2 && inet_pton(AF_INET, argv[1], &to.sin_addr) == 1)
		return serve(&to);
	bytes = argc == 4 ? atol(argv[2]) : 0;
	n = argc == 4 ? atol(argv[3]) : 0;
	if (bytes < 1 || n < 1 || n > MAX_EXCHANGES || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: traffic ADDRESS [BYTES EXCHANGES]\n");
		return 2;
	}
	printf("%.0f", stream_rate(&to, (size_t)bytes));
	printf(" %.9f", round_trip(&to, (size_t)n, false));
	printf(" %.9f\n", round_trip(&to, (size_t)n, true));
	return 0;
}
