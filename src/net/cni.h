/* SPDX-License-Identifier: MIT */
/* Container Network Interface, the runtime's side (CNI specification 1.0.0, and 0.4.0 and 0.3.1, whose differences are in
 * comments here): lists of plugins from configuration files, and their execution for one container, which is a VM's network
 * namespace. Blocking, for worker threads. Files and plugins' answers are not trusted: what is not as specified is refused. */
#ifndef SLICER_NET_CNI_H
#define SLICER_NET_CNI_H

#include <json-c/json.h>
#include "base/error.h"
#include "config/ip4.h"
#include "net/mac.h"

enum {
	CNI_LIST_MAX = 1024 * 1024,  /* bytes of a configuration file */
	CNI_PLUGINS_MAX = 16,	     /* of a list */
	CNI_FILES_MAX = 256,	     /* of a directory, looked at */
	CNI_RESULT_MAX = 256 * 1024, /* bytes of a plugin's answer */
	CNI_ITEMS_MAX = 64,	     /* of a result: interfaces, addresses, routes */
	CNI_CACHE_MAX = CNI_LIST_MAX + (CNI_PLUGINS_MAX + 1) * CNI_RESULT_MAX, /* of what is kept of an attachment */
	CNI_NAME_LEN_MAX = 64,
	CNI_PLUGIN_TIMEOUT_MS = 30 * 1000,
};

#define CNI_CONFIG_DIR "/etc/cni/net.d"
#define CNI_CACHE_DIR "/var/lib/cni/slicer"

struct cni_plugin {
	char *type;		    /* name of the program; no slash in it */
	struct json_object *config; /* as in the list */
};
struct cni_list {
	char *name, *version;
	bool disable_check;
	struct cni_plugin plugins[CNI_PLUGINS_MAX];
	size_t nplugins;
	struct json_object *source; /* all of it */
};
/* Whether one of its plugins declares this capability (CNI's CONVENTIONS.md), "mac" or "ips". */
bool cni_list_can(const struct cni_list *l, const char *capability);
void cni_list_clear(struct cni_list *l);
#define cleanup_cni_list __attribute__((cleanup(cni_list_clear)))
/* A *.conflist, or a *.conf, which is a list of one. ERR_INVALID; `what` names it. */
int cni_list_parse(const char *text, size_t n, const char *what, struct cni_list *ret, struct error **err);
/* The list of that name: the first one in the directory's *.conflist, *.conf and *.json by file name. ERR_NOT_FOUND lists
 * the names that there are. A file that is broken is passed over; when no other has that name, and it does not
 * say another either, that is said. */
int cni_list_find(const char *dir, const char *name, struct cni_list *ret, struct error **err);

/* Directories with plugins, in which they are looked for in this order: CNI_PATH, /opt/cni/bin, /usr/lib/cni. */
char **cni_plugin_path(void); /* the caller's */
/* The plugin's program; ERR_NOT_FOUND says where it was looked for and what to install. The caller's. */
char *cni_plugin_find(char *const *path, const char *type, struct error **err);
/* A VM can take the place of the interfaces that its plugins make; all are there and speak its version (VERSION), and iptables is,
 * where they run it. */
int cni_list_probe(const struct cni_list *l, struct error **err);

/* A container's attachment to a network. All borrowed. */
struct cni_attach {
	const char *container; /* letters, digits, "._-", beginning with a letter or digit */
	const char *netns;     /* path */
	const char *ifname;    /* in it */
	/* For ADD, to plugins with the capabilities "mac" and "ips"; NULL: theirs. CHECK and DEL get them again. */
	const char *mac, *ip;  /* ip: with a prefix length or without */
	const char *cache_dir; /* what was added is kept there until it is deleted */
	int64_t timeout_ms;    /* of each plugin; 0: CNI_PLUGIN_TIMEOUT_MS */
};
/* Executes ADD of all plugins. What the last one answered is *ret_result, the caller's. When one fails, DEL of all of them
 * was executed, and nothing is cached. An attachment that is cached already (a crash in the middle) is deleted first. */
int cni_add(const struct cni_list *l, const struct cni_attach *a, struct json_object **ret_result, struct error **err);
/* Does it still exist as ADD left it? From the cache. 0 where the version (before 0.4.0) or the list has no CHECK. */
int cni_check(const struct cni_attach *a, struct error **err);
/* DEL in reverse order, by the list that ADD had, then forgets it. Success when nothing is cached. All plugins are
 * executed; the first error is reported, and the cache stays then, for those that failed. */
int cni_del(const struct cni_attach *a, struct error **err);
/* Where an attachment is kept until its DEL has come to its end, CACHE_DIR/CONTAINER-IFNAME.json; the caller's. */
char *cni_cache_path(const struct cni_attach *a);
/* Whether DEL has begun and not come to its end: somebody was killed, or plugins failed. */
bool cni_del_begun(const struct cni_attach *a);
/* 1: something is cached; *ret: the IPv4 addresses of its results, "10.1.2.3/24", the caller's, NULL: none. 0: nothing. */
int cni_added(const struct cni_attach *a, char ***ret, struct error **err);

/* What a VM needs of a result. */
struct cni_result {
	char ifname[16]; /* in the namespace */
	char mac[MAC_TEXT_SIZE];
	char address[IP4_TEXT_MAX]; /* "10.1.2.3/24" */
	char gateway[IP4_TEXT_MAX]; /* "" when there is none */
	unsigned mtu;		    /* 0: not said */
	struct cni_route {
		struct ip4_cidr to;
		char via[IP4_TEXT_MAX]; /* "" for on-link */
	} routes[CNI_ITEMS_MAX];	/* without the default route, which is `gateway` */
	size_t nroutes;
	char **dns;
	char **links; /* interfaces of the host that the plugins made or use */
};
void cni_result_clear(struct cni_result *r);
/* The first IPv4 address on the interface `ifname` within the container. ERR_INVALID when it is malformed or has none. */
int cni_result_parse(struct json_object *obj, const char *ifname, struct cni_result *ret, struct error **err);

/* Inside src/net: runs one plugin. `config` is its standard input. *ret (may be NULL): its answer, NULL when it is empty. */
int cni_exec(const char *program, const char *command, const char *path, const struct cni_attach *a,
	     struct json_object *config, struct json_object **ret, struct error **err);

#endif
