/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/users.h"

enum { PASSWD_FIELDS = 7, GROUP_FIELDS = 4, UID_FIRST = 1000, UID_LAST = 60000 };

struct field {
	const char *s;
	size_t n;
};

void user_free(struct user **u)
{
	if (!*u)
		return;
	free((*u)->name);
	free((*u)->home);
	free((*u)->shell);
	free((*u)->groups);
	free(*u);
	*u = NULL;
}

/* Splits the line at *pos into exactly `want` fields and moves *pos to the next line. False for a line of another shape. */
static bool next_line(const char **pos, struct field *fields, size_t want)
{
	const char *end = strchrnul(*pos, '\n');
	const char *start = *pos;
	size_t n = 0;

	for (const char *p = *pos; p <= end; p++) {
		if (p < end && *p != ':')
			continue;
		if (n < want)
			fields[n] = (struct field){start, (size_t)(p - start)};
		n++;
		start = p + 1;
	}
	*pos = *end ? end + 1 : end;
	return n == want;
}

static bool to_id(const struct field *f, uint32_t *ret)
{
	uint64_t value = 0;

	if (f->n == 0 || f->n > 10)
		return false;
	for (size_t i = 0; i < f->n; i++) {
		if (f->s[i] < '0' || f->s[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(f->s[i] - '0');
	}
	*ret = (uint32_t)value;
	return value < USERS_DEFAULT_ID;
}

static char *field_or(const struct field *f, const char *fallback)
{
	return f->n > 0 ? str_ndup(f->s, f->n) : str_dup(fallback);
}

static bool parse_entry(const char **pos, struct field f[PASSWD_FIELDS], uint32_t *ret_uid, uint32_t *ret_gid)
{
	return next_line(pos, f, PASSWD_FIELDS) && f[0].n > 0 && f[0].s[0] != '#' && to_id(&f[2], ret_uid) &&
	       to_id(&f[3], ret_gid);
}

static struct user *new_user(const struct field *f, uint32_t uid, uint32_t gid)
{
	struct user *u = NEW(struct user);

	u->name = str_ndup(f[0].s, f[0].n);
	u->home = field_or(&f[5], "/");
	u->shell = field_or(&f[6], "/bin/sh");
	u->uid = uid;
	u->gid = gid;
	return u;
}

static struct user *named_root(void)
{
	struct user *u = NEW(struct user);

	u->name = str_dup("root");
	u->home = str_dup("/root");
	u->shell = str_dup("/bin/sh");
	return u;
}

struct user *users_parse_uid(const char *passwd, uid_t uid)
{
	struct field f[PASSWD_FIELDS];
	uint32_t id, gid;

	while (*passwd) {
		if (parse_entry(&passwd, f, &id, &gid) && id == uid)
			return new_user(f, id, gid);
	}
	return NULL;
}

struct user *users_parse_name(const char *passwd, const char *name)
{
	struct field f[PASSWD_FIELDS];
	uint32_t uid, gid;

	while (*passwd) {
		if (parse_entry(&passwd, f, &uid, &gid) && f[0].n == strlen(name) && memcmp(f[0].s, name, f[0].n) == 0)
			return new_user(f, uid, gid);
	}
	return NULL;
}

static bool ends_with(const struct field *f, const char *suffix)
{
	size_t n = strlen(suffix);

	return f->n >= n && memcmp(f->s + f->n - n, suffix, n) == 0;
}

struct user *users_parse_default(const char *passwd)
{
	cleanup_user struct user *best = NULL;
	const char *pos = passwd;
	struct field f[PASSWD_FIELDS];
	uint32_t uid, gid;

	while (*pos) {
		if (!parse_entry(&pos, f, &uid, &gid) || uid < UID_FIRST || uid > UID_LAST)
			continue;
		if (ends_with(&f[6], "/nologin") || ends_with(&f[6], "/false") || (best && best->uid <= uid))
			continue;
		user_free(&best);
		best = new_user(f, uid, gid);
	}
	if (!best)
		best = users_parse_uid(passwd, 0);
	return best ? TAKE_PTR(best) : named_root();
}

static bool is_member(const struct field *members, const char *name)
{
	size_t len = strlen(name);
	const char *p = members->s, *end = members->s + members->n;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t n = (size_t)((comma ? comma : end) - p);

		if (n == len && memcmp(p, name, n) == 0)
			return true;
		p += n + 1;
	}
	return false;
}

void users_parse_groups(const char *group, struct user *u)
{
	struct field f[GROUP_FIELDS];
	uint32_t gid;

	while (*group && u->ngroups < USERS_MAX_GROUPS) {
		if (!next_line(&group, f, GROUP_FIELDS) || !to_id(&f[2], &gid) || gid == u->gid ||
		    !is_member(&f[3], u->name))
			continue;
		u->groups = mem_realloc(u->groups, (u->ngroups + 1) * sizeof(gid_t));
		u->groups[u->ngroups++] = gid;
	}
}

struct user *users_lookup(uint32_t uid)
{
	cleanup_free char *passwd = NULL, *group = NULL;
	struct user *u;
	size_t n;

	if (fs_read_file("/etc/passwd", USERS_MAX_FILE, &passwd, &n, NULL) < 0)
		passwd = str_dup("");
	u = uid == USERS_DEFAULT_ID ? users_parse_default(passwd) : users_parse_uid(passwd, uid);
	if (!u && uid == 0)
		u = named_root();
	if (!u) {
		u = NEW(struct user);
		u->name = str_fmt("%u", uid);
		u->home = str_dup("/");
		u->shell = str_dup("/bin/sh");
		u->uid = uid;
		u->gid = uid;
	}
	if (fs_read_file("/etc/group", USERS_MAX_FILE, &group, &n, NULL) == 0)
		users_parse_groups(group, u);
	return u;
}

int user_become(const struct user *u, uint32_t gid)
{
	gid_t target = gid == USERS_DEFAULT_ID ? u->gid : gid;

	if (geteuid() != 0)
		return u->uid == geteuid() && target == getegid() ? 0 : EPERM;
	/* Not libc's functions of these names: they have all threads follow, and the child may share its memory with ours. */
	if (syscall(SYS_setgroups, u->ngroups, u->groups) < 0)
		return errno;
	if (syscall(SYS_setresgid, target, target, target) < 0 || syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
		return errno;
	return 0;
}
