/* SPDX-License-Identifier: MIT */
/* TCP with names. A file of its own: getaddrinfo must not get into static programs. */
#include <errno.h>
#include <netdb.h>
#include <unistd.h>
#include <sys/socket.h>

#include "base/str.h"
#include "io/http1_client.h"

static struct addrinfo *resolve(struct http1_client *client, struct error **err)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	char port[8];
	struct addrinfo *list = NULL;
	int rc;

	snprintf(port, sizeof(port), "%u", client->port);
	rc = getaddrinfo(client->host, port, &hints, &list);
	if (rc != 0) {
		error_set(err, ERR_UNAVAILABLE, "cannot resolve '%s': %s", client->host, gai_strerror(rc));
		return NULL;
	}
	return list;
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
