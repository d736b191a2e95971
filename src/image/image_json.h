/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_IMAGE_JSON_H
#define SLICER_IMAGE_IMAGE_JSON_H

#include "base/json.h"
#include "disk/store.h"

/* An image as results show it: {"name","digest","rootfs","size","arch","created_at","default_user",
 * "kernel":{"release","path","modules"}}, paths absolute. The caller's. */
struct json_object *image_to_json(const struct store_image *image);

#endif
