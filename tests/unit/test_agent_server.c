/* SPDX-License-Identifier: MIT */
/* The whole server in this process, driven over its two ports as the daemon does it. */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent_fixture.h"

static int setup(void **state)
{
	struct agent_fixture *f = NEW(struct agent_fixture);

	agent_fixture_init(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	agent_fixture_clear(*state);
	free(*state);
	return 0;
}

static void pass_time(struct agent_fixture *f, int64_t ms)
{
	bool never = false;

	loop_run_until(f->loop, &never, ms, NULL);
}

/* Whether a process is there and not a zombie. */
static bool is_running(pid_t pid)
{
	char *path = str_fmt("/proc/%d/stat", pid), *text = NULL;
	size_t n;
	bool running = fs_read_file(path, 4096, &text, &n, NULL) == 0 && !strstr(text, ") Z ");

	free(path);
	free(text);
	return running;
}

static void assert_gone(struct agent_fixture *f, pid_t pid)
{
	for (int i = 0; i < 3000 && is_running(pid); i++)
		pass_time(f, 10);
	assert_false(is_running(pid));
}

static pid_t pid_of(const char *frames)
{
	const char *p = strstr(frames, "\"pid\":");

	assert_non_null(p);
	return (pid_t)atoi(p + 6);
}

static void test_health(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "GET", "/health");
	assert_int_equal(c.status, 200);
	assert_non_null(strstr(agent_call_text(&c), "\"hostname\":\"vm-1\""));
	assert_non_null(strstr(agent_call_text(&c), "\"agent_uptime\":"));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "HEAD", "/health");
	assert_int_equal(c.status, 200);
	assert_int_equal(c.received, 0);
	agent_call_free(&c);
}

static void test_unknown(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "GET", "/nothing");
	assert_int_equal(c.status, 404);
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "DELETE", "/health");
	assert_int_equal(c.status, 405);
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "POST", "/exec?cmd=true&background=true");
	assert_int_equal(c.status, 501);
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "POST", "/exec");
	assert_int_equal(c.status, 400);
	agent_call_free(&c);
}

static void test_exec_frames(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	const char *text;

	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=sh&args=-c&args=echo+out;+echo+err+>%262;+exit+3");
	assert_int_equal(c.status, 200);
	assert_string_equal(http_head_get(c.head, "content-type"), "application/x-ndjson");
	text = agent_call_text(&c);
	assert_non_null(strstr(text, "\"type\":\"started\",\"pid\":"));
	assert_non_null(strstr(text, "\"stdout\":\"out\\n\""));
	assert_non_null(strstr(text, "\"stderr\":\"err\\n\""));
	assert_non_null(strstr(text, "\"exit_code\":3}\n"));
	assert_true(strstr(text, "\"type\":\"started\"") < strstr(text, "\"type\":\"exit\""));
	agent_call_free(&c);
}

static void test_exec_killed(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=sh&args=-c&args=kill+-KILL+$$");
	assert_non_null(strstr(agent_call_text(&c), "\"signal\":\"SIGKILL\",\"exit_code\":137}\n"));
	agent_call_free(&c);
}

static void test_exec_not_there(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	const char *text;

	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=no-such-program");
	assert_int_equal(c.status, 200);
	text = agent_call_text(&c);
	assert_non_null(strstr(text, "no-such-program: No such file or directory"));
	assert_non_null(strstr(text, "\"exit_code\":127}\n"));
	assert_null(strstr(text, "started"));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=/etc/passwd&buffered=true");
	assert_non_null(strstr(agent_call_text(&c), "\"exit_code\":126"));
	agent_call_free(&c);
}

static void test_exec_binary(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=printf&args=%5C377");
	assert_non_null(strstr(agent_call_text(&c), "\"encoding\":\"base64\",\"stdout\":\"/w==\""));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=printf&args=hi&stdio=base64&buffered=1");
	assert_non_null(strstr(agent_call_text(&c), "\"stdout\":\"aGk=\""));
	assert_non_null(strstr(agent_call_text(&c), "\"encoding\":\"base64\""));
	agent_call_free(&c);
}

static void test_exec_identity(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	if (geteuid() != 0)
		fail_msg("this test needs root");
	agent_call_get(&c, &f->host, "POST",
		       "/exec?uid=12345&gid=54321&buffered=1&cmd=sh&args=-c&args=id+-u;id+-g;id+-G;pwd;echo+$HOME");
	assert_non_null(strstr(agent_call_text(&c), "\"stdout\":\"12345\\n54321\\n54321\\n/\\n/\\n\""));
	agent_call_free(&c);
}

static void test_exec_shell_and_cwd(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "POST",
		       "/exec?uid=0&buffered=1&shell=/bin/sh&cwd=/usr&cmd=pwd+%26%26+echo+a%7Ccat");
	assert_non_null(strstr(agent_call_text(&c), "\"stdout\":\"/usr\\na\\n\""));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&buffered=1&shell=/bin/sh&cmd=echo&args=a++b&args=$HOME");
	assert_non_null(strstr(agent_call_text(&c), "\"stdout\":\"a  b $HOME\\n\""));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cwd=/usr/../etc&cmd=pwd");
	assert_int_equal(c.status, 400);
	agent_call_free(&c);
}

/* A grandchild that keeps the pipes open does not keep the exec open, and lives on. */
static void test_exec_grandchild(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	const char *p;
	pid_t pid;

	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&cmd=sh&args=-c&args=sleep+60+%26+echo+pid+$!");
	p = strstr(agent_call_text(&c), "\"stdout\":\"pid ");
	assert_non_null(p);
	pid = (pid_t)atoi(p + strlen("\"stdout\":\"pid "));
	assert_non_null(strstr(p, "\"type\":\"exit\""));
	assert_true(is_running(pid));
	kill(pid, SIGKILL);
	agent_call_free(&c);
}

/* What it writes after the end goes nowhere. */
static void test_exec_late_output(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_open(&c, &f->host, "POST",
			"/exec?stdin=1&uid=0&cmd=sh&args=-c&args=(sleep+1.4;echo+late)+%26+echo+early");
	for (int i = 0; i < 3000 && evbuffer_search(c.body, "\"exit\"", 6, NULL).pos < 0; i++)
		pass_time(f, 10);
	pass_time(f, 1600); /* the request's body is still open */
	assert_non_null(strstr(agent_call_text(&c), "early"));
	assert_null(strstr(agent_call_text(&c), "late"));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "GET", "/health");
	assert_int_equal(c.status, 200);
	agent_call_free(&c);
}

/* Both ways at once, base64 in frames; more than any buffer on the way. */
static void test_exec_cat(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_open(&c, &f->host, "POST", "/exec?uid=0&cmd=cat&stdin=true&stdio=base64");
	c.discard = true;
	agent_call_send_pattern(&c, 16 * 1024 * 1024);
	agent_call_wait(&c);
	assert_false(c.failed);
	assert_true(c.received > 16 * 1024 * 1024 / 3 * 4);
	agent_call_free(&c);
}

static void test_exec_large_end(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	size_t x = 0;

	agent_call_get(&c, &f->host, "POST",
		       "/exec?uid=0&cmd=sh&args=-c&args=head+-c+3000000+/dev/zero+%7C+tr+%27%5C0%27+x");
	for (const char *p = agent_call_text(&c); (p = strstr(p, "\"stdout\":\""));) {
		p += strlen("\"stdout\":\"");
		x += strspn(p, "x");
	}
	assert_int_equal(x, 3000000);
	agent_call_free(&c);
}

static void test_exec_buffered_limit(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "POST", "/exec?uid=0&buffered=1&cmd=cat&args=/dev/zero");
	assert_int_equal(c.status, 413);
	agent_call_free(&c);
}

/* A client that leaves ends the process group. */
static void test_exec_reset(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	pid_t pid;

	agent_call_open(&c, &f->host, "POST", "/exec?uid=0&cmd=sh&args=-c&args=sleep+60+%26+sleep+60");
	agent_call_wait_status(&c);
	while (evbuffer_get_length(c.body) == 0)
		pass_time(f, 5);
	pid = pid_of(agent_call_text(&c));
	assert_true(is_running(pid));
	agent_call_free(&c);
	assert_gone(f, pid);
	for (int i = 0; i < 3000 && kill(-pid, 0) == 0; i++) /* until init has reaped the grandchild */
		pass_time(f, 10);
	assert_int_equal(kill(-pid, 0), -1);
}

static void test_many_resets(void **state)
{
	struct agent_fixture *f = *state;
	size_t before = fd_count_open();

	for (int i = 0; i < 100; i++) {
		struct agent_call c;

		agent_call_open(&c, &f->host, "POST",
				i % 2 ? "/exec?uid=0&cmd=sleep&args=60" : "/shell?uid=0&shell=/bin/sh");
		pass_time(f, i % 10);
		agent_call_free(&c);
	}
	for (int i = 0; i < 1500 && fd_count_open() > before; i++)
		pass_time(f, 20);
	assert_int_equal(fd_count_open(), before);
	assert_int_equal(http2_session_streams(f->host.http), 0);
}

static void test_reset_of_session(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c, d;
	pid_t pid;

	agent_call_open(&c, &f->host, "POST", "/exec?uid=0&cmd=sleep&args=60");
	while (evbuffer_get_length(c.body) == 0)
		pass_time(f, 5);
	pid = pid_of(agent_call_text(&c));
	agent_call_free(&c);
	agent_host_hang_up(&f->host);
	agent_host_accept(&f->host);
	assert_gone(f, pid);
	while (f->host.hellos == 0)
		pass_time(f, 5);
	agent_host_session(&f->host);
	agent_call_get(&d, &f->host, "GET", "/health");
	assert_int_equal(d.status, 200);
	agent_call_free(&d);
}

static void test_events(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c, d;

	agent_call_open(&c, &f->host, "GET", "/v1/events");
	agent_call_send(&c, "", 0, true);
	agent_call_wait_status(&c);
	while (evbuffer_get_length(c.body) == 0)
		pass_time(f, 5);
	assert_non_null(strstr(agent_call_text(&c), "{\"event\":\"ready\",\"agent_version\":"));
	agent_call_get(&d, &f->host, "POST", "/shutdown");
	assert_int_equal(d.status, 200);
	for (int i = 0; i < 3000 && !f->host.bye; i++)
		pass_time(f, 10);
	assert_true(f->host.bye);
	assert_int_equal(f->server->exit_status, 0);
	assert_true(evbuffer_search(c.body, "\"action\":\"poweroff\"", 19, NULL).pos > 0);
	agent_call_free(&c);
	agent_call_free(&d);
	loop_run(f->loop, NULL);
	assert_int_equal(f->server->exit_status, SERVER_EXIT_POWEROFF);
}

/* ---- shell ---- */

static void send_frame(struct agent_call *c, unsigned type, const void *data, unsigned n)
{
	unsigned char header[5] = {(unsigned char)type, 0, 0, (unsigned char)(n >> 8), (unsigned char)n};

	agent_call_send(c, header, sizeof(header), false);
	agent_call_send(c, data, n, false);
}

static void test_shell(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	const unsigned char size[8] = {0, 0, 0, 100, 0, 0, 0, 40};
	static const char typed[] = "stty size; echo done-$((1+1)); exit\n";
	const char *body;
	size_t n;

	agent_call_open(&c, &f->host, "GET", "/shell?uid=0&shell=/bin/sh&cwd=/");
	send_frame(&c, 2, size, sizeof(size));
	send_frame(&c, 4, "", 0);
	send_frame(&c, 1, typed, sizeof(typed) - 1);
	agent_call_wait_status(&c);
	assert_int_equal(c.status, 200);
	for (int i = 0; i < 3000; i++) {
		n = evbuffer_get_length(c.body);
		body = (const char *)evbuffer_pullup(c.body, -1);
		if (n >= 5 && memcmp(body + n - 5, "\5\0\0\0\0", 5) == 0)
			break;
		pass_time(f, 10);
	}
	assert_true(n >= 5 && memcmp(body + n - 5, "\5\0\0\0\0", 5) == 0);
	assert_non_null(memmem(body, n, "40 100", 6));
	assert_non_null(memmem(body, n, "done-2", 6));
	stream_end(http_exchange_stream(c.x));
	agent_call_wait(&c);
	agent_call_free(&c);
}

static void test_shell_bad(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;

	agent_call_get(&c, &f->host, "GET", "/shell?uid=0&shell=/no/such/shell");
	assert_int_equal(c.status, 400);
	agent_call_free(&c);
}

/* ---- cp ---- */

static void upload(struct agent_fixture *f, const char *query, const void *data, size_t n, int status, const char *text)
{
	char *target = str_fmt("/cp?%s", query);
	struct agent_call c;

	agent_call_open(&c, &f->host, "POST", target);
	agent_call_send(&c, data, n, true);
	agent_call_wait(&c);
	if (c.status != status || (text && !strstr(agent_call_text(&c), text)))
		fail_msg("%s: %d %s", query, c.status, agent_call_text(&c));
	agent_call_free(&c);
	free(target);
}

static void test_cp_binary(void **state)
{
	struct agent_fixture *f = *state;
	char *path = str_fmt("%s/a/b/file", f->dir), *q;
	struct agent_call c;
	struct stat st;

	q = str_fmt("uid=0&path=%s&permissions=0640", path);
	upload(f, q, "hello", 5, 200, NULL);
	free(q);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	q = str_fmt("/cp?path=%s&uid=0", path);
	agent_call_get(&c, &f->host, "GET", q);
	assert_int_equal(c.status, 200);
	assert_string_equal(agent_call_text(&c), "hello");
	assert_string_equal(http_head_get(c.head, "x-slicer-file-mode"), "0640");
	assert_int_equal(c.head->content_length, 5);
	agent_call_free(&c);
	free(q);
	/* A second write keeps the mode. */
	q = str_fmt("uid=0&path=%s", path);
	upload(f, q, "", 0, 200, NULL);
	free(q);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_size, 0);
	free(path);
}

static void test_cp_errors(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	char *q;

	agent_call_get(&c, &f->host, "GET", "/cp?path=/no/such/file&uid=0");
	assert_int_equal(c.status, 404);
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "GET", "/cp?path=/usr&uid=0");
	assert_int_equal(c.status, 400);
	assert_non_null(strstr(agent_call_text(&c), "must specify a file not a directory"));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "GET", "/cp?path=/usr&uid=0&mode=zip");
	assert_int_equal(c.status, 400);
	assert_non_null(strstr(agent_call_text(&c), "invalid mode: zip"));
	agent_call_free(&c);
	agent_call_get(&c, &f->host, "GET", "/cp?path=/dev/null&uid=0");
	assert_int_equal(c.status, 400);
	agent_call_free(&c);
	q = str_fmt("uid=0&path=%s", f->dir);
	upload(f, q, "x", 1, 400, "must specify a file not a directory");
	free(q);
	q = str_fmt("uid=0&mode=tar&path=%s/t", f->dir);
	upload(f, q, "this is no tar", 14, 400, NULL);
	free(q);
	upload(f, "uid=0&path=/tmp/x&permissions=9", "", 0, 400, "octal");
}

/* What a user may not write, cp does not write for him. */
static void test_cp_credentials(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	struct stat st;
	char *q, *path = str_fmt("%s/mine", f->dir);

	assert_int_equal(chmod(f->dir, 0777), 0);
	upload(f, "uid=12345&path=/etc/slicer-agent-test", "x", 1, 403, NULL);
	assert_int_equal(access("/etc/slicer-agent-test", F_OK), -1);
	q = str_fmt("uid=12345&gid=54321&path=%s", path);
	upload(f, q, "x", 1, 200, NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
	free(q);
	agent_call_get(&c, &f->host, "GET", "/cp?path=/etc/shadow&uid=12345");
	assert_int_equal(c.status, 403);
	agent_call_free(&c);
	free(path);
}

static size_t count_entries(const char *dir)
{
	char *command = str_fmt("test $(ls -A %s | wc -l) = 0", dir);
	int rc = system(command);

	free(command);
	return rc == 0 ? 0 : 1;
}

static void test_cp_abort(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	char *q = str_fmt("/cp?uid=0&path=%s/file", f->dir);

	agent_call_open(&c, &f->host, "POST", q);
	agent_call_send(&c, "half", 4, false);
	for (int i = 0; i < 3000 && count_entries(f->dir) == 0; i++)
		pass_time(f, 10);
	assert_int_equal(count_entries(f->dir), 1); /* the temporary file */
	agent_call_free(&c);
	for (int i = 0; i < 3000 && count_entries(f->dir) != 0; i++)
		pass_time(f, 10);
	assert_int_equal(count_entries(f->dir), 0);
	free(q);
}

static void test_cp_tar(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	char *q, *command;
	struct stat st;

	command = str_fmt(
		"cd %s && mkdir -p src/d/e && echo one >src/d/one && echo two >src/two && chmod 711 src/two && "
		"mkdir src/skip && touch src/skip/x && ln -s /etc/passwd src/link && touch -d @1000000 src/d/one",
		f->dir);
	assert_int_equal(system(command), 0);
	free(command);
	q = str_fmt("/cp?uid=0&mode=cp-v1-recursive&copy_semantics=cp-v1&exclude=skip&path=%s/src", f->dir);
	agent_call_get(&c, &f->host, "GET", q);
	free(q);
	assert_int_equal(c.status, 200);
	assert_string_equal(http_head_get(c.head, "x-slicer-source-type"), "directory");
	assert_string_equal(http_head_get(c.head, "x-slicer-source-name-base64"), "c3Jj");
	q = str_fmt("uid=0&mode=tar&path=%s/dst", f->dir);
	upload(f, q, evbuffer_pullup(c.body, -1), evbuffer_get_length(c.body), 200, NULL);
	free(q);
	q = str_fmt("%s/dst/two", f->dir);
	assert_int_equal(stat(q, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	free(q);
	q = str_fmt("%s/dst/d/one", f->dir);
	assert_int_equal(stat(q, &st), 0);
	assert_int_equal(st.st_mtime, 1000000);
	free(q);
	command = str_fmt(
		"cd %s && diff -r --exclude=skip --exclude=link src dst && test ! -e dst/skip && test ! -e dst/link",
		f->dir);
	assert_int_equal(system(command), 0);
	free(command);
	/* An existing directory takes it in as a subdirectory, or merges the contents. */
	q = str_fmt("uid=0&mode=cp-v1-tar&copy_semantics=cp-v1&source_type=directory&source_name=src&path=%s/dst",
		    f->dir);
	upload(f, q, evbuffer_pullup(c.body, -1), evbuffer_get_length(c.body), 200, NULL);
	free(q);
	q = str_fmt("%s/dst/src/two", f->dir);
	assert_int_equal(stat(q, &st), 0);
	free(q);
	/* Not through a symlink out of the directory. */
	command = str_fmt("cd %s && rm -r dst && mkdir dst out && ln -s ../out dst/d", f->dir);
	assert_int_equal(system(command), 0);
	free(command);
	q = str_fmt("uid=0&mode=tar&path=%s/dst", f->dir);
	upload(f, q, evbuffer_pullup(c.body, -1), evbuffer_get_length(c.body), 400, "not a directory");
	free(q);
	q = str_fmt("%s/out", f->dir);
	assert_int_equal(count_entries(q), 0);
	free(q);
	agent_call_free(&c);
}

static void test_cp_large(void **state)
{
	struct agent_fixture *f = *state;
	struct agent_call c;
	char *q = str_fmt("/cp?uid=0&path=%s/large", f->dir);
	const size_t size = 16 * 1024 * 1024;

	agent_call_open(&c, &f->host, "POST", q);
	agent_call_send_pattern(&c, size);
	agent_call_wait(&c);
	assert_int_equal(c.status, 200);
	agent_call_free(&c);
	agent_call_open(&c, &f->host, "GET", q);
	c.discard = true;
	agent_call_send(&c, "", 0, true);
	agent_call_wait(&c);
	assert_false(c.failed);
	assert_int_equal(c.received, size);
	assert_int_equal(c.sum, (unsigned char)('x' * size));
	agent_call_free(&c);
	free(q);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_health),
		T(test_unknown),
		T(test_exec_frames),
		T(test_exec_killed),
		T(test_exec_not_there),
		T(test_exec_binary),
		T(test_exec_identity),
		T(test_exec_shell_and_cwd),
		T(test_exec_grandchild),
		T(test_exec_late_output),
		T(test_exec_cat),
		T(test_exec_large_end),
		T(test_exec_buffered_limit),
		T(test_exec_reset),
		T(test_many_resets),
		T(test_reset_of_session),
		T(test_events),
		T(test_shell),
		T(test_shell_bad),
		T(test_cp_binary),
		T(test_cp_errors),
		T(test_cp_credentials),
		T(test_cp_abort),
		T(test_cp_tar),
		T(test_cp_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
