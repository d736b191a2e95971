/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/port.h"

struct port {
	struct port_address address;
	int fd;
	struct timer *poll;
	loop_fn *ready;
	void *arg;
};

static int open_port(const struct port_address *a)
{
	return a->socket ? fd_connect_unix(a->path, NULL) : open(a->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

/* Whether the host side is connected: a virtio port without a host polls as hung up. */
static bool is_connected(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void on_poll(void *arg)
{
	struct port *p = arg;

	if (p->fd < 0)
		p->fd = open_port(&p->address);
	if (p->fd >= 0 && (p->address.socket || is_connected(p->fd))) {
		p->ready(p->arg);
		return;
	}
	timer_set(p->poll, PORT_POLL_MS);
}

struct port *port_new(struct loop *loop, const struct port_address *address, loop_fn *ready, void *arg)
{
	struct port *p = NEW(struct port);

	p->address = *address;
	p->fd = -1;
	p->ready = ready;
	p->arg = arg;
	p->poll = timer_new(loop, on_poll, p);
	timer_set(p->poll, 0);
	return p;
}

void port_free(struct port **p)
{
	if (!*p)
		return;
	timer_free(&(*p)->poll);
	fd_closep(&(*p)->fd);
	free(*p);
	*p = NULL;
}

int port_dup(struct port *p)
{
	return p->fd < 0 ? -1 : fcntl(p->fd, F_DUPFD_CLOEXEC, 3);
}

void port_lost(struct port *p)
{
	fd_closep(&p->fd);
	timer_set(p->poll, PORT_POLL_MS);
}

char *port_find(const char *name, struct error **err)
{
	static const char dir[] = "/sys/class/virtio-ports";
	DIR *d = opendir(dir);
	char *found = NULL;
	struct dirent *e;

	while (d && !found && (e = readdir(d))) {
		cleanup_free char *path = str_fmt("%s/%s/name", dir, e->d_name);
		cleanup_free char *text = NULL;
		size_t n;

		if (e->d_name[0] == '.' || fs_read_file(path, 256, &text, &n, NULL) < 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (str_eq(text, name))
			found = str_fmt("/dev/%s", e->d_name);
	}
	if (d)
		closedir(d);
	if (!found)
		error_set(err, ERR_NOT_FOUND, "no virtio port is named %s", name);
	return found;
}
