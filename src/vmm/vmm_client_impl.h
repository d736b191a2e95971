/* SPDX-License-Identifier: MIT */
/* For those who implement a client of a VMM: the base object, embedded as first member. */
#ifndef SLICER_VMM_VMM_CLIENT_IMPL_H
#define SLICER_VMM_VMM_CLIENT_IMPL_H

#include "vmm/vmm_client.h"

struct vmm_client_impl {
	void (*query_status)(struct vmm_client *c, vmm_status_fn *done, void *arg);
	void (*destroy)(struct vmm_client *c); /* cancels what is pending; frees its part and the object */
};

struct vmm_client {
	const struct vmm_client_impl *impl;
	const struct vmm_ops *ops;
	struct loop *loop;
	const struct vmm_client_events *events;
	void *arg;
	bool up;
	struct vmm_refusal *refusals; /* answers that are owed, without the VMM having been asked */
	struct timer *refuse;
};

/* Answers done(arg, error) in the next round of the loop. */
void vmm_client_refuse(struct vmm_client *c, vmm_done_fn *done, void *arg, struct error *take);

#endif
