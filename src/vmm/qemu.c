/* SPDX-License-Identifier: MIT */
/* QEMU: from a spec to its command line. Every VM starts so that it can be forked later: private
 * memory on a sealed memfd, no balloon, nothing by path. Verified with QEMU 7.2. */
#include <inttypes.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/qemu.h"
#include "vmm/qmp.h"

enum {
	QEMU_THREADS = 128, /* besides a vCPU's: main loop, RCU, up to 64 for files, and as many again */
	QEMU_FILE_SLACK = 64 << 20,
	QEMU_BYTES = 256 << 20, /* its heap, caches of qcow2 tables, device queues */
	QEMU_VCPU_BYTES = 8 << 20,
	QEMU_RAM_PER_BYTE = 64, /* page tables, twice under KVM, and the bitmaps of dirty pages */
	TCG_BYTES = 1 << 30,	/* QEMU's own limit of translated code */
};

struct qemu_machine {
	const char *name;
	const char *options;	 /* of -M, behind the name */
	const char *console;	 /* the guest's name of the first serial port */
	const char *kernel_line; /* what this machine needs on it */
	bool x86;
};

static const struct qemu_machine machines[] = {
	{"microvm", ",x-option-roms=off,rtc=on", "ttyS0", " reboot=t", true},
	{"virt", ",gic-version=max", "ttyAMA0", "", false},
};

static const struct qemu_machine *qemu_machine(const char *name, struct error **err)
{
	if (!name)
		name = QEMU_ARM64 ? "virt" : "microvm";
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		if (str_eq(name, machines[i].name))
			return &machines[i];
	}
	error_set(err, ERR_UNSUPPORTED, "QEMU machine '%s' is not supported: use microvm or virt", name);
	return NULL;
}

static void add(char ***argv, const char *option, const char *value)
{
	strv_append(argv, option);
	if (value)
		strv_append(argv, value);
}

static void add_fmt(char ***argv, const char *option, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add_fmt(char ***argv, const char *option, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_append(argv, option);
	strv_append_take(argv, str_vfmt(fmt, ap));
	va_end(ap);
}

static void qemu_add_machine(char ***argv, const struct vmm_spec *spec, const struct qemu_machine *m,
			     const struct vmm_fds *fds)
{
	bool kvm = spec->probe->accel == VMM_ACCEL_KVM;

	add_fmt(argv, "-name", "guest=%s", spec->name);
	add(argv, "-nodefaults", NULL);
	add(argv, "-no-user-config", NULL);
	add(argv, "-display", "none");
	add(argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add_fmt(argv, "-M", "%s%s,memory-backend=mem,suppress-vmdesc=on", m->name, m->options);
	add(argv, "-accel", kvm ? "kvm" : "tcg");
	add(argv, "-cpu", kvm ? "host" : "max");
	add_fmt(argv, "-smp", "%u", spec->vcpus);
	add_fmt(argv, "-m", "size=%" PRIu64 "M", spec->ram_bytes >> 20);
	/* share=off: the guest's writes are private pages, the file stays as it was given. */
	add_fmt(argv, "-object", "memory-backend-file,id=mem,size=%" PRIu64 ",mem-path=/proc/self/fd/%d,share=off",
		spec->ram_bytes, fds->memory);
	add(argv, "-global", "migration.send-configuration=off");
}

/* Sets of one fd each: /dev/fdset/N is how QEMU opens what it was given, in its own mode. */
static void qemu_add_fdset(char ***argv, int fd)
{
	add_fmt(argv, "-add-fd", "fd=%d,set=%d", fd, fd);
}

static void qemu_add_channels(char ***argv, const struct vmm_fds *fds)
{
	add_fmt(argv, "-chardev", "socket,id=qmp,fd=%d,server=on,wait=off", fds->qmp);
	add(argv, "-mon", "chardev=qmp,mode=control");
	qemu_add_fdset(argv, fds->console);
	add_fmt(argv, "-chardev", "file,id=console,path=/dev/fdset/%d,append=on", fds->console);
	add(argv, "-serial", "chardev:console");
	add(argv, "-device", "virtio-serial-device,max_ports=3");
	add_fmt(argv, "-chardev", "socket,id=control,fd=%d,server=on,wait=off", fds->control);
	add(argv, "-device", "virtserialport,chardev=control,name=org.slicer.control.0,nr=1");
	add_fmt(argv, "-chardev", "socket,id=agent,fd=%d,server=on,wait=off", fds->agent);
	add(argv, "-device", "virtserialport,chardev=agent,name=org.slicer.agent.0,nr=2");
	add(argv, "-object", "rng-builtin,id=rng");
	add(argv, "-device", "virtio-rng-device,rng=rng");
}

/* One bucket for what the image and the writable disk do together; QEMU allows bursts of a tenth of a second. As JSON: in the
 * other form these members are not understood (QEMU 7.2). */
static bool qemu_add_throttle(char ***argv, const struct vmm_spec *spec)
{
	cleanup_json struct json_object *group = json_object_new_object();
	struct json_object *limits = json_object_new_object();
	cleanup_free char *text = NULL;

	js_add_string(group, "qom-type", "throttle-group");
	js_add_string(group, "id", "disks");
	js_add(group, "limits", limits);
	if (spec->disk_bandwidth)
		js_add_u64(limits, "bps-total", spec->disk_bandwidth);
	if (spec->disk_operations)
		js_add_u64(limits, "iops-total", spec->disk_operations);
	if (json_object_object_length(limits) == 0)
		return false;
	text = js_to_string(group);
	add(argv, "-object", text);
	return true;
}

/* The node that the guest's device uses. */
static const char *qemu_throttled(char ***argv, const char *node, bool throttle)
{
	static const struct {
		const char *node, *throttled, *options;
	} names[] = {{"root", "root-limited", ",read-only=on"},
		     {"data", "data-limited", ""},
		     {"modules", "modules-limited", ",read-only=on"}};

	for (size_t i = 0; throttle && i < ARRAY_LEN(names); i++) {
		if (!str_eq(names[i].node, node))
			continue;
		add_fmt(argv, "-blockdev", "driver=throttle,node-name=%s,throttle-group=disks,file=%s%s",
			names[i].throttled, node, names[i].options);
		return names[i].throttled;
	}
	return node;
}

static void qemu_add_raw_disk(char ***argv, const char *id, int fd, bool throttle)
{
	if (fd < 0)
		return;
	qemu_add_fdset(argv, fd);
	add_fmt(argv, "-blockdev", "driver=file,node-name=%s,filename=/dev/fdset/%d,read-only=on,auto-read-only=off",
		id, fd);
	add_fmt(argv, "-device", "virtio-blk-device,drive=%s,serial=slicer-%s", qemu_throttled(argv, id, throttle), id);
}

static void qemu_add_disks(char ***argv, const struct vmm_spec *spec, const struct vmm_fds *fds)
{
	bool throttle = qemu_add_throttle(argv, spec);

	qemu_add_raw_disk(argv, "root", fds->root, throttle);
	if (fds->data >= 0) {
		qemu_add_fdset(argv, fds->data);
		add_fmt(argv, "-blockdev", "driver=file,node-name=data-file,filename=/dev/fdset/%d", fds->data);
		add(argv, "-blockdev", "driver=qcow2,node-name=data,file=data-file");
		/* A discarded cluster would be written anew in each frozen layer. */
		add_fmt(argv, "-device", "virtio-blk-device,drive=%s,serial=slicer-data,discard=off",
			qemu_throttled(argv, "data", throttle));
	}
	qemu_add_raw_disk(argv, "config", fds->config, false);
	qemu_add_raw_disk(argv, "modules", fds->modules, throttle);
}

static int qemu_add_net(char ***argv, const struct vmm_net *net, const struct vmm_fds *fds, struct error **err)
{
	const unsigned char *m = net->mac;

	switch (net->kind) {
	case VMM_NET_NONE:
		return 0;
	case VMM_NET_SLIRP:
		/* Unrestricted it would show the guest the host's loopback at 10.0.2.2. */
		add(argv, "-netdev", "user,id=net,restrict=on,ipv6=off");
		break;
	case VMM_NET_HELPER:
		add_fmt(argv, "-netdev", "stream,id=net,server=off,addr.type=fd,addr.str=%d", fds->net);
		break;
	case VMM_NET_TAP:
		add_fmt(argv, "-netdev", "tap,id=net,fd=%d", fds->net);
		break;
	default:
		return error_set(err, ERR_INTERNAL, "unknown kind of network %d", net->kind);
	}
	add_fmt(argv, "-device", "virtio-net-device,netdev=net,mac=%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
		m[3], m[4], m[5]);
	return 0;
}

/* panic=-1: a panicked guest resets at once, which the host sees as a reset without a `bye`.
 * fstab=no: an image's fstab may name disks that are not there. net.ifnames=0: interface names that
 * no network manager of the image matches. disable_ipv6 and not ipv6.disable: programs that bind to
 * [::] still start. cryptomgr.notests: a kernel that was tested when it was built need not try its
 * ciphers at each boot, which is up to a fifth of it (one in FIPS mode does so all the same). */
static char *qemu_kernel_line(const struct vmm_spec *spec, const struct qemu_machine *m)
{
	cleanup_free char *clock = NULL;
	uint64_t khz = spec->probe->tsc_khz;

	/* Emulated guests that boot at the same time cannot calibrate their TSC against the PIT,
	 * and hang; they see the host's counter, so the host can tell them. lpj is for 250 Hz, as
	 * in Debian's and Ubuntu's kernels. tsc=reliable: a busy host delivers ticks late, which the
	 * kernel's watchdog takes for a wrong TSC; what is left then is a clock of 4 ms, read by
	 * system calls, with timers no finer. Never under KVM: there the guest has a better clock,
	 * and a wrong value makes its time run wrong. noreplace-smp: a kernel with one processor
	 * takes thousands of lock prefixes out of its code, which has to be translated anew then. */
	if (m->x86 && spec->probe->accel == VMM_ACCEL_TCG && khz)
		clock = str_fmt(" tsc_early_khz=%" PRIu64 " tsc=reliable no_timer_check noreplace-smp lpj=%" PRIu64,
				khz, khz * 1000 / 250);
	return str_fmt("console=%s%s panic=-1 quiet fstab=no net.ifnames=0 ipv6.disable_ipv6=1 cryptomgr.notests%s%s%s",
		       m->console, m->kernel_line, clock ? clock : "", spec->cmdline && *spec->cmdline ? " " : "",
		       spec->cmdline ? spec->cmdline : "");
}

static int qemu_check(const struct vmm_spec *spec, struct error **err)
{
	if (!spec->kernel)
		return error_set(err, ERR_INVALID, "no kernel is given");
	/* QEMU's option parser splits at commas. */
	if (strchr(spec->name, ','))
		return error_set(err, ERR_INVALID, "VM name '%s' contains a comma", spec->name);
	if (spec->vcpus < 1 || spec->vcpus > QEMU_VCPUS_MAX)
		return error_set(err, ERR_INVALID, "%u vCPUs: must be 1 to %d", spec->vcpus, QEMU_VCPUS_MAX);
	if (!spec->ram_bytes || spec->ram_bytes % (1 << 20))
		return error_set(err, ERR_INVALID, "%" PRIu64 " bytes of memory: must be a multiple of 1 MiB",
				 spec->ram_bytes);
	return 0;
}

/* Its libraries, its modules (below them) and its firmware. */
static void qemu_declare_jail(struct jail_spec *s, const struct vmm_spec *spec, const char *binary)
{
	static const char *const paths[] = {"/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu"};
	cleanup_free char *bin = fs_dirname(binary), *prefix = fs_dirname(bin);

	jail_spec_add_libraries(s);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		strv_append(&s->paths, paths[i]);
	if (!str_eq(prefix, "/usr") && !str_eq(prefix, "/")) {
		strv_append_take(&s->paths, fs_join(prefix, "lib"));
		strv_append_take(&s->paths, fs_join(prefix, "share/qemu"));
	}
	strv_append(&s->devices, "null");
	strv_append(&s->devices, "urandom");
	if (spec->probe->accel == VMM_ACCEL_KVM)
		strv_append(&s->devices, "kvm");
	s->threads = spec->vcpus + QEMU_THREADS;
	/* qcow2: tables of eight bytes per cluster of 64 KiB twice over, and what is being replaced by more. */
	s->file_bytes = spec->data_disk ? spec->disk_bytes + spec->disk_bytes / 16 + QEMU_FILE_SLACK : 0;
}

static int qemu_prepare(const struct vmm_spec *spec, const struct vmm_fds *fds, struct vmm_command *ret,
			struct error **err)
{
	const struct qemu_machine *m = qemu_machine(spec->machine, err);
	bool kvm = spec->probe->accel == VMM_ACCEL_KVM;
	char ***argv = &ret->argv;

	*ret = (struct vmm_command){.kvm = kvm};
	if (!m || qemu_check(spec, err) < 0)
		return -1;
	/* The smaller binary knows only KVM, the machine microvm, and no user network. */
	strv_append(argv,
		    kvm && m->x86 && spec->net.kind != VMM_NET_SLIRP ? spec->probe->binary : spec->probe->binary_full);
	qemu_add_machine(argv, spec, m, fds);
	qemu_add_channels(argv, fds);
	qemu_add_disks(argv, spec, fds);
	if (qemu_add_net(argv, &spec->net, fds, err) < 0) {
		vmm_command_clear(ret);
		return -1;
	}
	add_fmt(argv, "-kernel", "/proc/self/fd/%d", fds->kernel);
	if (fds->initrd >= 0)
		add_fmt(argv, "-initrd", "/proc/self/fd/%d", fds->initrd);
	strv_append(argv, "-append");
	strv_append_take(argv, qemu_kernel_line(spec, m));
	strv_append(&ret->env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	strv_append(&ret->env, "LC_ALL=C");
	ret->overhead_bytes = QEMU_BYTES + spec->vcpus * QEMU_VCPU_BYTES + spec->ram_bytes / QEMU_RAM_PER_BYTE +
			      (kvm ? 0 : TCG_BYTES);
	qemu_declare_jail(&ret->jail, spec, (*argv)[0]);
	return 0;
}

const struct vmm_ops vmm_qemu = {
	.name = "qemu",
	.capabilities = VMM_CAN_PAUSE | VMM_CAN_REBOOT | VMM_CAN_USER_NET,
	.probe = qemu_probe,
	.prepare = qemu_prepare,
	.await_up = qmp_await_up,
	.attach = qmp_attach,
	.pause = qmp_pause,
	.resume = qmp_resume,
	.stop = qmp_stop,
	.kill = qmp_kill,
};
