/* SPDX-License-Identifier: MIT */
/* slicer-monitor: the parent of one VMM (docs/protocol.md §5). It outlives the daemon, bounds the
 * console, reaps the VMM and writes its exit record. It never waits for anybody but the VMM. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"
#include "vmm/monitor_cgroup.h"
#include "vmm/monitor_child.h"
#include "vmm/monitor_frames.h"
#include "vmm/monitor_impl.h"

enum { SPEC_FD = 3, HELPER_END_MS = 2000, HELPER_TELL_MS = 1000, DRAIN_CHUNKS = 256 };
enum { CONSOLE_CHUNKS = 65536 / CONSOLE_CHUNK }; /* a pipe full: who asks hears after that (docs/protocol.md §5) */

/* Away from whoever started it: a child of init, in a session of its own. The first process ends at
 * once. */
static int monitor_detach(struct error **err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(err, errno, "fork");
	if (pid > 0)
		_exit(0);
	setsid(); /* fails only for who leads one already */
	umask(077);
	if (chdir("/") < 0)
		return error_errno(err, errno, "/");
	return 0;
}

static int monitor_take_signals(struct monitor *m, struct error **err)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_errno(err, errno, "signals");
	m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signals < 0 ? error_errno(err, errno, "signalfd") : 0;
}

/* Everything that the specification does not name is closed, also the starter's stderr: a pipe
 * there would stay open as long as the VM runs. */
static int monitor_close_unnamed(const struct monitor_spec *s, struct error **err)
{
	int keep[(MONITOR_HELPERS_MAX + 1) * MONITOR_FDS_MAX + 3];
	size_t n = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		return error_errno(err, errno, "/dev/null");
	keep[n++] = s->console_fd;
	keep[n++] = s->control_fd;
	keep[n++] = s->ready_fd;
	memcpy(keep + n, s->vmm.fds, s->vmm.nfds * sizeof(keep[0]));
	n += s->vmm.nfds;
	for (size_t i = 0; i < s->nhelpers; i++) {
		memcpy(keep + n, s->helpers[i].fds, s->helpers[i].nfds * sizeof(keep[0]));
		n += s->helpers[i].nfds;
	}
	fd_close_others(keep, n);
	for (size_t i = 0; i < n; i++) {
		if (fd_set_cloexec(keep[i], true, err) < 0)
			return error_wrap(err, "fd %d", keep[i]);
	}
	return 0;
}

static void monitor_close_given(const struct monitor_program *p)
{
	for (size_t i = 0; i < p->nfds; i++)
		close(p->fds[i]);
}

/* The OOM killer must not take a VM's supervisor for the sake of its VM. Without the right to ask
 * so, so be it. */
static void monitor_protect(void)
{
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "-900", 4) < 0)
		errno = 0;
}

static int monitor_start_programs(struct monitor *m, struct error **err)
{
	int message[2];
	cleanup_close int theirs = -1;

	if (pipe2(message, O_CLOEXEC) < 0)
		return error_errno(err, errno, "pipe");
	m->message = message[0];
	theirs = message[1];
	if (fd_set_nonblock(m->message, true, err) < 0)
		return -1;
	for (size_t i = 0; i < m->spec.nhelpers; i++) {
		m->helpers[i] = monitor_child_start(&m->spec.helpers[i], theirs, &m->helper_keepers[i], err);
		if (m->helpers[i] < 0)
			return -1;
	}
	m->vmm = monitor_child_start(&m->spec.vmm, theirs, &m->vmm_keeper, err);
	if (m->vmm < 0)
		return -1;
	m->vmm_start = proc_start_time(m->vmm);
	/* Held here too, a dead VMM's sockets and pipes would look alive. */
	monitor_close_given(&m->spec.vmm);
	for (size_t i = 0; i < m->spec.nhelpers; i++)
		monitor_close_given(&m->spec.helpers[i]);
	return 0;
}

/* One sentence after the other, as the daemon joins them (launch.c). */
static void monitor_add_note(struct error **note, const struct error *more)
{
	cleanup_error struct error *before = *note;

	*note = NULL;
	error_set(note, more->code, "%s%s%s", before ? before->message : "", before ? "; " : "", more->message);
}

/* Without root, namespaces need a user namespace. Where there is none the VM runs as it does without a jail: as the user itself,
 * from which there is nothing to take away. */
static void monitor_prepare_jails(struct monitor *m, struct error **ret_note)
{
	cleanup_error struct error *error = NULL;

	if (geteuid() == 0 || !m->spec.vmm.jailed || jail_user_namespace(&error) == 0)
		return;
	m->spec.vmm.jailed = false;
	for (size_t i = 0; i < m->spec.nhelpers; i++)
		m->spec.helpers[i].jailed = false;
	monitor_add_note(ret_note, error);
}

/* `note`: what is not as it was asked for, but no reason to fail; may be NULL. */
static void monitor_say_ready(const struct monitor *m, int take_fd, const struct error *error, const struct error *note)
{
	cleanup_close int fd = take_fd;
	cleanup_json struct json_object *obj = json_object_new_object();
	cleanup_free char *text = NULL, *line = NULL;

	if (error) {
		js_add_string(obj, "error", error->message);
	} else {
		js_add_u64(obj, "monitor_pid", (uint64_t)getpid());
		js_add_u64(obj, "monitor_start", proc_start_time(getpid()));
		js_add_u64(obj, "vmm_pid", (uint64_t)m->vmm);
		js_add_u64(obj, "vmm_start", m->vmm_start);
		if (note)
			js_add_string(obj, "note", note->message);
	}
	text = js_to_string(obj);
	line = str_fmt("%s\n", text);
	fd_write_all(fd, line, strlen(line), NULL); /* a starter that is gone does not need it */
}

/* False: there is no more for now. */
static bool monitor_read_message(struct monitor *m)
{
	char buf[1024];
	ssize_t n;

	if (m->message < 0)
		return false;
	n = read(m->message, buf, sizeof(buf));
	if (n > 0)
		tail_add(&m->last_words, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		fd_closep(&m->message);
	return n > 0;
}

/* A helper also ends because the VMM does, and may be reaped first: that is not worth a word. */
static void monitor_helper_ended(struct monitor *m, size_t i)
{
	m->helpers[i] = 0;
	if (m->helper_keepers[i].pid > 0)
		jail_keeper_end(&m->helper_keepers[i]);
	if (m->vmm_ended)
		return;
	m->lost_helper = m->spec.helpers[i].argv[0];
	m->tell_at = clock_ms() + HELPER_TELL_MS;
}

static void monitor_tell_helper(struct monitor *m)
{
	cleanup_free char *line =
		str_fmt("\r\n[slicer] %s has ended: what it served (the network) is gone until the VM "
			"is started anew\r\n",
			m->lost_helper);

	m->tell_at = 0;
	m->helper_failed = true;
	tail_add(&m->console.tail, line, strlen(line));
	console_write(&m->console, line, strlen(line));
}

static void monitor_keeper_reaped(struct jail_keeper *k, pid_t pid)
{
	if (k->pid == pid)
		k->pid = 0;
}

static void monitor_reap(struct monitor *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m->vmm) {
			m->vmm_ended = true;
			m->vmm_status = status;
		}
		monitor_keeper_reaped(&m->vmm_keeper, pid);
		for (size_t i = 0; i < m->spec.nhelpers; i++) {
			if (pid == m->helpers[i])
				monitor_helper_ended(m, i);
			monitor_keeper_reaped(&m->helper_keepers[i], pid);
		}
	}
}

static void monitor_on_signal(struct monitor *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM && !m->vmm_ended)
			kill(m->vmm, SIGKILL);
	}
	monitor_reap(m);
}

static void monitor_kill_helpers(struct monitor *m)
{
	int64_t deadline = clock_ms() + HELPER_END_MS;
	bool left = true;

	for (size_t i = 0; i < m->spec.nhelpers; i++) {
		if (m->helpers[i] > 0)
			kill(m->helpers[i], SIGKILL);
	}
	if (m->vmm_keeper.pid > 0)
		jail_keeper_end(&m->vmm_keeper);
	while (left && clock_ms() < deadline) {
		monitor_reap(m);
		left = m->vmm_keeper.pid > 0;
		for (size_t i = 0; i < m->spec.nhelpers; i++)
			left = left || m->helpers[i] > 0 || m->helper_keepers[i].pid > 0;
		if (left)
			poll(NULL, 0, 5);
	}
}

static void monitor_poll(struct monitor *m)
{
	struct pollfd p[4 + MONITOR_CLIENTS_MAX] = {
		{.fd = m->signals, .events = POLLIN},
		{.fd = m->console.pipe, .events = POLLIN},
		{.fd = m->message, .events = POLLIN},
		{.fd = m->control, .events = POLLIN},
	};

	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		p[4 + i] = (struct pollfd){.fd = m->peers[i].fd, .events = POLLIN};
	if (poll(p, ARRAY_LEN(p), m->tell_at ? HELPER_TELL_MS : -1) < 0)
		return;
	for (int i = 0; i < CONSOLE_CHUNKS && console_read(&m->console); i++)
		;
	if (p[2].revents)
		monitor_read_message(m);
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++) {
		if (p[4 + i].revents)
			control_read(m, &m->peers[i]);
	}
	if (p[3].revents)
		control_accept(m);
	if (p[0].revents)
		monitor_on_signal(m);
	if (m->tell_at && !m->vmm_ended && clock_ms() >= m->tell_at)
		monitor_tell_helper(m);
}

/* The record is on disk before anybody hears of the end. */
static void monitor_finish(struct monitor *m)
{
	cleanup_json struct json_object *record = NULL;
	cleanup_free char *text = NULL, *event = NULL, *line = NULL;

	/* What the VMM wrote last; bounded, because a process that it left behind may write for
	 * ever. */
	for (int i = 0; i < DRAIN_CHUNKS && console_read(&m->console); i++)
		;
	for (int i = 0; i < DRAIN_CHUNKS && monitor_read_message(m); i++)
		;
	monitor_kill_helpers(m);
	record = record_make(m);
	text = js_to_string_pretty(record);
	fs_write_atomic(m->spec.exit_record, text, strlen(text), 0600, NULL);
	js_add_string(record, "event", "exit");
	event = js_to_string(record);
	line = str_fmt("%s\n", event);
	control_broadcast(m, line, strlen(line));
}

static int monitor_load(struct monitor *m, struct error **err)
{
	cleanup_free char *text = NULL;
	size_t n;

	if (lseek(SPEC_FD, 0, SEEK_SET) < 0 || fd_read_all(SPEC_FD, MONITOR_SPEC_MAX, &text, &n, err) < 0) {
		if (err && !*err)
			error_errno(err, errno, "fd 3 holds no specification: slicer starts this program, not you");
		return -1;
	}
	return monitor_spec_parse(text, n, &m->spec, err);
}

static int monitor_start(struct monitor *m, struct error **ret_note, struct error **err)
{
	if (monitor_detach(err) < 0 || monitor_close_unnamed(&m->spec, err) < 0 || monitor_take_signals(m, err) < 0)
		return -1;
	monitor_protect();
	if (m->spec.cgroup.path && monitor_enter_cgroup(m->spec.cgroup.path, ret_note) == 0)
		monitor_limit_cgroup(&m->spec.cgroup, ret_note);
	monitor_prepare_jails(m, ret_note);
	m->control = m->spec.control_fd;
	/* Who connects sees from now on that it is us who listens (unix(7), SO_PEERCRED), not who made
	 * the socket. */
	if (listen(m->control, SOMAXCONN) < 0)
		return error_errno(err, errno, "control socket");
	console_init(&m->console, m->spec.console_fd, m->spec.console_path, m->spec.console_limit);
	if (fd_set_nonblock(m->console.pipe, true, err) < 0 || fd_set_nonblock(m->control, true, err) < 0)
		return -1;
	return monitor_start_programs(m, err);
}

/* Not a monitor, but one of its helpers; the same program, so that there is one less to install. */
static int frames(char **argv)
{
	uint64_t guest, network;

	if (str_to_u64(argv[2], SPEC_FD, INT32_MAX, "fd", &guest, NULL) < 0 ||
	    str_to_u64(argv[3], SPEC_FD, INT32_MAX, "fd", &network, NULL) < 0)
		return 2;
	if (jail_only_move_bytes() < 0)
		return 2;
	_exit(frames_main((int)guest, (int)network)); /* and nothing that runs at exit */
}

static void monitor_free(struct monitor **m)
{
	if (*m)
		monitor_spec_clear(&(*m)->spec);
	mem_freep(m);
}

int main(int argc, char **argv)
{
	__attribute__((cleanup(monitor_free))) struct monitor *m = NULL;
	cleanup_error struct error *error = NULL, *note = NULL;

	if (argc == 2 && str_eq(argv[1], "--version"))
		return puts("slicer-monitor " SLICER_VERSION) < 0;
	if (argc == 4 && str_eq(argv[1], "--frames"))
		return frames(argv);
	m = NEW(struct monitor);
	m->message = m->signals = m->console.pipe = m->console.file = -1;
	for (size_t i = 0; i < MONITOR_CLIENTS_MAX; i++)
		m->peers[i].fd = -1;
	if (monitor_load(m, &error) < 0) {
		fprintf(stderr, "slicer-monitor: %s\n", error_message(error));
		return 2;
	}
	if (monitor_start(m, &note, &error) < 0) {
		monitor_kill_helpers(m);
		monitor_say_ready(m, m->spec.ready_fd, error, NULL);
		return 1;
	}
	monitor_say_ready(m, m->spec.ready_fd, NULL, note);
	while (!m->vmm_ended)
		monitor_poll(m);
	monitor_finish(m);
	return 0;
}
