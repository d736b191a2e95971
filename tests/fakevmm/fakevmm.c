/* SPDX-License-Identifier: MIT */
/* The fake hypervisor of the tests; see docs/protocol.md §6. Arguments are KEY=VALUE as
 * src/vmm/fake.c writes them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/units.h"
#include "fakevmm.h"

enum { AGENT_POWEROFF = 10, AGENT_REBOOT = 11, AGENT_NOT_STARTED = 127, CRASH_PAUSE_MS = 100 };

struct fakevmm {
	const char *name;
	struct fake_port control, agent;
	struct fake_qmp qmp;
	struct fake_guest guest;
	int signals;
	bool quit;
	int exit_code;
};

static const char *argument(char **argv, const char *key, const char *fallback)
{
	size_t n = strlen(key);

	for (char **a = argv + 1; *a; a++) {
		if (strncmp(*a, key, n) == 0 && (*a)[n] == '=')
			return *a + n + 1;
	}
	return fallback;
}

static int argument_fd(char **argv, const char *key)
{
	int fd = atoi(argument(argv, key, "-1"));

	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static int port_init(struct fake_port *p, int host_listen, const char *guest_path, struct error **err)
{
	p->host = p->guest = -1;
	p->host_listen = host_listen;
	p->guest_listen = fd_listen_unix(guest_path, 0600, err);
	return p->guest_listen < 0 ? -1 : 0;
}

/* A tmpfs over the run directory, in a mount namespace of ours: nothing of the guest is left when
 * it ends. */
static int hide_run_dir(const char *dir, struct error **err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("fake-guest", dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=0700") < 0)
		return error_errno(err, errno, "cannot make a private directory on %s", dir);
	return 0;
}

static int take_signals(struct fakevmm *f, struct error **err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	f->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return f->signals < 0 ? error_errno(err, errno, "signalfd") : 0;
}

static int fakevmm_init(struct fakevmm *f, char **argv, struct error **err)
{
	const char *dir = argument(argv, "state", NULL);
	int config = argument_fd(argv, "config");

	if (!dir)
		return error_set(err, ERR_INVALID, "state=DIR is missing");
	f->name = argument(argv, "name", "fake");
	f->qmp.listen = argument_fd(argv, "qmp");
	f->qmp.client = -1;
	f->guest = (struct fake_guest){.agent_program = argument(argv, "agent-program", "/nonexistent"),
				       .control_path = str_fmt("%s/control", dir),
				       .agent_path = str_fmt("%s/agent", dir),
				       .config_path = config < 0 ? "/dev/null" : str_fmt("%s/config", dir),
				       .state_dir = str_fmt("%s/state", dir),
				       .console = argument_fd(argv, "console"),
				       .commands = -1};
	if (hide_run_dir(dir, err) < 0 || take_signals(f, err) < 0)
		return -1;
	if (config >= 0) {
		cleanup_free char *text = NULL;
		size_t n;

		if (fd_read_all(config, 2 << 20, &text, &n, err) < 0 ||
		    fs_write_atomic(f->guest.config_path, text, n, 0600, err) < 0)
			return -1;
		close(config);
	}
	if (fs_mkdir_p(f->guest.state_dir, 0700, err) < 0 ||
	    port_init(&f->control, argument_fd(argv, "control"), f->guest.control_path, err) < 0 ||
	    port_init(&f->agent, argument_fd(argv, "agent"), f->guest.agent_path, err) < 0)
		return -1;
	return guest_start(&f->guest, err);
}

static void say(struct fakevmm *f, const char *what)
{
	if (dprintf(f->guest.console, "fakevmm: %s %s\r\n", f->name, what) < 0)
		return;
}

static void guest_restart(struct fakevmm *f)
{
	cleanup_error struct error *error = NULL;

	f->guest.restart_at = 0;
	say(f, "boots");
	if (guest_start(&f->guest, &error) == 0)
		return;
	fprintf(stderr, "fakevmm: %s\n", error_message(error));
	f->quit = true;
	f->exit_code = 1;
}

static void guest_ended(struct fakevmm *f, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	f->guest.init = 0;
	if (f->quit)
		return;
	if (code == 0 || code == AGENT_POWEROFF) {
		say(f, "powers off");
		port_deliver(&f->control);
		port_deliver(&f->agent);
		qmp_event(&f->qmp, "SHUTDOWN", "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
		f->quit = true;
	} else if (code == AGENT_NOT_STARTED) {
		fprintf(stderr, "fakevmm: cannot start %s as an agent\n", f->guest.agent_program);
		f->quit = true;
		f->exit_code = 1;
	} else {
		qmp_event(&f->qmp, "RESET", "{\"guest\": true, \"reason\": \"guest-reset\"}");
		f->guest.restart_at = clock_ms() + (code == AGENT_REBOOT ? 0 : CRASH_PAUSE_MS);
		say(f, code == AGENT_REBOOT ? "reboots" : "has crashed");
	}
}

static void on_signal(struct fakevmm *f)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(f->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM)
			f->quit = true;
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == f->guest.init)
			guest_ended(f, status);
	}
}

static void set_paused(struct fakevmm *f, bool paused)
{
	if (f->qmp.paused == paused)
		return;
	f->qmp.paused = paused;
	guest_command(&f->guest, paused ? 's' : 'c');
	qmp_event(&f->qmp, paused ? "STOP" : "RESUME", "{}");
}

static void on_qmp(struct fakevmm *f)
{
	do {
		switch (qmp_read(&f->qmp)) {
		case FAKE_STOP:
			set_paused(f, true);
			break;
		case FAKE_CONT:
			set_paused(f, false);
			break;
		case FAKE_RESET:
			if (f->guest.init)
				kill(f->guest.init, SIGKILL); /* its end is seen as a crash, which is a reset too */
			break;
		case FAKE_QUIT:
			qmp_event(&f->qmp, "SHUTDOWN", "{\"guest\": false, \"reason\": \"host-qmp-quit\"}");
			f->quit = true;
			break;
		case FAKE_NOTHING:
			break;
		}
		qmp_answer_late(&f->qmp);
	} while (qmp_has_line(&f->qmp));
}

/* Until the guest is to be started again, in ms; -1: it is not, or stands still. */
static int64_t restart_left(const struct fakevmm *f)
{
	int64_t left = f->guest.restart_at - clock_ms();

	if (!f->guest.restart_at || f->qmp.paused)
		return -1;
	return left > 0 ? left : 0;
}

static void step(struct fakevmm *f)
{
	struct pollfd p[11] = {
		{.fd = f->signals, .events = POLLIN},
		{.fd = f->qmp.client < 0 ? f->qmp.listen : -1, .events = POLLIN},
		{.fd = f->qmp.client, .events = POLLIN},
	};

	port_poll(&f->control, p + 3);
	port_poll(&f->agent, p + 7);
	if (poll(p, ARRAY_LEN(p), (int)restart_left(f)) < 0)
		return;
	port_step(&f->control, p + 3);
	port_step(&f->agent, p + 7);
	if (p[1].revents)
		qmp_accept(&f->qmp);
	if (p[2].revents)
		on_qmp(f);
	if (p[0].revents)
		on_signal(f);
	if (restart_left(f) == 0)
		guest_restart(f);
}

int main(int argc, char **argv)
{
	struct fakevmm *f = NEW(struct fakevmm);
	cleanup_error struct error *error = NULL;

	if (fakevmm_init(f, argv, &error) < 0) {
		fprintf(stderr, "fakevmm: %s\n", error_message(error));
		return 1;
	}
	say(f, "boots");
	while (!f->quit)
		step(f);
	if (f->guest.init) {
		kill(f->guest.init, SIGKILL);
		waitpid(f->guest.init, NULL, 0);
	}
	return f->exit_code;
}
