/* SPDX-License-Identifier: MIT */
/* What runs VMs, and the programs that slicer needs besides. */
#include "base/fs.h"
#include "base/helper.h"
#include "host/doctor_checks.h"
#include "vmm/accel.h"
#include "vmm/qemu.h"

/* What can be said of a /dev/kvm that works. */
static void kvm_kind(const struct doctor *d, struct doctor_result *r, const char *hardware)
{
	cleanup_free char *path = str_fmt("/sys/module/%s/parameters/nested", hardware);
	cleanup_free char *nested = doctor_read(d, path), *cpu = doctor_read(d, "/proc/cpuinfo");

	doctor_say(r, DOCTOR_OK, "/dev/kvm works, by %s", hardware);
	if (cpu && strstr(cpu, " hypervisor"))
		strv_append(&r->detail, "This host is a VM itself: KVM is nested, and slower than on hardware");
	if (str_eq(nested, "Y") || str_eq(nested, "1"))
		strv_append(&r->detail, "VMs may run VMs in turn");
	else if (nested) {
		strv_append(&r->detail, "VMs cannot use KVM in turn");
		strv_append_fmt(&r->detail, "For that: options %s nested=1 in /etc/modprobe.d/kvm.conf, then reboot",
				hardware);
	}
}

static void kvm_fix(struct doctor_result *r, const struct error *why)
{
	if (why->code == ERR_FORBIDDEN) {
		strv_append(&r->fix, "usermod -aG kvm $USER, then log in again (or run slicer as root)");
		return;
	}
	strv_append(&r->fix, "modprobe kvm_intel || modprobe kvm_amd");
	strv_append(&r->fix, "When that fails: switch virtualization (VT-x, AMD-V) on in the "
			     "firmware, or nested virtualization in "
			     "the hypervisor that this machine runs on");
}

/* What the configuration's groups insist on. */
static enum doctor_severity kvm_need(const struct config *cfg)
{
	bool emulated = cfg && cfg->ngroups;

	for (size_t i = 0; cfg && i < cfg->ngroups; i++) {
		if (cfg->groups[i].accel == ACCEL_KVM)
			return DOCTOR_ERROR;
		emulated = emulated && cfg->groups[i].accel == ACCEL_TCG;
	}
	return emulated ? DOCTOR_NOTE : DOCTOR_WARNING;
}

void doctor_kvm(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *modules = doctor_path(d, "/sys/module"), *device = doctor_path(d, "/dev/kvm");
	const struct accel_host host = {.sys_module = modules, .kvm_device = device, .arm64 = QEMU_ARM64};
	const char *hardware = accel_hardware(&host);
	cleanup_error struct error *why = NULL;
	enum doctor_severity bad = kvm_need(d->config);

	if (accel_kvm_check(&host, &why)) {
		doctor_say(r, bad, "VMs are emulated, which works everywhere and is some ten times slower: %s",
			   error_message(why));
		kvm_fix(r, why);
	} else if (hardware) {
		kvm_kind(d, r, hardware);
	} else if (doctor_exists(d, "/sys/module/kvm_pvm")) {
		doctor_say(r, bad,
			   "/dev/kvm is kvm_pvm's, under which stock kernels hang early in their "
			   "boot: slicer does not use "
			   "it by itself, and emulates");
		strv_append(&r->fix, "Use a machine with kvm_intel or kvm_amd; SLICER_ACCEL=kvm "
				     "insists, with a kernel made for PVM");
	} else {
		doctor_say(r, bad,
			   "/dev/kvm is not backed by kvm_intel or kvm_amd: slicer does not use it "
			   "by itself, and emulates");
		strv_append(&r->fix, "SLICER_ACCEL=kvm insists, where the device is known to be good");
	}
}

void doctor_qemu(const struct doctor *d, struct doctor_result *r)
{
	const char *name = QEMU_ARM64 ? "qemu-system-aarch64" : "qemu-system-x86_64";
	cleanup_free char *program = doctor_program(d, name), *line = program ? doctor_version(program) : NULL,
			  *version = NULL;
	cleanup_error struct error *why = NULL;

	if (!program)
		doctor_say(r, DOCTOR_ERROR, "%s is not installed: nothing can run VMs", name);
	else if (!line)
		doctor_say(r, DOCTOR_ERROR, "%s does not tell its version: nothing can run VMs", program);
	else if (qemu_parse_version(line, &version, &why))
		doctor_say(r, DOCTOR_ERROR, "%s: %s", program, error_message(why));
	else
		doctor_say(r, DOCTOR_OK, "QEMU %s", version);
	if (r->severity == DOCTOR_ERROR)
		strv_append_fmt(&r->fix, "apt-get install %s", QEMU_ARM64 ? "qemu-system-arm" : "qemu-system-x86");
}

void doctor_qemu_microvm(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *program = doctor_program(d, "qemu-system-x86_64-microvm");

	if (QEMU_ARM64)
		doctor_say(r, DOCTOR_OK, "Not on this architecture");
	else if (!program)
		doctor_say(r, DOCTOR_OK, "Not installed; the full QEMU does");
	else if (qemu_has_sandbox(program, NULL))
		doctor_say(r, DOCTOR_OK, "Installed; under KVM it starts in half the time");
	else
		doctor_say(r, DOCTOR_OK,
			   "Installed, but built without the sandbox that every VM gets, as Debian 12's "
			   "is: it is not used");
}

void doctor_other_vmm(const struct doctor *d, struct doctor_result *r)
{
	static const char *const names[] = {"firecracker", "cloud-hypervisor"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cleanup_free char *program = doctor_program(d, names[i]),
				  *line = program ? doctor_version(program) : NULL;

		if (program)
			strv_append_fmt(&r->detail, "%s: %s", program, line ? line : "does not tell its version");
	}
	doctor_say(r, r->detail ? DOCTOR_NOTE : DOCTOR_OK,
		   r->detail ? "Firecracker or Cloud Hypervisor is installed, which this version "
			       "cannot use yet; it runs VMs by QEMU"
			     : "No other hypervisor is installed; this version runs VMs by QEMU");
}

void doctor_passt(const struct doctor *d, struct doctor_result *r)
{
	cleanup_free char *program = doctor_program(d, "passt"), *line = program ? doctor_version(program) : NULL;
	enum doctor_severity bad = doctor_need(d, 1U << NET_USER);

	if (program && line) {
		doctor_say(r, DOCTOR_OK, "%s", line);
		return;
	}
	doctor_say(r, bad == DOCTOR_ERROR ? DOCTOR_WARNING : bad,
		   program ? "passt does not run: VMs of the network mode user have no network"
			   : "passt is not installed: VMs of the network mode user have no network");
	strv_append(&r->fix, "apt-get install passt");
}

static const struct tool {
	const char *program, *package, *use;
	bool vms; /* needed to run VMs, not only to build images */
} tools[] = {
	{"qemu-img", "qemu-utils", "writable disks", true},
	{"mkfs.ext4", "e2fsprogs", "writable disks", true},
	{"mksquashfs", "squashfs-tools", "root filesystems of images"},
	{"depmod", "kmod", "kernels of images"},
	{"apt-get", "apt", "kernels and programs of images"},
	{"mmdebstrap", "mmdebstrap", "the image debian"},
};

void doctor_image_tools(const struct doctor *d, struct doctor_result *r)
{
	cleanup_strv char **packages = NULL;
	cleanup_free char *list = NULL;
	bool vms = false;

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		cleanup_free char *program = doctor_program(d, tools[i].program);

		if (program)
			continue;
		strv_append_fmt(&r->detail, "%s, for %s", tools[i].program, tools[i].use);
		if (!strv_contains(packages, tools[i].package))
			strv_append(&packages, tools[i].package);
		vms = vms || tools[i].vms;
	}
	if (!packages) {
		doctor_say(r, DOCTOR_OK, "The programs that make disks and build images are there");
		return;
	}
	doctor_say(r, vms ? DOCTOR_ERROR : DOCTOR_WARNING,
		   vms ? "Programs that every VM needs are not installed"
		       : "Programs that build images are not installed");
	list = strv_join(packages, " ");
	strv_append_fmt(&r->fix, "apt-get install %s", list);
}

/* "slicer-agent 0.1.0" */
static void check_helper(const char *name, struct doctor_result *r)
{
	cleanup_error struct error *why = NULL;
	cleanup_free char *path = helper_path(name, &why), *line = path ? doctor_version(path) : NULL;
	cleanup_free char *expected = str_fmt("%s %s", name, SLICER_VERSION);

	if (!path)
		strv_append(&r->detail, error_message(why));
	else if (!line)
		strv_append_fmt(&r->detail, "%s does not tell its version", path);
	else if (!str_eq(line, expected))
		strv_append_fmt(&r->detail, "%s is \"%s\", not \"%s\"", path, line, expected);
}

void doctor_helpers(const struct doctor *d, struct doctor_result *r)
{
	check_helper("slicer-agent", r);
	check_helper("slicer-image", r);
	check_helper("slicer-monitor", r);
	check_helper("slicer-netns", r);
	if (!r->detail) {
		doctor_say(r, DOCTOR_OK,
			   "slicer-agent, slicer-image, slicer-monitor and slicer-netns are there, of "
			   "version " SLICER_VERSION);
		return;
	}
	doctor_say(r, DOCTOR_ERROR,
		   "Programs of slicer itself are missing or of another version: VMs do not start, "
		   "or behave oddly");
	strv_append(&r->fix, "Install slicer again, completely (./dev deb makes a package)");
}
