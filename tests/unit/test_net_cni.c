/* SPDX-License-Identifier: MIT */
/* CNI: lists, results, and the order and input in which plugins run. The plugins here are scripts that note down how they are
 * called and do what their configuration says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "net/cni.h"

static const char script[] =
	"#!/bin/sh\n"
	"input=$(cat)\n"
	"echo \"$CNI_COMMAND ${0##*/} $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $input\" >> \"${0%/*}/log\"\n"
	"case \"$input\" in *\"hang$CNI_COMMAND\"*) sleep 1000 ;; esac\n"
	"case \"$input\" in *\"garbage$CNI_COMMAND\"*) echo '<html>'; exit 0 ;; esac\n"
	"case \"$input\" in *\"flood$CNI_COMMAND\"*) yes; exit 0 ;; esac\n"
	"case \"$input\" in *\"silent$CNI_COMMAND\"*) exit 0 ;; esac\n"
	"case \"$input\" in *\"killed$CNI_COMMAND\"*) kill -9 $$ ;; esac\n"
	"case \"$input\" in *\"fail$CNI_COMMAND\"*)\n"
	"	echo '{\"cniVersion\":\"1.0.0\",\"code\":7,\"msg\":\"no room\",\"details\":\"at all\"}'; exit 1 ;; esac\n"
	"address=10.1.2.3; case \"$input\" in *'\"x\":\"moves\"'*) address=10.1.2.9 ;; esac\n"
	"case $CNI_COMMAND in\n"
	"ADD) echo '{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/ns\",\"mac\":\"02:00:00:00:00:01\"}],"
	"\"ips\":[{\"address\":\"'$address'/24\",\"gateway\":\"10.1.2.1\",\"interface\":0}],\"by\":\"'${0##*/}'\"}' ;;\n"
	"VERSION) echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\"]}' ;;\n"
	"esac\n";

/* A script needs milliseconds, on a busy machine seconds: only the one that hangs has a short deadline. */
enum { PATIENT_MS = 60000, HANGS_MS = 3000 };

struct fixture {
	char dir[64];
	char *cache;
	struct cni_attach attach;
};

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	strcpy(f->dir, "/tmp/slicer-test-cni-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	for (const char *const *name = (const char *const[]){"one", "two", "three", NULL}; *name; name++) {
		cleanup_free char *path = fs_join(f->dir, *name);

		assert_int_equal(fs_write_atomic(path, script, strlen(script), 0755, NULL), 0);
		assert_int_equal(chmod(path, 0755), 0);
	}
	setenv("CNI_PATH", f->dir, 1);
	f->cache = fs_join(f->dir, "cache");
	f->attach = (struct cni_attach){
		.container = "vm-1", .netns = "/ns", .ifname = "eth0", .cache_dir = f->cache, .timeout_ms = PATIENT_MS};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unsetenv("CNI_PATH");
	fs_remove_tree(f->dir, NULL);
	free(f->cache);
	free(f);
	return 0;
}

/* "ADD one; ADD two": the commands since the last call. */
static char *calls(const struct fixture *f)
{
	cleanup_free char *path = fs_join(f->dir, "log");
	cleanup_free char *text = NULL;
	cleanup_strv char **lines = NULL, **words = NULL;

	if (fs_read_file(path, 1 << 20, &text, NULL, NULL) < 0)
		return str_dup("");
	lines = strv_split(str_trim(text), '\n');
	for (char **l = lines; *l; l++) {
		char command[16], name[16];

		if (sscanf(*l, "%15s %15s", command, name) == 2)
			strv_append_fmt(&words, "%s %s", command, name);
	}
	fs_unlink(path, NULL);
	return strv_join(words, "; ");
}

static void assert_calls(const struct fixture *f, const char *want)
{
	cleanup_free char *have = calls(f);

	assert_string_equal(have, want);
}

/* Plugins one, two and three, each with a word that may make it misbehave. */
static struct cni_list list_of(const char *version, const char *one, const char *two, const char *three)
{
	cleanup_free char *text =
		str_fmt("{\"cniVersion\":\"%s\",\"name\":\"net\",\"plugins\":[{\"type\":\"one\",\"x\":\"%s\"},"
			"{\"type\":\"two\",\"x\":\"%s\"},{\"type\":\"three\",\"x\":\"%s\"}]}",
			version, one, two, three);
	struct cni_list l;

	assert_int_equal(cni_list_parse(text, strlen(text), "test", &l, NULL), 0);
	return l;
}

static bool is_cached(const struct fixture *f)
{
	cleanup_free char *path = fs_join(f->cache, "vm-1-eth0.json");

	return fs_exists(path);
}

/* ---- lists ---- */

static void test_list_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "test"},
		{"[]", "not a JSON object"},
		{"{'a':1}", "test"},
		{"{\"name\":\"a\",\"type\":\"b\"}", "cniVersion"},
		{"{\"cniVersion\":\"0.2.0\",\"name\":\"a\",\"type\":\"b\"}", "none of"},
		{"{\"cniVersion\":\"1.0.0\",\"type\":\"b\"}", "\"name\" is missing"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"../a\",\"type\":\"b\"}", "name"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"type\":\"../../bin/sh\"}", "type"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"type\":5}", "type"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\"}", "\"type\" is missing"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"name\":\"b\",\"type\":\"b\"}", "test"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[]}", "0 entries"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[1]}", "plugins[0]"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[{\"type\":\"b\"},{}]}", "plugins[1]"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":{}}", "plugins"},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"disableCheck\":\"yes\",\"type\":\"b\"}", "disableCheck"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cni_list l;
		struct error *error = NULL;

		if (!cni_list_parse(rows[i].text, strlen(rows[i].text), "test", &l, &error))
			fail_msg("taken: %s", rows[i].text);
		if (!strstr(error_message(error), rows[i].says))
			fail_msg("%s: %s", rows[i].text, error_message(error));
		error_free(&error);
	}
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	cleanup_free char *path = fs_join(f->dir, name);

	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static void test_find(void **state)
{
	const struct fixture *f = *state;
	struct cni_list l;
	struct error *error = NULL;

	assert_int_equal(cni_list_find("/nonexistent", "a", &l, &error), -1);
	assert_int_equal(error->code, ERR_NOT_FOUND);
	error_free(&error);
	put(f, "10-b.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"b\",\"type\":\"one\"}");
	put(f, "20-a.conf", "{\"cniVersion\":\"0.4.0\",\"name\":\"a\",\"type\":\"one\"}");
	put(f, "30-a.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"type\":\"two\"}");
	put(f, "readme.txt", "nothing");
	assert_int_equal(cni_list_find(f->dir, "a", &l, &error), 0);
	assert_string_equal(l.version, "0.4.0"); /* the first by file name */
	cni_list_clear(&l);
	assert_int_equal(cni_list_find(f->dir, "c", &l, &error), -1);
	assert_int_equal(error->code, ERR_NOT_FOUND);
	assert_non_null(strstr(error_message(error), "there are: b, a, a"));
	error_free(&error);
	/* One of a version to come is in nobody's way but its own. */
	put(f, "07-new.conflist", "{\"cniVersion\":\"9.0.0\",\"name\":\"new\",\"plugins\":[]}");
	assert_int_equal(cni_list_find(f->dir, "c", &l, &error), -1);
	assert_int_equal(error->code, ERR_NOT_FOUND);
	error_free(&error);
	assert_int_equal(cni_list_find(f->dir, "new", &l, &error), -1);
	assert_int_equal(error->code, ERR_INVALID);
	assert_non_null(strstr(error_message(error), "9.0.0"));
	error_free(&error);
	put(f, "05-broken.conflist", "{");
	assert_int_equal(cni_list_find(f->dir, "b", &l, &error), 0);
	cni_list_clear(&l);
	assert_int_equal(cni_list_find(f->dir, "c", &l, &error), -1);
	assert_int_equal(error->code, ERR_INVALID);
	assert_non_null(strstr(error_message(error), "05-broken.conflist"));
	error_free(&error);
}

/* CNI_PATH, then where upstream's releases go, then Debian's package; a plugin is taken from the first directory that has it. */
static void test_plugin_path(void **state)
{
	const struct fixture *f = *state;
	cleanup_strv char **given = NULL, **plain = NULL, **empty = NULL;
	cleanup_free char *joined = NULL, *first = fs_join(f->dir, "first"), *both = NULL, *found = NULL;

	assert_int_equal(fs_mkdir_p(first, 0755, NULL), 0);
	both = str_fmt("%s:%s", first, f->dir);
	setenv("CNI_PATH", both, 1);
	given = cni_plugin_path();
	joined = strv_join(given, " ");
	found = str_fmt("%s %s /opt/cni/bin /usr/lib/cni", first, f->dir);
	assert_string_equal(joined, found);
	free(found);
	found = cni_plugin_find(given, "one", NULL);
	assert_true(str_starts(found, f->dir) && !str_starts(found, first));
	free(found);
	put(f, "first/one", script);
	cleanup_free char *one = fs_join(first, "one");
	assert_int_equal(chmod(one, 0755), 0);
	found = cni_plugin_find(given, "one", NULL);
	assert_string_equal(found, one);

	unsetenv("CNI_PATH");
	plain = cni_plugin_path();
	setenv("CNI_PATH", "", 1);
	empty = cni_plugin_path();
	for (size_t i = 0; i < 2; i++) {
		char **list = i ? empty : plain;

		assert_string_equal(list[0], "/opt/cni/bin");
		assert_string_equal(list[1], "/usr/lib/cni");
		assert_null(list[2]);
	}
}

static void test_probe(void **state)
{
	cleanup_cni_list struct cni_list l = list_of("1.0.0", "", "", ""), missing = {0};
	static const char text[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"type\":\"nosuch\"}";
	struct error *error = NULL;

	assert_int_equal(cni_list_probe(&l, NULL), 0);
	assert_int_equal(cni_list_parse(text, strlen(text), "test", &missing, NULL), 0);
	assert_int_equal(cni_list_probe(&missing, &error), -1);
	assert_int_equal(error->code, ERR_NOT_FOUND);
	assert_non_null(strstr(error_message(error), "containernetworking-plugins"));
	error_free(&error);
	cni_list_clear(&missing);
}

/* ---- execution ---- */

static void test_add_check_del(void **state)
{
	struct fixture *f = *state;
	cleanup_cni_list struct cni_list l = list_of("1.0.0", "", "", "");
	cleanup_json struct json_object *result = NULL;
	cleanup_free char *log = fs_join(f->dir, "log"), *text = NULL;
	const char *by = NULL;

	assert_int_equal(cni_add(&l, &f->attach, &result, NULL), 0);
	assert_int_equal(js_get_string(result, "by", &by, NULL), 0);
	assert_string_equal(by, "three");
	assert_true(is_cached(f));
	assert_int_equal(fs_read_file(log, 1 << 20, &text, NULL, NULL), 0);
	/* The first has no result before it, the second that of the first; all know whom they serve. */
	assert_non_null(strstr(
		text,
		"ADD one vm-1 /ns eth0 {\"type\":\"one\",\"x\":\"\",\"cniVersion\":\"1.0.0\",\"name\":\"net\"}\n"));
	assert_non_null(strstr(strstr(text, "ADD two"), "\"prevResult\":{"));
	assert_non_null(strstr(strstr(text, "ADD three"), "\"by\":\"two\""));
	assert_calls(f, "ADD one; ADD two; ADD three");
	assert_int_equal(cni_check(&f->attach, NULL), 0);
	assert_calls(f, "CHECK one; CHECK two; CHECK three");
	assert_int_equal(cni_del(&f->attach, NULL), 0);
	assert_calls(f, "DEL three; DEL two; DEL one");
	assert_false(is_cached(f));
	assert_int_equal(cni_del(&f->attach, NULL), 0); /* once more: nothing to do */
	assert_calls(f, "");
	assert_int_equal(cni_check(&f->attach, NULL), -1);
}

/* `given`: its runtimeConfig, NULL for none. */
static void assert_line(const char *text, const char *begins, const char *given)
{
	cleanup_free char *line = NULL;
	const char *at = strstr(text, begins);

	assert_non_null(at);
	line = strndup(at, strcspn(at, "\n"));
	assert_int_equal(strstr(line, "runtimeConfig") != NULL, given != NULL);
	if (given)
		assert_non_null(strstr(line, given));
	assert_null(strstr(line, "capabilities"));
}

static void test_capabilities(void **state)
{
	static const char list[] =
		"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"plugins\":["
		"{\"type\":\"one\",\"x\":\"\",\"capabilities\":{\"mac\":true,\"ips\":true,\"portMappings\":true}},"
		"{\"type\":\"two\",\"x\":\"\",\"capabilities\":{\"mac\":false,\"ips\":false}},"
		"{\"type\":\"three\",\"x\":\"\",\"capabilities\":{\"ips\":true,\"bandwidth\":true}}]}";
	static const char *const plugins[] = {"one", "two", "three"};
	static const char *const configs[] = {
		"\"runtimeConfig\":{\"mac\":\"02:00:00:00:00:09\",\"ips\":[\"10.1.0.9\"]}", NULL,
		"\"runtimeConfig\":{\"ips\":[\"10.1.0.9\"],\"bandwidth\":{}}"};
	struct fixture *f = *state;
	struct cni_attach given = f->attach;
	cleanup_cni_list struct cni_list l = {0};
	cleanup_json struct json_object *result = NULL;
	cleanup_free char *log = fs_join(f->dir, "log"), *text = NULL;

	given.mac = "02:00:00:00:00:09";
	given.ip = "10.1.0.9";
	assert_int_equal(cni_list_parse(list, strlen(list), "test", &l, NULL), 0);
	assert_true(cni_list_can(&l, "mac") && cni_list_can(&l, "ips") && !cni_list_can(&l, "dns"));
	assert_int_equal(cni_add(&l, &given, &result, NULL), 0);
	assert_int_equal(cni_check(&f->attach, NULL), 0);
	assert_int_equal(cni_del(&f->attach, NULL), 0);
	assert_int_equal(fs_read_file(log, 1 << 20, &text, NULL, NULL), 0);
	for (const char *const *command = (const char *const[]){"ADD", "CHECK", "DEL", NULL}; *command; command++) {
		for (size_t i = 0; i < ARRAY_LEN(plugins); i++) {
			cleanup_free char *begins = str_fmt("%s %s ", *command, plugins[i]);

			assert_line(text, begins, configs[i]);
		}
	}
}

static void test_old_version(void **state)
{
	struct fixture *f = *state;
	cleanup_cni_list struct cni_list l = list_of("0.3.1", "", "", "");
	cleanup_json struct json_object *result = NULL;

	assert_int_equal(cni_add(&l, &f->attach, &result, NULL), 0);
	assert_calls(f, "ADD one; ADD two; ADD three");
	assert_int_equal(cni_check(&f->attach, NULL), 0); /* has no CHECK */
	assert_calls(f, "");
	assert_int_equal(cni_del(&f->attach, NULL), 0);
	assert_calls(f, "DEL three; DEL two; DEL one");
}

static void test_add_fails(void **state)
{
	static const struct {
		const char *word, *says;
		enum error_code code;
	} rows[] = {
		{"failADD", "CNI plugin", ERR_IO},	{"failADD", "no room; at all", ERR_IO},
		{"garbageADD", "answer", ERR_PROTOCOL}, {"silentADD", "answered nothing", ERR_PROTOCOL},
		{"killedADD", "signal 9", ERR_IO},	{"floodADD", "more than", ERR_TOO_LARGE},
		{"hangADD", "within", ERR_TIMEOUT},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_cni_list struct cni_list l = list_of("1.0.0", "", rows[i].word, "");
		struct json_object *result = NULL;
		struct error *error = NULL;

		f->attach.timeout_ms = rows[i].code == ERR_TIMEOUT ? HANGS_MS : PATIENT_MS;
		assert_int_equal(cni_add(&l, &f->attach, &result, &error), -1);
		assert_null(result);
		if (!strstr(error_message(error), rows[i].says))
			fail_msg("%s: %s", rows[i].word, error_message(error));
		assert_int_equal(error->code, rows[i].code);
		error_free(&error);
		assert_calls(f, "ADD one; ADD two; DEL three; DEL two; DEL one");
		assert_false(is_cached(f));
	}
}

/* A plugin that cannot delete now: the others do, the first error is told, and it is tried again later. */
static void test_del_fails(void **state)
{
	struct fixture *f = *state;
	cleanup_cni_list struct cni_list l = list_of("1.0.0", "", "failDEL", ""), good = list_of("1.0.0", "", "", "");
	struct json_object *result = NULL;
	struct error *error = NULL;

	assert_int_equal(cni_add(&l, &f->attach, &result, NULL), 0);
	js_put(&result);
	free(calls(f)); /* those of ADD are of no interest */
	assert_int_equal(cni_del(&f->attach, &error), -1);
	assert_non_null(strstr(error_message(error), "no room"));
	error_free(&error);
	assert_calls(f, "DEL three; DEL two; DEL one");
	assert_true(is_cached(f));
	assert_int_equal(cni_add(&good, &f->attach, &result, &error), -1); /* not before what was is gone */
	error_free(&error);
	assert_calls(f, "DEL two"); /* the others have nothing left to delete */
}

/* A later plugin answers with another address: those before are asked to delete what they have made for theirs as well. */
static void test_another_address(void **state)
{
	struct fixture *f = *state;
	cleanup_cni_list struct cni_list l = list_of("1.0.0", "", "", "moves"),
					 failing = list_of("1.0.0", "", "moves", "failADD");
	cleanup_free char *log = fs_join(f->dir, "log"), *text = NULL;
	cleanup_strv char **addresses = NULL;
	struct json_object *result = NULL;

	assert_int_equal(cni_added(&f->attach, &addresses, NULL), 0);
	assert_int_equal(cni_add(&l, &f->attach, &result, NULL), 0);
	js_put(&result);
	free(calls(f));
	assert_int_equal(cni_added(&f->attach, &addresses, NULL), 1);
	assert_string_equal(addresses[0], "10.1.2.9/24");
	assert_string_equal(addresses[1], "10.1.2.3/24");
	assert_null(addresses[2]);
	assert_int_equal(cni_del(&f->attach, NULL), 0);
	assert_int_equal(fs_read_file(log, 1 << 20, &text, NULL, NULL), 0);
	assert_calls(f, "DEL three; DEL two; DEL two; DEL one; DEL one");
	assert_non_null(strstr(strstr(text, "DEL two"), "10.1.2.3/24"));
	assert_non_null(strstr(strstr(strstr(text, "DEL two"), "\n") + 1, "10.1.2.9/24"));
	/* Also when a launch fails amid it. */
	assert_int_equal(cni_add(&failing, &f->attach, &result, NULL), -1);
	assert_calls(f, "ADD one; ADD two; ADD three; DEL three; DEL two; DEL one; DEL one");
	assert_false(is_cached(f));
}

/* A crash in the middle of ADD: what the list began is deleted before it is added anew. */
static void test_add_again(void **state)
{
	struct fixture *f = *state;
	cleanup_cni_list struct cni_list l = list_of("1.0.0", "", "", "");
	struct json_object *result = NULL;

	assert_int_equal(cni_add(&l, &f->attach, &result, NULL), 0);
	js_put(&result);
	assert_int_equal(cni_add(&l, &f->attach, &result, NULL), 0);
	js_put(&result);
	assert_calls(f, "ADD one; ADD two; ADD three; DEL three; DEL two; DEL one; ADD one; ADD two; ADD three");
}

/* ---- results ---- */

static int parse_result(const char *text, struct cni_result *ret, struct error **err)
{
	cleanup_json struct json_object *obj = js_parse(text, strlen(text), NULL);

	return cni_result_parse(obj, "eth0", ret, err);
}

static void test_result(void **state)
{
	struct cni_result r;

	assert_int_equal(
		parse_result(
			"{\"interfaces\":[{\"name\":\"eth0\"},{\"name\":\"eth0\",\"sandbox\":\"/x\","
			"\"mac\":\"02:00:00:00:00:01\",\"mtu\":1450},{\"name\":\"cni0\",\"sandbox\":\"\"},"
			"{\"name\":\"longer than any name\"}],\"ips\":[{\"address\":\"fd00::1/64\",\"interface\":1},"
			"{\"address\":\"10.0.0.9/8\",\"interface\":0},{\"version\":\"4\",\"address\":\"10.1.2.3/24\","
			"\"gateway\":\"10.1.2.1\",\"interface\":1}],\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"::/0\"},"
			"{\"dst\":\"10.0.0.0/8\"},{\"dst\":\"172.16.0.0/12\",\"gw\":\"10.1.2.9\"}],"
			"\"dns\":{\"nameservers\":[\"10.1.2.1\",\"fd00::1\",\"x\"]}}",
			&r, NULL),
		0);
	assert_string_equal(r.mac, "02:00:00:00:00:01");
	assert_string_equal(r.address, "10.1.2.3/24");
	assert_string_equal(r.gateway, "10.1.2.1");
	assert_int_equal(r.mtu, 1450);
	assert_int_equal(r.nroutes, 2);
	assert_string_equal(r.routes[0].via, "10.1.2.1");
	assert_string_equal(r.routes[1].via, "10.1.2.9");
	assert_int_equal(r.routes[1].to.prefix, 12);
	assert_int_equal(strv_len(r.dns), 1);
	assert_int_equal(strv_len(r.links), 2);
	assert_string_equal(r.links[0], "eth0");
	assert_string_equal(r.links[1], "cni0");
	cni_result_clear(&r);
	assert_int_equal(
		parse_result(
			"{\"ips\":[{\"address\":\"10.1.2.3/24\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.2.7\"}]}",
			&r, NULL),
		0);
	assert_string_equal(r.gateway, "10.1.2.7");
	cni_result_clear(&r);
}

static void test_result_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"{}", "no IPv4 address"},
		{"[]", "empty"},
		{"{\"ips\":{}}", "ips"},
		{"{\"ips\":[1]}", "ips[0]"},
		{"{\"ips\":[{}]}", "address is missing"},
		{"{\"ips\":[{\"address\":\"10.1.2.3\"}]}", "ips[0]"},
		{"{\"ips\":[{\"address\":\"10.1.2.3/33\"}]}", "ips[0]"},
		{"{\"ips\":[{\"address\":\"fd00::1/64\"}]}", "no IPv4"},
		{"{\"ips\":[{\"address\":\"10.1.2.3/24\",\"gateway\":\"x\"}]}", "gateway"},
		{"{\"ips\":[{\"address\":\"10.1.2.3/24\",\"interface\":\"0\"}]}", "ips[0]"},
		{"{\"ips\":[{\"address\":\"10.1.2.3/24\"}],\"routes\":[{}]}", "routes[0]"},
		{"{\"ips\":[{\"address\":\"10.1.2.3/24\"}],\"routes\":[{\"dst\":\"10.0.0.0\"}]}", "routes[0]"},
		{"{\"ips\":[{\"address\":\"10.1.2.3/24\"}],\"dns\":[]}", "dns"},
		{"{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/x\",\"mac\":\"nonsense\"}],\"ips\":[{\"address\":\"10.1.2.3/24\"}]}",
		 "mac"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cni_result r;
		struct error *error = NULL;

		if (!parse_result(rows[i].text, &r, &error))
			fail_msg("taken: %s", rows[i].text);
		if (!strstr(error_message(error), rows[i].says))
			fail_msg("%s: %s", rows[i].text, error_message(error));
		error_free(&error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_errors),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plugin_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_add_check_del, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_add_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_del_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_add_again, setup, teardown),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_result_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
