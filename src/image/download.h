/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_DOWNLOAD_H
#define SLICER_IMAGE_DOWNLOAD_H

#include "base/error.h"

/* Gets a small text by HTTP; what begins with https:// stays that over redirects. *ret is the caller's, and ends in NUL; a NUL
 * in it is ERR_PROTOCOL. ERR_UNAVAILABLE: nobody answers there; ERR_TIMEOUT: not all came within the time; ERR_TOO_LARGE: more
 * than `limit` bytes; ERR_NOT_FOUND: status 404; ERR_PROTOCOL: any other status but 200. Messages begin with the URL. */
int download_text(const char *url, size_t limit, int64_t timeout_ms, char **ret, struct error **err);

#endif
