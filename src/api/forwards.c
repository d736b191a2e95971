/* SPDX-License-Identifier: MIT */
#include "api/forwards_impl.h"

#include <arpa/inet.h>

#include "base/fs.h"
#include "base/str.h"
#include "config/ip4.h"

static void forwards_accepted(void *arg, int take_fd)
{
	forwards_conn_start(arg, take_fd);
}

static int forwards_listen(const struct ip4_forward *f, struct error **err)
{
	const struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(f->host_port),
		.sin_addr.s_addr = htonl(f->host_addr),
	};
	cleanup_error struct error *error = NULL;
	int fd = fd_listen_tcp(&addr, &error);

	if (fd >= 0)
		return fd;
	if (error->code == ERR_FORBIDDEN && f->host_port < 1024)
		error_wrap(&error, "ports below 1024 are root's (take a higher one, such as %u)", f->host_port + 8000U);
	else if (error->code == ERR_CONFLICT)
		error_wrap(&error, "end what listens there (ss -ltnp), or take another port");
	return error_move(err, &error);
}

static int forwards_add(struct forwards *f, const struct config_group *g, const char *spec, struct error **err)
{
	struct forwards_listener *l;
	struct ip4_forward forward;
	char guest[IP4_TEXT_MAX];
	int fd;

	if (ip4_parse_forward(spec, &forward, err) < 0)
		return -1;
	fd = forwards_listen(&forward, err);
	if (fd < 0)
		return error_wrap(err, "host group \"%s\", network.forwards, \"%s\"", g->name, spec);
	l = NEW(struct forwards_listener);
	ip4_format(forward.guest_addr, guest);
	l->forwards = f;
	l->vm = str_fmt("%s-1", g->name);
	l->spec = str_dup(spec);
	l->target = str_fmt("/forward?upstream=%s%%3A%u&half_close=true", guest, forward.guest_port);
	l->acceptor = acceptor_new(f->loop, fd, forwards_accepted, l);
	l->next = f->listeners;
	f->listeners = l;
	return 0;
}

struct forwards *forwards_new(struct loop *loop, struct manager *manager, const struct config *config,
			      struct error **err)
{
	struct forwards *f = NEW(struct forwards);

	f->loop = loop;
	f->manager = manager;
	for (size_t i = 0; i < config->ngroups; i++) {
		const struct config_group *g = &config->groups[i];

		for (char **spec = g->network.forwards; spec && *spec; spec++) {
			if (forwards_add(f, g, *spec, err) < 0) {
				forwards_free(&f);
				return NULL;
			}
		}
	}
	return f;
}

static void forwards_listener_free(struct forwards_listener *l)
{
	while (l->conns)
		forwards_conn_free(l->conns);
	acceptor_free(&l->acceptor);
	free(l->vm);
	free(l->spec);
	free(l->target);
	free(l);
}

void forwards_free(struct forwards **fp)
{
	struct forwards *f = TAKE_PTR(*fp);

	while (f && f->listeners) {
		struct forwards_listener *l = f->listeners;

		f->listeners = l->next;
		forwards_listener_free(l);
	}
	free(f);
}
