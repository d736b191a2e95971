/* SPDX-License-Identifier: MIT */
/* The API over a socket, with a manager whose VMs are only objects: routes, authentication, statuses, constant answers. */
#include "io_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include "api/api.h"
#include "base/fs.h"
#include "base/json.h"
#include "io/http1.h"
#include "vm/manager_impl.h"
#include "vm/network.h"

static const char yaml[] = "config:\n"
			   "  hypervisor: qemu\n"
			   "  host_groups:\n"
			   "  - name: vm\n"
			   "    count: 1\n"
			   "    vcpu: 2\n"
			   "    ram_gb: 1\n"
			   "    network: {mode: user}\n";

static struct {
	char dir[64], socket[96];
	struct config *config;
	struct worker_pool *pool;
	struct manager_options options;
	struct manager *manager;
	struct api_options api_options;
	struct api *api;
	struct http1_server *server;
} t;

/* One connection; what came on it. */
static struct client {
	struct stream *s;
	struct evbuffer *got;
	bool over;
	char *text;
	int status;
	const char *body;
} c;

static void client_end(void)
{
	evbuffer_add_buffer(c.got, stream_input(c.s));
	evbuffer_add(c.got, "", 1);
	c.text = str_dup((const char *)evbuffer_pullup(c.got, -1));
	c.over = true;
}

static void client_readable(void *arg)
{
	evbuffer_add_buffer(c.got, stream_input(c.s));
	if (stream_eof(c.s) && !c.over)
		client_end();
	else
		stream_resume(c.s);
}

static void client_closed(void *arg, const struct error *error)
{
	if (!c.over)
		client_end();
}

static void client_clear(void)
{
	stream_free(&c.s);
	if (c.got)
		evbuffer_free(c.got);
	free(c.text);
	memset(&c, 0, sizeof(c));
}

static void client_send(const char *text)
{
	static const struct stream_events events = {.on_readable = client_readable, .on_closed = client_closed};
	int fd = fd_connect_unix(t.socket, NULL);

	client_clear();
	assert_true(fd >= 0);
	c.got = evbuffer_new();
	c.s = stream_fd_new(loop, fd, -1);
	stream_set_events(c.s, &events, NULL);
	stream_write(c.s, text, strlen(text));
}

/* The status; c.body is the body until the next request. */
static int request(const char *method, const char *target, const char *fields, const char *body)
{
	cleanup_free char *text =
		str_fmt("%s %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %zu\r\n%s\r\n%s", method,
			target, strlen(body), fields, body);

	client_send(text);
	wait_for(&c.over);
	assert_true(str_starts(c.text, "HTTP/1.1 "));
	c.status = atoi(c.text + 9);
	c.body = strstr(c.text, "\r\n\r\n") + 4;
	return c.status;
}

static int get(const char *target)
{
	return request("GET", target, "", "");
}

static void assert_error_body(void)
{
	cleanup_json struct json_object *obj = js_parse(c.body, strlen(c.body), NULL);
	const char *message = NULL;

	assert_non_null(obj);
	assert_int_equal(js_get_string(obj, "error", &message, NULL), 0);
	assert_non_null(message);
	assert_true(message[0] != '\0');
}

static struct vm *add(unsigned number, enum vm_state state)
{
	struct vm *vm = vm_new(t.manager, "vm", number);

	vm->state = state;
	vm->vcpus = 2;
	vm->ram_bytes = 1ULL << 30;
	vm->ip = str_dup("10.0.2.15/24");
	vm->image = str_dup("micro");
	vm->created_at = 1763698592000000000;
	vm_insert(vm);
	return vm;
}

static void load_config(void)
{
	cleanup_free char *path = fs_join(t.dir, "slicer.yaml");
	cleanup_error struct error *error = NULL;

	assert_int_equal(fs_write_atomic(path, yaml, strlen(yaml), 0600, NULL), 0);
	if (config_load_file(path, &t.config, &error))
		fail_msg("%s", error_message(error));
}

static void serve(const char *token)
{
	t.api_options.token = token;
	t.api = api_new(loop, t.manager, &t.api_options);
	t.server = http1_server_new(loop, fd_listen_unix(t.socket, 0600, NULL), NULL, api_handle, t.api);
}

static int setup(void **state)
{
	static const struct manager_image image = {.name = "micro", .digest = "sha256:00"};

	memset(&t, 0, sizeof(t));
	setup_loop(state);
	snprintf(t.dir, sizeof(t.dir), "/tmp/slicer-api-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	snprintf(t.socket, sizeof(t.socket), "%s/api.sock", t.dir);
	load_config();
	t.pool = worker_pool_new(loop, 1, NULL);
	t.options = (struct manager_options){.config = t.config,
					     .daemon_id = "x",
					     .state_dir = t.dir,
					     .run_dir = t.dir,
					     .log_dir = t.dir,
					     .images = &image,
					     .nimages = 1};
	t.manager = manager_new(loop, t.pool, &t.options, NULL);
	assert_non_null(t.manager);
	return 0;
}

static int teardown(void **state)
{
	client_clear();
	http1_server_free(&t.server);
	run_for(1);
	worker_pool_free(&t.pool);
	manager_free(&t.manager);
	api_free(&t.api);
	config_free(&t.config);
	assert_int_equal(fs_remove_tree(t.dir, NULL), 0);
	return teardown_loop(state);
}

static void test_constant_answers(void **state)
{
	serve(NULL);
	assert_int_equal(get("/healthz"), 200);
	assert_string_equal(c.body, "OK");
	assert_non_null(strstr(c.text, "content-type: text/plain"));
	assert_int_equal(request("HEAD", "/healthz", "", ""), 200);
	assert_string_equal(c.body, "");
	assert_int_equal(get("/info"), 200);
	assert_non_null(strstr(c.body, "\"platform\":\"linux\""));
	assert_int_equal(get("/nodes"), 200);
	assert_string_equal(c.body, "[]");
	assert_int_equal(get("/hostgroup"), 200);
	assert_non_null(strstr(c.body, "\"name\":\"vm\",\"count\":0"));
	assert_int_equal(get("/hostgroup/vm/nodes"), 200);
	assert_string_equal(c.body, "[]");
}

static void test_no_such_path(void **state)
{
	static const char *const paths[] = {"/",
					    "/x",
					    "/nodes/x/y",
					    "/vm",
					    "/vm/",
					    "/vm/vm-1",
					    "/vm/vm-1/logs",
					    "/vm/vm-1/nothing",
					    "/hostgroup/other/nodes",
					    "/hostgroup/vm",
					    "//healthz",
					    "/vm/%2e%2e/logs",
					    "/%1b[2J"};

	serve(NULL);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (get(paths[i]) != 404)
			fail_msg("%s: %d", paths[i], c.status);
		assert_error_body();
		assert_null(strchr(c.body, '\x1b'));
	}
	assert_int_equal(get("/vm/%00/logs"), 400);
	assert_int_equal(get("/vm/%zz"), 400);
}

static void test_wrong_method(void **state)
{
	static const struct {
		const char *method, *path, *allow;
	} wrong[] = {
		{"POST", "/nodes", "GET"},
		{"DELETE", "/healthz", "GET, HEAD"},
		{"PUT", "/vm/x/exec", "GET, POST"},
		{"PUT", "/vm/x/cp", "GET, POST"},
		{"PATCH", "/hostgroup/vm/nodes", "GET, POST"},
		{"GET", "/hostgroup/vm/nodes/vm-1", "DELETE"},
		{"GET", "/vm/x/shutdown", "POST"},
	};

	serve(NULL);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		cleanup_free char *allow = str_fmt("allow: %s\r\n", wrong[i].allow);

		assert_int_equal(request(wrong[i].method, wrong[i].path, "", ""), 405);
		assert_non_null(strstr(c.text, allow));
		assert_error_body();
	}
}

static void test_authentication(void **state)
{
	static const char *const wrong[] = {
		"",
		"authorization: Bearer\r\n",
		"authorization: Bearer \r\n",
		"authorization: secret\r\n",
		"authorization: Bearer secre\r\n",
		"authorization: Bearer secretx\r\n",
		"authorization: Basic secret\r\n",
		"authorization: Bearer  secret\r\n",
		"authorization: Bearer SECRET\r\n",
	};
	static const char *const paths[] = {"/nodes", "/info", "/vm/x", "/nothing", "/vm/x/exec"};

	serve("secret");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
			assert_int_equal(request("GET", paths[k], wrong[i], ""), 401);
			assert_error_body();
			assert_null(strstr(c.body, "secret"));
		}
		assert_int_equal(request("GET", "/healthz", wrong[i], ""), 200);
	}
	assert_int_equal(request("GET", "/nodes", "authorization: Bearer secret\r\n", ""), 200);
	assert_int_equal(request("GET", "/nodes", "Authorization: bearer secret\r\n", ""), 200);
	assert_int_equal(request("GET", "/nothing", "authorization: Bearer secret\r\n", ""), 404);
}

static void test_without_authentication_any_header_will_do(void **state)
{
	serve(NULL);
	assert_int_equal(request("GET", "/nodes", "authorization: Bearer\r\n", ""), 200);
}

static void test_bad_requests(void **state)
{
	cleanup_free char *large = mem_alloc(REQUEST_BODY_MAX + 2);
	static const struct {
		const char *target, *body;
		int status;
	} bad[] = {
		{"/hostgroup/nobody/nodes", "{}", 404},
		{"/hostgroup/vm/nodes", "{", 400},
		{"/hostgroup/vm/nodes", "[]", 400},
		{"/hostgroup/vm/nodes", "{\"cpus\":\"2\"}", 400},
		{"/hostgroup/vm/nodes", "{\"cpus\":3}", 400},
		{"/hostgroup/vm/nodes", "{\"ram_bytes\":99999999999999}", 400},
		{"/hostgroup/vm/nodes?wait=soon", "", 400},
		{"/hostgroup/vm/nodes?wait=agent&timeout=5", "", 400},
		{"/hostgroup/vm/nodes?timeout=-1s", "", 400},
		{"/hostgroup/vm/nodes?timeout=25h", "", 400},
		{"/hostgroup/vm/nodes", "{\"tags\":[\"name=vm-9\"]}", 400},
		{"/hostgroup/vm/nodes", "{\"tags\":[\"name=Upper\"]}", 400},
		{"/hostgroup/vm/nodes", "{\"tags\":[\"name=\"]}", 400},
		{"/hostgroup/vm/nodes", "{\"tags\":[\"name=web\"]}", 409},
	};

	serve(NULL);
	strv_append(&add(2, VM_STATE_STOPPED)->tags, "name=web");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (request("POST", bad[i].target, "", bad[i].body) != bad[i].status)
			fail_msg("%s %s: %d %s", bad[i].target, bad[i].body, c.status, c.body);
		assert_error_body();
	}
	memset(large, ' ', REQUEST_BODY_MAX + 1);
	assert_int_equal(request("POST", "/hostgroup/vm/nodes", "", large), 413);
	assert_int_equal(manager_count(t.manager, "vm"), 1);
	assert_int_equal(get("/nodes?tag=a&tag_prefix=b"), 400);
}

static void test_states(void **state)
{
	static const struct {
		const char *method, *target;
		int status;
	} refused[] = {
		{"POST", "/vm/vm-2/exec?cmd=x", 409},
		{"GET", "/vm/vm-2/cp?path=/x", 409},
		{"POST", "/vm/vm-2/pause", 409},
		{"POST", "/vm/vm-2/resume", 409},
		{"POST", "/vm/vm-2/shutdown", 409},
		{"GET", "/vm/vm-2/health", 500},
		{"GET", "/vm/vm-2/shell", 400},
		{"POST", "/vm/vm-2/relaunch", 409}, /* not persistent */
		{"POST", "/vm/vm-3/exec?cmd=x", 409},
		{"POST", "/vm/vm-3/pause", 409},
		{"POST", "/vm/vm-3/relaunch", 409},
		{"POST", "/vm/vm-3/resume", 503},
		{"GET", "/vm/vm-3/health", 500}, /* its hypervisor is not connected */
		{"POST", "/vm/vm-4/exec?cmd=x", 409},
		{"POST", "/vm/vm-4/shutdown?action=sleep", 400},
		{"GET", "/vm/vm-2/logs", 404},
		{"GET", "/vm/vm-2/logs?lines=x", 400},
		{"GET", "/vm/vm-2/logs?lines=-1", 400},
		{"DELETE", "/hostgroup/other/nodes/vm-2", 404},
		{"DELETE", "/hostgroup/vm/nodes/vm-1", 403},
	};

	serve(NULL);
	add(1, VM_STATE_STOPPED)->service = true;
	add(2, VM_STATE_STOPPED);
	add(3, VM_STATE_PAUSED);
	add(4, VM_STATE_DELETING);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (request(refused[i].method, refused[i].target, "", "") != refused[i].status)
			fail_msg("%s: %d %s", refused[i].target, c.status, c.body);
		assert_error_body();
	}
}

static void test_shell_needs_a_websocket(void **state)
{
	static const char fields[] = "upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
	cleanup_free char *old = str_fmt("GET /vm/vm-2/shell HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
					 "sec-websocket-version: 12\r\n%s\r\n",
					 fields);
	cleanup_free char *good = str_fmt("GET /vm/vm-2/shell HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
					  "sec-websocket-version: 13\r\n%s\r\n",
					  fields);

	serve(NULL);
	add(2, VM_STATE_PAUSED);
	client_send(old);
	run_for(100);
	client_end();
	assert_true(str_starts(c.text, "HTTP/1.1 426"));
	client_send(good);
	run_for(100);
	client_end();
	assert_true(str_starts(c.text, "HTTP/1.1 409"));
}

static void test_lists(void **state)
{
	struct vm *web, *db;

	serve(NULL);
	web = add(2, VM_STATE_RUNNING);
	db = add(5, VM_STATE_STARTING);
	strv_append(&web->tags, "role=web");
	strv_append(&db->tags, "role=db");
	db->last_error = str_dup("it said \"no\"");
	assert_int_equal(get("/nodes"), 200);
	assert_non_null(strstr(c.body, "\"status\":\"Running\""));
	assert_non_null(strstr(c.body, "\"status\":\"Starting\""));
	assert_non_null(strstr(c.body, "\"ip\":\"10.0.2.15\""));
	assert_non_null(strstr(c.body, "\"last_error\":\"it said \\\"no\\\"\""));
	assert_int_equal(get("/nodes?tag=role%3Dweb"), 200);
	assert_non_null(strstr(c.body, "vm-2"));
	assert_null(strstr(c.body, "vm-5"));
	assert_int_equal(get("/nodes?tag=role"), 200);
	assert_string_equal(c.body, "[]");
	assert_int_equal(get("/hostgroup/vm/nodes?tag_prefix=role="), 200);
	assert_non_null(strstr(c.body, "vm-5"));
	assert_int_equal(get("/vm/vm-2"), 200);
	assert_non_null(strstr(c.body, "\"agent_ready\":false"));
	assert_non_null(strstr(c.body, "\"policy_source\":\"host_group\""));
}

/* Asked before as well, so that what is kept of the VM's text and of the list would be seen. */
static void assert_listed(const char *what, bool there)
{
	assert_int_equal(get("/nodes"), 200);
	if (!strstr(c.body, what) == there)
		fail_msg("%s is %sin %s", what, there ? "not " : "", c.body);
	assert_int_equal(get("/hostgroup/vm/nodes"), 200);
	assert_int_equal(!!strstr(c.body, what), there);
}

static void test_lists_follow_every_change(void **state)
{
	struct vm *vm;
	char **tags = NULL;

	serve(NULL);
	assert_listed("vm-2", false);
	vm = add(2, VM_STATE_STARTING);
	add(3, VM_STATE_STOPPED);
	assert_listed("\"hostname\":\"vm-2\"", true);
	vm_set_state(vm, VM_STATE_RUNNING);
	assert_listed("\"status\":\"Running\"", true);
	vm_note_error(vm, "it fell over");
	assert_listed("it fell over", true);
	assert_int_equal(vm_network_reserve(vm, NULL, NULL), 0);
	strv_append(&tags, "role=web");
	vm_set_tags(vm, tags);
	assert_listed("role=web", true);
	assert_int_equal(manager_find(t.manager, "vm-2") == vm, true);
	while (vm->op)
		run_for(1);
	vm_forget(vm);
	assert_null(manager_find(t.manager, "vm-2"));
	assert_listed("vm-2", false);
	assert_listed("vm-3", true);
}

/* Larger than any buffer on the way; the second answer shares its text with the first. */
static void test_long_list(void **state)
{
	cleanup_free char *first = NULL;
	cleanup_json struct json_object *list = NULL;

	serve(NULL);
	for (unsigned i = 1; i <= 2000; i++)
		add(i, VM_STATE_STOPPED);
	assert_int_equal(get("/nodes"), 200);
	first = str_dup(c.body);
	list = js_parse(first, strlen(first), NULL);
	assert_non_null(list);
	assert_int_equal(json_object_array_length(list), 2000);
	assert_int_equal(get("/nodes"), 200);
	assert_string_equal(c.body, first);
	assert_string_equal(manager_find(t.manager, "vm-1999")->hostname, "vm-1999");
}

static void test_logs(void **state)
{
	cleanup_free char *path = fs_join(t.dir, "vm-2.txt"), *text = mem_alloc(300 * 1000 + 1);

	serve(NULL);
	add(2, VM_STATE_STOPPED);
	for (unsigned i = 0; i < 3000; i++)
		snprintf(text + i * 100, 101, "%98u\r\n", i);
	assert_int_equal(fs_write_atomic(path, text, 300 * 1000, 0640, NULL), 0);
	assert_int_equal(get("/vm/vm-2/logs"), 200);
	assert_non_null(strstr(c.body, "\"lines\":20,"));
	assert_non_null(strstr(c.body, "2980\\r\\n"));
	assert_null(strstr(c.body, "2979\\r\\n"));
	/* More than the first look at the end has. */
	assert_int_equal(get("/vm/vm-2/logs?lines=2500"), 200);
	assert_non_null(strstr(c.body, "\"lines\":2500,"));
	assert_int_equal(get("/vm/vm-2/logs?lines=0"), 200);
	assert_non_null(strstr(c.body, "\"lines\":3000,"));
	assert_int_equal(get("/vm/vm-2/logs?lines=9999"), 200);
	assert_non_null(strstr(c.body, "\"lines\":3000,"));
	assert_int_equal(fs_write_atomic(path, "a\0b\xff\nlast", 9, 0640, NULL), 0);
	assert_int_equal(get("/vm/vm-2/logs?lines=1"), 200);
	assert_non_null(strstr(c.body, "\"content\":\"last\""));
	assert_int_equal(fs_write_atomic(path, "", 0, 0640, NULL), 0);
	assert_int_equal(get("/vm/vm-2/logs"), 200);
	assert_non_null(strstr(c.body, "\"lines\":0,\"content\":\"\""));
}

/* Errors of handlers leave the connection usable, also where the request's body was not read. */
static void test_keep_alive_after_errors(void **state)
{
	static const char all[] =
		"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n"
		"DELETE /hostgroup/vm/nodes/vm-9 HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
		"POST /vm/x/exec HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
		"POST /hostgroup/vm/nodes HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n{"
		"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
	static const char *const statuses[] = {"404", "404", "404", "400", "200"};
	const char *at;

	serve(NULL);
	client_send(all);
	wait_for(&c.over);
	at = c.text;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		at = strstr(at, "HTTP/1.1 ");
		assert_non_null(at);
		assert_memory_equal(at + 9, statuses[i], 3);
		at++;
	}
	assert_null(strstr(at, "HTTP/1.1 "));
}

static void test_client_leaves_while_it_waits(void **state)
{
	serve(NULL);
	add(2, VM_STATE_RUNNING); /* its agent will never be there */
	client_send("POST /vm/vm-2/exec?cmd=x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345");
	run_for(50);
	assert_non_null(manager_find(t.manager, "vm-2")->waiters);
	client_clear();
	run_for(50);
	assert_null(manager_find(t.manager, "vm-2")->waiters);
	client_send("DELETE /hostgroup/vm/nodes/vm-2 HTTP/1.1\r\nhost: x\r\n\r\n");
	client_clear();
	run_for(50);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_constant_answers),
		TEST(test_no_such_path),
		TEST(test_wrong_method),
		TEST(test_authentication),
		TEST(test_without_authentication_any_header_will_do),
		TEST(test_bad_requests),
		TEST(test_states),
		TEST(test_shell_needs_a_websocket),
		TEST(test_lists),
		TEST(test_lists_follow_every_change),
		TEST(test_long_list),
		TEST(test_logs),
		TEST(test_keep_alive_after_errors),
		TEST(test_client_leaves_while_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
