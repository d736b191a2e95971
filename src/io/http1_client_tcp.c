/* SPDX-License-Identifier: MIT */
/* TCP with names. A file of its own: getaddrinfo must not get into static programs. */
#include <errno.h>
#include <netdb.h>
#include <unistd.h>
#include <sys/socket.h>

#include "base/str.h"
#include "base/units.h"
#include "io/http1_client.h"

enum { RESOLVE_MS = 10 * 1000 };

/* A question to resolvers. When none of them answers it stays with the C library's thread until the process ends. */
struct question {
	struct gaicb ask;
	struct addrinfo hints;
	char *host, port[8];
};

static struct question *question_new(const struct http1_client *client)
{
	struct question *q = NEW(struct question);

	q->host = str_dup(client->host);
	snprintf(q->port, sizeof(q->port), "%u", client->port);
	q->hints = (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	q->ask = (struct gaicb){.ar_name = q->host, .ar_service = q->port, .ar_request = &q->hints};
	return q;
}

static void question_free(struct question *q)
{
	free(q->host);
	free(q);
}

/* getaddrinfo(3) error; EAI_INPROGRESS: nobody has answered in time. */
static int ask_resolvers(struct question *q)
{
	struct gaicb *list[] = {&q->ask};
	int64_t deadline = clock_ms() + RESOLVE_MS, left = RESOLVE_MS;
	int rc = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);

	if (rc != 0)
		return rc;
	while ((rc = gai_error(&q->ask)) == EAI_INPROGRESS && left > 0) {
		struct timespec ts = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};

		gai_suspend((const struct gaicb *const *)list, 1, &ts);
		left = deadline - clock_ms();
	}
	return rc;
}

static struct addrinfo *resolve(struct http1_client *client, struct error **err)
{
	struct question *q = question_new(client);
	struct addrinfo *found = NULL;
	int rc;

	/* What is an address already needs no resolver, and no thread. */
	q->hints.ai_flags |= AI_NUMERICHOST;
	rc = getaddrinfo(q->host, q->port, &q->hints, &found);
	if (rc == EAI_NONAME) {
		q->hints.ai_flags &= ~AI_NUMERICHOST;
		rc = ask_resolvers(q);
		found = rc == 0 ? q->ask.ar_result : NULL;
	}
	if (rc == EAI_INPROGRESS) {
		error_set(err, ERR_UNAVAILABLE, "cannot resolve '%s': no answer within %d s", client->host,
			  RESOLVE_MS / 1000);
		return NULL;
	}
	if (rc != 0)
		error_set(err, ERR_UNAVAILABLE, "cannot resolve '%s': %s", client->host, gai_strerror(rc));
	question_free(q);
	return found;
}

static int dial_tcp(struct http1_client *client, unsigned attempt, struct error **err)
{
	struct addrinfo *a;
	int fd;

	/* A name is asked for once: one that is not known has no further addresses. */
	if (!client->state && attempt == 0)
		client->state = resolve(client, err);
	a = client->state;
	while (a && attempt-- > 0)
		a = a->ai_next;
	if (!a)
		return -1;
	fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	if (fd < 0)
		return error_errno(err, errno, "cannot create a socket");
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) {
		error_errno(err, errno, "cannot connect to %s", client->name);
		close(fd);
		return -1;
	}
	return fd;
}

static void free_tcp(struct http1_client *client)
{
	if (client->state)
		freeaddrinfo(client->state);
}

struct http1_client *http1_client_new_tcp(struct loop *loop, const char *host, uint16_t port)
{
	static const struct http1_dialer dialer = {.dial = dial_tcp, .free = free_tcp};
	char *name cleanup_free = str_fmt("%s:%u", host, port);
	struct http1_client *client = http1_client_alloc(loop, &dialer, name);

	client->host = str_dup(host);
	client->authority = str_dup(name);
	client->port = port;
	return client;
}
