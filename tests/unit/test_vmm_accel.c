/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/kvm.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/accel.h"

static char modules[] = "/tmp/test_accel_XXXXXX";

static int setup(void **state)
{
	return mkdtemp(modules) ? 0 : -1;
}

static int teardown(void **state)
{
	return fs_remove_tree(modules, NULL);
}

static int stable_version(int fd)
{
	return KVM_API_VERSION;
}

static int old_version(int fd)
{
	return 11;
}

static enum vmm_accel choose(const char *device, bool arm64, enum vmm_accel wanted, const char *words)
{
	const struct accel_host host = {
		.sys_module = modules, .kvm_device = device, .arm64 = arm64, .ask_version = stable_version};
	cleanup_error struct error *err = NULL;
	cleanup_free char *reason = NULL;
	enum vmm_accel accel;

	if (accel_choose(&host, wanted, &accel, &reason, &err) < 0) {
		assert_non_null(strstr(err->message, words));
		return VMM_ACCEL_AUTO;
	}
	if (!strstr(reason, words))
		fail_msg("\"%s\" does not say \"%s\"", reason, words);
	return accel;
}

/* /dev/null stands for a device that can be opened. */
static void test_auto(void **state)
{
	cleanup_free char *amd = str_fmt("%s/kvm_amd", modules), *pvm = str_fmt("%s/kvm_pvm", modules);

	assert_int_equal(choose("/nonexistent", false, VMM_ACCEL_AUTO, "has no /nonexistent"), VMM_ACCEL_TCG);
	assert_int_equal(choose("/dev/null", false, VMM_ACCEL_AUTO, "not backed by hardware"), VMM_ACCEL_TCG);
	assert_int_equal(fs_mkdir_p(pvm, 0755, NULL), 0);
	assert_int_equal(choose("/dev/null", false, VMM_ACCEL_AUTO, "SLICER_ACCEL=kvm"), VMM_ACCEL_TCG);
	assert_int_equal(choose("/dev/null", true, VMM_ACCEL_AUTO, "arm64"), VMM_ACCEL_KVM);
	assert_int_equal(fs_mkdir_p(amd, 0755, NULL), 0);
	assert_int_equal(choose("/dev/null", false, VMM_ACCEL_AUTO, "kvm_amd"), VMM_ACCEL_KVM);
	assert_int_equal(choose("/nonexistent", false, VMM_ACCEL_AUTO, "has no"), VMM_ACCEL_TCG);
}

static void test_forced(void **state)
{
	assert_int_equal(choose("/dev/null", false, VMM_ACCEL_TCG, "as configured"), VMM_ACCEL_TCG);
	assert_int_equal(choose("/dev/null", false, VMM_ACCEL_KVM, "as configured"), VMM_ACCEL_KVM);
	assert_int_equal(choose("/nonexistent", false, VMM_ACCEL_KVM, "use 'accel: tcg'"), VMM_ACCEL_AUTO);
}

/* That a device opens is not enough. */
static void test_device(void **state)
{
	struct accel_host host = {.sys_module = modules, .kvm_device = "/dev/null"};
	cleanup_error struct error *err = NULL;

	assert_int_equal(accel_kvm_check(&host, &err), -1);
	assert_non_null(strstr(err->message, "/dev/null is not KVM's device"));
	error_free(&err);
	host.ask_version = old_version;
	assert_int_equal(accel_kvm_check(&host, &err), -1);
	assert_int_equal(err->code, ERR_UNSUPPORTED);
	assert_non_null(strstr(err->message, "version 11"));
	host.ask_version = stable_version;
	assert_int_equal(accel_kvm_check(&host, NULL), 0);
}

static void test_names(void **state)
{
	enum vmm_accel accel;

	for (int i = VMM_ACCEL_AUTO; i <= VMM_ACCEL_TCG; i++) {
		assert_int_equal(vmm_accel_parse(vmm_accel_name((enum vmm_accel)i), &accel, NULL), 0);
		assert_int_equal(accel, i);
	}
	assert_int_equal(vmm_accel_parse("KVM", &accel, NULL), -1);
	assert_int_equal(vmm_accel_parse("", &accel, NULL), -1);
}

static void test_tsc(void **state)
{
#if defined(__x86_64__)
	struct accel_clock *clock = accel_clock_new(), *other;
	uint64_t a = accel_clock_khz(clock), b, difference;

	assert_int_equal(accel_clock_khz(clock), a); /* once */
	accel_clock_free(&clock);
	assert_null(clock);
	other = accel_clock_new();
	b = accel_clock_khz(other);
	accel_clock_free(&other);
	difference = a > b ? a - b : b - a;

	assert_in_range(a, 100 * 1000, 20 * 1000 * 1000);
	assert_true(difference < a / 1000); /* 0.1 %, even on a busy machine */
#else
	assert_null(accel_clock_new());
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto),  cmocka_unit_test(test_forced), cmocka_unit_test(test_device),
		cmocka_unit_test(test_names), cmocka_unit_test(test_tsc),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
