/* SPDX-License-Identifier: MIT */
/* The CNI network that is there when nobody has made one. */
#ifndef SLICER_NET_CNI_DEFAULT_H
#define SLICER_NET_CNI_DEFAULT_H

#include "base/error.h"

#define CNI_DEFAULT_NETWORK "slicer"
#define CNI_DEFAULT_FILE "51-slicer.conflist"

/* Writes CNI_DEFAULT_FILE when `network` is CNI_DEFAULT_NETWORK and no file in the directory has a network of that name,
 * broken ones included: those are the user's to mend. */
int cni_write_default(const char *dir, const char *network, struct error **err);

#endif
