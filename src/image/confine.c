/* SPDX-License-Identifier: MIT */
#include "image/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/tool.h"

#define SELF "/proc/self/exe"
#define WORD "confine"
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)

enum { CHECK_MS = 30 * 1000, EXIT_NO_NAMESPACE = 126, EXIT_NO_PROGRAM = 127, EXIT_SIGNAL = 128 };

/* ---- the program that confines ---- */

static int give_up(const char *what)
{
	fprintf(stderr, "E: cannot confine the program: %s: %s\n", what, strerror(errno));
	return EXIT_NO_NAMESPACE;
}

static int write_map(pid_t pid, const char *file)
{
	cleanup_free char *path = str_fmt("/proc/%d/%s", (int)pid, file);
	cleanup_free char *map = str_fmt("0 %d %d\n", CONFINE_UID_FIRST, CONFINE_UIDS);
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map) ? 0 : -1;
}

/* The directory is found where any user may go, whatever lies above it on this host. */
static int show_directory(const char *dir)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(dir, CONFINE_DIR, NULL, MS_BIND, NULL) < 0)
		return -1;
	return chdir(CONFINE_DIR);
}

/* Whether the process outside still holds its end. */
static bool is_watched(int gate)
{
	char byte;

	return fcntl(gate, F_SETFL, O_NONBLOCK) == 0 && read(gate, &byte, 1) < 0 && errno == EAGAIN;
}

/* The first process of its namespaces: with it all of them end. */
static int run_inside(int gate, char *const *command)
{
	const struct rlimit no_core = {0, 0};
	char byte;

	/* Not before there is a user 0 to become; a change of users takes the death signal away, so that it comes after. */
	if (read(gate, &byte, 1) != 1 || setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return give_up("becoming its user");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !is_watched(gate) || setrlimit(RLIMIT_CORE, &no_core) < 0)
		return give_up("what ends it");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return give_up("mounting /proc");
	execvp(command[0], command);
	fprintf(stderr, "E: %s: %s\n", command[0], strerror(errno));
	return EXIT_NO_PROGRAM;
}

static int exit_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return give_up("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL + WTERMSIG(status);
}

int confine_main(char *const *words)
{
	int gate[2];
	pid_t pid;

	if (!words[0] || !words[1])
		return EXIT_NO_PROGRAM;
	if (show_directory(words[0]) < 0 || pipe2(gate, O_CLOEXEC) < 0)
		return give_up(words[0]);
	pid = (pid_t)syscall(SYS_clone, (unsigned long)(NAMESPACES | SIGCHLD), NULL, NULL, NULL, NULL);
	if (pid < 0)
		return give_up("namespaces");
	if (pid == 0) {
		close(gate[1]); /* so that it is not waited for in vain */
		return run_inside(gate[0], &words[1]);
	}
	close(gate[0]);
	if (write_map(pid, "uid_map") < 0 || write_map(pid, "gid_map") < 0 || write(gate[1], "", 1) != 1) {
		give_up("mapping users");
		kill(pid, SIGKILL);
		return EXIT_NO_NAMESPACE;
	}
	return exit_status(pid);
}

/* ---- slicer-image ---- */

const char *confine_command(const char *dir, char ***argv)
{
	strv_append(argv, "slicer-image");
	strv_append(argv, WORD);
	strv_append(argv, dir);
	return SELF;
}

int confine_check(const char *dir, struct error **err)
{
	cleanup_strv char **argv = NULL;
	cleanup_error struct error *why = NULL;

	const char *exe = confine_command(dir, &argv);
	strv_append(&argv, "/bin/true");
	struct tool tool = {.argv = (const char *const *)argv, .exe = exe, .input = -1, .timeout_ms = CHECK_MS};
	if (tool_run(&tool, NULL, &why) == 0)
		return 0;
	if (why->code == ERR_CANCELLED)
		return error_move(err, &why);
	return error_set(err, ERR_UNSUPPORTED, "%s", error_message(why));
}
