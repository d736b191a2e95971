/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "cli/vm_forward.h"

static void listener_accepted(void *arg, int take_fd)
{
	struct forward_listener *l = arg;

	forward_conn_start(l->forward, l->spec.upstream, take_fd);
}

static int listen_on_path(const char *path, struct error **err)
{
	cleanup_free char *dir = fs_dirname(path);

	if (fs_mkdir_p(dir, 0755, err))
		return -1;
	return fd_listen_unix(path, 0660, err);
}

static int listen_on_port(struct sockaddr_in *address, struct error **err)
{
	cleanup_error struct error *why = NULL;
	cleanup_close int fd = fd_listen_tcp(address, &why);
	socklen_t size = sizeof(*address);

	if (fd < 0 && why->code == ERR_CONFLICT)
		return error_set(err, ERR_CONFLICT, "%s; give another port in front (PORT:HOST:PORT, 0 for any)",
				 error_message(why));
	if (fd < 0 && why->sys_errno == EADDRNOTAVAIL)
		return error_set(err, why->code,
				 "%s; give the address to listen on in front (127.0.0.1:PORT:HOST:PORT)",
				 error_message(why));
	if (fd < 0)
		return error_move(err, &why);
	if (getsockname(fd, (struct sockaddr *)address, &size) < 0)
		return error_errno(err, errno, "ask for the port");
	return TAKE_FD(fd);
}

int forward_listener_open(struct forward_listener *l, struct forward *f, struct forward_spec *take, struct error **err)
{
	cleanup_free char *text = NULL;
	int fd;

	fd = take->listen_path ? listen_on_path(take->listen_path, err) : listen_on_port(&take->listen, err);
	if (fd < 0) {
		forward_spec_clear(take);
		return -1;
	}
	l->forward = f;
	l->spec = *take;
	*take = (struct forward_spec){0};
	l->acceptor = acceptor_new(f->client->loop, fd, listener_accepted, l);
	text = forward_spec_listen_text(&l->spec);
	fprintf(stderr, "Forwarding %s to %s in %s\n", text, l->spec.upstream, f->vm);
	return 0;
}

void forward_listener_close(struct forward_listener *l)
{
	acceptor_free(&l->acceptor);
	if (l->spec.listen_path)
		fs_unlink(l->spec.listen_path, NULL);
	forward_spec_clear(&l->spec);
}
