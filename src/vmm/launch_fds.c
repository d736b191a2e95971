/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/launch_fds.h"

const char *const launch_sockets[] = {"qmp.sock", "agent.sock", "control.sock", "monitor.sock", NULL};

void launch_fds_add(struct launch_fds *l, int take_fd, int number)
{
	if (l->n == LAUNCH_FDS_MAX)
		abort();
	l->fds[l->n++] = (struct proc_fd){.from = take_fd, .to = number};
}

/* The next number for VMM or helper; -1 when there is no fd. */
static int launch_give(struct launch_fds *l, int take_fd)
{
	int number = LAUNCH_FD_FIRST;

	if (take_fd < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		if (l->fds[i].to >= number)
			number = l->fds[i].to + 1;
	}
	launch_fds_add(l, take_fd, number);
	return number;
}

/* `shared`: QEMU opens it a second time by /proc/self/fd, as its own user. */
static int launch_file(struct launch_fds *l, const char *what, const char *path, int flags, bool shared, int *ret,
		       struct error **err)
{
	cleanup_close int fd = -1;
	struct stat st;

	if (!path)
		return 0;
	fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s %s", what, path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERR_INVALID, "%s %s is not a regular file", what, path);
	if (shared && !(st.st_mode & S_IROTH))
		return error_set(err, ERR_FORBIDDEN,
				 "%s %s must be readable for all, because the VMM has a user of "
				 "its own: chmod a+r it",
				 what, path);
	*ret = launch_give(l, TAKE_FD(fd));
	return 0;
}

static int launch_files(struct launch_fds *l, const struct vmm_spec *spec, struct error **err)
{
	bool own_user = geteuid() == 0;

	if (launch_file(l, "kernel", spec->kernel, O_RDONLY, own_user, &l->vmm.kernel, err) < 0 ||
	    launch_file(l, "initramfs", spec->initrd, O_RDONLY, own_user, &l->vmm.initrd, err) < 0 ||
	    launch_file(l, "image", spec->root_image, O_RDONLY, false, &l->vmm.root, err) < 0 ||
	    launch_file(l, "modules", spec->modules_image, O_RDONLY, false, &l->vmm.modules, err) < 0 ||
	    launch_file(l, "disk", spec->data_disk, O_RDWR, false, &l->vmm.data, err) < 0)
		return -1;
	return launch_file(l, "config disk", spec->config_disk, O_RDONLY, false, &l->vmm.config, err);
}

static int launch_listen(const char *run_dir, const char *name, struct error **err)
{
	cleanup_free char *path = fs_join(run_dir, name);

	return fd_listen_unix(path, 0600, err);
}

static int launch_socket(struct launch_fds *l, const char *run_dir, const char *name, int *ret, struct error **err)
{
	int fd = launch_listen(run_dir, name, err);

	if (fd < 0)
		return -1;
	*ret = launch_give(l, fd);
	return 0;
}

static int launch_sockets_open(struct launch_fds *l, const struct vmm_spec *spec, struct error **err)
{
	int control;

	if (launch_socket(l, spec->run_dir, "qmp.sock", &l->vmm.qmp, err) < 0 ||
	    launch_socket(l, spec->run_dir, "agent.sock", &l->vmm.agent, err) < 0 ||
	    launch_socket(l, spec->run_dir, "control.sock", &l->vmm.control, err) < 0)
		return -1;
	control = launch_listen(spec->run_dir, "monitor.sock", err);
	if (control < 0)
		return -1;
	launch_fds_add(l, control, LAUNCH_FD_CONTROL);
	return 0;
}

static int launch_pipes(struct launch_fds *l, struct error **err)
{
	int console[2], ready[2];

	if (pipe2(console, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot make the console's pipe");
	launch_fds_add(l, console[0], LAUNCH_FD_CONSOLE);
	l->vmm.console = launch_give(l, console[1]);
	if (pipe2(ready, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot make a pipe");
	l->ready = ready[0];
	launch_fds_add(l, ready[1], LAUNCH_FD_READY);
	return 0;
}

static int launch_net(struct launch_fds *l, const struct vmm_net *net, struct error **err)
{
	int pair[2];

	if (net->kind == VMM_NET_HELPER) {
		if (fd_socketpair(pair, err) < 0)
			return -1;
		l->vmm.net = launch_give(l, pair[0]);
		l->frames[0] = launch_give(l, pair[1]);
		if (fd_socketpair(pair, err) < 0)
			return -1;
		l->frames[1] = launch_give(l, pair[0]);
		l->helper = launch_give(l, pair[1]);
	} else if (net->kind == VMM_NET_TAP) {
		int fd = fcntl(net->tap_fd, F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return error_errno(err, errno, "tap");
		l->vmm.net = launch_give(l, fd);
	}
	return 0;
}

static int launch_memory(struct launch_fds *l, uint64_t bytes, struct error **err)
{
	int fd = fd_guest_memory("guest-memory", bytes, err);

	if (fd < 0)
		return -1;
	l->vmm.memory = launch_give(l, fd);
	return 0;
}

int launch_fds_open(const struct vmm_spec *spec, struct launch_fds *ret, struct error **err)
{
	*ret = (struct launch_fds){
		.vmm = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, .helper = -1, .frames = {-1, -1}, .ready = -1};
	if (launch_sockets_open(ret, spec, err) == 0 && launch_memory(ret, spec->ram_bytes, err) == 0 &&
	    launch_files(ret, spec, err) == 0 && launch_pipes(ret, err) == 0 && launch_net(ret, &spec->net, err) == 0)
		return 0;
	launch_fds_clear(ret);
	return -1;
}

void launch_fds_close_given(struct launch_fds *l)
{
	for (size_t i = 0; i < l->n; i++)
		fd_closep(&l->fds[i].from);
	l->n = 0;
}

void launch_fds_clear(struct launch_fds *l)
{
	launch_fds_close_given(l);
	fd_closep(&l->ready);
}
