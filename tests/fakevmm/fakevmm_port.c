/* SPDX-License-Identifier: MIT */
/* Bytes between host and guest, as QEMU's virtio-serial does it: one client, a hang-up of the host
 * is one for the guest, but not the other way round. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fakevmm.h"

enum { DELIVER_MS = 1000 };

static bool buffer_read(struct fake_buffer *b, int fd)
{
	ssize_t n = recv(fd, b->data, sizeof(b->data), MSG_DONTWAIT);

	b->at = 0;
	b->n = n > 0 ? (size_t)n : 0;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool buffer_write(struct fake_buffer *b, int fd)
{
	ssize_t n = send(fd, b->data + b->at, b->n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	b->at += (size_t)n;
	b->n -= (size_t)n;
	return true;
}

static int accept_one(int listen)
{
	return accept4(listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static struct pollfd side_poll(int fd, const struct fake_buffer *in, const struct fake_buffer *out, bool other)
{
	/* Nothing is read while nobody is on the other side, or while what was read is not yet
	 * written. */
	short events = (short)((other && !in->n ? POLLIN : 0) | (out->n ? POLLOUT : 0));

	return (struct pollfd){.fd = fd, .events = events};
}

void port_poll(struct fake_port *p, struct pollfd ret[4])
{
	ret[0] = (struct pollfd){.fd = p->host < 0 ? p->host_listen : -1, .events = POLLIN};
	ret[1] = (struct pollfd){.fd = p->host >= 0 && p->guest < 0 ? p->guest_listen : -1, .events = POLLIN};
	ret[2] = side_poll(p->host, &p->to_guest, &p->to_host, p->guest >= 0);
	ret[3] = side_poll(p->guest, &p->to_host, &p->to_guest, p->host >= 0);
	/* The guest's hang-up is looked at when what it wrote before has been delivered. */
	if (!ret[3].events)
		ret[3].fd = -1;
}

static void host_gone(struct fake_port *p)
{
	fd_closep(&p->host);
	fd_closep(&p->guest);
	p->to_guest.n = p->to_host.n = 0;
}

static void guest_gone(struct fake_port *p)
{
	fd_closep(&p->guest);
	p->to_guest.n = 0;
}

static void host_step(struct fake_port *p, short ready)
{
	bool ok = true;

	if (ready & POLLOUT)
		ok = buffer_write(&p->to_host, p->host);
	if (ok && ready & POLLIN)
		ok = buffer_read(&p->to_guest, p->host);
	if (!ok || (!(ready & POLLIN) && ready & (POLLHUP | POLLERR)))
		host_gone(p);
}

static void guest_step(struct fake_port *p, short ready)
{
	bool ok = true;

	if (ready & POLLOUT)
		ok = buffer_write(&p->to_guest, p->guest);
	if (ok && ready & POLLIN)
		ok = buffer_read(&p->to_host, p->guest);
	if (!ok || (!(ready & POLLIN) && !p->to_host.n && ready & (POLLHUP | POLLERR)))
		guest_gone(p);
}

/* Reads what is there when all before it is written. False at the end. */
static bool deliver_piece(struct fake_port *p)
{
	struct pollfd host = {.fd = p->host, .events = POLLOUT};

	if (!p->to_host.n)
		return p->guest >= 0 && buffer_read(&p->to_host, p->guest) && p->to_host.n;
	return poll(&host, 1, DELIVER_MS) == 1 && host.revents == POLLOUT && buffer_write(&p->to_host, p->host);
}

void port_deliver(struct fake_port *p)
{
	while (p->host >= 0 && deliver_piece(p))
		;
}

void port_step(struct fake_port *p, const struct pollfd ready[4])
{
	if (ready[0].revents)
		p->host = accept_one(p->host_listen);
	if (ready[1].revents)
		p->guest = accept_one(p->guest_listen);
	if (ready[2].revents)
		host_step(p, ready[2].revents);
	if (ready[3].revents && p->guest >= 0)
		guest_step(p, ready[3].revents);
}
