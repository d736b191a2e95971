/* SPDX-License-Identifier: MIT */
/* The config disk's document (docs/protocol.md §4): who this guest is. */
#ifndef SLICER_AGENT_CONFIG_H
#define SLICER_AGENT_CONFIG_H

#include <netinet/in.h>
#include "base/json.h"

enum {
	CONFIG_MAX_SIZE = 1024 * 1024,
	CONFIG_MAX_LIST = 64, /* networks, DNS servers, keys */
};

struct guest_network {
	unsigned char mac[6];
	bool has_mac, dhcp;
	bool dhcp_dns; /* the lease's name servers replace `dns` */
	bool ipv6;
	struct guest_route {
		struct in_addr to, via; /* via 0: on-link */
		unsigned prefix;
	} * routes;
	size_t nroutes;
	struct in_addr address, gateway; /* gateway 0: none */
	unsigned prefix;
	unsigned mtu; /* 0: as it is */
};

struct guest_config {
	char *hostname, *group, *machine_id, *lower, *upper, *modules, *userdata; /* NULL when absent */
	struct guest_network *networks;
	size_t nnetworks;
	char **dns, **ssh_keys;
};

/* ERR_INVALID names the member. Zero bytes after the document are padding. */
struct guest_config *guest_config_parse(const char *text, size_t n, struct error **err);
struct guest_config *guest_config_load(const char *path, struct error **err); /* a file or a disk */
void guest_config_free(struct guest_config **c);
#define cleanup_guest_config __attribute__((cleanup(guest_config_free)))

#endif
