/* SPDX-License-Identifier: MIT */
#include "base/nfset.h"

#include <errno.h>
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/netlink_impl.h"
#include "base/str.h"
#include "base/units.h"

static void key_append(struct nfset_element *e, const void *data, size_t n, size_t room)
{
	if (e->key_len + room > sizeof(e->key))
		abort();
	memcpy(e->key + e->key_len, data, n);
	e->key_len += room;
}

void nfset_key_ifname(struct nfset_element *e, const char *name)
{
	key_append(e, name, strnlen(name, IFNAMSIZ - 1), IFNAMSIZ);
}

void nfset_key_mac(struct nfset_element *e, const unsigned char mac[6])
{
	key_append(e, mac, 6, 8);
}

void nfset_key_ip4(struct nfset_element *e, struct in_addr addr)
{
	key_append(e, &addr, sizeof(addr), sizeof(addr));
}

/* Starts a message: nfnetlink's header takes the place of a link's. */
static void message_init(struct request *req, uint16_t type, uint16_t flags, uint8_t family,
			 uint16_t subsystem)
{
	struct nfgenmsg head = {.nfgen_family = family, .version = NFNETLINK_V0};

	if (!subsystem)
		head.res_id = htons(NFNL_SUBSYS_NFTABLES);
	request_init(req, (uint16_t)(subsystem << 8 | type), flags, sizeof(head));
	memcpy(req->room, &head, sizeof(head));
}

static void message_element(struct request *req, const char *table, const struct nfset_element *e)
{
	size_t list, item, key;

	request_attr_string(req, NFTA_SET_ELEM_LIST_TABLE, table);
	request_attr_string(req, NFTA_SET_ELEM_LIST_SET, e->set);
	list = request_nest_begin(req, NFTA_SET_ELEM_LIST_ELEMENTS);
	item = request_nest_begin(req, NFTA_LIST_ELEM);
	key = request_nest_begin(req, NFTA_SET_ELEM_KEY);
	request_attr(req, NFTA_DATA_VALUE, e->key, e->key_len);
	request_nest_end(req, key);
	request_nest_end(req, item);
	request_nest_end(req, list);
}

/* A batch under construction: what one sendto() carries. */
struct batch {
	char *data;
	size_t n;
	uint32_t first, last; /* sequence numbers of its messages but begin and end */
};

static void batch_add(struct batch *b, struct request *req, uint32_t seq)
{
	size_t length = NLMSG_ALIGN(req->hdr.nlmsg_len);

	req->hdr.nlmsg_seq = seq;
	b->data = mem_realloc(b->data, b->n + length);
	memcpy(b->data + b->n, req, length);
	b->n += length;
}

/* Waits until each message of a batch is answered; the first refusal is the batch's. */
static int batch_wait(struct netlink *nl, const struct batch *b)
{
	int64_t deadline = clock_ms() + NETLINK_DEADLINE_MS;
	uint32_t missing = b->last - b->first + 1;
	cleanup_free char *buf = NULL;

	while (missing > 0) {
		ssize_t n = netlink_receive(nl, &buf, deadline);
		struct nlmsghdr *hdr = (struct nlmsghdr *)buf;

		if (n < 0)
			return (int)n;
		for (size_t left = (size_t)n; NLMSG_OK(hdr, left); hdr = NLMSG_NEXT(hdr, left)) {
			int r;

			if (hdr->nlmsg_type != NLMSG_ERROR || hdr->nlmsg_seq < b->first - 1 ||
			    hdr->nlmsg_seq > b->last + 1 ||
			    hdr->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				continue;
			r = ((struct nlmsgerr *)NLMSG_DATA(hdr))->error;
			if (r < 0)
				return r;
			if (hdr->nlmsg_seq >= b->first && hdr->nlmsg_seq <= b->last)
				missing--;
		}
	}
	return 0;
}

static int change(struct netlink *nl, uint16_t type, uint8_t family, const char *table,
		  const struct nfset_element *elements, size_t n)
{
	uint16_t flags = NLM_F_ACK | (type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
	cleanup_free char *data = NULL;
	struct batch b = {.first = nl->seq + 2};
	struct request req;
	int r;

	b.last = b.first + (uint32_t)n - 1;
	message_init(&req, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, 0);
	batch_add(&b, &req, b.first - 1);
	for (size_t i = 0; i < n; i++) {
		message_init(&req, type, flags, family, NFNL_SUBSYS_NFTABLES);
		message_element(&req, table, &elements[i]);
		batch_add(&b, &req, b.first + (uint32_t)i);
	}
	message_init(&req, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, 0);
	batch_add(&b, &req, b.last + 1);
	nl->seq = b.last + 1;
	data = b.data;
	r = netlink_send(nl, data, b.n);
	return r < 0 ? r : batch_wait(nl, &b);
}

static struct netlink *open_table(const char *table, size_t n, struct error **err)
{
	if (n > NFSET_MAX_ELEMENTS || strlen(table) >= NFT_TABLE_MAXNAMELEN) {
		error_set(err, ERR_INVALID, "nftables: table %s or its change is too long", table);
		return NULL;
	}
	return netlink_open_protocol(NETLINK_NETFILTER, err);
}

int nfset_add(uint8_t family, const char *table, const struct nfset_element *elements, size_t n,
	      struct error **err)
{
	cleanup_netlink struct netlink *nl = NULL;
	int r;

	if (n == 0)
		return 0;
	nl = open_table(table, n, err);
	if (!nl)
		return -1;
	r = change(nl, NFT_MSG_NEWSETELEM, family, table, elements, n);
	if (r < 0)
		return error_errno(err, -r, "cannot add to the nftables set %s of table %s",
				   elements[0].set, table);
	return 0;
}

int nfset_delete(uint8_t family, const char *table, const struct nfset_element *elements, size_t n,
		 struct error **err)
{
	cleanup_netlink struct netlink *nl = open_table(table, n, err);

	if (!nl)
		return -1;
	for (size_t i = 0; i < n; i++) { /* one by one: a missing one must not keep the others */
		int r = change(nl, NFT_MSG_DELSETELEM, family, table, &elements[i], 1);

		if (r < 0 && r != -ENOENT)
			return error_errno(err, -r,
					   "cannot remove from the nftables set %s of table %s",
					   elements[i].set, table);
	}
	return 0;
}
