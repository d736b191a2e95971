/* SPDX-License-Identifier: MIT */
/* One exchange with the daemon whose bodies stream: what cp is made of. */
#ifndef SLICER_CLI_TRANSFER_H
#define SLICER_CLI_TRANSFER_H

#include "cli/client.h"

struct transfer_ops {
	/* The next bytes of the request's body, at most n; 0 at its end; may block. NULL: the request has no body. */
	ssize_t (*produce)(void *arg, void *buffer, size_t n, struct error **err);
	/* The head of an answer below 400. NULL: of no interest. */
	int (*begin)(void *arg, const struct http_head *response, struct error **err);
	/* The next bytes of its body. NULL: they are dropped. */
	int (*consume)(void *arg, const void *data, size_t n, struct error **err);
};

struct transfer_result {
	int status;    /* of the answer; 0: there was none */
	char *refusal; /* the body of an answer of 400 and more; the caller's */
	bool broke_off; /* in the middle of an answer below 400 */
	int signo;     /* the signal that ended it (only where answers are consumed); 0 */
};

/* Owns the head. ERR_CANCELLED after a signal. On failure everything is closed, so that the other side sees it, too. */
int transfer_run(struct client *c, struct http_head *take_request, const struct transfer_ops *ops, void *arg,
		 struct transfer_result *ret, struct error **err);

#endif
