/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/str.h"
#include "image/modules.h"

#define ALL_BUILTIN                                                                                                    \
	"kernel/drivers/char/virtio_console.ko\nkernel/drivers/block/virtio_blk.ko\n"                                  \
	"kernel/drivers/net/virtio_net.ko\nkernel/fs/ext4/ext4.ko\nkernel/fs/squashfs/"                                \
	"squashfs.ko\n"

static char *order_of(const char *dep, const char *builtin)
{
	cleanup_strv char **order = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(modules_boot_order(dep, builtin, &order, &err), 0);
	assert_null(err);
	return strv_join(order, " ");
}

static enum error_code refusal_of(const char *dep, const char *builtin)
{
	cleanup_strv char **order = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(modules_boot_order(dep, builtin, &order, &err), -1);
	assert_non_null(err);
	assert_null(order);
	return err->code;
}

static void dependencies_come_first_and_once(void **state)
{
	const char *dep = "kernel/fs/overlay.ko: kernel/b.ko kernel/a.ko\n"
			  "kernel/b.ko: kernel/a.ko\n"
			  "kernel/a.ko:\n"
			  "kernel/virtio.ko: kernel/a.ko\n"
			  "kernel/unrelated.ko: kernel/a.ko\n";
	cleanup_free char *order = order_of(dep, ALL_BUILTIN);

	assert_string_equal(order, "kernel/a.ko kernel/virtio.ko kernel/b.ko kernel/fs/overlay.ko");
}

static void builtin_modules_are_left_out(void **state)
{
	cleanup_free char *order = order_of("", ALL_BUILTIN "kernel/fs/overlayfs/overlay.ko\n");

	assert_string_equal(order, "");
}

static void compressed_modules_and_dashes(void **state)
{
	cleanup_free char *order = order_of("x/virtio-ring.ko.xz:\nx/overlay.ko.zst:\n", ALL_BUILTIN);
	cleanup_free char *plain = modules_plain_path("x/overlay.ko.zst");
	cleanup_free char *same = modules_plain_path("x/overlay.ko");

	assert_string_equal(order, "x/virtio-ring.ko.xz x/overlay.ko.zst");
	assert_string_equal(plain, "x/overlay.ko");
	assert_string_equal(same, "x/overlay.ko");
}

static void a_missing_module_is_named(void **state)
{
	cleanup_strv char **order = NULL;
	cleanup_error struct error *err = NULL;

	assert_int_equal(modules_boot_order("", ALL_BUILTIN, &order, &err), -1);
	assert_int_equal(err->code, ERR_UNSUPPORTED);
	assert_non_null(strstr(err->message, "overlay"));
	/* a name that only ends like it is not it */
	assert_int_equal(refusal_of("x/my_overlay.ko:\nx/overlay.kox:\n", ALL_BUILTIN), ERR_UNSUPPORTED);
}

static void damaged_files_are_refused(void **state)
{
	assert_int_equal(refusal_of("no colon here\n", ALL_BUILTIN), ERR_INVALID);
	assert_int_equal(refusal_of("/etc/overlay.ko:\n", ALL_BUILTIN), ERR_INVALID);
	assert_int_equal(refusal_of("../x/overlay.ko:\n", ALL_BUILTIN), ERR_INVALID);
	assert_int_equal(refusal_of("x//overlay.ko:\n", ALL_BUILTIN), ERR_INVALID);
	assert_int_equal(refusal_of("x/overlay.ko: x/gone.ko\n", ALL_BUILTIN), ERR_INVALID);
	assert_int_equal(refusal_of("x/overlay.ko: x/b.ko\nx/b.ko: x/overlay.ko\n", ALL_BUILTIN), ERR_INVALID);
	assert_int_equal(refusal_of("x/overlay.ko: x/overlay.ko\n", ALL_BUILTIN), ERR_INVALID);
}

/* Each needs the next: found one by one in a list this would take minutes. */
static void many_lines_take_no_long_time(void **state)
{
	enum { LINES = 150000, LINE_MAX_BYTES = 64 };
	size_t room = (size_t)LINES * LINE_MAX_BYTES, n = 0;
	cleanup_free char *dep = mem_alloc(room), *needs = mem_alloc(room);
	size_t m = 0;

	for (int i = 0; i < LINES; i++) {
		n += (size_t)snprintf(dep + n, room - n, "x/m%d.ko:\n", i);
		if (i < 250)
			m += (size_t)snprintf(needs + m, room - m, " x/m%d.ko", LINES - 1 - i);
	}
	cleanup_free char *text = str_fmt("%sx/overlay.ko:%s\n", dep, needs);
	cleanup_free char *order = order_of(text, ALL_BUILTIN);
	assert_true(str_ends(order, " x/overlay.ko"));
	cleanup_free char *more =
		str_fmt("%sx/m.ko:\nx/overlay.ko:%s x/m.ko x/m0.ko x/m1.ko x/m2.ko x/m3.ko x/m4.ko\n", dep, needs);
	assert_int_equal(refusal_of(more, ALL_BUILTIN), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dependencies_come_first_and_once), cmocka_unit_test(builtin_modules_are_left_out),
		cmocka_unit_test(compressed_modules_and_dashes),    cmocka_unit_test(a_missing_module_is_named),
		cmocka_unit_test(damaged_files_are_refused),	    cmocka_unit_test(many_lines_take_no_long_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
