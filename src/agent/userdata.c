/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/exec.h"
#include "agent/userdata.h"

static void exec_script(void)
{
	const char *const direct[] = {USERDATA_SCRIPT, NULL}, *const shell[] = {"/bin/sh", USERDATA_SCRIPT, NULL};
	cleanup_user struct user *root = users_lookup(0), *target = users_lookup(USERS_DEFAULT_ID);
	cleanup_strv char **extra = NULL, **env = NULL;

	strv_append_fmt(&extra, "TARGET_USER=%s", target->name);
	env = exec_environment_of(root, extra);
	setsid();
	if (chdir("/") < 0)
		_exit(126);
	execve(direct[0], (char *const *)(uintptr_t)direct, env);
	execve(shell[0], (char *const *)(uintptr_t)shell, env); /* without "#!" */
	_exit(127);
}

static int write_marker(int code)
{
	cleanup_error struct error *error = NULL;
	cleanup_free char *text = str_fmt("%d\n", code);

	if (fs_mkdir_p("/etc/slicer", 0755, &error) == 0 &&
	    fs_write_atomic(USERDATA_MARKER, text, strlen(text), 0644, &error) == 0)
		return 0;
	fprintf(stderr, "slicer-agent: error: %s\n", error_message(error));
	return 1;
}

int userdata_run(void)
{
	int status = 0, code;
	pid_t pid;

	if (!fs_exists(USERDATA_SCRIPT) || fs_exists(USERDATA_MARKER))
		return 0;
	pid = fork();
	if (pid == 0)
		exec_script();
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = 126 << 8;
	code = exit_code_of(status);
	printf("slicer-agent: userdata ended with exit code %d\n", code);
	fflush(stdout);
	return write_marker(code) != 0 ? 1 : code;
}

int userdata_main(int argc, char **argv)
{
	return userdata_run();
}

int bye_main(int argc, char **argv)
{
	cleanup_free char *text = NULL;
	uint64_t pid;
	size_t n;

	if (argc != 2 || (!str_eq(argv[1], "reboot") && !str_eq(argv[1], "poweroff"))) {
		fprintf(stderr, "usage: slicer-agent bye reboot|poweroff\n");
		return 2;
	}
	if (fs_read_file(SERVER_PID_FILE, 32, &text, &n, NULL) < 0 ||
	    str_to_u64(str_trim(text), 2, INT32_MAX, "pid", &pid, NULL) < 0 ||
	    kill((pid_t)pid, str_eq(argv[1], "reboot") ? SIGTERM : SIGUSR2) < 0) {
		fprintf(stderr, "slicer-agent: error: the agent does not run here\n");
		return 1;
	}
	return 0;
}
