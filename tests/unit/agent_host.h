/* SPDX-License-Identifier: MIT */
/* For tests of the agent: the host's side of the two ports, and requests as one call each. */
#ifndef SLICER_TESTS_AGENT_HOST_H
#define SLICER_TESTS_AGENT_HOST_H

#include "io/control.h"
#include "io/http2.h"

struct agent_host {
	struct loop *loop;
	char dir[64], control_path[96], agent_path[96];
	int listen_control, listen_agent;
	struct stream *control, *raw;
	struct http2_session *http;
	struct control_line hello; /* the last one */
	unsigned hellos;
	bool await, bye, ended;
	char nonce[CONTROL_NONCE_LEN + 1];
	struct control_reader reader;
};

void agent_host_listen(struct agent_host *h, struct loop *loop);
void agent_host_accept(struct agent_host *h); /* waits for the agent on both sockets */
/* Instead of listen and accept: where somebody else listens (a VMM). */
void agent_host_connect(struct agent_host *h, const char *control_path, const char *agent_path);
void agent_host_session(struct agent_host *h); /* reset, await, nonce, echo, HTTP/2 */
void agent_host_hang_up(struct agent_host *h); /* closes both connections; keeps listening */
void agent_host_free(struct agent_host *h);
void agent_host_run(struct agent_host *h, const bool *done); /* fails the test after 20 s */

/* One request under way. */
struct agent_call {
	struct agent_host *host;
	struct http_exchange *x;
	struct evbuffer *body; /* of the response */
	int status;	       /* 0: no head yet */
	bool closed, failed;
	const struct http_head *head;
	size_t limit;	/* stop reading at so many bytes; 0: no */
	size_t to_send; /* bytes still to be sent, of `pattern` */
	bool discard;	/* count only */
	uint64_t received;
	unsigned char sum; /* of received bytes, when discarded */
};
void agent_call_open(struct agent_call *c, struct agent_host *h, const char *method, const char *target);
void agent_call_send(struct agent_call *c, const void *data, size_t n, bool end);
void agent_call_send_pattern(struct agent_call *c, size_t n); /* n bytes with backpressure, then the end */
void agent_call_wait(struct agent_call *c);		      /* until it is closed */
void agent_call_wait_status(struct agent_call *c);
const char *agent_call_text(struct agent_call *c); /* the body; NUL-terminated, borrowed until the next call */
void agent_call_free(struct agent_call *c);
/* All at once: no body, waits for the end; the caller frees. */
void agent_call_get(struct agent_call *c, struct agent_host *h, const char *method, const char *target);

#endif
