/* SPDX-License-Identifier: MIT */
/* tests/golden/config/NAME.yaml, most of them from the documentation of networks, against what they
 * mean: NAME.json. SLICER_GOLDEN_UPDATE=1 writes the .json files anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "config/config.h"

#define GOLDEN_DIR SLICER_SOURCE_ROOT "/tests/golden/config"

static void check_file(const char *path)
{
	cleanup_config struct config *cfg = NULL;
	cleanup_error struct error *err = NULL;
	cleanup_free char *stem = str_ndup(path, strlen(path) - strlen(".yaml"));
	cleanup_free char *expected_path = str_fmt("%s.json", stem), *expected = NULL;
	size_t n;

	if (config_load_file(path, &cfg, &err) < 0)
		fail_msg("%s", error_message(err));
	cleanup_json struct json_object *json = config_to_json(cfg);
	cleanup_free char *pretty = js_to_string_pretty(json), *actual = str_fmt("%s\n", pretty);
	if (getenv("SLICER_GOLDEN_UPDATE"))
		assert_int_equal(fs_write_atomic(expected_path, actual, strlen(actual), 0644, NULL), 0);
	assert_int_equal(fs_read_file(expected_path, CONFIG_FILE_MAX, &expected, &n, NULL), 0);
	if (!str_eq(expected, actual))
		print_error("%s means:\n%s", path, actual);
	assert_string_equal(actual, expected);
}

static void test_files(void **state)
{
	DIR *dir = opendir(GOLDEN_DIR);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!str_ends(entry->d_name, ".yaml"))
			continue;
		cleanup_free char *path = fs_join(GOLDEN_DIR, entry->d_name);
		check_file(path);
		n++;
	}
	closedir(dir);
	assert_true(n >= 13);
}

static void test_not_yet(void **state)
{
	cleanup_config struct config *everything = NULL, *micro = NULL;

	assert_int_equal(config_load_file(GOLDEN_DIR "/everything.yaml", &everything, NULL), 0);
	cleanup_strv char **list = config_not_yet(everything);
	assert_true(strv_contains(list, "hypervisor: cloud-hypervisor"));
	assert_true(strv_contains(list, "host_groups[0].gpu_count"));
	assert_true(strv_contains(list, "host_groups[0].ca.files"));
	assert_true(strv_contains(list, "host_groups[2].storage: devmapper"));
	assert_true(strv_contains(list, "ssh.port"));
	assert_int_equal(config_load_file(GOLDEN_DIR "/user-micro.yaml", &micro, NULL), 0);
	cleanup_strv char **few = config_not_yet(micro);
	assert_int_equal(strv_len(few), 0);
}

/* What is turned off needs no support. */
static void test_not_yet_off(void **state)
{
	static const char text[] = "config:\n  insecure_registry: false\n  ssh: {port: 0}\n  host_groups:\n"
				   "  - {name: vm, gpu_count: 0, persistent: false, ca: {generate: false, files: []}}\n"
				   "  - {name: net, network: {}}\n";
	cleanup_config struct config *cfg = NULL;

	assert_int_equal(config_parse(text, strlen(text), "f", &cfg, NULL), 0);
	cleanup_strv char **list = config_not_yet(cfg);
	assert_int_equal(strv_len(list), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_not_yet),
		cmocka_unit_test(test_not_yet_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
