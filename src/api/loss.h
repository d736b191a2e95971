/* SPDX-License-Identifier: MIT */
/* An exchange with a VM's agent broke off: why? The connection is lost before it is known that the VM has ended, and how. */
#ifndef SLICER_API_LOSS_H
#define SLICER_API_LOSS_H

#include "vm/vm.h"

struct loss;
/* The error says what became of the VM, or that its agent does not answer any more (ERR_GONE); where nothing did, it is the one that
 * the exchange broke off with. Borrowed. */
typedef void loss_fn(void *arg, const struct error *error);
/* fn is called once, within a few seconds, never from within the call. */
struct loss *loss_new(struct loop *loop, struct manager *m, const char *vm, const struct error *why, loss_fn *fn,
		      void *arg);
void loss_free(struct loss **l); /* NULL-safe; cancels, unless it was called */

#endif
