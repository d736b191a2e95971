/* SPDX-License-Identifier: MIT */
/* The configuration file of `slicer up` (docs/configuration.md). The tables in fields.c say what
 * each key is called, its limits and its default; here is what the rest of the program sees.
 * Everything but `given` and `source` is plain data: strings are NULL when absent, lists NULL when
 * empty. */
#ifndef SLICER_CONFIG_CONFIG_H
#define SLICER_CONFIG_CONFIG_H

#include "base/error.h"

struct json_object;

#define CONFIG_FILE_MAX (1024 * 1024)	 /* bytes */
#define CONFIG_USERDATA_MAX (256 * 1024) /* bytes of a script */
#define CONFIG_DEFAULT_FILE "slicer.yaml"
#define CONFIG_DEFAULT_IMAGE "debian"
#define CONFIG_SMALLEST_IMAGE "micro"
#define CONFIG_DEFAULT_CIDR "192.168.137.0/24"

enum config_hypervisor {
	HYPERVISOR_QEMU,
	HYPERVISOR_FIRECRACKER,
	HYPERVISOR_CLOUD_HYPERVISOR,
	HYPERVISOR_FAKE, /* for tests */
};
enum config_accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG };
enum config_machine { MACHINE_AUTO, MACHINE_MICROVM, MACHINE_VIRT, MACHINE_Q35 };
enum config_storage { STORAGE_OVERLAY, STORAGE_IMAGE, STORAGE_DEVMAPPER, STORAGE_ZFS };
enum config_net_mode {
	NET_CNI, /* no network: section */
	NET_BRIDGE,
	NET_ISOLATED,
	NET_MACVTAP,
	NET_USER,
	NET_SLOTS, /* a group with slots */
};
enum config_sleep_action { SLEEP_NONE, SLEEP_SHUTDOWN, SLEEP_PREVENT, SLEEP_SUSPEND };

struct config_network {
	uint64_t given;
	enum config_net_mode mode;
	char *bridge, *tap_prefix; /* bridge: never NULL after config_parse */
	char *gateway;		   /* CIDR; bridge: never NULL after config_parse; macvtap: NULL means DHCP */
	char *range;		   /* bridge, macvtap: "A-B"; isolated: CIDR */
	char **addresses;	   /* bridge, macvtap; with or without a mask */
	bool has_allow, has_drop;  /* the key was there, even if its list is empty */
	char **allow, **drop;	   /* ip4_parse_rule */
	char *parent;		   /* macvtap; NULL: the interface of the default route */
	char **forwards;	   /* user; ip4_parse_forward */
};

struct config_ca {
	uint64_t given;
	bool generate;
	char **files;
};

struct config_slot {
	uint64_t given;
	char *name;	/* the hostname */
	uint32_t index; /* 1–255, of subnet 10.<index>.0.0/24; 0: the file has none */
};

enum {
	CONFIG_LAN_POOL =
		35, /* macvtap: addresses at the end of the subnet, of which VMs get theirs: .220-.254 of a /24 */
	CONFIG_LAN_POOL_PREFIX_MAX = 26, /* smaller subnets need `range` or `addresses` */
	ISOLATED_NAME_MAX = 15,		 /* characters of a VM's name in mode isolated */
};

struct config_limits {
	uint64_t given;
	uint64_t disk_bandwidth, network_bandwidth; /* bytes per second; 0: no limit */
	uint32_t disk_operations, network_packets;  /* per second */
	uint32_t network_connections;		    /* at once */
};

struct config_group {
	uint64_t given;
	char *name;
	uint32_t count, vcpu;
	uint64_t ram_bytes;
	enum config_storage storage;
	uint64_t storage_size; /* bytes; 0: the image's own (devmapper, zfs) */
	bool persistent;       /* true for storage: image, whatever the file says */
	char *image;	       /* NULL: the configuration's; see config_group_image */
	char *userdata, *userdata_file;
	char **dns_servers;
	uint32_t gpu_count;
	struct config_ca ca;
	struct config_network network;
	struct config_limits limits;
	char *network_name; /* CNI; never NULL after config_parse */
	bool template;
	uint32_t warm;
	struct config_slot *slots;
	size_t nslots;
	enum config_machine machine;
	enum config_accel accel; /* the configuration's unless the group has its own */
	char *share_home;	 /* this and the following: macOS only, no effect here */
	bool rosetta;
	enum config_sleep_action sleep_action;
};

struct config_auth {
	uint64_t given;
	bool enabled; /* unless given: true for TCP, false for a Unix socket */
	char *token;  /* NULL: from the token file */
};

struct config_api {
	uint64_t given;
	bool enabled;
	uint32_t port;
	char *bind_address; /* an IP address, or the path of a Unix socket: see config_api_socket */
	char *socket;
	struct config_auth auth;
};

struct config_ssh {
	uint64_t given;
	uint32_t port; /* 0: off */
	char *bind_address;
};

struct config_pci {
	uint64_t given;
	char *hostname;
	char **addresses;
};

struct config {
	uint64_t given;
	char *image, *kernel_image, *kernel_file;
	enum config_hypervisor hypervisor;
	enum config_accel accel;
	bool graceful_shutdown, insecure_registry;
	uint32_t uid_first, uid_last; /* users of VMMs */
	char *network_name, *github_user;
	char **ssh_keys; /* one line each */
	struct config_pci *pci;
	size_t npci;
	struct config_api api;
	struct config_ssh ssh;
	struct config_group *groups;
	size_t ngroups;
	char *name;	      /* of the file, for messages */
	struct value *source; /* places for the messages of config_check */
};

/* Reads, parses and checks a file. All errors in it are ERR_INVALID, begin with "PATH:LINE:COL: "
 * and say what is allowed; a missing file is ERR_NOT_FOUND, one over 1 MiB ERR_INVALID. The
 * caller owns *ret. */
int config_load_file(const char *path, struct config **ret, struct error **err);
/* The same from memory, without config_check; `name` stands for the path in messages. */
int config_parse(const char *text, size_t n, const char *name, struct config **ret, struct error **err);
/* What no single key can tell: names, addresses, counts and sizes that must fit each other. Looks
 * at nothing outside. */
int config_check(const struct config *cfg, struct error **err);
void config_free(struct config **cfg);
#define cleanup_config __attribute__((cleanup(config_free)))

/* Borrowed; NULL: none of that name. */
struct config_group *config_group_find(const struct config *cfg, const char *name);
/* The same of a group's slots; the group may be NULL. */
const struct config_slot *config_group_slot(const struct config_group *g, const char *name);
/* Never NULL; borrowed. */
const char *config_group_image(const struct config *cfg, const struct config_group *g);
/* "FILE:LINE:COLUMN" of the value of a key of cfg->groups' `g`, or of the configuration itself when it is NULL; "network.mode" is
 * one below. Of the nearest part of it that the file has, else "FILE". The caller's. */
char *config_where(const struct config *cfg, const struct config_group *g, const char *key);
size_t config_group_vms(const struct config_group *g);	   /* as many as the daemon starts: slots, or count */
bool config_group_dns_given(const struct config_group *g); /* else dns_servers is the default */
const char *config_api_socket(const struct config *cfg);   /* borrowed; NULL for TCP */
bool config_is_socket_path(const char *address);	   /* begins with / ./ ../ ~/ or ends in .sock */
/* Lists what the file asks for and this version accepts without doing it
 * ("host_groups[0].gpu_count"); the caller frees. */
char **config_not_yet(const struct config *cfg);
/* All that the file means, defaults included, with the keys of the file (memory as ram_bytes).
 * Holds api.auth.token. */
struct json_object *config_to_json(const struct config *cfg); /* the caller's */
const char *config_hypervisor_name(enum config_hypervisor h);
const char *config_net_mode_name(enum config_net_mode m); /* "cni", "bridge", ... */
const char *config_storage_name(enum config_storage s);

/* Names that `slicer new` writes and that a bridge network without them gets; at most 15 and 14
 * characters. */
char *config_default_bridge(const char *group);
char *config_default_tap_prefix(const char *group);

#endif
