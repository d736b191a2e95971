/* SPDX-License-Identifier: MIT */
#include "vmm/monitor_frames.h"
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include "base/mem.h"

enum {
	LENGTH_SIZE = 4,
	ETHERTYPE_AT = 12, /* IEEE 802.3; types by IANA */
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	IPV4_AT = 14,
	IPV4_DESTINATION_AT = IPV4_AT + 16, /* RFC 791 */
	IPV4_MIN = IPV4_AT + 20,
};

static bool frame_passes(const unsigned char *f, size_t n)
{
	unsigned type;

	if (n < IPV4_AT)
		return false;
	type = (unsigned)f[ETHERTYPE_AT] << 8 | f[ETHERTYPE_AT + 1];
	if (type == ETHERTYPE_ARP)
		return true;
	if (type != ETHERTYPE_IPV4 || n < IPV4_MIN || f[IPV4_AT] >> 4 != 4)
		return false;
	return f[IPV4_DESTINATION_AT] != 127 && f[IPV4_DESTINATION_AT] != 0;
}

ssize_t frames_filter(unsigned char *buf, size_t done, size_t *n)
{
	size_t at = done; /* each byte moves once, however many frames are dropped */

	while (*n - at >= LENGTH_SIZE) {
		const unsigned char *f = buf + at;
		size_t size = (size_t)f[0] << 24 | (size_t)f[1] << 16 | (size_t)f[2] << 8 | f[3];

		if (size > FRAME_MAX)
			return -1;
		size += LENGTH_SIZE;
		if (*n - at < size)
			break;
		if (frame_passes(f + LENGTH_SIZE, size - LENGTH_SIZE)) {
			memmove(buf + done, f, size);
			done += size;
		}
		at += size;
	}
	memmove(buf + done, buf + at, *n - at);
	*n -= at - done;
	return (ssize_t)done;
}

/* One direction. It reads when all that may be sent has been sent: a slow reader stops its writer.
 */
struct flow {
	int from, to;
	bool filter;
	size_t at, ready, n; /* sent up to at, may be sent up to ready, bytes up to n */
	unsigned char buf[FRAME_BUFFER];
};

static bool flow_read(struct flow *f)
{
	ssize_t got, ready;

	memmove(f->buf, f->buf + f->at, f->n - f->at);
	f->n -= f->at;
	f->at = f->ready = 0;
	got = recv(f->from, f->buf + f->n, sizeof(f->buf) - f->n, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		return false;
	f->n += (size_t)got;
	ready = f->filter ? frames_filter(f->buf, 0, &f->n) : (ssize_t)f->n;
	if (ready < 0)
		return false;
	f->ready = (size_t)ready;
	return true;
}

static bool flow_write(struct flow *f)
{
	ssize_t sent = send(f->to, f->buf + f->at, f->ready - f->at, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	f->at += (size_t)sent;
	return true;
}

/* What is read is sent at once where possible: a round of poll(2) less for each packet. */
static bool flow_step(struct flow *f, bool readable)
{
	if (f->at == f->ready && readable && !flow_read(f))
		return false;
	return f->at == f->ready || flow_write(f);
}

int frames_main(int guest, int network)
{
	struct flow *out = NEW(struct flow), *in = NEW(struct flow);

	out->from = in->to = guest;
	out->to = in->from = network;
	out->filter = true;
	for (;;) {
		bool out_waits = out->at < out->ready, in_waits = in->at < in->ready;
		struct pollfd p[] = {
			{.fd = guest, .events = (short)((out_waits ? 0 : POLLIN) | (in_waits ? POLLOUT : 0))},
			{.fd = network, .events = (short)((in_waits ? 0 : POLLIN) | (out_waits ? POLLOUT : 0))},
		};

		if (poll(p, 2, -1) < 0)
			continue;
		if ((p[0].revents | p[1].revents) & (POLLHUP | POLLERR | POLLNVAL))
			return 0; /* what is still under way is for nobody */
		if (!flow_step(out, p[0].revents) || !flow_step(in, p[1].revents))
			return 0;
	}
}
