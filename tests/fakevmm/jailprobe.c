/* SPDX-License-Identifier: MIT */
/* Runs in the place of QEMU, in its jail and with its fds, and tries what a VMM would that somebody has taken over. Its targets
 * are words KEY=VALUE of -append. One line per attempt on the console: its name, and the error that it met or "done". What is
 * expected is in tests/guest/test_jail.py. It waits to be killed then.
 *
 * In the place of a helper it has no console and perhaps no arguments of its own: it says on its standard error, of which the
 * monitor keeps the end, NUMBER:ERROR for each, as `--list` numbers them, and its targets are what the test has written over `embedded` in a copy of the program. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "jailprobe.h"

enum { FORKS_MAX = 512, OPEN_MAX_TRIED = 4096, VALUE_MAX = 512 };

/* Volatile: the compiler must not know what is in it. */
static const volatile char embedded[4096] = "@@EMBEDDED TARGETS@@";

static const char *target(const struct targets *t, const char *key, char *buf)
{
	size_t n = strlen(key);

	for (const char *at = t->words; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, key, n) == 0 && at[n] == '=') {
			snprintf(buf, VALUE_MAX, "%.*s", (int)strcspn(at + n + 1, " "), at + n + 1);
			return buf;
		}
	}
	return "";
}

/* --- files */

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int open_target(const struct targets *t, const char *key, int flags)
{
	char path[VALUE_MAX];

	return try_open(target(t, key, path), flags);
}

static int reopen_writable(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return try_open(path, O_RDWR);
}

static int state_directory(const struct targets *t)
{
	return open_target(t, "state", O_RDONLY | O_DIRECTORY);
}
static int run_directory(const struct targets *t)
{
	return open_target(t, "run", O_RDONLY | O_DIRECTORY);
}
static int other_disk(const struct targets *t)
{
	return open_target(t, "disk", O_RDWR);
}
static int image_by_path(const struct targets *t)
{
	return open_target(t, "image", O_RDONLY);
}
static int etc_passwd(const struct targets *t)
{
	return try_open("/etc/passwd", O_RDONLY);
}
static int create_file(const struct targets *t)
{
	return try_open("/x", O_RDWR | O_CREAT);
}
static int create_in_dev(const struct targets *t)
{
	return try_open("/dev/x", O_RDWR | O_CREAT);
}
static int sys_directory(const struct targets *t)
{
	return try_open("/sys/class", O_RDONLY);
}
static int change_firmware(const struct targets *t)
{
	return chmod("/usr/share/qemu", 0777);
}
static int image_write(const struct targets *t)
{
	return write(t->root, "x", 1) == 1 ? 0 : -1;
}
static int image_reopen(const struct targets *t)
{
	return reopen_writable(t->root);
}
static int kernel_reopen(const struct targets *t)
{
	return reopen_writable(t->kernel);
}
static int initrd_reopen(const struct targets *t)
{
	return reopen_writable(t->initrd);
}
static int config_write(const struct targets *t)
{
	return pwrite(t->config, "x", 1, 0) == 1 ? 0 : -1;
}
static int config_reopen(const struct targets *t)
{
	return reopen_writable(t->config);
}
static int image_truncate(const struct targets *t)
{
	return ftruncate(t->root, 0);
}
static int memory_write(const struct targets *t)
{
	return pwrite(t->memory, "x", 1, 0) == 1 ? 0 : -1;
}
static int memory_truncate(const struct targets *t)
{
	return ftruncate(t->memory, 0);
}
static int memory_punch(const struct targets *t)
{
	return fallocate(t->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}
static int memory_map_shared(const struct targets *t)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, t->memory, 0) == MAP_FAILED ? -1 : 0;
}
static int disk_beyond_limit(const struct targets *t)
{
	signal(SIGXFSZ, SIG_IGN);
	return pwrite(t->data, "x", 1, 1LL << 40) == 1 ? 0 : -1;
}
static int up_and_out(const struct targets *t)
{
	return try_open("/../../../../etc/shadow", O_RDONLY);
}
static int by_handle(const struct targets *t)
{
	struct {
		struct file_handle head;
		char bytes[8];
	} h = {.head = {.handle_bytes = 8, .handle_type = 1}, .bytes = {2}};

	return open_by_handle_at(t->root, &h.head, O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

/* --- other processes */

static pid_t pid_of(const struct targets *t, const char *key)
{
	char text[VALUE_MAX];

	pid_t pid = (pid_t)atoi(target(t, key, text));

	return pid ? pid : INT32_MAX; /* 0 would be its own process group */
}

static int signal_other_vmm(const struct targets *t)
{
	return kill(pid_of(t, "vmm"), 0);
}
static int signal_monitor(const struct targets *t)
{
	return kill(pid_of(t, "monitor"), SIGKILL);
}
static int signal_daemon(const struct targets *t)
{
	return kill(pid_of(t, "daemon"), SIGKILL);
}
static int signal_process_one(const struct targets *t)
{
	return kill(1, SIGKILL);
}
static int signal_all(const struct targets *t)
{
	return kill(-1, SIGKILL);
}
static int trace_process_one(const struct targets *t)
{
	return (int)ptrace(PTRACE_ATTACH, 1, NULL, NULL);
}
static int read_process_one(const struct targets *t)
{
	char buf[8];
	struct iovec here = {buf, sizeof(buf)}, there = {(void *)0x400000, sizeof(buf)};

	return process_vm_readv(1, &here, 1, &there, 1, 0) < 0 ? -1 : 0;
}
static int proc_of_process_one(const struct targets *t)
{
	return try_open("/proc/1/status", O_RDONLY);
}
static int root_of_process_one(const struct targets *t)
{
	return try_open("/proc/1/root/etc/passwd", O_RDONLY);
}
static int proc_of_other_vmm(const struct targets *t)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid_of(t, "vmm"));
	return try_open(path, O_RDWR);
}
static int proc_sys(const struct targets *t)
{
	return try_open("/proc/sys/kernel/core_pattern", O_WRONLY);
}
static int proc_sysrq(const struct targets *t)
{
	return try_open("/proc/sysrq-trigger", O_WRONLY);
}
static int run_a_shell(const struct targets *t)
{
	char *const argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 0", NULL};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execv("/bin/sh", argv);
		_exit(errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

/* --- sockets and networks */

static int connect_unix(const struct targets *t, const char *key)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char path[VALUE_MAX];

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", target(t, key, path));
	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int connect_tcp(const char *address, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &a.sin_addr);
	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static uint16_t port_of(const struct targets *t)
{
	char text[VALUE_MAX];

	return (uint16_t)atoi(target(t, "port", text));
}

static int api_socket(const struct targets *t)
{
	return connect_unix(t, "api");
}
static int other_qmp(const struct targets *t)
{
	return connect_unix(t, "qmp");
}
static int other_monitor(const struct targets *t)
{
	return connect_unix(t, "monsock");
}
static int abstract_socket(const struct targets *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char name[VALUE_MAX];

	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", target(t, "abstract", name));
	return connect(fd, (struct sockaddr *)&a,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}
static int host_loopback(const struct targets *t)
{
	return connect_tcp("127.0.0.1", port_of(t));
}
static int host_address(const struct targets *t)
{
	char address[VALUE_MAX];

	return connect_tcp(target(t, "host", address), port_of(t));
}
static int internet(const struct targets *t)
{
	return connect_tcp("1.1.1.1", 53);
}
static int raw_socket(const struct targets *t)
{
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1) < 0 ? -1 : 0;
}
static int packet_socket(const struct targets *t)
{
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}
static int vsock(const struct targets *t)
{
	return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}
static int crypto_socket(const struct targets *t)
{
	return socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}

/* --- the kernel */

static int make_device(const struct targets *t)
{
	return mknod("/dev/sda", S_IFBLK | 0600, 0x800);
}
static int open_kvm(const struct targets *t)
{
	return try_open("/dev/kvm", O_RDWR);
}
static int open_mem(const struct targets *t)
{
	return try_open("/dev/mem", O_RDWR);
}
static int mount_tmpfs(const struct targets *t)
{
	return mount("t", "/usr", "tmpfs", 0, NULL);
}
static int remount_writable(const struct targets *t)
{
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}
static int unmount(const struct targets *t)
{
	return umount2("/usr/share/qemu", MNT_DETACH);
}
static int change_root(const struct targets *t)
{
	return chroot("/usr");
}
/* In a child: what else is tried is not tried from within. */
static int new_user_namespace(const struct targets *t)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}
static int clone_user_namespace(const struct targets *t)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}
static int clone3_user_namespace(const struct targets *t)
{
	uint64_t args[11] = {[0] = CLONE_NEWUSER, [4] = SIGCHLD};
	long pid = syscall(SYS_clone3, args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}
static int load_module(const struct targets *t)
{
	return (int)syscall(SYS_finit_module, t->root, "", 0);
}
static int load_bpf(const struct targets *t)
{
	return (int)syscall(SYS_bpf, 5, NULL, 0);
}
static int ring(const struct targets *t)
{
	return (int)syscall(SYS_io_uring_setup, 1, NULL);
}
static int perf(const struct targets *t)
{
	return (int)syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}
static int keyring(const struct targets *t)
{
	return (int)syscall(SYS_keyctl, 0, -3, 1);
}
static int fault_handler(const struct targets *t)
{
	return (int)syscall(SYS_userfaultfd, 0);
}
static int become_root(const struct targets *t)
{
	return setuid(0);
}
static int become_other(const struct targets *t)
{
	return setresuid(300000, 300000, 300000);
}
static int change_groups(const struct targets *t)
{
	return setgroups(0, NULL);
}
static int reboot_host(const struct targets *t)
{
	return reboot(RB_DISABLE_CAD);
}
static int change_hostname(const struct targets *t)
{
	return sethostname("x", 1);
}

/* --- limits */

static int raise_limit(int resource)
{
	const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};

	return setrlimit((__rlimit_resource_t)resource, &more);
}
static int raise_files(const struct targets *t)
{
	return raise_limit(RLIMIT_NOFILE);
}
static int raise_size(const struct targets *t)
{
	return raise_limit(RLIMIT_FSIZE);
}
static int raise_threads(const struct targets *t)
{
	return raise_limit(RLIMIT_NPROC);
}
static int raise_core(const struct targets *t)
{
	return raise_limit(RLIMIT_CORE);
}
static int lock_memory(const struct targets *t)
{
	void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mlock(p, 1 << 20);
}
static int open_many(const struct targets *t)
{
	int rc = 0, first = dup(0);

	for (int i = 0; rc == 0 && i < OPEN_MAX_TRIED; i++)
		rc = dup(0) < 0 ? -errno : 0;
	syscall(SYS_close_range, first, ~0U, 0);
	errno = -rc;
	return rc;
}
static int fork_bomb(const struct targets *t)
{
	static pid_t children[FORKS_MAX];
	int n = 0, saved;

	while (n < FORKS_MAX && (children[n] = fork()) > 0)
		n++;
	saved = errno;
	if (n < FORKS_MAX && children[n] == 0) {
		pause();
		_exit(0);
	}
	for (int i = 0; i < n; i++)
		kill(children[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	errno = saved;
	return n < FORKS_MAX ? -1 : 0;
}

#define ATTEMPT(f)                                                                                                     \
	{                                                                                                              \
#f, f                                                                                                  \
	}
static const struct {
	const char *name;
	int (*attempt)(const struct targets *t);
} attempts[] = {
	ATTEMPT(state_directory),
	ATTEMPT(run_directory),
	ATTEMPT(other_disk),
	ATTEMPT(image_by_path),
	ATTEMPT(etc_passwd),
	ATTEMPT(create_file),
	ATTEMPT(create_in_dev),
	ATTEMPT(sys_directory),
	ATTEMPT(change_firmware),
	ATTEMPT(image_write),
	ATTEMPT(image_reopen),
	ATTEMPT(kernel_reopen),
	ATTEMPT(initrd_reopen),
	ATTEMPT(config_write),
	ATTEMPT(config_reopen),
	ATTEMPT(image_truncate),
	ATTEMPT(memory_write),
	ATTEMPT(memory_truncate),
	ATTEMPT(memory_punch),
	ATTEMPT(memory_map_shared),
	ATTEMPT(disk_beyond_limit),
	ATTEMPT(up_and_out),
	ATTEMPT(by_handle),
	ATTEMPT(signal_other_vmm),
	ATTEMPT(signal_monitor),
	ATTEMPT(signal_daemon),
	ATTEMPT(signal_process_one),
	ATTEMPT(signal_all),
	ATTEMPT(trace_process_one),
	ATTEMPT(read_process_one),
	ATTEMPT(proc_of_process_one),
	ATTEMPT(root_of_process_one),
	ATTEMPT(proc_of_other_vmm),
	ATTEMPT(proc_sys),
	ATTEMPT(proc_sysrq),
	ATTEMPT(run_a_shell),
	ATTEMPT(api_socket),
	ATTEMPT(other_qmp),
	ATTEMPT(other_monitor),
	ATTEMPT(abstract_socket),
	ATTEMPT(host_loopback),
	ATTEMPT(host_address),
	ATTEMPT(internet),
	ATTEMPT(raw_socket),
	ATTEMPT(packet_socket),
	ATTEMPT(vsock),
	ATTEMPT(crypto_socket),
	ATTEMPT(tap_persists),
	ATTEMPT(tap_persists_by_more_bits),
	ATTEMPT(tap_owner),
	ATTEMPT(tap_group),
	ATTEMPT(tap_mac),
	ATTEMPT(tap_filter),
	ATTEMPT(tap_addresses),
	ATTEMPT(tap_another),
	ATTEMPT(tap_network),
	ATTEMPT(tap_type),
	ATTEMPT(host_interfaces),
	ATTEMPT(host_network),
	ATTEMPT(make_device),
	ATTEMPT(open_kvm),
	ATTEMPT(open_mem),
	ATTEMPT(mount_tmpfs),
	ATTEMPT(remount_writable),
	ATTEMPT(unmount),
	ATTEMPT(change_root),
	ATTEMPT(new_user_namespace),
	ATTEMPT(clone_user_namespace),
	ATTEMPT(clone3_user_namespace),
	ATTEMPT(load_module),
	ATTEMPT(load_bpf),
	ATTEMPT(ring),
	ATTEMPT(perf),
	ATTEMPT(keyring),
	ATTEMPT(fault_handler),
	ATTEMPT(become_root),
	ATTEMPT(become_other),
	ATTEMPT(change_groups),
	ATTEMPT(reboot_host),
	ATTEMPT(change_hostname),
	ATTEMPT(raise_files),
	ATTEMPT(raise_size),
	ATTEMPT(raise_threads),
	ATTEMPT(raise_core),
	ATTEMPT(lock_memory),
	ATTEMPT(open_many),
	ATTEMPT(fork_bomb),
};

/* The number behind `prefix` in an argument that has `suffix`; which fd is what is as QEMU is told. */
static int fd_of(char **argv, const char *prefix, const char *suffix)
{
	for (char **a = argv; *a; a++) {
		const char *at = strstr(*a, prefix);

		if (at && strstr(*a, suffix))
			return atoi(at + strlen(prefix));
	}
	return -1;
}

/* From the argument behind `option` on. */
static char **value_of(char **argv, const char *option)
{
	while (*argv && strcmp(*argv, option) != 0)
		argv++;
	return *argv ? argv + 1 : argv;
}

/* Positions in a format may be left out by glibc, but not by the compiler's check of it. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
int main(int argc, char **argv)
{
	const char *format = "%1$s %3$s\n";
	char words[sizeof(embedded)];
	struct targets t = {
		.words = *value_of(argv, "-append"),
		.console = fd_of(argv, "path=/dev/fdset/", "id=console"),
		.memory = fd_of(argv, "mem-path=/proc/self/fd/", ""),
		.root = fd_of(argv, "filename=/dev/fdset/", "node-name=root"),
		.data = fd_of(argv, "filename=/dev/fdset/", "node-name=data-file"),
		.kernel = fd_of(value_of(argv, "-kernel"), "/proc/self/fd/", ""),
		.initrd = fd_of(value_of(argv, "-initrd"), "/proc/self/fd/", ""),
		.config = fd_of(argv, "filename=/dev/fdset/", "node-name=config"),
		.tap = fd_of(argv, "fd=", "tap,id=net"),
		.qmp = fd_of(argv, "fd=", "socket,id=qmp"),
	};

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
			puts(attempts[i].name);
		return 0;
	}
	if (!t.words) {
		for (size_t i = 0; i < sizeof(embedded); i++)
			words[i] = embedded[i];
		t.words = words;
		t.console = STDERR_FILENO;
		format = "%2$zu:%3$s ";
	}
	if (strcmp(target(&t, "rest", (char[VALUE_MAX]){0}), "yes") == 0)
		pause(); /* only its start is of interest */
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		int rc = attempts[i].attempt(&t);

		dprintf(t.console, format, attempts[i].name, i, rc < 0 ? strerrorname_np(errno) : "done");
	}
	dprintf(t.console, "END\n");
	prctl(PR_SET_NAME, "probe-done");
	pause();
	return 0;
}
