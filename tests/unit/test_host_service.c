/* SPDX-License-Identifier: MIT */
/* The systemd unit of a configuration: its exact text, and what must not get into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "host/service.h"

static const struct service_unit plain = {
	.exe = "/usr/bin/slicer", .config = "/srv/vms/vm.yaml", .directory = "/srv/vms", .stop_seconds = 120};

static void test_text(void **state)
{
	cleanup_free char *text = service_unit_text(&plain, NULL);

	assert_string_equal(
		text, "[Unit]\n"
		      "Description=slicer: microVMs of /srv/vms/vm.yaml\n"
		      "Documentation=man:slicer(1)\n"
		      "Wants=network-online.target\n"
		      "After=network-online.target\n"
		      "\n"
		      "[Service]\n"
		      "Type=simple\n"
		      "RuntimeDirectory=slicer\n"
		      "RuntimeDirectoryMode=0700\n"
		      "RuntimeDirectoryPreserve=yes\n"
		      "WorkingDirectory=/srv/vms\n"
		      "ExecStart=\"/usr/bin/slicer\" up \"/srv/vms/vm.yaml\"\n"
		      "ExecReload=\"/usr/bin/slicer\" reload \"/srv/vms/vm.yaml\"\n"
		      "Restart=on-failure\n"
		      "RestartSec=2\n"
		      "# A wrong configuration does not mend itself.\n"
		      "RestartPreventExitStatus=2\n"
		      "# The daemon stops its VMs itself, as they are configured. When it is killed they go on, and "
		      "the next one\n"
		      "# takes them over.\n"
		      "KillMode=process\n"
		      "OOMPolicy=continue\n"
		      "TimeoutStopSec=120\n"
		      "Delegate=yes\n"
		      "LimitNOFILE=1048576\n"
		      "TasksMax=infinity\n"
		      "\n"
		      "[Install]\n"
		      "WantedBy=multi-user.target\n");
}

/* The line that begins with `key`. */
static char *line_of(const struct service_unit *u, const char *key)
{
	cleanup_free char *text = service_unit_text(u, NULL);
	cleanup_strv char **lines = NULL;

	assert_non_null(text);
	lines = strv_split(text, '\n');
	for (char **line = lines; *line; line++)
		if (str_starts(*line, key))
			return str_dup(*line + strlen(key));
	return NULL;
}

static void check_line(const struct service_unit *u, const char *key, const char *want)
{
	cleanup_free char *have = line_of(u, key);

	if (want)
		assert_string_equal(have, want);
	else
		assert_null(have);
}

static void test_user(void **state)
{
	struct service_unit u = plain;

	u.user = "alex";
	u.stop_seconds = 3600;
	check_line(&u, "User=", "alex");
	check_line(&u, "ExecStart=", "sudo -n \"/usr/bin/slicer\" up \"/srv/vms/vm.yaml\"");
	check_line(&u, "ExecReload=", "sudo -n \"/usr/bin/slicer\" reload \"/srv/vms/vm.yaml\"");
	check_line(&u, "TimeoutStopSec=", "3600");
	check_line(&u, "RuntimeDirectory=", NULL); /* it would become the user's */
	u.user = "root";
	check_line(&u, "User=", NULL);
	check_line(&u, "ExecStart=", "\"/usr/bin/slicer\" up \"/srv/vms/vm.yaml\"");
}

static void test_quoting(void **state)
{
	struct service_unit u = plain;

	u.exe = "/opt/100%/$HOME/a \"b\"/slicer";
	u.config = "/srv/$x %n \\ \"y\"; 'z'.yaml";
	u.directory = "/srv/my vms/50%/\"q\"/$d";
	check_line(&u, "ExecStart=",
		   "\"/opt/100%%/$HOME/a \\\"b\\\"/slicer\" up \"/srv/$$x %%n \\\\ \\\"y\\\"; 'z'.yaml\"");
	check_line(&u, "WorkingDirectory=", "/srv/my vms/50%%/\"q\"/$d");
	check_line(&u, "Description=", "slicer: microVMs of /srv/$x %%n \\ \"y\"; 'z'.yaml");
	u.user = "alex"; /* then it is a word like any other */
	check_line(&u, "ExecStart=",
		   "sudo -n \"/opt/100%%/$$HOME/a \\\"b\\\"/slicer\" up \"/srv/$$x %%n \\\\ \\\"y\\\"; 'z'.yaml\"");
}

static void refuse(const struct service_unit *u, const char *why)
{
	cleanup_error struct error *error = NULL;

	assert_null(service_unit_text(u, &error));
	assert_int_equal(error->code, ERR_INVALID);
	assert_non_null(strstr(error->message, why));
}

static void test_refused(void **state)
{
	static const char *const users[] = {
		"", "-x", "1st", "a b", "a\nExecStartPre=x", "%n", "0123456789012345678901234567890x"};
	struct service_unit u = plain;

	u.config = "/srv/a\nExecStartPre=/bin/evil";
	refuse(&u, "control character");
	u.config = "relative.yaml";
	refuse(&u, "not an absolute path");
	u = plain;
	u.directory = "/srv/a\\";
	refuse(&u, "ends in a backslash");
	u.directory = "/srv/a ";
	refuse(&u, "ends in a space");
	u.directory = "/srv/\x7f";
	refuse(&u, "control character");
	u = plain;
	u.exe = "/opt/\t/slicer";
	refuse(&u, "control character");
	u = plain;
	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		u.user = users[i];
		refuse(&u, "is not the name of a user");
	}
}

static void check_name(const char *config, const char *given, const char *want)
{
	cleanup_error struct error *error = NULL;
	cleanup_free char *name = service_unit_name(config, given, &error);

	if (want)
		assert_string_equal(name, want);
	else
		assert_int_equal(error ? error->code : 0, ERR_INVALID);
}

static void test_names(void **state)
{
	cleanup_free char *base = str_fmt("/srv/%0300d.yaml", 1), *given = str_fmt("%0201d", 1), *name = NULL;

	check_name("/srv/vm.yaml", NULL, "slicer-vm");
	check_name("/srv/slicer.yaml", NULL, "slicer");
	check_name("/srv/slicer-prod.yml", NULL, "slicer-prod");
	check_name("/srv/my vms@1\xc3\xa4.yaml", NULL, "slicer-my-vms-1--");
	check_name("/srv/.hidden", NULL, "slicer-.hidden");
	check_name("/srv/vm.yaml", "web", "web");
	check_name("/srv/vm.yaml", "web.service", "web");
	check_name("/srv/vm.yaml", "", NULL);
	check_name("/srv/vm.yaml", ".service", NULL);
	check_name("/srv/vm.yaml", "../evil", NULL);
	check_name("/srv/vm.yaml", "-x", NULL);
	check_name("/srv/vm.yaml", "a@b", NULL);
	check_name("/srv/vm.yaml", given, NULL);
	name = service_unit_name(base, NULL, NULL);
	assert_int_equal(strlen(name), 200);
}

/* Whose slots a template starts, as installing another one asks. */
static void test_slot_owner(void **state)
{
	cleanup_free char *ours = service_slot_text("/usr/bin/slicer", "/run/a.sock", "slicer-a", NULL);
	cleanup_free char *daemon = service_unit_text(&plain, NULL), *owner = service_slot_owner(ours);

	assert_string_equal(owner, "slicer-a");
	assert_null(service_slot_owner(daemon));
	assert_null(service_slot_owner(""));
	assert_null(service_slot_owner(
		"[Unit]\nWants=x\nExecStart=/bin/slicer vm relaunch --if-stopped a\nAfter=y.service\n"));
}

static void test_slot_unit_name(void **state)
{
	cleanup_free char *plain_name = service_slot_unit_name("lab", NULL),
			  *whole = service_slot_unit_name("lab@.service", NULL);

	assert_string_equal(plain_name, "lab");
	assert_string_equal(whole, "lab");
	assert_null(service_slot_unit_name("a/b", NULL));
	assert_null(service_slot_unit_name("", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	       cmocka_unit_test(test_user),  cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_names), cmocka_unit_test(test_slot_owner),
		cmocka_unit_test(test_slot_unit_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
