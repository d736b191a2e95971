/* SPDX-License-Identifier: MIT */
/* What the launcher writes, the monitor reads; and the monitor's bounded console. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/launch_spec.h"
#include "vmm/monitor_console.h"
#include "vmm/monitor_spec.h"

#define VMM "\"vmm\":{\"argv\":[\"/bin/true\"],\"uid\":1,\"gid\":1,\"fds\":[12,10]}"
#define CONSOLE "\"console\":{\"pipe_fd\":5,\"path\":\"/c\",\"limit\":4096}"
#define REST "\"exit_record\":\"/r\",\"control_fd\":6,\"ready_fd\":4"

static char dir[] = "/tmp/test_monitor_spec_XXXXXX";

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return fs_remove_tree(dir, NULL);
}

static void test_round_trip(void **state)
{
	char *const helper_argv[] = {(char *)"/usr/bin/passt", (char *)"-F", (char *)"@FD@", NULL};
	const struct vmm_spec spec = {.name = "vm-1",
				      .uid = 300001,
				      .vcpus = 2,
				      .ram_bytes = 512 << 20,
				      .gid = 300002,
				      .console_path = "/var/log/slicer/vm-1.txt",
				      .console_limit = 8 << 20,
				      .exit_record = "/x/exit.json",
				      .net = {.kind = VMM_NET_HELPER, .helper_argv = helper_argv, .helper_uid = 7}};
	struct launch_fds fds = {.fds = {{-1, 3}, {-1, 5}, {-1, 12}, {-1, 10}, {-1, 11}, {-1, 4}, {-1, 13}, {-1, 14}},
				 .n = 8,
				 .helper = 11,
				 .frames = {13, 14}};
	struct vmm_command command = {.kvm = true};
	struct json_object *obj;
	cleanup_free char *text = NULL;
	cleanup_error struct error *err = NULL;
	struct monitor_spec m;

	strv_append(&command.argv, "/usr/bin/qemu");
	strv_append(&command.argv, "-name \"x\"");
	strv_append(&command.env, "LC_ALL=C");
	strv_append(&command.jail.paths, "/usr/share/qemu");
	strv_append(&command.jail.devices, "kvm");
	command.jail.file_bytes = 1ULL << 40;
	command.jail.threads = 9;
	command.overhead_bytes = 100 << 20;
	obj = launch_spec_json(&spec, &command, &fds, "/sys/fs/cgroup/slicer/d/vm-1");
	text = js_to_string(obj);
	js_put(&obj);
	if (monitor_spec_parse(text, strlen(text), &m, &err) < 0)
		fail_msg("%s", error_message(err));
	assert_string_equal(m.vm, "vm-1");
	assert_string_equal(m.cgroup.path, "/sys/fs/cgroup/slicer/d/vm-1");
	assert_int_equal(m.cgroup.memory_bytes, (512ULL + 100 + 128) << 20);
	assert_int_equal(m.cgroup.cpus, 2);
	assert_int_equal(m.cgroup.threads, 9 + 32);
	assert_string_equal(m.vmm.argv[1], "-name \"x\"");
	assert_string_equal(m.vmm.env[0], "LC_ALL=C");
	assert_true(m.vmm.kvm);
	assert_false(m.vmm.privileged);
	assert_int_equal(m.vmm.nfds, 2); /* not the monitor's own, not the helper's */
	assert_int_equal(m.vmm.fds[0], 10);
	assert_int_equal(m.vmm.fds[1], 12);
	assert_int_equal(m.nhelpers, 2);
	assert_string_equal(m.helpers[0].argv[2], "11");
	assert_int_equal(m.helpers[0].nfds, 1);
	assert_int_equal(m.helpers[0].fds[0], 11);
	assert_string_equal(m.helpers[1].argv[1], "--frames");
	assert_int_equal(m.helpers[1].nfds, 2);
	assert_int_equal(m.helpers[1].fds[0], 13);
	assert_int_equal(m.vmm.uid, geteuid() == 0 ? 300001 : geteuid());
	assert_int_equal(m.helpers[0].uid, geteuid() == 0 ? 7 : geteuid());
	assert_int_equal(m.console_limit, 8 << 20);
	assert_true(m.vmm.jailed && m.helpers[0].jailed && m.helpers[1].jailed);
	assert_string_equal(m.vmm.jail.paths[0], "/usr/share/qemu");
	assert_string_equal(m.vmm.jail.devices[0], "kvm");
	assert_int_equal(m.vmm.jail.file_bytes, 1ULL << 40);
	assert_int_equal(m.vmm.jail.threads, 9);
	assert_false(m.vmm.jail.host_network || m.vmm.jail.own_sandbox || m.helpers[1].jail.host_network);
	assert_true(m.helpers[0].jail.host_network && m.helpers[0].jail.own_sandbox);
	assert_true(strv_contains(m.helpers[0].jail.paths, "/usr/bin/passt.avx2"));
	assert_null(m.helpers[1].jail.devices ? m.helpers[1].jail.devices[0] : NULL);
	assert_string_equal(m.exit_record, "/x/exit.json");
	monitor_spec_clear(&m);
	vmm_command_clear(&command);
}

static void check_spec(const char *text, const char *words)
{
	struct monitor_spec m;
	cleanup_error struct error *err = NULL;
	int rc = monitor_spec_parse(text, strlen(text), &m, &err);

	if (!words) {
		if (rc < 0)
			fail_msg("%s", error_message(err));
		monitor_spec_clear(&m);
		return;
	}
	if (rc == 0)
		fail_msg("accepted: %s", text);
	if (!strstr(err->message, words))
		fail_msg("\"%s\" does not say \"%s\"", err->message, words);
}

static void test_bad(void **state)
{
	check_spec("{\"version\":1,\"vm\":\"v\"," VMM "," CONSOLE "," REST "}", NULL);
	check_spec("{\"version\":1,\"vm\":\"v\",\"new\":[1]," VMM "," CONSOLE "," REST "}", NULL);
	check_spec("{\"version\":1,\"vm\":\"v\",\"cgroup\":{}," VMM "," CONSOLE "," REST "}", "cgroup: 'path'");
	check_spec("{\"version\":1,\"vm\":\"v\",\"cgroup\":{\"path\":\"x\"}," VMM "," CONSOLE "," REST "}", "absolute");
	check_spec("{\"version\":1,\"vm\":\"v\",\"cgroup\":\"/x\"," VMM "," CONSOLE "," REST "}", "cgroup");
	check_spec("{\"version\":1,\"vm\":\"v\",\"cgroup\":{\"path\":\"/x\",\"memory_bytes\":-1}," VMM "," CONSOLE
		   "," REST "}",
		   "memory_bytes");
	check_spec("{\"version\":1,\"vm\":\"v\",\"cgroup\":{\"path\":\"/x\",\"cpus\":4097}," VMM "," CONSOLE "," REST
		   "}",
		   "cpus");
	check_spec("", "specification");
	check_spec("[]", "not an object");
	check_spec("{\"vm\":\"v\"," VMM "," CONSOLE "," REST "}", "version");
	check_spec("{\"version\":2,\"vm\":\"v\"," VMM "," CONSOLE "," REST "}", "version 2");
	check_spec("{\"version\":1," VMM "," CONSOLE "," REST "}", "'vm'");
	check_spec("{\"version\":1,\"vm\":\"v\"," VMM "," REST "}", "console");
	check_spec("{\"version\":1,\"vm\":\"v\"," VMM "," CONSOLE "}", "exit_record");
	check_spec("{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[],\"uid\":1,\"gid\":1}," CONSOLE "," REST "}",
		   "argv");
	check_spec("{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[\"x\"],\"uid\":1,\"gid\":1}," CONSOLE "," REST "}",
		   "absolute");
	check_spec("{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[\"/x\"],\"gid\":1}," CONSOLE "," REST "}", "uid");
	check_spec("{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[\"/"
		   "x\"],\"uid\":4294967295,\"gid\":1}," CONSOLE "," REST "}",
		   "uid");
	check_spec("{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[\"/"
		   "x\"],\"uid\":1,\"gid\":1,\"fds\":[9,9]}," CONSOLE "," REST "}",
		   "twice");
	check_spec("{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[\"/"
		   "x\"],\"uid\":1,\"gid\":1,\"fds\":[2]}," CONSOLE "," REST "}",
		   "below");
	check_spec("{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[\"/"
		   "x\"],\"uid\":1,\"gid\":1,\"fds\":[\"9\"]}," CONSOLE "," REST "}",
		   "fds");
	check_spec("{\"version\":1,\"vm\":\"v\",\"helpers\":[1]," VMM "," CONSOLE "," REST "}", "helper 0");
	check_spec("{\"version\":1,\"vm\":\"v\"," VMM ",\"console\":{\"pipe_fd\":5,\"path\":\"c\",\"limit\":4096}," REST
		   "}",
		   "absolute");
	check_spec("{\"version\":1,\"vm\":\"v\"," VMM
		   ",\"console\":{\"pipe_fd\":5,\"path\":\"/c\",\"limit\":4095}," REST "}",
		   "limit");
}

static void check_jail(const char *jail, const char *words)
{
	cleanup_free char *text = str_fmt(
		"{\"version\":1,\"vm\":\"v\",\"vmm\":{\"argv\":[\"/x\"],\"uid\":1,\"gid\":1,\"jail\":%s}," CONSOLE
		"," REST "}",
		jail);

	check_spec(text, words);
}

static void test_bad_jail(void **state)
{
	check_jail("{}", NULL);
	check_jail("{\"paths\":[\"/usr/lib\",\"/a/..b/.c\"],\"devices\":[\"null\"]}", NULL);
	check_jail("[]", "jail");
	check_jail("{\"paths\":[\"usr\"]}", "not absolute");
	check_jail("{\"paths\":[\"/\"]}", "plain form");
	check_jail("{\"paths\":[\"/usr/\"]}", "plain form");
	check_jail("{\"paths\":[\"/usr//lib\"]}", "plain form");
	check_jail("{\"paths\":[\"/usr/../etc\"]}", "plain form");
	check_jail("{\"paths\":[\"/usr/.\"]}", "plain form");
	check_jail("{\"devices\":[\"\"]}", "no name");
	check_jail("{\"devices\":[\"../sda\"]}", "no name");
	check_jail("{\"threads\":65537}", "threads");
	check_jail("{\"threads\":-1}", "threads");
	check_jail("{\"file_bytes\":\"1G\"}", "file_bytes");
	check_jail("{\"host_network\":1}", "host_network");
}

static uint64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void test_console(void **state)
{
	cleanup_free char *path = fs_join(dir, "console"), *old = str_fmt("%s.1", path), *all = mem_alloc(1 << 20);
	cleanup_free char *tail = NULL;
	struct console c;

	console_init(&c, -1, path, 10000);
	memset(all, 'a', 1 << 20);
	console_write(&c, all, 9999);
	assert_int_equal(file_size(path), 9999);
	assert_false(fs_exists(old));
	console_write(&c, "0123456789", 10);
	assert_int_equal(file_size(old), 10000);
	assert_int_equal(file_size(path), 9);
	console_write(&c, all, 1 << 20);
	assert_int_equal(file_size(old), 10000);
	assert_true(file_size(path) <= 10000);
	console_clear(&c);
	/* Found again by the next monitor: appended to. */
	console_init(&c, -1, path, 10000);
	console_write(&c, "x", 1);
	assert_true(file_size(path) + file_size(old) <= 20000);
	console_clear(&c);
	for (size_t i = 0; i < 1000; i++)
		tail_add(&c.tail, "\xff\0 line\n", 8);
	tail = tail_text(&c.tail);
	assert_true(strlen(tail) > CONSOLE_TAIL / 2);
	assert_true(str_ends(tail, " line\n"));
	assert_null(strchr(tail, '\xff'));
}

/* Whatever is wrong with the log, the guest's bytes are taken and nothing blocks. */
static void test_console_trouble(void **state)
{
	cleanup_free char *victim = fs_join(dir, "victim"), *link_path = fs_join(dir, "link"),
			  *fifo = fs_join(dir, "fifo");
	cleanup_free char *dir_path = fs_join(dir, "directory"), *under = fs_join(dir, "no/such/dir");
	const char *const paths[] = {link_path, fifo, dir_path, under, "/proc/self/nothing"};

	assert_int_equal(fs_write_atomic(victim, "v", 1, 0600, NULL), 0);
	assert_int_equal(symlink(victim, link_path), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(fs_mkdir_p(dir_path, 0700, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct console c;
		int pipe_fds[2];

		assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
		console_init(&c, pipe_fds[0], paths[i], 4096);
		assert_int_equal(write(pipe_fds[1], "hello", 5), 5);
		assert_true(console_read(&c));
		assert_int_equal(c.tail.n, 5);
		assert_false(console_read(&c));
		assert_true(c.pipe >= 0);
		close(pipe_fds[1]);
		assert_false(console_read(&c));
		assert_int_equal(c.pipe, -1);
		console_clear(&c);
	}
	assert_int_equal(file_size(victim), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bad_jail),	cmocka_unit_test(test_console),
		cmocka_unit_test(test_console_trouble),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
