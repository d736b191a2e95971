/* SPDX-License-Identifier: MIT */
/* Users and groups of the guest, by own readers of passwd(5) and group(5): a static program must not load the guest's NSS
 * modules. Malformed lines are skipped. */
#ifndef SLICER_AGENT_USERS_H
#define SLICER_AGENT_USERS_H

#include "base/error.h"

enum {
	USERS_MAX_FILE = 4 * 1024 * 1024,
	USERS_MAX_GROUPS = 1024,
};
/* "The guest's default user" in requests (the clients' sentinel). */
#define USERS_DEFAULT_ID 4294967295U

struct user {
	char *name, *home, *shell; /* never NULL */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary, without gid */
	size_t ngroups;
};
void user_free(struct user **u);
#define cleanup_user __attribute__((cleanup(user_free)))

/* Parsers of a whole file's text. NULL: no such user. */
struct user *users_parse_uid(const char *passwd, uid_t uid);
struct user *users_parse_name(const char *passwd, const char *name);
/* The lowest uid from 1000 to 60000 that can log in, the first line of it; else root; never NULL. */
struct user *users_parse_default(const char *passwd);
void users_parse_groups(const char *group, struct user *u); /* fills groups from the members' lists */

/* Looks up /etc/passwd and /etc/group. An unknown uid gives a user named by its number with home "/"; never NULL. */
struct user *users_lookup(uint32_t uid); /* USERS_DEFAULT_ID: the default user */

/* Becomes that user: groups, gid, uid. For forked children only. Returns 0 or an errno. `gid` overrides the user's unless it is
 * USERS_DEFAULT_ID. Without privilege only the own identity is possible. */
int user_become(const struct user *u, uint32_t gid);

#endif
