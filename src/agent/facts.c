/* SPDX-License-Identifier: MIT */
#include "agent/facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include "base/fs.h"
#include "base/str.h"
#include "agent/userdata.h"

struct facts_question {
	LIST_ENTRY(facts_question) link;
	struct facts facts;
	bool all;
	facts_fn *fn; /* NULL: withdrawn */
	void *arg;
};

/* getifaddrs(3) asks the kernel by netlink; it loads no NSS modules. */
static char *find_ip(void)
{
	struct ifaddrs *list = NULL;
	char *found = NULL;

	if (getifaddrs(&list) < 0)
		return NULL;
	for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		char text[INET_ADDRSTRLEN];
		const struct sockaddr_in *in = (const struct sockaddr_in *)i->ifa_addr;

		if (!in || in->sin_family != AF_INET || i->ifa_flags & IFF_LOOPBACK || !(i->ifa_flags & IFF_UP))
			continue;
		if (inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			found = str_dup(text);
	}
	freeifaddrs(list);
	return found;
}

static void find_userdata(struct facts *f)
{
	cleanup_free char *text = NULL;
	uint64_t code;
	size_t n;

	f->userdata_status = -1;
	f->userdata_ran = fs_read_file(USERDATA_MARKER, 64, &text, &n, NULL) == 0;
	f->has_userdata = f->userdata_ran || fs_exists(USERDATA_SCRIPT) || fs_exists(USERDATA_MARKER);
	if (f->userdata_ran && str_to_u64(str_trim(text), 0, 255, "exit code", &code, NULL) == 0)
		f->userdata_status = (int)code;
}

static int look(void *arg, struct error **err)
{
	struct facts_question *q = arg;

	if (q->all)
		q->facts.user = users_lookup(USERS_DEFAULT_ID);
	q->facts.ip = find_ip();
	find_userdata(&q->facts);
	return 0;
}

static void question_free(struct facts_question *q)
{
	LIST_REMOVE(q, link);
	user_free(&q->facts.user);
	free(q->facts.ip);
	free(q);
}

static void looked(void *arg, const struct error *error)
{
	struct facts_question *q = arg;

	if (q->fn)
		q->fn(q->arg, &q->facts);
	question_free(q);
}

struct facts_question *facts_ask(struct server *s, bool all, facts_fn *fn, void *arg)
{
	struct facts_question *q = NEW(struct facts_question);

	q->all = all;
	q->fn = fn;
	q->arg = arg;
	LIST_INSERT_HEAD(&s->questions, q, link);
	worker_submit(s->pool, look, looked, q);
	return q;
}

void facts_withdraw(struct facts_question **q)
{
	if (*q)
		(*q)->fn = NULL;
	*q = NULL;
}

void facts_drop_all(struct server *s)
{
	while (!LIST_EMPTY(&s->questions))
		question_free(LIST_FIRST(&s->questions));
}
