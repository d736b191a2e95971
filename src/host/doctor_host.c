/* SPDX-License-Identifier: MIT */
/* What the kernel of this host offers. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "base/fs.h"
#include "base/units.h"
#include "host/doctor_checks.h"
#include "host/up_check.h"
#include "host/up.h"
#include "vmm/cgroup.h"

enum {
	FILES_PER_VM = 5, /* sockets to its monitor, its VMM and its agent, and what a request needs */
	FILES_OF_DAEMON = 64,
	FILES_FEW = 4096,
	MEMORY_LEFT_MB = 256, /* for everything else */
};

#define TAP_MODES (1U << NET_BRIDGE | 1U << NET_ISOLATED | 1U << NET_CNI | 1U << NET_SLOTS)

/* "6.1.0-13-cloud-amd64" → 6, 1. */
static bool kernel_at_least(const char *release, unsigned major, unsigned minor)
{
	unsigned a = 0, b = 0;

	return sscanf(release, "%4u.%4u", &a, &b) == 2 && (a > major || (a == major && b >= minor));
}

void doctor_system(const struct doctor *d, struct doctor_result *r)
{
	struct utsname host = {0};
	cleanup_free char *faked = *d->root ? doctor_read(d, "/proc/sys/kernel/osrelease") : NULL;
	const char *release = faked ? faked : host.release;

	uname(&host);
	if (!str_eq(host.machine, "x86_64") && !str_eq(host.machine, "aarch64"))
		doctor_say(r, DOCTOR_ERROR, "The architecture %s is not supported: only x86_64 and aarch64 are",
			   host.machine);
	else if (!kernel_at_least(release, 5, 12))
		doctor_say(
			r, DOCTOR_ERROR,
			"The kernel %s is too old: 5.12 or newer is needed, whose mount_setattr(2) the jail of a VM is "
			"made by",
			release);
	else if (!kernel_at_least(release, 5, 14))
		doctor_say(r, DOCTOR_NOTE,
			   "%s, Linux %s: before 5.14 a control group cannot be killed at once, so "
			   "that the end "
			   "of a VM takes longer",
			   host.machine, release);
	else
		doctor_say(r, DOCTOR_OK, "%s, Linux %s", host.machine, release);
	if (r->severity == DOCTOR_ERROR)
		strv_append(&r->fix, "Use a supported machine and kernel, Debian 12 or newer for example");
}

void doctor_config(const struct doctor *d, struct doctor_result *r)
{
	cleanup_strv char **later = d->config ? config_not_yet(d->config) : NULL;
	cleanup_error struct error *lacking = NULL;

	if (!d->file) {
		doctor_say(r, DOCTOR_OK,
			   "No configuration was given; \"slicer doctor FILE\" judges by what it "
			   "asks for");
		return;
	}
	if (d->config_error) {
		doctor_say(r, DOCTOR_ERROR, "%s", error_message(d->config_error));
		return;
	}
	if (d->config && up_check_lacking(d->config, &lacking)) {
		doctor_say(r, DOCTOR_ERROR, "%s", error_message(lacking));
		return;
	}
	if (later)
		doctor_say(r, DOCTOR_NOTE, "%s is right; some of its keys have no effect in this version yet", d->file);
	else
		doctor_say(r, DOCTOR_OK, "%s is right", d->file);
	for (char **key = later; key && *key; key++)
		strv_append(&r->detail, *key);
}

/* 0, or an errno. */
static int tun_trouble(const char *path)
{
	cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned features = 0;

	if (fd < 0 || ioctl(fd, TUNGETFEATURES, &features) < 0)
		return errno;
	return features & IFF_VNET_HDR ? 0 : EOPNOTSUPP;
}

void doctor_tun(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *path = doctor_path(d, "/dev/net/tun");
	int trouble = tun_trouble(path);
	enum doctor_severity bad = doctor_need(d, TAP_MODES);

	if (!trouble) {
		doctor_say(r, DOCTOR_OK, "/dev/net/tun can be used");
		return;
	}
	if (trouble == ENOENT || trouble == ENODEV) {
		doctor_say(r, bad, "There is no /dev/net/tun, so that VMs can only have the network mode user");
		strv_append(&r->fix, "modprobe tun");
		strv_append(&r->fix, "In a container: give it the device, docker run --device /dev/net/tun");
	} else if (!d->privileged && trouble == EACCES) {
		doctor_say_hidden(r, "whether /dev/net/tun works");
	} else if (trouble == EACCES || trouble == EPERM) {
		doctor_say(r, bad,
			   "/dev/net/tun cannot be opened (%s), so that VMs can only have the "
			   "network mode user",
			   strerror(trouble));
		strv_append(&r->fix, "chmod 666 /dev/net/tun");
	} else {
		doctor_say(r, bad, "/dev/net/tun is not the TUN/TAP driver's (%s)", strerror(trouble));
		strv_append(&r->fix, "rm /dev/net/tun; mknod -m 666 /dev/net/tun c 10 200; modprobe tun");
	}
}

void doctor_cgroup(const struct doctor *d, struct doctor_result *r)
{
	static const char *const wanted[] = {"cpu", "io", "memory", "pids"};
	cleanup_free char *mounts = doctor_read(d, "/proc/self/mountinfo");
	const char *root = mounts ? cgroup_find_root(mounts) : NULL;
	cleanup_free char *file = root ? fs_join(root, "cgroup.controllers") : NULL,
			  *text = file ? doctor_read(d, file) : NULL;
	cleanup_strv char **have = strv_split(text ? text : "", ' '), **missing = NULL;
	cleanup_free char *list = NULL;

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!strv_contains(have, wanted[i]))
			strv_append(&missing, wanted[i]);
	list = strv_join(missing, ", ");
	if (!root)
		doctor_say(r, DOCTOR_WARNING,
			   "Control groups of version 2 are not mounted in /sys/fs/cgroup: VMs "
			   "have no limits, "
			   "and stopping the daemon's systemd service may end them");
	else if (missing)
		doctor_say(r, DOCTOR_WARNING,
			   "Control groups of version 2 are at %s without the controllers %s, so "
			   "that these "
			   "cannot be limited per VM",
			   root, list);
	else
		doctor_say(r, DOCTOR_OK, "Control groups of version 2 are at %s, with cpu, io, memory and pids", root);
	if (missing)
		strv_append(&r->fix, "Boot with systemd.unified_cgroup_hierarchy=1 "
				     "cgroup_no_v1=all on the kernel's command line");
}

static bool reads_as(const struct doctor *d, const char *path, const char *value)
{
	cleanup_free char *text = doctor_read(d, path);

	return str_eq(text, value);
}

void doctor_namespaces(const struct doctor *d, struct doctor_result *r)
{
	static const struct {
		const char *sysctl, *path, *bad, *good;
	} switches[] = {
		{"kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone", "0", "1"},
		{"user.max_user_namespaces", "/proc/sys/user/max_user_namespaces", "0", "10000"},
		{"kernel.apparmor_restrict_unprivileged_userns",
		 "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "0"},
	};
	enum doctor_severity bad = doctor_need(d, 1U << NET_USER);

	doctor_say(r, DOCTOR_OK, "Programs without privileges may make user namespaces");
	for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
		if (!reads_as(d, switches[i].path, switches[i].bad))
			continue;
		doctor_say(r, bad == DOCTOR_ERROR || !d->privileged ? DOCTOR_WARNING : bad,
			   "Programs without privileges may not make user namespaces (%s=%s): VMs "
			   "of the network "
			   "mode user have no network, because passt needs one, and VMs of other "
			   "users than root "
			   "have no jail",
			   switches[i].sysctl, switches[i].bad);
		strv_append_fmt(&r->fix, "sysctl -w %s=%s (and in /etc/sysctl.d/ for good)", switches[i].sysctl,
				switches[i].good);
	}
}

/* Profiles of programs that slicer runs: "/usr/bin/passt (enforce)" in the kernel's list, which
 * only root reads. */
static void lsm_profiles(const struct doctor *d, struct doctor_result *r)
{
	static const char *const ours[] = {"passt", "qemu-system", "slicer", "firecracker", "cloud-hypervisor"};
	cleanup_free char *text = doctor_read(d, "/sys/kernel/security/apparmor/profiles");
	cleanup_strv char **lines = strv_split(text ? text : "", '\n');

	for (char **line = lines; *line; line++)
		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			if (strstr(*line, ours[i]) && str_ends(*line, "(enforce)"))
				strv_append(&r->detail, *line);
}

void doctor_lsm(const struct doctor *d, struct doctor_result *r)
{
	bool selinux = reads_as(d, "/sys/fs/selinux/enforce", "1");
	bool apparmor = reads_as(d, "/sys/module/apparmor/parameters/enabled", "Y");

	if (selinux) {
		doctor_say(r, DOCTOR_NOTE,
			   "SELinux enforces its policy, which says nothing of slicer: what it "
			   "denies looks like a "
			   "failing hypervisor");
		strv_append(&r->fix, "ausearch -m avc -ts recent (what was denied)");
		return;
	}
	doctor_say(r, DOCTOR_OK,
		   apparmor ? "AppArmor is on, and confines no program that slicer runs"
			    : "Neither AppArmor nor SELinux is on");
	if (!apparmor)
		return;
	lsm_profiles(d, r);
	if (!r->detail)
		return;
	doctor_say(r, DOCTOR_NOTE,
		   "AppArmor confines programs that slicer runs: what it denies looks like a "
		   "failing network or "
		   "hypervisor");
	strv_append(&r->fix, "journalctl -k --grep apparmor=\"DENIED\" (what was denied)");
}

/* "MemAvailable:   24000000 kB" of proc(5); 0 when it is not there. */
static uint64_t meminfo(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	unsigned long long kb = 0;

	return at && sscanf(at + strlen(key), " %20llu kB", &kb) == 1 ? kb * 1024 : 0;
}

static uint64_t config_memory(const struct config *cfg)
{
	uint64_t sum = 0;

	for (size_t i = 0; cfg && i < cfg->ngroups; i++)
		sum += config_group_vms(&cfg->groups[i]) * cfg->groups[i].ram_bytes;
	return sum;
}

void doctor_memory(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *text = doctor_read(d, "/proc/meminfo");
	uint64_t available = meminfo(text ? text : "", "MemAvailable:"), wanted = config_memory(d->config);
	cleanup_free char *have = size_format(available >> 20 << 20), *want = size_format(wanted);

	if (wanted > available) {
		doctor_say(r, DOCTOR_WARNING,
			   "%s of memory are available, and the VMs of the configuration may use "
			   "%s: they start, but "
			   "the kernel ends some when they use it all",
			   have, want);
		strv_append(&r->fix, "Lower count or ram_gb in the configuration, or free memory");
	} else if (available >> 20 < MEMORY_LEFT_MB) {
		doctor_say(r, DOCTOR_WARNING, "Only %s of memory are available: few VMs fit", have);
		strv_append(&r->fix, "Free memory: ps aux --sort -rss | head shows who uses it");
	} else {
		doctor_say(r, DOCTOR_OK, "%s of memory are available", have);
	}
}

/* What a daemon has that is started from here: it raises the limit itself. */
static uint64_t files_of_daemon(void)
{
	struct rlimit limit = {0};
	rlim_t raised;

	getrlimit(RLIMIT_NOFILE, &limit);
	raised = limit.rlim_max < UP_OPEN_FILES ? limit.rlim_max : UP_OPEN_FILES;
	return limit.rlim_cur > raised ? limit.rlim_cur : raised;
}

void doctor_files(const struct doctor *d, struct doctor_result *r)
{
	uint64_t files = files_of_daemon(), vms = 0, room;

	for (size_t i = 0; d->config && i < d->config->ngroups; i++)
		vms += config_group_vms(&d->config->groups[i]);
	room = files > FILES_OF_DAEMON ? (files - FILES_OF_DAEMON) / FILES_PER_VM : 0;
	if (room < vms || files < 2 * FILES_OF_DAEMON)
		doctor_say(r, DOCTOR_WARNING, "A program may open %llu files, enough for about %llu VMs",
			   (unsigned long long)files, (unsigned long long)room);
	else if (files < FILES_FEW)
		doctor_say(r, DOCTOR_NOTE,
			   "A program started from here may open %llu files, enough for about %llu "
			   "VMs (units of "
			   "\"slicer service generate\" raise it)",
			   (unsigned long long)files, (unsigned long long)room);
	else
		doctor_say(r, DOCTOR_OK, "A program may open %llu files", (unsigned long long)files);
	if (r->severity != DOCTOR_OK)
		strv_append(&r->fix, "ulimit -n 65536 before slicer up, or LimitNOFILE= in its unit");
}
