/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "agent/users.h"
#include "base/str.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "# a comment\n"
			     "broken line\n"
			     "too:many:1:2:3:/:/bin/sh:x\n"
			     "bad:x:12x:1::/:/bin/sh\n"
			     "huge:x:4294967295:1::/:/bin/sh\n"
			     "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
			     "late:x:1001:1001::/home/late:/bin/zsh\n"
			     "locked:x:1000:1000::/home/locked:/usr/sbin/nologin\n"
			     "ubuntu:x:1000:1000:Ubuntu,,,:/home/ubuntu:/bin/bash\n"
			     "slicer:x:1000:1000::/home/ubuntu:/bin/bash\n"
			     "nobody:x:65534:65534::/nonexistent:/bin/sh\n"
			     "empty:x:2000:2000:::";

static void test_uid(void **state)
{
	struct user *u = users_parse_uid(passwd, 1001);

	assert_string_equal(u->name, "late");
	assert_string_equal(u->home, "/home/late");
	assert_string_equal(u->shell, "/bin/zsh");
	assert_int_equal(u->gid, 1001);
	user_free(&u);
	u = users_parse_uid(passwd, 2000); /* the last line, without its end; empty fields */
	assert_string_equal(u->home, "/");
	assert_string_equal(u->shell, "/bin/sh");
	user_free(&u);
	assert_null(users_parse_uid(passwd, 12));
	assert_null(users_parse_uid(passwd, 4294967295U));
	assert_null(users_parse_uid("", 0));
}

static void test_name(void **state)
{
	struct user *u = users_parse_name(passwd, "slicer");

	assert_int_equal(u->uid, 1000);
	user_free(&u);
	assert_null(users_parse_name(passwd, "slice"));
	assert_null(users_parse_name(passwd, "too"));
	assert_null(users_parse_name(passwd, "bad"));
}

static void test_default(void **state)
{
	struct user *u = users_parse_default(passwd);

	assert_string_equal(u->name, "ubuntu"); /* lowest that can log in, first of its lines */
	user_free(&u);
	u = users_parse_default("admin:x:0:0::/r:/bin/ash\nnobody:x:65534:65534::/:/bin/sh\n");
	assert_string_equal(u->name, "admin");
	user_free(&u);
	u = users_parse_default("");
	assert_string_equal(u->name, "root");
	assert_string_equal(u->home, "/root");
	user_free(&u);
}

static void test_groups(void **state)
{
	struct user *u = users_parse_name(passwd, "ubuntu");

	users_parse_groups("root:x:0:\nadm:x:4:syslog,ubuntu\nsudo:x:27:ubuntu\nown:x:1000:ubuntu\n"
			   "other:x:5:ubuntux,xubuntu\nbad:x:9\nlast:x:30:ubuntu,late",
			   u);
	assert_int_equal(u->ngroups, 3);
	assert_int_equal(u->groups[0], 4);
	assert_int_equal(u->groups[1], 27);
	assert_int_equal(u->groups[2], 30);
	user_free(&u);
}

static void test_lookup_unknown(void **state)
{
	struct user *u = users_lookup(3999999999U);

	assert_string_equal(u->name, "3999999999");
	assert_string_equal(u->home, "/");
	assert_int_equal(u->gid, 3999999999U);
	user_free(&u);
	u = users_lookup(0);
	assert_string_equal(u->name, "root");
	user_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uid),    cmocka_unit_test(test_name),	      cmocka_unit_test(test_default),
		cmocka_unit_test(test_groups), cmocka_unit_test(test_lookup_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
