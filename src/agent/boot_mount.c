/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/boot.h"
#include "agent/boot_steps.h"

enum { POLL_MS = 10, MAX_MODULES_FILE = 64 * 1024 };

static int mount_at(const char *type, const char *source, const char *target, unsigned long flags, const char *options,
		    struct error **err)
{
	if (fs_mkdir_p(target, 0755, err) < 0)
		return -1;
	if (mount(source, target, type, flags, options) < 0 && errno != EBUSY)
		return error_errno(err, errno, "cannot mount %s on %s", source, target);
	return 0;
}

int boot_mount_kernel(struct error **err)
{
	if (mount_at("proc", "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, err) < 0 ||
	    mount_at("sysfs", "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, err) < 0 ||
	    mount_at("devtmpfs", "devtmpfs", "/dev", MS_NOSUID, "mode=0755", err) < 0)
		return -1;
	return mount_at("tmpfs", "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", err);
}

static bool is_empty_or_absent(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool empty = true;

	if (!dir)
		return errno == ENOENT;
	while (empty && (e = readdir(dir)))
		empty = str_eq(e->d_name, ".") || str_eq(e->d_name, "..");
	closedir(dir);
	return empty;
}

static void load_module(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		if (errno != ENOENT)
			console_print("cannot open module %s: %s", path, strerror(errno));
		return;
	}
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		console_print("cannot load module %s: %s", path, strerror(errno));
}

/* Each driver takes some hundredths of a second of an emulated boot: none for a bus that the machine does not have. */
static bool is_of_use(const char *path, bool has_pci)
{
	return has_pci || !strstr(path, "/virtio_pci");
}

void boot_load_modules(void)
{
	cleanup_free char *text = NULL;
	cleanup_strv char **lines = NULL;
	cleanup_error struct error *error = NULL;
	bool has_pci = !is_empty_or_absent("/sys/bus/pci/devices");
	size_t n;

	if (fs_read_file(BOOT_MODULES_FILE, MAX_MODULES_FILE, &text, &n, &error) < 0) {
		console_print("%s", error_message(error));
		return;
	}
	lines = strv_split(text, '\n');
	for (char **l = lines; l && *l; l++) {
		if (**l && is_of_use(*l, has_pci))
			load_module(*l);
	}
}

/* ---- disks ---- */

static char *look_for_disk(const char *serial)
{
	DIR *dir = opendir("/sys/block");
	char *found = NULL;
	struct dirent *e;

	while (dir && !found && (e = readdir(dir))) {
		cleanup_free char *path = str_fmt("/sys/block/%s/serial", e->d_name);
		cleanup_free char *text = NULL;
		size_t n;

		if (!str_starts(e->d_name, "vd") || fs_read_file(path, 64, &text, &n, NULL) < 0)
			continue;
		if (str_eq(str_trim(text), serial))
			found = str_fmt("/dev/%s", e->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

char *boot_find_disk(const char *serial, struct error **err)
{
	int64_t deadline = clock_ms() + BOOT_DEVICE_MS;

	for (;;) {
		char *found = look_for_disk(serial);

		if (found)
			return found;
		if (clock_ms() >= deadline)
			break;
		usleep(POLL_MS * 1000);
	}
	error_set(err, ERR_NOT_FOUND, "no disk with serial '%s' appeared within %d s", serial, BOOT_DEVICE_MS / 1000);
	return NULL;
}

static int mount_disk(const char *serial, const char *type, const char *target, unsigned long flags, struct error **err)
{
	cleanup_free char *disk = boot_find_disk(serial, err);

	if (!disk)
		return -1;
	if (mount_at(type, disk, target, flags, NULL, err) < 0)
		return error_wrap(err, "disk '%s'", serial);
	return 0;
}

/* ---- the root ---- */

/* Container engines refuse an overlay below their own, so these live on the disk itself. What an image already has there stays
 * in sight until something was written to the disk's side. */
static int mount_volume(const char *name, struct error **err)
{
	cleanup_free char *volume = str_fmt("/data/volumes/%s", name);
	cleanup_free char *target = str_fmt("/newroot/var/lib/%s", name);

	if (!is_empty_or_absent(target) && is_empty_or_absent(volume))
		return 0;
	if (fs_mkdir_p(volume, 0711, err) < 0)
		return -1;
	return mount_at(NULL, volume, target, MS_BIND, NULL, err);
}

static int mount_volumes(struct error **err)
{
	static const char *const names[] = {"docker", "containerd", "rancher", "kubelet", "lxc", "libvirt"};

	if (!fs_exists("/newroot/var/lib"))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (mount_volume(names[i], err) < 0)
			return -1;
	}
	return 0;
}

int boot_mount_root(const struct guest_config *c, struct error **err)
{
	if (!c->lower)
		return error_set(err, ERR_INVALID, "config: root.lower is required");
	if (mount_disk(c->lower, "squashfs", "/lower", MS_RDONLY, err) < 0)
		return -1;
	if (c->upper ? mount_disk(c->upper, "ext4", "/data", MS_NOATIME, err) < 0
		     : mount_at("tmpfs", "tmpfs", "/data", 0, "mode=0755", err) < 0)
		return -1;
	if (fs_mkdir_p("/data/upper", 0755, err) < 0 || fs_mkdir_p("/data/work", 0700, err) < 0)
		return -1;
	if (mount_at("overlay", "overlay", "/newroot", 0,
		     "lowerdir=/lower,upperdir=/data/upper,workdir=/data/work,redirect_dir=on,index=on", err) < 0)
		return -1;
	return mount_volumes(err);
}

int boot_switch_root(struct error **err)
{
	static const char *const kernel[] = {"/proc", "/sys", "/dev", "/run"};

	for (size_t i = 0; i < ARRAY_LEN(kernel); i++) {
		cleanup_free char *target = str_fmt("/newroot%s", kernel[i]);

		if (fs_mkdir_p(target, 0755, err) < 0)
			return -1;
		if (mount(kernel[i], target, NULL, MS_MOVE, NULL) < 0)
			return error_errno(err, errno, "cannot move %s into the root", kernel[i]);
	}
	if (chdir("/newroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_errno(err, errno, "cannot enter the root");
	return 0;
}

int boot_mount_rest(bool cgroup2, struct error **err)
{
	if (mount_at("devpts", "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666", err) < 0 ||
	    mount_at("tmpfs", "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", err) < 0)
		return -1;
	if (!cgroup2)
		return 0;
	return mount_at("cgroup2", "cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate", err);
}

void boot_mount_modules(const struct guest_config *c)
{
	cleanup_error struct error *error = NULL;
	cleanup_free char *dir = NULL, *dep = NULL;
	struct utsname kernel;

	if (!c->modules)
		return;
	uname(&kernel);
	dir = str_fmt("/lib/modules/%s", kernel.release);
	dep = fs_join(dir, "modules.dep");
	if (!fs_exists(dep) && mount_disk(c->modules, "squashfs", dir, MS_RDONLY, &error) < 0)
		console_print("no modules in the guest: %s", error_message(error));
}
