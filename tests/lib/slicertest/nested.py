# SPDX-License-Identifier: MIT
"""A guest with systemd, cgroup v2 and KVM in which slicer is installed, for tests that the host cannot run: QEMU under
emulation gives its guest AMD's SVM with nested paging (-cpu max).

Its root is one squashfs of Debian 12, made once and kept in BUILD/nested-cache, under an overlay in memory; that of the
package's test has nothing but what the package draws in (needs_of_package). A second squashfs, /payload, has the programs of
this build at the places that they have in a build directory, the tests, and a store with image micro. The script of a test
runs there as a systemd service; its output and exit code come back through files of the host.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

from . import paths
from .wait import until

PACKAGES = ("systemd,systemd-sysv,udev,dbus,kmod,iproute2,procps,util-linux,nftables,python3-minimal,python3-yaml,"
            "python3-pytest,linux-image-cloud-amd64,qemu-system-x86,qemu-utils,passt,squashfs-tools,e2fsprogs,"
            "busybox-static,bash-static,libevent-core-2.1-7,libnghttp2-14,libwslay1,libjson-c5,libyaml-0-2,"
            "libarchive13,libcurl4")
# Of a guest whose Debian has what a package of ours draws in, only what the harness itself needs.
HARNESS = "systemd,systemd-sysv,udev,dbus,python3-minimal,python3-yaml,python3-pytest,linux-image-cloud-amd64"
# What the first guest's kernel needs before its root, in this order.
MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "virtio_console", "squashfs", "overlay"]

INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mkdir -p /proc /sys /dev /lower /upper /new
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in $($B cat /modules/order); do $B insmod /modules/$m; done
while ! [ -b /dev/vdb ]; do $B usleep 20000; done
$B mount -t squashfs -o ro /dev/vda /lower
$B mount -t tmpfs -o size=80% tmpfs /upper
$B mkdir -p /upper/up /upper/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/upper/up,workdir=/upper/work overlay /new
$B mkdir -p /new/payload /new/etc/systemd/system/multi-user.target.wants
$B mount -t squashfs -o ro /dev/vdb /new/payload
$B cp /new/payload/slicer-test.service /new/etc/systemd/system/
$B ln -s ../slicer-test.service /new/etc/systemd/system/multi-user.target.wants/
$B rm -f /new/etc/machine-id /new/etc/fstab; : > /new/etc/machine-id
echo outer > /new/etc/hostname
$B mount --move /dev /new/dev; $B mount --move /proc /new/proc; $B mount --move /sys /new/sys
exec $B switch_root /new /lib/systemd/systemd
"""

UNIT = """[Unit]
Description=The test
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /payload/run.sh
ExecStopPost=/bin/sh /payload/done.sh
TimeoutStartSec=infinity
"""

DONE = """echo "EXIT $EXIT_CODE $EXIT_STATUS" > "$(echo /dev/vport*p1)"
exec systemctl poweroff --force --force
"""

PRELUDE = """set -e
exec > "$(echo /dev/vport*p1)" 2>&1
modprobe kvm-amd
# As an installation puts them; /payload/build stays for the tests' library.
install -D -m 0755 -t /usr/local/bin /payload/build/src/slicer
install -D -m 0755 -t /usr/local/libexec/slicer /payload/build/src/agent/slicer-agent \\
    /payload/build/src/vmm/slicer-monitor /payload/build/src/image/slicer-image /payload/build/src/net/slicer-netns
cp -a /payload/store /var/tmp/store
export SLICER_BUILD=/payload/build SLICER_TEST_STORE=/var/tmp/store PYTHONDONTWRITEBYTECODE=1
cd /payload/source/tests
"""


def tsc_khz(work):
    """The rate of the time stamp counter: a guest under emulation that must find it by itself hangs at times."""
    source = work / "tsc.c"
    source.write_text("""#include <stdio.h>
#include <time.h>
#include <x86intrin.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
int main(void) { double t = now(); unsigned long long c = __rdtsc(); while (now() < t + 0.2); c = __rdtsc() - c;
	printf("%.0f\\n", c / (now() - t) / 1000); return 0; }
""")
    subprocess.run(["cc", "-O2", "-o", work / "tsc", source], check=True)
    return int(subprocess.run([work / "tsc"], capture_output=True, check=True).stdout)


def cache():
    path = paths.BUILD / "nested-cache"
    path.mkdir(exist_ok=True)
    return path


def squash(directory, target, compression="zstd", *more):
    subprocess.run(["mksquashfs", directory, target, "-comp", compression, "-noappend", "-no-progress", "-quiet", *more],
                   check=True, capture_output=True)


def keep_for_initramfs(root, work):
    (work / "modules").mkdir()
    shutil.copy(root / "bin/busybox", work / "busybox")
    for name in MODULES:
        for module in (root / "lib/modules").rglob(f"{name}.ko"):  # what is not there is built in
            shutil.copy(module, work / "modules" / module.name)


def make_initramfs(made, work):
    """busybox, the modules and INIT, as a cpio archive."""
    top = work / "initramfs"
    (top / "bin").mkdir(parents=True)
    shutil.copy(made / "busybox", top / "bin/busybox")
    shutil.copytree(made / "modules", top / "modules")
    order = [f"{name}.ko" for name in MODULES if (made / "modules" / f"{name}.ko").exists()]
    (top / "modules/order").write_text("\n".join(order))
    (top / "init").write_text(INIT)
    (top / "init").chmod(0o755)
    names = "\n".join(str(p.relative_to(top)) for p in sorted(top.rglob("*")))
    with open(work / "initrd", "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=top, input=names.encode(), stdout=out, check=True)
    return work / "initrd"


def needs_of(package):
    """A package without files that draws in what this one does; and those that apt would install with it, by name."""
    fields = {f: subprocess.run(["dpkg-deb", "-f", package, f], capture_output=True, text=True, check=True).stdout.strip()
              for f in ("Package", "Depends", "Recommends")}
    control = (f"Package: {fields['Package']}\nVersion: 0\nArchitecture: all\nMaintainer: none <none@localhost>\n"
               f"Depends: {fields['Depends']}\nDescription: what it needs\n")
    return control, re.findall(r"(?:^|, *)([\w.+-]+)", fields["Recommends"])


def needs_hook(needs, work):
    """mmdebstrap's hook that installs from a local file as apt does, and removes that package only: what it needs stays."""
    control, recommended = needs
    (work / "needs/DEBIAN").mkdir(parents=True)
    (work / "needs/DEBIAN/control").write_text(control)
    return (f'dpkg-deb -b {work}/needs "$1/needs.deb"; APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -y --no-install-recommends '
            f'-o DPkg::Chroot-Directory="$1" install "$1/needs.deb" {" ".join(recommended)}; rm "$1/needs.deb"; '
            f'chroot "$1" dpkg --purge {re.search("Package: (.*)", control).group(1)}')


def debootstrap(root, packages, *more):
    made = subprocess.run(["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={packages}",
                           "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
                           "--skip=cleanup/apt", *more, "bookworm", root], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]


def base(package=None):
    """The directory with kernel, modules, busybox and root image; made when it is not in the cache. With a package, its root is
    a minimal Debian with what that draws in, and without it."""
    needs = package and needs_of(package)
    key = hashlib.sha256((f"{HARNESS}{needs}" if needs else PACKAGES).encode() + "".join(MODULES).encode()).hexdigest()[:12]
    done = cache() / key
    if not done.exists():
        work = cache() / f".{key}.{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        root = work / "root"
        work.mkdir()
        debootstrap(root, HARNESS if needs else PACKAGES, *(["--customize-hook=set -e; " + needs_hook(needs, work)] if needs else []))
        shutil.copy(next((root / "boot").glob("vmlinuz-*")), work / "vmlinuz")
        keep_for_initramfs(root, work)
        squash(root, work / "root.squashfs", "zstd", "-Xcompression-level", "3", "-e", "boot", "var/cache", "var/lib/apt")
        shutil.rmtree(root)
        os.rename(work, done)
    return done


def copy_store(store, target):
    """Image micro of it: the whole payload is held in memory."""
    target.mkdir()
    image = json.loads((store / "images/micro/image.json").read_text())
    blobs = {"blobs/sha256/" + pathlib.Path(image[key]).name for key in ("rootfs", "busybox")}
    for name in sorted({"images/micro", "initramfs", image["kernel"]["path"], *blobs}):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", store / name, target / name], check=True)


def payload(work, script, store, files):
    """The squashfs of what a test brings along; files: {name in /payload: path}."""
    top = work / "payload"
    for name, path in paths.programs(paths.BUILD).items():
        target = top / "build" / path.relative_to(paths.BUILD)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.copytree(paths.SOURCE / "tests", top / "source/tests", ignore=shutil.ignore_patterns("corpus", "__pycache__"))
    copy_store(pathlib.Path(store), top / "store")
    for name, path in files.items():
        shutil.copy(path, top / name)
    (top / "run.sh").write_text(PRELUDE + script)
    (top / "done.sh").write_text(DONE)
    (top / "slicer-test.service").write_text(UNIT)
    squash(top, work / "payload.squashfs", "lz4")
    shutil.rmtree(top)
    return work / "payload.squashfs"


def command(made, work, initrd, disk, cpus, ram_mb):
    khz = tsc_khz(work)
    append = ("console=ttyS0 quiet reboot=t panic=-1 net.ifnames=0 cryptomgr.notests systemd.unified_cgroup_hierarchy=1 "
              f"tsc_early_khz={khz} no_timer_check lpj={khz * 1000 // 250}")
    argv = ["qemu-system-x86_64", "-M", "microvm,x-option-roms=off,rtc=on", "-accel", "tcg", "-cpu", "max",
            "-smp", cpus, "-m", ram_mb, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-serial", f"file:{work}/console", "-kernel", made / "vmlinuz", "-initrd", initrd, "-append", append,
            "-drive", f"if=none,id=a,format=raw,readonly=on,file={made}/root.squashfs", "-device", "virtio-blk-device,drive=a",
            "-drive", f"if=none,id=b,format=raw,readonly=on,file={disk}", "-device", "virtio-blk-device,drive=b",
            "-device", "virtio-serial-device", "-chardev", f"file,id=o,path={work}/output",
            "-device", "virtserialport,chardev=o,name=output"]
    return [str(a) for a in argv]


def boot(argv, work, seconds):
    """Until the guest ends; what it printed, and how its script ended, if it did."""
    out, logs = work / "output", (work / "output", work / "console", work / "qemu.log")
    with open(work / "qemu.log", "wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None, seconds, "the outer guest ends")
    except AssertionError:
        process.kill()
        process.wait()
        raise AssertionError(tell(*logs)) from None
    text = out.read_text(errors="replace") if out.exists() else ""
    return text, re.search(r"^EXIT (\w+) (\S+)\s*$", text, re.M), tell(*logs)


def run(work, script, store, cpus=2, ram_mb=3072, seconds=1800, files=None, needs_of_package=None):
    """Boots the guest and runs a shell script in it as root; returns its exit code and what it printed."""
    work = pathlib.Path(work)
    made = base(needs_of_package)
    argv = command(made, work, make_initramfs(made, work), payload(work, script, store, files or {}), cpus, ram_mb)
    start = time.monotonic()
    text, match, told = boot(argv, work, seconds)
    if not match and "Kernel panic - not syncing: corrupted stack end" in told:
        # Seen once in some dozens of runs: a fault of the emulation of SVM or of that kernel, which nobody's VM depends on.
        print("the outer guest's kernel has lost a stack; once more:\n" + told)
        text, match, told = boot(argv, work, seconds)
    if not match:
        raise AssertionError(told)
    print(f"the outer guest took {time.monotonic() - start:.0f} s")
    code = int(match.group(2)) if match.group(2).isdigit() else 255
    return code, text[:match.start()].replace("\r\n", "\n")


def tell(*files):
    return "\n".join(f"--- {f.name}\n{f.read_text(errors='replace')[-4000:]}" for f in files if f.exists())
