/* SPDX-License-Identifier: MIT */
/* Bodies of API requests. Unknown keys are ignored and null counts as absent, because clients of
 * several versions exist; a wrong type or a value over a limit is ERR_INVALID and names the key. An
 * empty body is the same as {}. */
#ifndef SLICER_CONFIG_REQUEST_H
#define SLICER_CONFIG_REQUEST_H

#include "config/config.h"

#define REQUEST_BODY_MAX (1024 * 1024) /* bytes; larger bodies are ERR_TOO_LARGE */

struct request_network {
	uint64_t given;
	bool has_allow, has_drop; /* absent: the group's list; present but empty: none */
	char **allow, **drop;	  /* ip4_parse_rule */
};

/* POST /hostgroup/{name}/nodes */
struct node_request {
	uint64_t given;
	uint64_t ram_bytes; /* 0: the group's */
	uint32_t cpus;	    /* 0: the group's */
	uint32_t gpu_count;
	bool persistent;
	char *disk_image;
	char *github_user; /* import_user is another name of it */
	char **ssh_keys, *userdata, *ip, **tags;
	bool has_secrets; /* absent: all secrets; present but empty: none */
	char **secrets;
	struct request_network network;
	char *hostname; /* this and the following: read and ignored; the allocator names VMs */
	bool is_protected;
	char **pci_devices;
};

/* POST /vm/{hostname}/shutdown */
enum shutdown_action { SHUTDOWN_DEFAULT, SHUTDOWN_POWEROFF, SHUTDOWN_REBOOT };
struct shutdown_request {
	uint64_t given;
	enum shutdown_action action;
};

/* PATCH /vm/{hostname}/tags: replace, or one or both of add and remove */
enum { REQUEST_TAGS_MAX = 64, REQUEST_TAG_MAX = 256 /* bytes of one */ };
struct tags_request {
	char **add, **remove, **replace;
	bool has_add, has_remove, has_replace;
};
/* Into *ret, which must be empty; to be cleared on error, too. */
int tags_request_parse(const char *body, size_t n, struct tags_request *ret, struct error **err);
void tags_request_clear(struct tags_request *r); /* twice is fine */
#define cleanup_tags_request __attribute__((cleanup(tags_request_clear)))
/* What the VM's `tags` become, without doubles; name=, which is given at launch, stays. *ret, NULL at first, is the caller's,
 * on error too. ERR_INVALID beyond the limits above. */
int tags_request_apply(const struct tags_request *r, char *const *tags, char ***ret, struct error **err);

/* Fill *ret, which need not be initialised; on error it is empty. */
int node_request_parse(const char *body, size_t n, struct node_request *ret, struct error **err);
int shutdown_request_parse(const char *body, size_t n, struct shutdown_request *ret, struct error **err);
void node_request_clear(struct node_request *r); /* frees what it owns; NULL-safe, twice is fine */
#define cleanup_node_request __attribute__((cleanup(node_request_clear)))

/* Is the request within the group's limits and network mode? ERR_INVALID says which value is
 * allowed; ERR_UNSUPPORTED names what this version cannot give. */
int node_request_check(const struct node_request *r, const struct config_group *g, struct error **err);
/* "reboot" and "shutdown" of ?action=; ERR_INVALID names them. */
int shutdown_action_parse(const char *s, enum shutdown_action *ret, struct error **err);

#endif
