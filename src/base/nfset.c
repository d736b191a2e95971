/* SPDX-License-Identifier: MIT */
#include "base/nfset.h"

#include <errno.h>
#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <pthread.h>

#include "base/netlink_impl.h"
#include "base/str.h"
#include "base/units.h"

struct nfset {
	pthread_mutex_t lock; /* guards the rest, from a question to its last answer */
	struct netlink *nl;   /* NULL: nothing was asked yet */
};

struct nfset *nfset_new(void)
{
	struct nfset *s = NEW(struct nfset);

	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void nfset_free(struct nfset **s)
{
	if (!*s)
		return;
	netlink_close(&(*s)->nl);
	pthread_mutex_destroy(&(*s)->lock);
	free(*s);
	*s = NULL;
}

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
static void message_init(struct request *req, uint16_t type, uint16_t flags, uint8_t family, uint16_t subsystem)
{
	struct nfgenmsg head = {.nfgen_family = family, .version = NFNETLINK_V0};

	if (!subsystem)
		head.res_id = htons(NFNL_SUBSYS_NFTABLES);
	request_init(req, (uint16_t)(subsystem << 8 | type), flags, sizeof(head));
	memcpy(req->room, &head, sizeof(head));
}

typedef void message_fn(struct request *req, const char *table, const void *what);

static void message_element(struct request *req, const char *table, const void *what)
{
	const struct nfset_element *e = what;
	size_t list, item, key;

	request_attr_string(req, NFTA_SET_ELEM_LIST_TABLE, table);
	request_attr_string(req, NFTA_SET_ELEM_LIST_SET, e->set);
	list = request_nest_begin(req, NFTA_SET_ELEM_LIST_ELEMENTS);
	item = request_nest_begin(req, NFTA_LIST_ELEM);
	key = request_nest_begin(req, NFTA_SET_ELEM_KEY);
	request_attr(req, NFTA_DATA_VALUE, e->key, e->key_len);
	request_nest_end(req, key);
	if (e->object)
		request_attr_string(req, NFTA_SET_ELEM_OBJREF, e->object);
	request_nest_end(req, item);
	request_nest_end(req, list);
}

static void request_attr_be64(struct request *req, uint16_t type, uint64_t value)
{
	value = htobe64(value);
	request_attr(req, type, &value, sizeof(value));
}

static void message_limit(struct request *req, const char *table, const void *what)
{
	const struct nfset_limit *l = what;
	size_t data;

	request_attr_string(req, NFTA_OBJ_TABLE, table);
	request_attr_string(req, NFTA_OBJ_NAME, l->name);
	request_attr_u32(req, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_LIMIT));
	data = request_nest_begin(req, NFTA_OBJ_DATA);
	request_attr_be64(req, NFTA_LIMIT_RATE, l->rate);
	request_attr_be64(req, NFTA_LIMIT_UNIT, 1);
	request_attr_u32(req, NFTA_LIMIT_BURST, htonl(l->burst));
	request_attr_u32(req, NFTA_LIMIT_TYPE, htonl(l->bytes ? NFT_LIMIT_PKT_BYTES : NFT_LIMIT_PKTS));
	request_attr_u32(req, NFTA_LIMIT_FLAGS, htonl(NFT_LIMIT_F_INV));
	request_nest_end(req, data);
}

/* What one batch is about: `n` things of `size` bytes each. */
struct things {
	const void *list;
	size_t n, size;
	message_fn *message;
	uint16_t add, remove; /* types of messages */
};

static struct things things_elements(const struct nfset_element *list, size_t n)
{
	return (struct things){list, n, sizeof(*list), message_element, NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM};
}

static struct things things_limits(const struct nfset_limit *list, size_t n)
{
	return (struct things){list, n, sizeof(*list), message_limit, NFT_MSG_NEWOBJ, NFT_MSG_DELOBJ};
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
			    hdr->nlmsg_seq > b->last + 1 || hdr->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
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

static int change(struct netlink *nl, uint16_t type, uint8_t family, const char *table, struct things t)
{
	uint16_t flags = NLM_F_ACK | (type == t.add ? NLM_F_CREATE : 0);
	cleanup_free char *data = NULL;
	struct batch b = {.first = nl->seq + 2};
	struct request req;
	int r;

	b.last = b.first + (uint32_t)t.n - 1;
	message_init(&req, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, 0);
	batch_add(&b, &req, b.first - 1);
	for (size_t i = 0; i < t.n; i++) {
		message_init(&req, type, flags, family, NFNL_SUBSYS_NFTABLES);
		t.message(&req, table, (const char *)t.list + i * t.size);
		batch_add(&b, &req, b.first + (uint32_t)i);
	}
	message_init(&req, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, 0);
	batch_add(&b, &req, b.last + 1);
	nl->seq = b.last + 1;
	data = b.data;
	r = netlink_send(nl, data, b.n);
	return r < 0 ? r : batch_wait(nl, &b);
}

/* The socket, ours until release(); NULL with an error. */
static struct netlink *acquire(struct nfset *s, const char *table, size_t n, struct error **err)
{
	if (n > NFSET_MAX_ELEMENTS || strlen(table) >= NFT_TABLE_MAXNAMELEN) {
		error_set(err, ERR_INVALID, "nftables: table %s or its change is too long", table);
		return NULL;
	}
	pthread_mutex_lock(&s->lock);
	if (!s->nl)
		s->nl = netlink_open_protocol(NETLINK_NETFILTER, err);
	if (!s->nl)
		pthread_mutex_unlock(&s->lock);
	return s->nl;
}

static void release(struct nfset *s)
{
	pthread_mutex_unlock(&s->lock);
}

/* `what`: of the first, for the message. */
static int add(struct nfset *s, uint8_t family, const char *table, struct things t, const char *what,
	       struct error **err)
{
	struct netlink *nl = acquire(s, table, t.n, err);
	int r;

	if (!nl)
		return -1;
	r = change(nl, t.add, family, table, t);
	release(s);
	if (r < 0)
		return error_errno(err, -r, "cannot add to the nftables %s of table %s", what, table);
	return 0;
}

/* One by one: a missing one must not keep the others. */
static int delete_each(struct netlink *nl, uint8_t family, const char *table, struct things t)
{
	for (size_t i = 0; i < t.n; i++) {
		struct things one = t;
		int r;

		one.list = (const char *)t.list + i * t.size;
		one.n = 1;
		r = change(nl, t.remove, family, table, one);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int delete (struct nfset *s, uint8_t family, const char *table, struct things t, const char *what,
		   struct error **err)
{
	struct netlink *nl = acquire(s, table, t.n, err);
	int r;

	if (!nl)
		return -1;
	r = delete_each(nl, family, table, t);
	release(s);
	if (r < 0)
		return error_errno(err, -r, "cannot remove from the nftables %s of table %s", what, table);
	return 0;
}

int nfset_add(struct nfset *s, uint8_t family, const char *table, const struct nfset_element *elements, size_t n,
	      struct error **err)
{
	cleanup_free char *what = n ? str_fmt("set %s", elements[0].set) : NULL;

	return n ? add(s, family, table, things_elements(elements, n), what, err) : 0;
}

int nfset_delete(struct nfset *s, uint8_t family, const char *table, const struct nfset_element *elements, size_t n,
		 struct error **err)
{
	cleanup_free char *what = n ? str_fmt("set %s", elements[0].set) : NULL;

	return n ? delete (s, family, table, things_elements(elements, n), what, err) : 0;
}

int nfset_limit_add(struct nfset *s, uint8_t family, const char *table, const struct nfset_limit *limits, size_t n,
		    struct error **err)
{
	return n ? add(s, family, table, things_limits(limits, n), "limits", err) : 0;
}

int nfset_limit_delete(struct nfset *s, uint8_t family, const char *table, const struct nfset_limit *limits, size_t n,
		       struct error **err)
{
	return n ? delete (s, family, table, things_limits(limits, n), "limits", err) : 0;
}

/* -1: that is no chain. */
static int64_t chain_uses(const struct nlmsghdr *hdr)
{
	const size_t head = NLMSG_SPACE(sizeof(struct nfgenmsg));
	const struct rtattr *attr = (const struct rtattr *)((const char *)hdr + head);
	uint32_t be;

	if (hdr->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN) || hdr->nlmsg_len < head)
		return -1;
	for (size_t left = hdr->nlmsg_len - head; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		if ((attr->rta_type & NLA_TYPE_MASK) != NFTA_CHAIN_USE || RTA_PAYLOAD(attr) < sizeof(be))
			continue;
		memcpy(&be, RTA_DATA(attr), sizeof(be));
		return ntohl(be);
	}
	return 0;
}

/* All questions at once; the answers come in their order, each in a datagram of its own. *ret_first: the first one's number. */
static int ask_chains(struct netlink *nl, const char *table, const struct nfset_chain *chains, size_t n,
		      uint32_t *ret_first)
{
	cleanup_free char *data = NULL;
	struct batch b = {.first = nl->seq + 1};
	struct request req;

	for (size_t i = 0; i < n; i++) {
		message_init(&req, NFT_MSG_GETCHAIN, 0, chains[i].family, NFNL_SUBSYS_NFTABLES);
		request_attr_string(&req, NFTA_CHAIN_TABLE, table);
		request_attr_string(&req, NFTA_CHAIN_NAME, chains[i].name);
		batch_add(&b, &req, ++nl->seq);
	}
	*ret_first = b.first;
	data = b.data;
	return netlink_send(nl, data, b.n);
}

/* One that is not there is answered by an error. What is left of earlier changes, of which one was refused, is passed over. */
static int read_uses(struct netlink *nl, uint32_t seq, int64_t deadline, int64_t *ret)
{
	for (;;) {
		cleanup_free char *buf = NULL;
		ssize_t n = netlink_receive(nl, &buf, deadline);
		const struct nlmsghdr *hdr = (const struct nlmsghdr *)buf;
		int r;

		if (n < 0)
			return (int)n;
		if (!NLMSG_OK(hdr, (size_t)n))
			return -EPROTO;
		if (hdr->nlmsg_seq != seq)
			continue;
		*ret = chain_uses(hdr);
		if (hdr->nlmsg_type != NLMSG_ERROR || hdr->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
			return 0;
		r = ((const struct nlmsgerr *)NLMSG_DATA(hdr))->error;
		return r == -ENOENT ? 0 : r;
	}
}

/* *ret: the first that too few refer to; NULL: none. 0 or -errno. */
static int find_lacking(struct netlink *nl, const char *table, const struct nfset_chain *chains, size_t n,
			const char **ret)
{
	int64_t deadline = clock_ms() + NETLINK_DEADLINE_MS;
	uint32_t first;
	int r = ask_chains(nl, table, chains, n, &first);

	for (size_t i = 0; r == 0 && !*ret && i < n; i++) {
		int64_t uses = -1;

		r = read_uses(nl, first + (uint32_t)i, deadline, &uses);
		if (r == 0 && uses < chains[i].uses)
			*ret = chains[i].name;
	}
	return r;
}

int nfset_chains_check(struct nfset *s, const char *table, const struct nfset_chain *chains, size_t n,
		       struct error **err)
{
	struct netlink *nl = acquire(s, table, n, err);
	const char *lacking = NULL;
	int r;

	if (!nl)
		return -1;
	r = find_lacking(nl, table, chains, n, &lacking);
	release(s);
	if (r < 0)
		return error_errno(err, -r, "cannot look at the nftables chains of table %s", table);
	return lacking ? error_set(err, ERR_GONE, "the nftables rules of chain %s in table %s are gone", lacking, table)
		       : 0;
}
