/* SPDX-License-Identifier: MIT */
/* Accepts the connections of a listening socket. */
#ifndef SLICER_IO_ACCEPTOR_H
#define SLICER_IO_ACCEPTOR_H

#include "io/loop.h"

struct acceptor;
/* take_fd: non-blocking, close-on-exec. The acceptor may be freed or paused in it. */
typedef void accept_fn(void *arg, int take_fd);
/* Owns the listening socket, which becomes non-blocking. Where fds or memory run out, connections wait in the backlog. */
struct acceptor *acceptor_new(struct loop *loop, int take_listen_fd, accept_fn *fn, void *arg);
void acceptor_pause(struct acceptor *a, bool pause); /* connections wait in the backlog */
void acceptor_free(struct acceptor **a);	     /* stops listening; NULL-safe */

#endif
