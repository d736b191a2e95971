/* SPDX-License-Identifier: MIT */
/* Records of VMs: what is written is read back, and nothing else is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "vm/manager_impl.h"

static struct manager manager = {.boot_id = (char *)"boot-1"};

static char **list(const char *a, const char *b)
{
	char **l = NULL;

	strv_append(&l, a);
	strv_append(&l, b);
	return l;
}

static struct vm *full(void)
{
	struct vm *vm = vm_new(&manager, "vm", 7);

	vm->persistent = vm->service = true;
	vm->vcpus = 3;
	vm->ram_bytes = 5ULL << 30;
	vm->disk_bytes = 16ULL << 30;
	vm->network_connections = 4096;
	vm->ip = str_dup("10.0.2.15/24");
	vm->tags = list("name=web", "a=\"b\"");
	vm->ssh_keys = list("ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b");
	vm->dns = list("1.1.1.1", "8.8.8.8");
	vm->userdata = str_dup("#!/bin/sh\n\x01\x1b echo ü\n");
	vm->image = str_dup("micro");
	vm->image_digest = str_dup("sha256:00");
	vm->machine_id = str_dup("0123456789abcdef0123456789abcdef");
	vm->created_at = 1763698592123456789;
	vm->uid_slot = 4095;
	vm->has_override = vm->override_allow = vm->override_drop = true;
	vm->allow = list("1.2.3.4", "LAN");
	vm->drop = list("0.0.0.0/0", "9.9.9.9:53");
	vm->state = VM_STATE_PAUSED;
	vm->processes = (struct vm_processes){
		.monitor_pid = 11, .vmm_pid = 12, .monitor_start = UINT64_MAX / 2, .vmm_start = 14};
	vm->last_error = str_dup("its VMM was killed by SIGKILL");
	return vm;
}

static struct vm *parse(const char *text, struct record_op *op, struct error **err)
{
	struct record_op none = {0};
	struct vm *vm = record_parse(&manager, text, strlen(text), op ? op : &none, err);

	if (!op) {
		free(none.op);
		free(none.step);
	}
	return vm;
}

static void assert_lists_equal(char *const *a, char *const *b)
{
	assert_int_equal(strv_len(a), strv_len(b));
	for (size_t i = 0; i < strv_len(a); i++)
		assert_string_equal(a[i], b[i]);
}

static void assert_same(const struct vm *a, const struct vm *b)
{
	assert_string_equal(a->hostname, b->hostname);
	assert_string_equal(a->group, b->group);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->service, b->service);
	assert_int_equal(a->persistent, b->persistent);
	assert_int_equal(a->vcpus, b->vcpus);
	assert_int_equal(a->ram_bytes, b->ram_bytes);
	assert_int_equal(a->disk_bytes, b->disk_bytes);
	assert_int_equal(a->network_connections, b->network_connections);
	assert_string_equal(a->ip, b->ip);
	assert_lists_equal(a->tags, b->tags);
	assert_lists_equal(a->ssh_keys, b->ssh_keys);
	assert_lists_equal(a->dns, b->dns);
	assert_string_equal(a->userdata, b->userdata);
	assert_string_equal(a->image, b->image);
	assert_string_equal(a->image_digest, b->image_digest);
	assert_string_equal(a->machine_id, b->machine_id);
	assert_int_equal(a->created_at, b->created_at);
	assert_int_equal(a->uid_slot, b->uid_slot);
	assert_int_equal(a->has_override, b->has_override);
	assert_int_equal(a->override_allow, b->override_allow);
	assert_int_equal(a->override_drop, b->override_drop);
	assert_lists_equal(a->allow, b->allow);
	assert_lists_equal(a->drop, b->drop);
	assert_int_equal(a->state, b->state);
	assert_memory_equal(&a->processes, &b->processes, sizeof(a->processes));
	assert_string_equal(a->last_error, b->last_error);
}

static void test_round_trip(void **state)
{
	struct vm *vm = full(), *back;
	cleanup_free char *text = record_format(vm, "launch", "disk"), *again = NULL;
	struct record_op op = {0};

	back = parse(text, &op, NULL);
	assert_non_null(back);
	assert_same(vm, back);
	assert_string_equal(op.op, "launch");
	assert_string_equal(op.step, "disk");
	again = record_format(back, op.op, op.step);
	assert_string_equal(text, again);
	free(op.op);
	free(op.step);
	vm_forget(back);
	vm_forget(vm);
}

static void test_least(void **state)
{
	struct vm *vm = vm_new(&manager, "a-b", 1), *back;
	cleanup_free char *text = NULL;
	struct record_op op = {0};

	vm->state = VM_STATE_STOPPED;
	text = record_format(vm, NULL, NULL);
	back = parse(text, &op, NULL);
	assert_non_null(back);
	assert_string_equal(back->hostname, "a-b-1");
	assert_null(op.op);
	assert_null(op.step);
	assert_int_equal(back->processes.vmm_pid, 0);
	assert_false(back->has_override);
	vm_forget(back);
	vm_forget(vm);
}

static void test_empty_override_is_not_none(void **state)
{
	struct vm *vm = vm_new(&manager, "vm", 1), *back;
	cleanup_free char *text = NULL;

	vm->has_override = vm->override_allow = true;
	text = record_format(vm, NULL, NULL);
	back = parse(text, NULL, NULL);
	assert_true(back->has_override && back->override_allow);
	assert_false(back->override_drop);
	assert_int_equal(strv_len(back->allow), 0);
	vm_forget(back);
	vm_forget(vm);
}

static void test_pids_of_another_boot(void **state)
{
	struct vm *vm = full(), *back;
	cleanup_free char *text = record_format(vm, NULL, NULL);

	manager.boot_id = (char *)"boot-2";
	back = parse(text, NULL, NULL);
	manager.boot_id = (char *)"boot-1";
	assert_non_null(back);
	assert_int_equal(back->processes.monitor_pid, 0);
	assert_int_equal(back->processes.vmm_pid, 0);
	assert_int_equal(back->processes.vmm_start, 0);
	assert_int_equal(back->state, VM_STATE_PAUSED);
	vm_forget(back);
	vm_forget(vm);
}

static void test_unknown_members_are_ignored(void **state)
{
	struct vm *vm =
		parse("{\"version\":1,\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-3\",\"state\":\"Running\","
		      "\"later\":{\"a\":[]},\"operation\":null}",
		      NULL, NULL);

	assert_non_null(vm);
	vm_forget(vm);
}

static void test_refused(void **state)
{
#define BASE "\"version\":1,\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-3\",\"state\":\"Running\""
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"1",
		"{}",
		"{\"version\":2,\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-3\",\"state\":\"Running\"}",
		"{\"version\":\"1\",\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-3\",\"state\":\"Running\"}",
		"{\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-3\",\"state\":\"Running\"}",
		"{\"version\":1,\"group\":\"vm\",\"number\":3,\"state\":\"Running\"}",
		"{\"version\":1,\"number\":3,\"hostname\":\"vm-3\",\"state\":\"Running\"}",
		"{\"version\":1,\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-4\",\"state\":\"Running\"}",
		"{\"version\":1,\"group\":\"vm\",\"number\":-3,\"hostname\":\"vm--3\",\"state\":\"Running\"}",
		"{\"version\":1,\"group\":\"vm\",\"number\":99999999999,\"hostname\":\"vm-99999999999\",\"state\":\"Running\"}",
		"{\"version\":1,\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-3\"}",
		"{\"version\":1,\"group\":\"vm\",\"number\":3,\"hostname\":\"vm-3\",\"state\":\"Dreaming\"}",
		"{" BASE ",\"vcpus\":1025}",
		"{" BASE ",\"ram_bytes\":-1}",
		"{" BASE ",\"uid_slot\":4096}",
		"{" BASE ",\"tags\":\"x\"}",
		"{" BASE ",\"tags\":[1]}",
		"{" BASE ",\"ip\":1}",
		"{" BASE ",\"service\":1}",
		"{" BASE ",\"created_at\":\"yesterday\"}",
		"{" BASE ",\"operation\":\"launch\"}",
		"{" BASE ",\"operation\":{\"name\":1}}",
		"{" BASE ",\"processes\":[]}",
		"{" BASE ",\"processes\":{\"vmm_pid\":99999999999}}",
		"{" BASE ",\"network_override\":{\"allow\":{}}}",
		"{" BASE ",\"state\":\"Stopped\"}",
		"{" BASE "} {}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_error struct error *error = NULL;

		if (parse(bad[i], NULL, &error))
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(error);
	}
}

/* Whatever a crash of the filesystem leaves of it. */
static void test_truncated(void **state)
{
	struct vm *vm = full();
	cleanup_free char *text = record_format(vm, "stop", "kill");
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] != '}')
		n--;
	for (size_t i = 0; i < n; i++) {
		struct record_op op = {0};
		cleanup_error struct error *error = NULL;

		assert_null(record_parse(&manager, text, i, &op, &error));
		assert_non_null(error);
		assert_null(op.op);
	}
	vm_forget(vm);
}

static void test_largest_userdata_is_read_back(void **state)
{
	struct vm *vm = vm_new(&manager, "vm", 1), *back;
	cleanup_free char *text = NULL;

	vm->userdata = mem_alloc(1024 * 1024 + 1);
	memset(vm->userdata, 1, 1024 * 1024);
	text = record_format(vm, NULL, NULL);
	assert_true(strlen(text) < RECORD_LIMIT);
	back = parse(text, NULL, NULL);
	assert_non_null(back);
	assert_string_equal(back->userdata, vm->userdata);
	vm_forget(back);
	vm_forget(vm);
}

static void test_save(void **state)
{
	char dir[] = "/tmp/slicer-record-XXXXXX";
	cleanup_free char *sub = NULL, *path = NULL, *text = NULL;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	sub = fs_join(dir, "vms/vm-1");
	path = fs_join(sub, "record.json");
	assert_int_equal(record_save(sub, "one", NULL), 0);
	assert_int_equal(record_save(sub, "two", NULL), 0);
	assert_int_equal(fs_read_file(path, 100, &text, NULL, NULL), 0);
	assert_string_equal(text, "two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_least),
		cmocka_unit_test(test_empty_override_is_not_none),
		cmocka_unit_test(test_pids_of_another_boot),
		cmocka_unit_test(test_unknown_members_are_ignored),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_largest_userdata_is_read_back),
		cmocka_unit_test(test_save),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
