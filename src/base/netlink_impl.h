/* SPDX-License-Identifier: MIT */
/* Inside src/base only: requests of netlink(7) and their answers. */
#ifndef SLICER_BASE_NETLINK_IMPL_H
#define SLICER_BASE_NETLINK_IMPL_H

#include <linux/rtnetlink.h>
#include "base/netlink.h"

/* The kernel does one thing at a time for all network namespaces, and takes seconds to remove hundreds of them. */
enum { NETLINK_DEADLINE_MS = 10000, NETLINK_ROOM = 1024 };

struct netlink {
	int fd;
	uint32_t seq;
};

/* A request under construction. Ours are small and of known size; attributes beyond `room` would be
 * a bug, and end the process. */
struct request {
	struct nlmsghdr hdr;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
		unsigned char room[NETLINK_ROOM];
	};
};

struct netlink *netlink_open_protocol(int protocol, struct error **err);
void request_init(struct request *req, uint16_t type, uint16_t flags, size_t body);
void request_attr(struct request *req, uint16_t type, const void *data, size_t n);
void request_attr_string(struct request *req, uint16_t type, const char *s); /* with its NUL */
void request_attr_u32(struct request *req, uint16_t type, uint32_t value);
void request_append(struct request *req, const void *data, size_t n); /* a header inside of a nest */
/* Attributes added between the two are inside; what begin gives is for end. */
size_t request_nest_begin(struct request *req, uint16_t type);
void request_nest_end(struct request *req, size_t begin);

/* One datagram from the kernel into *buf, which becomes the caller's; returns its length, or
 * -errno. Longer ones than a page are taken whole, whatever their length. */
ssize_t netlink_receive(struct netlink *nl, char **buf, int64_t deadline);
int netlink_send(struct netlink *nl, const void *data, size_t n); /* 0 or -errno */
/* Sends and waits for the acknowledgement; 0 or -errno as the kernel says it. An answer that is no
 * acknowledgement goes to *ret_link. */
int netlink_transact(struct netlink *nl, struct request *req, struct ifinfomsg *ret_link);

int links_check_name(const char *name, struct error **err); /* links.c: ERR_INVALID unless it may be an interface's */

/* Called for each message of a dump. */
typedef void netlink_each_fn(const struct nlmsghdr *hdr, void *arg);
/* NLM_F_DUMP_INTR, a dump during which something changed, gives -EINTR: the caller starts again. */
int netlink_dump(struct netlink *nl, struct request *req, netlink_each_fn *each, void *arg);
/* The same for a request that one message answers. */
int netlink_get(struct netlink *nl, struct request *req, netlink_each_fn *each, void *arg);

/* links_list.c: a list that grows while a dump is read. */
struct list {
	void *items;
	size_t n, size;
};
void *list_add(struct list *l); /* a new item, all 0; good until the next */
/* Dumps until one was not disturbed by changes. `clear` (NULL: nothing): frees what the items have. */
int list_fill(struct netlink *nl, const struct request *req, netlink_each_fn *each, struct list *list,
	      void (*clear)(struct list *l), const char *what, struct error **err);

/* Called with an attribute. */
typedef void attr_fn(const struct rtattr *attr, size_t length, void *arg);
void attrs_each(const struct rtattr *attr, size_t left, attr_fn *each, void *arg);
void message_attrs(const struct nlmsghdr *hdr, size_t body, attr_fn *each, void *arg); /* behind `body` bytes of it */
unsigned attr_u32(const struct rtattr *attr);
/* Into a fixed field; attributes that are too long cannot be interface names or kinds. */
void attr_text(const struct rtattr *attr, size_t length, char *ret, size_t size);

#endif
