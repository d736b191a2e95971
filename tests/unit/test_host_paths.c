/* SPDX-License-Identifier: MIT */
/* Where a daemon keeps its things, the API's token, and its listening socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "host/listen.h"
#include "host/paths.h"
#include "host/token.h"

static char dir[64];

static int setup(void **state)
{
	strcpy(dir, "/tmp/slicer-host-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return fs_remove_tree(dir, NULL);
}

static char *make(const char *name)
{
	char *path = fs_join(dir, name);

	assert_int_equal(fs_write_atomic(path, "config:\n", 8, 0600, NULL), 0);
	return path;
}

static char *id_of(const char *path)
{
	struct daemon_paths p;
	char *id;

	assert_int_equal(daemon_paths_find(path, &p, NULL), 0);
	id = str_dup(p.id);
	daemon_paths_clear(&p);
	return id;
}

/* The state of a process as in proc(5): 'S' sleeps. */
static char state_of(pid_t pid)
{
	cleanup_free char *path = str_fmt("/proc/%d/stat", (int)pid), *text = NULL;
	size_t n;

	assert_int_equal(fs_read_file(path, 4096, &text, &n, NULL), 0);
	return strrchr(text, ')')[2];
}

/* A child that holds the lock, as a daemon does whose end takes a moment: until this process waits for it. */
static pid_t hold_lock(const struct daemon_paths *p)
{
	pid_t parent = getpid(), child;
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (daemon_paths_lock(p, NULL) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		while (state_of(parent) != 'S')
			usleep(1000);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return child;
}

static void test_lock_of_a_dying_daemon(void **state)
{
	cleanup_free char *file = make("lock.yaml"), *cwd = getcwd(NULL, 0);
	cleanup_error struct error *error = NULL;
	struct daemon_paths p;
	pid_t child;
	int fd, status;

	assert_int_equal(chdir(dir), 0);
	assert_int_equal(daemon_paths_find(file, &p, NULL), 0);
	assert_int_equal(chdir(cwd), 0);
	assert_int_equal(fs_mkdir_p(p.state, 0700, NULL), 0);
	child = hold_lock(&p);
	fd = daemon_paths_lock(&p, &error);
	assert_null(error);
	assert_true(fd >= 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(daemon_paths_lock(&p, &error), -1);
	assert_int_equal(error->code, ERR_CONFLICT);
	close(fd);
	daemon_paths_clear(&p);
}

static void test_id(void **state)
{
	static const struct {
		const char *file, *id;
	} names[] = {
		{"slicer.yaml", "slicer-"},
		{"a.b.yaml", "a_b-"},
		{".hidden", "_hidden-"},
		{"no-dot", "no-dot-"},
		{"with space&more.yml", "with_space_more-"},
		{"0123456789012345678901234567890123456789.yaml", "01234567890123456789012345678901-"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cleanup_free char *path = make(names[i].file), *id = id_of(path);

		assert_true(str_starts(id, names[i].id));
		assert_int_equal(strlen(id), strlen(names[i].id) + 6);
		assert_int_equal(strspn(id + strlen(id) - 6, "0123456789abcdef"), 6);
	}
}

/* One configuration is one daemon, by whatever name it is called; of two with one name each is its own. */
static void test_id_is_of_the_real_path(void **state)
{
	cleanup_free char *path = make("a.yaml"), *link = fs_join(dir, "b.yaml"), *sub = fs_join(dir, "sub");
	cleanup_free char *other = fs_join(sub, "a.yaml"), *one = id_of(path), *two = NULL, *three = NULL;

	assert_int_equal(symlink(path, link), 0);
	two = id_of(link);
	assert_string_equal(one, two);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(fs_write_atomic(other, "config:\n", 8, 0600, NULL), 0);
	three = id_of(other);
	assert_string_not_equal(one, three);
}

static void test_absent_configuration(void **state)
{
	cleanup_error struct error *error = NULL;
	struct daemon_paths p;

	assert_int_equal(daemon_paths_find("/nowhere/x.yaml", &p, &error), -1);
	assert_int_equal(error->code, ERR_NOT_FOUND);
	assert_null(p.id);
	daemon_paths_clear(&p);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_configuration_from_a_pipe(void **state)
{
	cleanup_error struct error *error = NULL;
	struct daemon_paths p;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	cleanup_free char *path = str_fmt("/dev/fd/%d", fds[0]);

	assert_int_equal(daemon_paths_find(path, &p, &error), -1);
	assert_int_equal(error->code, ERR_INVALID);
	assert_non_null(strstr(error_message(error), "is a pipe"));
	daemon_paths_clear(&p);
	close(fds[0]);
	close(fds[1]);
}

static void test_create(void **state)
{
	cleanup_free char *run = fs_join(dir, "run/slicer/x"), *log = fs_join(dir, "log");
	struct daemon_paths p = {.state = fs_join(dir, "w/.slicer/x"), .run = str_dup(run), .log = str_dup(log)};
	cleanup_free char *parent = fs_join(dir, "run/slicer");
	cleanup_error struct error *error = NULL;

	assert_int_equal(daemon_paths_create(&p, NULL), 0);
	assert_int_equal(daemon_paths_create(&p, NULL), 0);
	assert_int_equal(mode_of(p.state), 0700);
	assert_int_equal(mode_of(run), 0700);
	assert_int_equal(mode_of(log) & 027, 0);
	/* Somebody else's, below /tmp. */
	assert_int_equal(chmod(parent, 0777), 0);
	assert_int_equal(daemon_paths_create(&p, &error), -1);
	assert_int_equal(error->code, ERR_FORBIDDEN);
	daemon_paths_clear(&p);
}

static void test_token(void **state)
{
	cleanup_free char *path = fs_join(dir, "auth/token"), *parent = fs_join(dir, "auth");
	cleanup_free char *one = token_load(path, NULL), *two = token_load(path, NULL);
	bool group = geteuid() == 0 && getgrnam("slicer");

	assert_non_null(one);
	assert_int_equal(strlen(one), 64);
	assert_int_equal(strspn(one, "0123456789abcdef"), 64);
	assert_string_equal(one, two);
	assert_int_equal(mode_of(path), group ? 0640 : 0600);
	assert_int_equal(mode_of(parent), group ? 0750 : 0700);
}

static void test_token_of_the_user(void **state)
{
	cleanup_free char *path = fs_join(dir, "token"), *token = NULL;
	cleanup_error struct error *error = NULL;

	assert_int_equal(fs_write_atomic(path, "  my secret \n", 13, 0600, NULL), 0);
	token = token_load(path, NULL);
	assert_string_equal(token, "my secret");
	assert_int_equal(fs_write_atomic(path, " \n", 2, 0600, NULL), 0);
	assert_null(token_load(path, &error));
	assert_int_equal(error->code, ERR_INVALID);
	error_free(&error);
	assert_int_equal(truncate(path, 5000), 0);
	assert_null(token_load(path, &error));
	assert_int_equal(error->code, ERR_TOO_LARGE);
}

static int listen_at(const char *address, unsigned port, char **shown, struct error **err)
{
	struct config config = {.api = {.enabled = true, .bind_address = (char *)address, .port = port}};

	return listen_api(&config, shown, err);
}

static void test_listen_tcp(void **state)
{
	static const char *const good[] = {"127.0.0.1", "127.0.0.1:", "localhost"};
	static const char *const bad[] = {"example.org", "::1", "127.0.0.256", "127.0.0.1:80", ""};
	cleanup_free char *shown = NULL;
	cleanup_error struct error *error = NULL;
	struct sockaddr_in addr;
	socklen_t size = sizeof(addr);
	int fd, second;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		fd = listen_at(good[i], 0, &shown, NULL);
		assert_true(fd >= 0);
		assert_true(str_starts(shown, "API listening on: 127.0.0.1:"));
		mem_freep(&shown);
		close(fd);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(listen_at(bad[i], 0, &shown, &error), -1);
		assert_int_equal(error->code, ERR_INVALID);
		error_free(&error);
	}
	fd = listen_at("127.0.0.1", 0, &shown, NULL);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
	mem_freep(&shown);
	second = listen_at("127.0.0.1", ntohs(addr.sin_port), &shown, &error);
	assert_int_equal(second, -1);
	assert_int_equal(error->code, ERR_CONFLICT);
	assert_non_null(strstr(error->message, "ss -ltnp"));
	assert_null(shown);
	close(fd);
}

static void test_listen_unix(void **state)
{
	cleanup_free char *path = fs_join(dir, "deep/er/api.sock"), *shown = NULL;
	cleanup_error struct error *error = NULL;
	int fd = listen_at(path, 0, &shown, NULL), client;

	assert_true(fd >= 0);
	assert_non_null(strstr(shown, path));
	assert_int_equal(mode_of(path), 0660);
	mem_freep(&shown);
	/* Somebody answers there: it stays his. A stale one is replaced. */
	assert_int_equal(listen_at(path, 0, &shown, &error), -1);
	assert_int_equal(error->code, ERR_CONFLICT);
	client = fd_connect_unix(path, NULL);
	assert_true(client >= 0);
	close(client);
	close(fd);
	fd = listen_at(path, 0, &shown, NULL);
	assert_true(fd >= 0);
	close(fd);
}

static void test_listen_unix_path_too_long(void **state)
{
	cleanup_free char *name = mem_alloc(121), *path = NULL, *shown = NULL;
	cleanup_error struct error *error = NULL;

	memset(name, 'x', 120);
	path = fs_join(dir, name);
	assert_int_equal(listen_at(path, 0, &shown, &error), -1);
	assert_int_equal(error->code, ERR_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_id),
		TEST(test_lock_of_a_dying_daemon),
		TEST(test_id_is_of_the_real_path),
		TEST(test_absent_configuration),
		TEST(test_configuration_from_a_pipe),
		TEST(test_create),
		TEST(test_token),
		TEST(test_token_of_the_user),
		TEST(test_listen_tcp),
		TEST(test_listen_unix),
		TEST(test_listen_unix_path_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
