/* SPDX-License-Identifier: MIT */
/* Frames in and out, by wslay's frame layer; what that leaves to its user (masks, opcodes, message
 * order) is checked here. */
#include "base/str.h"
#include "io/ws_impl.h"

enum { SMALL_FRAME = 2048 };

static ssize_t frame_send(const uint8_t *data, size_t n, int flags, void *arg)
{
	struct ws_frames *f = arg;

	evbuffer_add(f->batch, data, n);
	return (ssize_t)n;
}

static ssize_t frame_recv(uint8_t *buf, size_t n, int flags, void *arg)
{
	struct ws_frames *f = arg;
	int got = evbuffer_remove(stream_input(f->transport), buf, n);

	return got > 0 ? got : -1;
}

static int frame_mask(uint8_t *buf, size_t n, void *arg)
{
	return random_bytes(buf, n, NULL);
}

void ws_frames_init(struct ws_frames *f, struct stream *transport, bool client)
{
	const struct wslay_frame_callbacks callbacks = {frame_send, frame_recv, frame_mask};

	f->transport = transport;
	f->client = client;
	f->batch = evbuffer_new();
	if (!f->batch || wslay_frame_context_init(&f->context, &callbacks, f) != 0)
		abort(); /* for want of memory only */
}

void ws_frames_clear(struct ws_frames *f)
{
	wslay_frame_context_free(f->context);
	evbuffer_free(f->batch);
}

static int check_frame(const struct ws_frames *f, const struct wslay_frame_iocb *io, struct error **err)
{
	bool data = io->opcode == WSLAY_TEXT_FRAME || io->opcode == WSLAY_BINARY_FRAME;
	bool control = io->opcode == WSLAY_CONNECTION_CLOSE || io->opcode == WSLAY_PING || io->opcode == WSLAY_PONG;

	if (io->rsv)
		return error_set(err, ERR_PROTOCOL, "the peer used a WebSocket extension that was not agreed");
	if (!!io->mask == f->client)
		return error_set(err, ERR_PROTOCOL,
				 f->client ? "the server masked a frame" : "the client did not mask a frame");
	if (control && (!io->fin || io->payload_length > WS_MAX_CONTROL))
		return error_set(err, ERR_PROTOCOL, "the peer sent a control frame that is fragmented or too long");
	if (data && f->message)
		return error_set(err, ERR_PROTOCOL, "the peer began a message within another");
	if (io->opcode == WSLAY_CONTINUATION_FRAME && !f->message)
		return error_set(err, ERR_PROTOCOL, "the peer continued a message that it had not begun");
	if (!data && !control && io->opcode != WSLAY_CONTINUATION_FRAME)
		return error_set(err, ERR_PROTOCOL, "the peer sent a frame of unknown kind %u", io->opcode);
	return 0;
}

static int begin_frame(struct ws_frames *f, const struct wslay_frame_iocb *io, struct error **err)
{
	if (check_frame(f, io, err) < 0)
		return -1;
	f->in_frame = true;
	f->left = io->payload_length;
	f->opcode = io->opcode;
	f->fin = io->fin;
	f->control_n = 0;
	if (io->opcode == WSLAY_TEXT_FRAME || io->opcode == WSLAY_BINARY_FRAME)
		f->message = io->opcode;
	return 0;
}

/* A control frame is given whole. */
static enum ws_pull control_piece(struct ws_frames *f, const struct wslay_frame_iocb *io, struct ws_piece *ret)
{
	if (io->data_length)
		memcpy(f->control + f->control_n, io->data, io->data_length);
	f->control_n += io->data_length;
	if (f->in_frame)
		return WS_PULL_NOTHING;
	*ret = (struct ws_piece){.data = f->control, .n = f->control_n, .opcode = f->opcode, .end = true};
	return WS_PULL_CONTROL;
}

static enum ws_pull payload_piece(struct ws_frames *f, const struct wslay_frame_iocb *io, struct ws_piece *ret)
{
	*ret = (struct ws_piece){.data = io->data, .n = io->data_length, .left = f->left, .opcode = f->message};
	ret->end = f->fin && !f->in_frame;
	if (ret->end)
		f->message = 0;
	return WS_PULL_PAYLOAD;
}

enum ws_pull ws_frames_pull(struct ws_frames *f, struct ws_piece *ret, struct error **err)
{
	struct wslay_frame_iocb io;
	enum ws_pull what = WS_PULL_NOTHING;

	while (what == WS_PULL_NOTHING) {
		ssize_t n;

		memset(&io, 0, sizeof(io));
		n = wslay_frame_recv(f->context, &io);
		if (n == WSLAY_ERR_WANT_READ)
			return WS_PULL_NOTHING;
		if (n < 0) {
			error_set(err, ERR_PROTOCOL, "the peer sent a malformed WebSocket frame");
			return WS_PULL_FAILED;
		}
		if (!f->in_frame && begin_frame(f, &io, err) < 0)
			return WS_PULL_FAILED;
		f->left -= io.data_length;
		f->in_frame = f->left > 0;
		what = f->opcode >= WSLAY_CONNECTION_CLOSE ? control_piece(f, &io, ret) : payload_piece(f, &io, ret);
	}
	return what;
}

/* Small frames are copied: a moved one would keep a block of memory of its own for a few bytes. */
static void send_batch(struct ws_frames *f)
{
	size_t n = evbuffer_get_length(f->batch);

	if (n > SMALL_FRAME) {
		stream_write_buffer(f->transport, f->batch, n);
		return;
	}
	stream_write(f->transport, evbuffer_pullup(f->batch, (ssize_t)n), n);
	evbuffer_drain(f->batch, n);
}

void ws_frames_send(struct ws_frames *f, uint8_t opcode, const void *data, size_t n)
{
	struct wslay_frame_iocb io = {
		.fin = 1,
		.opcode = opcode,
		.mask = f->client,
		.payload_length = n,
		.data = n ? data : (const void *)"",
		.data_length = n,
	};

	do {
		ssize_t sent = wslay_frame_send(f->context, &io);

		if (sent < 0)
			abort(); /* our callbacks fail only when the kernel has no random bytes */
		io.data += sent;
		io.data_length -= (size_t)sent;
	} while (io.data_length > 0);
	send_batch(f);
}

void ws_frames_send_close(struct ws_frames *f, unsigned code, const char *reason)
{
	uint8_t payload[WS_MAX_CONTROL];
	size_t n = reason ? strnlen(reason, sizeof(payload) - 2) : 0;

	if (code == WS_NO_STATUS) {
		ws_frames_send(f, WSLAY_CONNECTION_CLOSE, NULL, 0);
		return;
	}
	while (n > 0 && reason[n] && ((unsigned char)reason[n] & 0xc0) == 0x80)
		n--; /* cut between characters */
	payload[0] = (uint8_t)(code >> 8);
	payload[1] = (uint8_t)code;
	memcpy(payload + 2, reason ? reason : "", n);
	ws_frames_send(f, WSLAY_CONNECTION_CLOSE, payload, n + 2);
}

/* RFC 6455 §7.4: which codes may be in a frame. */
int ws_close_code(const struct ws_piece *close, unsigned *ret, struct error **err)
{
	unsigned code;

	if (close->n == 0) {
		*ret = WS_NO_STATUS;
		return 0;
	}
	code = close->n >= 2 ? (unsigned)close->data[0] << 8 | close->data[1] : 0;
	if (!((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)))
		return error_set(err, ERR_PROTOCOL, "the peer closed with the invalid code %u", code);
	*ret = code;
	return 0;
}
