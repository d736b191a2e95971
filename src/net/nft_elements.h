/* SPDX-License-Identifier: MIT */
/* Elements of nftables' sets as `nft -j` lists them; the form is libnftables-json(5). */
#ifndef SLICER_NET_NFT_ELEMENTS_H
#define SLICER_NET_NFT_ELEMENTS_H

#include <json-c/json.h>
#include "base/mem.h"

/* The fields of an element, or of a map's key, as text: "vt-1", "10.0.0.0/8". A list of the caller's, never empty. */
char **nft_element_fields(struct json_object *element);
/* Is the first field of the set's elements an interface's name? */
bool nft_set_is_of_interfaces(struct json_object *set);
/* How nft(8) takes an element of such a set: FAMILY TABLE SET { "vt-1" . 10.0.0.2 }. NULL when something in it may not be
 * part of a script. The caller's. */
char *nft_element_words(const char *place, char *const *fields);
/* May it be part of a script for nft as it is? */
bool nft_is_plain(const char *text);

#endif
