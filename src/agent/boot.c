/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/boot.h"
#include "agent/boot_steps.h"
#include "agent/supervisor.h"
#include "agent/userdata.h"

enum { FATAL_MS = 3000, PORT_POLL_US = 10000 };

static const char *const inits[] = {"/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd"};

/* ---- the console ---- */

void console_reopen(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

void console_print(const char *fmt, ...)
{
	cleanup_close int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	cleanup_free char *text = NULL, *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = str_vfmt(fmt, ap);
	va_end(ap);
	line = str_fmt("slicer-agent: %s\n", text);
	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		errno = 0; /* there is nobody else to tell */
}

static double uptime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The host sees an exit rather than a hang. */
static void fatal(const struct error *error)
{
	console_print("error: %s", error_message(error));
	console_print("error: powering off in %d s", FATAL_MS / 1000);
	usleep(FATAL_MS * 1000);
	sync();
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* ---- steps ---- */

static char *wait_for_port(const char *name, struct error **err)
{
	int64_t deadline = clock_ms() + BOOT_DEVICE_MS;

	for (;;) {
		cleanup_error struct error *error = NULL;
		char *path = port_find(name, &error);

		if (path)
			return path;
		if (clock_ms() >= deadline) {
			error_move(err, &error);
			error_wrap(err, "after %d s", BOOT_DEVICE_MS / 1000);
			return NULL;
		}
		usleep(PORT_POLL_US);
	}
}

static struct guest_config *load_config(struct error **err)
{
	cleanup_free char *disk = boot_find_disk("slicer-config", err);

	return disk ? guest_config_load(disk, err) : NULL;
}

/* NULL: the image has none. */
static const char *find_init(void)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(inits); i++) {
		if (stat(inits[i], &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0111)
			return inits[i];
	}
	return NULL;
}

static int enter_root(const struct guest_config *c, int self_fd, const char **ret_init, struct error **err)
{
	if (boot_mount_root(c, err) < 0)
		return -1;
	console_print("root mounted after %.2f s", uptime());
	if (boot_network(c, err) < 0 || boot_switch_root(err) < 0)
		return -1;
	*ret_init = find_init();
	boot_mount_modules(c);
	if (boot_mount_rest(*ret_init == NULL, err) < 0 || boot_write_identity(c, err) < 0 ||
	    boot_install_self(self_fd, err) < 0 || boot_write_userdata(c, err) < 0)
		return -1;
	return *ret_init && boot_is_systemd(*ret_init) ? boot_write_units(c, err) : 0;
}

/* ---- after the boot ---- */

static void protect_from_oom(void)
{
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "-1000", 5) < 0)
		console_print("cannot set the OOM score: %s", strerror(errno));
}

/* systemd's own unit runs it there; elsewhere it is ours, beside the supervisor. */
static void start_userdata(const char *init)
{
	if ((init && boot_is_systemd(init)) || !fs_exists(USERDATA_SCRIPT) || fork() != 0)
		return;
	console_reopen();
	_exit(userdata_run());
}

static void run_beside(const struct server_options *options, int argc, char **argv)
{
	const char *const env[] = {"HOME=/", "TERM=linux",
				   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	cleanup_error struct error *error = NULL;
	char *name = argv[0];
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		name[0] = '@'; /* systemd spares such processes until the end (systemd's "root storage daemons") */
		prctl(PR_SET_NAME, "slicer-agent");
		protect_from_oom();
		start_userdata(options->init);
		supervisor_run(options);
		_exit(0);
	}
	if (pid > 0) {
		argv[0] = (char *)(uintptr_t)options->init;
		execve(options->init, argv, (char *const *)(uintptr_t)env);
		argv[0] = name;
	}
	error_errno(&error, errno, "cannot start %s", options->init);
	fatal(error);
}

static void run_as_init(const struct server_options *options)
{
	protect_from_oom();
	start_userdata(NULL);
	system_down(supervisor_run(options) == SERVER_EXIT_REBOOT);
}

int boot_main(int argc, char **argv)
{
	cleanup_error struct error *error = NULL;
	struct guest_config *config = NULL;
	struct server_options options = {0};
	int self_fd = open("/init", O_RDONLY | O_CLOEXEC);

	if (boot_mount_kernel(&error) < 0)
		fatal(error);
	console_reopen();
	console_print("version %s, begun after %.2f s", SLICER_VERSION, uptime());
	boot_load_modules();
	config = load_config(&error);
	if (!config || !(options.control.path = wait_for_port(PORT_CONTROL, &error)) ||
	    !(options.agent.path = wait_for_port(PORT_AGENT, &error)) ||
	    enter_root(config, self_fd, &options.init, &error) < 0)
		fatal(error);
	close(self_fd);
	options.config = config;
	if (options.init)
		run_beside(&options, argc, argv);
	else
		run_as_init(&options);
	return 1;
}
