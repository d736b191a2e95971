# SPDX-License-Identifier: MIT
"""The jail: from outside, as /proc shows each program of a VM; from inside, by a program in QEMU's place that tries to get
out (tests/fakevmm/jailprobe.c)."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import pytest
from slicertest import Daemon, alive, run, until
from slicertest.hostspace import host_space
from slicertest.paths import BUILD, MONITOR
from slicertest.proc import children, cmdline, name_of, open_files
from slicertest.space import space
from slicertest.userns import no_user_namespaces

VMMRUN, PROBE, PROBE_MONITOR = (BUILD / "tests/fakevmm" / name for name in ("vmmrun", "jailprobe", "probemonitor"))
EMBEDDED = b"@@EMBEDDED TARGETS@@"
NAMESPACES = ("mnt", "pid", "ipc", "uts", "cgroup", "net")
MIB, GIB = 1 << 20, 1 << 30


# --- from outside

def status(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def mounts(pid):
    """Place: (options, type), of proc(5)'s mountinfo."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        found[fields.split()[4]] = (set(fields.split()[5].split(",")), rest.split()[0])
    return found


def limits(pid):
    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
    return {m[1].strip(): m[3] for m in re.finditer(r"^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)", text, re.M)}


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def tree(pid):
    """Everything below its root that is not the inside of a mount."""
    top, found = pathlib.Path(f"/proc/{pid}/root"), set()
    shown = mounts(pid)
    for directory, names, files in os.walk(f"{top}/", followlinks=False):
        at = "/" + os.path.relpath(directory, top).removeprefix(".")
        names[:] = [n for n in names if shown.get(os.path.join(at, n), (set(), "tmpfs"))[1] == "tmpfs"]
        found |= {os.path.join(at, n) for n in files}
    return found


def programs(monitor):
    """Of a VM in user mode: name → pid."""
    def what(pid):
        words = cmdline(pid)
        return "keeper" if name_of(pid) == "jail-keeper" else "frames" if "--frames" in words else \
            "passt" if "passt" in words[0] else "qemu"
    found = {}
    for pid in children(monitor):
        found.setdefault(what(pid), []).append(pid)
    return found


class Inmates(dict):
    """The programs of a VM, as name → pid. devices: a regular expression of those that its VMM has open besides."""

    def __init__(self, daemon, vm, expected, devices="/dev/null"):
        found = programs(daemon.monitor_pid(vm))
        assert {k: len(v) for k, v in found.items()} == expected
        super().__init__({k: v[0] for k, v in found.items() if k != "keeper"})
        self.keepers, self.daemon, self.devices = found["keeper"], daemon, devices


IN_USER_MODE = {"qemu": 1, "passt": 1, "frames": 1, "keeper": 3}


@pytest.fixture(scope="module")
def inmates(qemu, vm):
    return Inmates(qemu, vm, IN_USER_MODE)


@pytest.fixture(scope="module")
def behind_a_tap(store, tmp_path_factory):
    network = {"bridge": "brjail0", "tap_prefix": "jailtap", "gateway": "192.168.139.1/24"}
    with host_space() as host, Daemon(tmp_path_factory.mktemp("tap"), hypervisor="qemu", group={"network": network, "count": 1},
                                      prefix=("nsenter", f"--net=/run/netns/{host}")) as d:
        vm = f"{d.group}-1"
        until(lambda: d.client.get(f"/vm/{vm}/health").status == 200, 120, f"{vm} answers")
        yield Inmates(d, vm, {"qemu": 1, "keeper": 1}, "/dev/null|/dev/net/tun")


@pytest.fixture(scope="module", params=["inmates-qemu", "inmates-passt", "inmates-frames", "behind_a_tap-qemu"])
def inmate(request):
    """Of one VM, the name of one of its programs."""
    vm, name = request.param.split("-")
    return request.getfixturevalue(vm), name


class Outside:
    """Also under KVM, in tests/nested/inside/limits.py."""

    def test_user(self, inmate):
        vm, name = inmate
        s = status(vm[name])
        uid = s["Uid"].split()[0]
        groups = ([], [uid], [str(os.stat("/dev/kvm").st_gid)] if "/dev/kvm" in vm.devices else [])
        assert int(uid) >= 300000 and s["Uid"].split() == s["Gid"].split() == [uid] * 4 and s["Groups"].split() in groups
        assert (uid == status(vm["qemu"])["Uid"].split()[0]) == (name == "qemu")

    def test_no_rights(self, inmate):
        vm, name = inmate
        s = status(vm[name])
        assert s["NoNewPrivs"] == "1"
        for cap in ("CapInh", "CapPrm", "CapEff", "CapAmb") + (("CapBnd",) if name != "passt" else ()):
            assert int(s[cap], 16) == 0, cap  # passt's bounding set is that of its own user namespace

    def test_system_calls_are_filtered(self, inmate):
        vm, name = inmate
        s = status(vm[name])
        assert s["Seccomp"] == "2" and s["Seccomp_filters"] == "2", "ours, and that of the program itself"
        if name == "qemu":
            words = cmdline(vm[name])
            assert {"on", "spawn=deny", "elevateprivileges=deny"} <= set(words[words.index("-sandbox") + 1].split(","))

    def test_namespaces(self, inmate):
        vm, name = inmate
        for kind in NAMESPACES:
            own = namespace(vm[name], kind)
            others = {namespace(p, kind) for p in (vm.daemon.pid, *(pid for n, pid in vm.items() if n != name))}
            # passt speaks for the guest in the host's network.
            assert (own in others) == (name == "passt" and kind == "net"), kind
        assert status(vm[name])["NSpid"].split() == [str(vm[name]), "2"]

    def test_mounts(self, inmate):
        vm, name = inmate
        for place, (options, kind) in mounts(vm[name]).items():
            assert {"nosuid"} <= options, place
            assert "ro" in options, f"{place} can be written"
            assert "nodev" in options or place == "/dev", place
            assert "noexec" in options or kind not in ("tmpfs", "proc"), place

    def test_limits(self, inmate):
        vm, name = inmate
        have = limits(vm[name])
        assert have["Max core file size"] == "0" and int(have["Max open files"]) <= 1024
        assert int(have["Max file size"]) == (17 * GIB + 64 * MIB if name == "qemu" else 0)
        assert int(have["Max processes"]) == (129 if name == "qemu" else 16)
        assert int(have["Max locked memory"]) <= 65536 and have["Max msgqueue size"] == "0"

    def test_open_files(self, inmate):
        vm, name = inmate
        allowed = {"qemu": r"pipe:.*|socket:.*|/memfd:guest-memory.*|anon_inode:.*|/.*/(vmlinux|.*\.cpio|disk\.qcow2|modules\.squashfs|"
                           r"config\.raw|blobs/sha256/[0-9a-f]{64})|" + vm.devices,
                   "passt": r"/dev/null|pipe:.*|socket:.*|anon_inode:.*|/dev/urandom", "frames": r"/dev/null|pipe:.*|socket:.*"}
        for fd, to in open_files(vm[name]):
            assert re.fullmatch(allowed[name], to), (fd, to)


class TestOutside(Outside):
    pass


@pytest.mark.parametrize("name,files", [
    ("qemu", {"/dev/null", "/dev/urandom", "/etc/ld.so.cache", "/usr/bin/qemu-system-x86_64"}), ("frames", set())])
def test_a_root_with_only_what_it_needs(inmates, name, files):
    """Besides what is below a mount."""
    assert tree(inmates[name]) == files


def test_passt_has_made_an_empty_root_of_its_own(inmates):
    """Within the one that it was given."""
    assert os.listdir(f"/proc/{inmates['passt']}/root") == []


def test_network_of_the_vmm_is_empty(inmates):
    net = pathlib.Path(f"/proc/{inmates['qemu']}/net")
    assert [line.split(":")[0].strip() for line in (net / "dev").read_text().splitlines()[2:]] == ["lo"]
    assert (net / "route").read_text().splitlines()[1:] == []


def test_keepers_can_only_wait(inmates):
    for pid in inmates.keepers:
        s = status(pid)
        assert s["Seccomp"] == "1" and int(s["CapEff"], 16) == 0 and s["NSpid"].split()[1] == "1"
        assert [to.split(":")[0] for _, to in open_files(pid)] == ["socket"]


def test_no_two_share_a_user(qemu, vm):
    other = qemu.client.create(qemu.group, timeout="120s")["hostname"]
    users = [status(p)["Uid"].split()[0] for v in (vm, other) for p in children(qemu.monitor_pid(v)) if name_of(p) != "jail-keeper"]
    assert len(users) == 6 and len(set(users)) == 4
    qemu.client.remove(other)


# --- from inside

GONE, DENIED, UNREACHABLE = {"ENOENT"}, {"EPERM"}, {"ENETUNREACH"}
INSIDE = {
    "state_directory": GONE, "run_directory": GONE, "other_disk": GONE, "image_by_path": GONE, "etc_passwd": GONE,
    "up_and_out": GONE, "sys_directory": GONE, "create_file": {"EROFS"}, "create_in_dev": {"EROFS"},
    "change_firmware": {"EROFS"}, "by_handle": DENIED,
    # What all VMs share is open for reading only, and memory is sealed.
    "image_write": {"EBADF"}, "image_reopen": {"EACCES"}, "kernel_reopen": {"EACCES"},
    "initrd_reopen": {"EACCES"}, "config_write": {"EBADF"}, "config_reopen": {"EACCES"}, "image_truncate": {"EINVAL"},
    "memory_write": DENIED, "memory_truncate": DENIED, "memory_punch": DENIED, "memory_map_shared": DENIED,
    "disk_beyond_limit": {"EFBIG"},
    "signal_other_vmm": {"ESRCH"}, "signal_monitor": {"ESRCH"}, "signal_daemon": {"ESRCH"}, "signal_process_one": DENIED,
    "signal_all": {"ESRCH", "EPERM"}, "trace_process_one": DENIED, "read_process_one": DENIED, "proc_of_process_one": GONE,
    "root_of_process_one": GONE, "proc_of_other_vmm": GONE, "proc_sys": GONE, "proc_sysrq": GONE, "run_a_shell": GONE,
    "api_socket": GONE, "other_qmp": GONE, "other_monitor": GONE, "abstract_socket": {"ECONNREFUSED"},
    "host_loopback": UNREACHABLE, "host_address": UNREACHABLE, "internet": UNREACHABLE, "raw_socket": DENIED,
    "packet_socket": DENIED, "host_interfaces": DENIED, "host_network": DENIED,
    "tap_persists": DENIED, "tap_persists_by_more_bits": DENIED, "tap_owner": DENIED, "tap_group": DENIED, "tap_type": DENIED,
    "tap_mac": DENIED, "tap_filter": DENIED, "tap_addresses": DENIED, "tap_network": DENIED, "tap_another": {"EBADF"},
    "vsock": {"EAFNOSUPPORT"}, "crypto_socket": {"EAFNOSUPPORT"},
    "make_device": DENIED, "open_kvm": GONE, "open_mem": GONE, "mount_tmpfs": DENIED, "remount_writable": DENIED,
    "unmount": DENIED, "change_root": DENIED, "new_user_namespace": DENIED, "clone_user_namespace": DENIED,
    "clone3_user_namespace": {"ENOSYS"}, "load_module": DENIED, "load_bpf": DENIED, "ring": DENIED, "perf": DENIED,
    "keyring": DENIED, "fault_handler": DENIED, "become_root": DENIED, "become_other": DENIED, "change_groups": DENIED,
    "reboot_host": DENIED, "change_hostname": DENIED, "raise_files": DENIED, "raise_size": DENIED, "raise_threads": DENIED,
    "raise_core": DENIED, "lock_memory": {"ENOMEM", "EPERM"}, "open_many": {"EMFILE"}, "fork_bomb": {"EAGAIN"},
}


@contextlib.contextmanager
def launched(directory, targets, prefix=(), **options):
    """The probe in the place of a VMM; what vmmrun says of it. prefix: words before the command."""
    recipe = {"name": "vm-1", "dir": directory, "binary": PROBE, "net": "none", "uid": 399998,
              "cmdline": " ".join(f"{k}={v}" for k, v in targets.items())} | options
    programs = recipe.pop("programs", {"vmmrun": VMMRUN, "monitor": MONITOR})
    done = subprocess.run([*prefix, programs["vmmrun"], "launch", *(f"{k}={v}" for k, v in recipe.items())], capture_output=True,
                          text=True, timeout=60, check=False, env=os.environ | {"SLICER_MONITOR": str(programs["monitor"])})
    assert done.returncode == 0, done.stderr
    try:
        yield json.loads(done.stdout)
    finally:
        subprocess.run([VMMRUN, "destroy", f"dir={directory}"], check=True, timeout=60)


@contextlib.contextmanager
def probe(directory, targets, prefix=(), **options):
    """And what it printed, as name → error."""
    with launched(directory, targets, prefix, **options) as process:
        console = directory / "console.txt"
        until(lambda: console.exists() and "END\n" in console.read_text(), 60, "the probe has tried all")
        yield process, dict(line.split() for line in console.read_text().splitlines()[:-1])


@contextlib.contextmanager
def targets_of(qemu, vm, files):
    """What a VMM is to try, and a check that nobody of the Internet or the LAN has called when it is done."""
    disk, abstract = qemu.state_dir / "vms" / vm / "disk.qcow2", f"slicer-test-{os.getpid()}"
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("0.0.0.0", 0))
        tcp.listen()
        unix.bind("\0" + abstract)
        unix.listen()
        host = subprocess.run(["ip", "-4", "-o", "addr", "show", "scope", "global"], capture_output=True, text=True, check=True)
        targets = {
            "state": qemu.state_dir, "run": qemu.run_dir, "disk": disk, "image": files["root"], "api": qemu.address,
            "qmp": qemu.run_dir / vm / "qmp.sock", "monsock": qemu.run_dir / vm / "monitor.sock", "abstract": abstract,
            "vmm": qemu.vmm_pid(vm), "monitor": qemu.monitor_pid(vm), "daemon": qemu.pid, "port": tcp.getsockname()[1],
            "host": host.stdout.split("inet ")[1].split("/")[0]}
        for key in ("state", "run", "disk", "image", "api", "qmp", "monsock"):
            assert os.path.exists(targets[key]), f"{key} would not be there without a jail either"
        yield targets, tcp
    # Daemon and VM are well.
    assert run(qemu.client, vm, "echo", "well").stdout == b"well\n"
    assert alive(qemu.vmm_pid(vm)) and alive(qemu.monitor_pid(vm))
    assert subprocess.run(["qemu-img", "check", "-q", "-U", disk], check=False).returncode == 0


def check(found, expected):
    assert set(found) == set(expected)
    wrong = {name: (error, expected[name]) for name, error in found.items() if error not in expected[name]}
    assert not wrong, "".join(f"\n{name}: {error}, not {expect}" for name, (error, expect) in wrong.items())


@pytest.fixture
def files(store, qemu, vm):
    return {"kernel": next(store.glob("kernels/*/vmlinux")), "root": next(store.glob("blobs/sha256/*")),
            "initrd": next(store.glob("initramfs/*.cpio")), "config": qemu.state_dir / "vms" / vm / "config.raw"}


def test_what_a_compromised_vmm_reaches(qemu, vm, files, tmp_path):
    (tmp_path / "vm").mkdir()
    own = tmp_path / "data.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", own, "1G"], check=True)
    with targets_of(qemu, vm, files) as (targets, tcp), \
            probe(tmp_path / "vm", targets, data=own, disk=GIB, **files) as (process, found):
        assert alive(process["vmm_pid"])
        check(found, INSIDE)
        tcp.settimeout(0.1)
        with pytest.raises(TimeoutError):
            tcp.accept()


@pytest.fixture
def wire():
    """A network namespace with an interface, and a macvtap beside it."""
    with space() as own:
        own.run("sh", "-c", "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; "
                "ip link add mv0 link d0 address 02:00:00:00:00:77 type macvtap mode bridge; ip link set mv0 up")
        yield own


# What the kernel allows to whoever has the fd; a macvtap's MAC address is the guest's, and others on that wire would be robbed by it.
TAPS = {"tap:t0": {"tap_persists", "tap_persists_by_more_bits", "tap_owner", "tap_group", "tap_type", "tap_mac", "tap_filter", "tap_addresses"},
        "macvtap:mv0": {"tap_mac"}}


@pytest.mark.parametrize("net", TAPS)
def test_what_a_compromised_vmm_does_to_its_tap(files, wire, tmp_path, net):
    own = tmp_path / "data.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", own, "1G"], check=True)
    options = {"net": net, "kernel": files["kernel"], "data": own, "disk": GIB, "prefix": ["ip", "netns", "exec", wire.name]}
    for name in ("jail", "none"):
        (tmp_path / name).mkdir()
    with probe(tmp_path / "jail", {}, **options) as (_, found):
        assert {n: e for n, e in found.items() if n.startswith(("tap_", "host_")) and e not in INSIDE[n]} == {
            "tap_another": "done" if net == "macvtap:mv0" else "EEXIST"}, "flags of its own queue; it has an interface already"
    assert "t0" not in wire.links() and "02:00:00:00:00:77" in wire.links()
    with probe(tmp_path / "none", {}, jail="no", **options) as (_, found):
        assert {n for n, e in found.items() if n.startswith("tap_") and e == "done"} - {"tap_another"} == TAPS[net]
        assert found["host_interfaces"] == "done"


NO_GROUP = "no control group of its own: that needs root"


@pytest.fixture
def as_user(files):
    """A directory of an ordinary user's with programs and files of its own, wherever those of the tests are."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="slicer-") as name:
        top = pathlib.Path(name)
        programs = {"vmmrun": VMMRUN, "monitor": MONITOR, "binary": PROBE}
        for key, path in (programs | files).items():
            shutil.copy(path, top / key)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", top / "data", "1G"], check=True)
        (top / "vm").mkdir()
        for path in (top, *top.iterdir()):
            os.chown(path, 399997, 399997)
        yield top


def test_without_root_what_is_for_reading_cannot_be_written_to(as_user, files):
    """The program has its user's uid then, whose files these are."""
    options = {key: as_user / key for key in ("binary", "data", *files)} | {
        "disk": GIB, "cgroup": "test/vm-1", "programs": {key: as_user / key for key in ("vmmrun", "monitor")},
        "prefix": ["setpriv", "--reuid=399997", "--regid=399997", "--clear-groups"]}
    with probe(as_user / "vm", {}, **options) as (process, found):
        assert process["note"] == NO_GROUP
        for file in ("image", "kernel", "initrd", "config"):
            assert found[f"{file}_reopen"] == "EROFS", file
        assert found["image_write"] == found["config_write"] == "EBADF" and found["image_truncate"] == "EINVAL"
        for attempt in ("state_directory", "etc_passwd", "run_a_shell"):
            assert found[attempt] == "ENOENT"


def test_without_user_namespaces_all_that_is_missing_is_said(as_user, files):
    """And there is a VM, as its user's other programs are."""
    options = {key: as_user / key for key in ("binary", "kernel")} | {
        "cgroup": "test/vm-1", "programs": {key: as_user / key for key in ("vmmrun", "monitor")},
        "prefix": ["setpriv", "--reuid=399997", "--regid=399997", "--clear-groups", *no_user_namespaces(399997)]}
    with launched(as_user / "vm", {"rest": "yes"}, **options) as process:
        assert process["note"].startswith(f"{NO_GROUP}; no jail: this host gives users no user namespaces")
        assert process["note"].endswith("or run as root"), "all of it"
        assert alive(process["vmm_pid"]) and status(process["vmm_pid"])["NoNewPrivs"] == "1"


# A helper has none of the VMM's files. passt speaks for the guest: it is on the host's network, as any local program, and may make
# namespaces, to lock itself in, of which its procfs must be whole.
NOTHING = {"EBADF"}
DONE = {"done"}
GIVEN = re.compile("image_(write|reopen|truncate)|(kernel|initrd)_reopen|(config|memory|disk)_.*")
HELPER = INSIDE | {"change_firmware": GONE, "unmount": GONE | DENIED} | {n: {"EBADF", "ENOENT"} for n in INSIDE if GIVEN.fullmatch(n)}
IN_PLACE_OF = {
    "frames": HELPER,
    "passt": HELPER | {
        "tap_mac": NOTHING, "tap_network": NOTHING, "host_interfaces": NOTHING, "host_network": NOTHING,
        "proc_sys": {"EACCES"}, "proc_sysrq": {"EACCES"} | GONE, "abstract_socket": DONE, "host_loopback": DONE, "host_address": DONE,
        "internet": DONE, "new_user_namespace": DONE, "clone_user_namespace": DONE, "clone3_user_namespace": DONE},
}


@contextlib.contextmanager
def probe_in_place_of(name, directory, targets, kernel):
    """As probe(), of a helper."""
    (directory / "vm").mkdir()
    copy = BUILD / f"tests/fakevmm/{name}-{os.getpid()}"  # not below /tmp: passt has one of its own
    original = {"frames": PROBE_MONITOR, "passt": PROBE}[name]
    words = " ".join(f"{k}={v}" for k, v in targets.items()).encode() + b"\0"
    place = original.read_bytes().index(EMBEDDED)
    copy.write_bytes(original.read_bytes())
    with copy.open("r+b") as file:
        file.seek(place)
        file.write(words)
    copy.chmod(0o755)
    recipe = {"name": "vm-1", "dir": directory / "vm", "binary": PROBE, "net": "user", "uid": 399998, "cmdline": "rest=yes",
              "kernel": kernel} | ({"helper": copy} if name == "passt" else {})
    done = subprocess.run([VMMRUN, "launch", *(f"{k}={v}" for k, v in recipe.items())], capture_output=True, text=True, timeout=60,
                          check=False, env=os.environ | {"SLICER_MONITOR": str(copy if name == "frames" else MONITOR)})
    assert done.returncode == 0, done.stderr
    try:
        monitor = json.loads(done.stdout)["monitor_pid"]
        until(lambda: "probe-done" in map(name_of, children(monitor)), 60, "the probe has tried all")
    finally:
        copy.unlink()
        subprocess.run([VMMRUN, "destroy", f"dir={directory / 'vm'}"], check=True, timeout=60)
    until((directory / "vm/exit.json").exists, 10, "the monitor has ended")
    said = json.loads((directory / "vm/exit.json").read_text())["vmm_message"]
    names = subprocess.run([PROBE, "--list"], capture_output=True, text=True, check=True).stdout.split()
    yield {names[int(number)]: error for number, error in re.findall(r"(\d+):(\w+)", said)}


@pytest.mark.parametrize("name", IN_PLACE_OF)
def test_what_a_compromised_helper_reaches(qemu, vm, files, tmp_path, name):
    with targets_of(qemu, vm, files) as (targets, _), probe_in_place_of(name, tmp_path, targets, files["kernel"]) as found:
        check(found, IN_PLACE_OF[name])


def test_the_probe_succeeds_where_there_is_no_jail(qemu, vm, store, tmp_path):
    """What the jail is needed for: without it, as the same user, much of that works."""
    (tmp_path / "vm").mkdir()
    with probe(tmp_path / "vm", {"vmm": qemu.vmm_pid(vm)}, jail="no", kernel=next(store.glob("kernels/*/vmlinux"))) as (_, found):
        done = {name for name, error in found.items() if error == "done"}
        assert {"etc_passwd", "run_a_shell", "internet", "keyring", "new_user_namespace", "fork_bomb"} <= done
        assert found["signal_other_vmm"] == "EPERM"
