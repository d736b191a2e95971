# SPDX-License-Identifier: MIT
"""slicer doctor: each check in a state that it should complain of and in a good one. What the real host cannot be made to
show is shown by a directory that stands for it (SLICER_DOCTOR_ROOT)."""
import json
import os
import pathlib
import subprocess

import pytest
from slicertest import SLICER
from slicertest.fakeapi import FakeApi

HAS_KVM = os.path.exists("/dev/kvm")
CONTROLLERS = "cpuset cpu io memory hugetlb pids"
CGROUP_MOUNT = "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
SEEDS = {  # as the documentation of isolated networks has them
    "/etc/systemd/network/00-veth-ignore.network": """[Match]
Name=ve-* veth*
Driver=veth

[Link]
Unmanaged=yes

[Network]
KeepConfiguration=yes
""",
    "/etc/systemd/networkd.conf": """[Network]
KeepConfiguration=yes
ManageForeignRoutes=no
#SpeedMeter=no
#SpeedMeterIntervalSec=10sec
#ManageForeignRoutingPolicyRules=yes
#ManageForeignRoutes=yes
#RouteTable=
#IPv6PrivacyExtensions=no

[DHCPv4]
#DUIDType=vendor
#DUIDRawData=

[DHCPv6]
#DUIDType=vendor
#DUIDRawData=
""",
}
IGNORE_FILE = "/etc/systemd/network/00-slicer-ignore.network"
NM_FILE = "/etc/NetworkManager/conf.d/90-slicer.conf"
NETWORKS = {
    "isolated": "count: 1\n    network:\n      mode: isolated\n      range: 169.254.60.0/22",
    "bridge": "count: 1\n    network:\n      bridge: brvm0\n      tap_prefix: vmtap\n      gateway: 192.168.137.1/24",
    "slots": "slots:\n      slot1: {}\n      web: {index: 7}",
    "user": "count: 1\n    network:\n      mode: user",
}


class Doctor:
    """The program, in a directory of its own, and what stands for the host when something was put there."""

    def __init__(self, directory):
        self.dir, self.root, self.env = directory, directory / "root", {}

    def put(self, path, text="", mode=0o644):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target

    def link(self, path, target):
        full = self.root / path.lstrip("/")
        full.parent.mkdir(parents=True, exist_ok=True)
        full.symlink_to(target)

    def program(self, name, says):
        return self.put(f"/usr/bin/{name}", f"#!/bin/sh\necho '{says}'\n", 0o755)

    def config(self, network="bridge", **keys):
        path = self.dir / "vm.yaml"
        text = NETWORKS[network]
        if "count" in keys:
            text = text.replace("count: 1", f"count: {keys.pop('count')}")
        lines = [f"    {k}: {v}\n" for k, v in {"ram_mb": 256, **keys}.items()]
        path.write_text(f"config:\n  host_groups:\n  - name: vm\n{''.join(lines)}    {text}\n")
        return path

    def run(self, *args, prefix=(), **kwargs):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLICER_")}
        if self.root.exists():
            env["SLICER_DOCTOR_ROOT"] = str(self.root)
        return subprocess.run([*prefix, SLICER, "doctor", *map(str, args)], cwd=self.dir, env={**env, **self.env}, text=True,
                              capture_output=True, timeout=60, **kwargs)

    def check(self, check, *args, **kwargs):
        """One check's result; the exit status must fit its severity."""
        done = self.run("--json", "--only", check, *args, **kwargs)
        (result,) = json.loads(done.stdout)
        assert done.returncode == {"ok": 0, "note": 0, "warning": 1, "error": 2}[result["severity"]], done.stderr
        return result

    def says(self, check, severity, words, *args, fix=None, **kwargs):
        result = self.check(check, *args, **kwargs)
        text = "\n".join([result["summary"], *result["detail"]])
        assert result["severity"] == severity and words in text, result
        assert (fix is None and (severity in ("ok", "note") or result["fix"])) or fix in "\n".join(result["fix"]), result
        return result


@pytest.fixture
def doctor(tmp_path):
    for path in [tmp_path, *tmp_path.parents]:  # for those who are not root
        if path != pathlib.Path("/tmp") and path.is_relative_to("/tmp"):
            os.chmod(path, 0o755)
    return Doctor(tmp_path)


def test_output(doctor):
    checks = json.loads(doctor.run("--list", "--json").stdout)
    ids = [c["id"] for c in checks]
    assert len(set(ids)) == len(ids) > 10
    done = doctor.run("--json")
    results = json.loads(done.stdout)
    assert [r["id"] for r in results] == ids
    for r in results:
        assert set(r) == {"id", "severity", "summary", "detail", "fix", "needs_root"} and r["summary"], r
        assert r["severity"] in ("ok", "note") or r["fix"], f"{r['id']} does not say how to mend it"
    worst = max(["ok", "note", "warning", "error"].index(r["severity"]) for r in results)
    assert done.returncode == max(0, worst - 1)
    text = doctor.run()
    assert text.returncode == done.returncode
    assert [line.split()[1] for line in text.stdout.splitlines() if line[:1].isalpha()] == ids
    assert "\033" not in text.stdout and text.stderr == ""


def test_colours_only_on_a_terminal(doctor):
    def on_terminal(**env):
        command = f"{SLICER} doctor --only system"
        done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, env={**os.environ, **env})
        return done.stdout
    assert b"\033[32mok" in on_terminal()
    assert b"\033" not in on_terminal(NO_COLOR="1")


@pytest.mark.parametrize("args,words", [
    (["--only", "nothing"], "no check \"nothing\""),
    (["--force"], "--force goes with --fix"),
    (["a", "b"], "unexpected argument"),
])
def test_refuses(doctor, args, words):
    done = doctor.run(*args)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""


def test_config(doctor):
    doctor.says("config", "ok", "No configuration was given")
    doctor.says("config", "error", "nowhere.yaml", "nowhere.yaml", fix="")
    path = doctor.config()
    doctor.says("config", "ok", "vm.yaml is right", path)
    doctor.config(template=True)
    assert doctor.says("config", "note", "no effect", path)["detail"] == ["host_groups[0].template"]
    doctor.says("config", "error", "cannot give GPUs", doctor.config(gpu_count=1), fix="")
    path.write_text("config:\n  hosts: 3\n")
    doctor.says("config", "error", "vm.yaml:2:3", path, fix="")


def test_system(doctor):
    doctor.says("system", "ok", "Linux " + os.uname().release)
    for release, severity in (("5.8.0-1-amd64", "error"), ("5.10.0-28-amd64", "error"), ("5.11.22", "error"), ("5.12.0", "note"),
                              ("5.13.19", "note"), ("5.14.0", "ok"), ("4.99", "error"), ("10.0", "ok")):
        doctor.put("/proc/sys/kernel/osrelease", release + "\n")
        found = doctor.says("system", severity, release)
        assert severity != "error" or "5.12 or newer is needed" in found["summary"]


def test_kvm_lacking(doctor):
    doctor.put("/sys/module/none")
    doctor.says("kvm", "warning", "this host has no", fix="modprobe kvm_intel")
    doctor.says("kvm", "warning", "emulated", doctor.config())
    doctor.says("kvm", "error", "emulated", doctor.config(accel="kvm"))
    doctor.says("kvm", "note", "emulated", doctor.config(accel="tcg"))
    doctor.link("/dev/kvm", "/dev/null")
    doctor.says("kvm", "warning", "is not KVM's device")


def test_kvm_forbidden(doctor):
    doctor.put("/dev/kvm", mode=0)
    doctor.says("kvm", "warning", "Permission denied", fix="usermod -aG kvm",
                prefix=NOBODY)


@pytest.mark.skipif(not HAS_KVM, reason="needs a /dev/kvm that answers")
def test_kvm_kinds(doctor):
    doctor.link("/dev/kvm", "/dev/kvm")
    doctor.put("/proc/cpuinfo", "flags : fpu vmx\n")
    doctor.says("kvm", "warning", "not backed by kvm_intel or kvm_amd")
    (doctor.root / "sys/module/kvm_pvm").mkdir(parents=True)
    doctor.says("kvm", "warning", "stock kernels hang")
    doctor.put("/sys/module/kvm_intel/parameters/nested", "N\n")
    result = doctor.says("kvm", "ok", "by kvm_intel")
    assert "VMs cannot use KVM in turn" in result["detail"] and "a VM itself" not in str(result)
    doctor.put("/sys/module/kvm_intel/parameters/nested", "Y\n")
    doctor.put("/proc/cpuinfo", "flags : fpu vmx hypervisor lahf_lm\n")
    result = doctor.says("kvm", "ok", "This host is a VM itself")
    assert "VMs may run VMs in turn" in result["detail"]


def test_memory(doctor):
    doctor.says("memory", "ok", "available")
    doctor.put("/proc/meminfo", "MemTotal: 900000 kB\nMemAvailable:   102400 kB\n")
    doctor.says("memory", "warning", "Only 100MiB", fix="ps aux")
    doctor.put("/proc/meminfo", "MemTotal: 900000 kB\nMemAvailable:   4194304 kB\n")
    doctor.says("memory", "ok", "4GiB")
    doctor.says("memory", "ok", "4GiB", doctor.config(count=3, ram_mb=1024))
    doctor.says("memory", "warning", "may use 6GiB", doctor.config(count=6, ram_mb=1024), fix="count")


def limit_files(n, hard=None):
    return {"prefix": ["prlimit", f"--nofile={n}:{hard or n}"]}


def test_open_files(doctor):
    doctor.says("open-files", "ok", "8192", **limit_files(8192))
    doctor.says("open-files", "note", "192 VMs", **limit_files(1024))
    doctor.says("open-files", "note", "192 VMs", doctor.config(count=192), **limit_files(1024))
    doctor.says("open-files", "warning", "192 VMs", doctor.config(count=193), **limit_files(1024), fix="LimitNOFILE")
    doctor.says("open-files", "warning", "100", **limit_files(100))
    # The daemon raises its limit itself, as far as it may.
    doctor.says("open-files", "ok", "8192", doctor.config(count=193), **limit_files(1024, 8192))
    doctor.says("open-files", "warning", "192 VMs", doctor.config(count=193), **limit_files(256, 1024))


def test_cgroup(doctor):
    doctor.put("/proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n")
    doctor.says("cgroup", "warning", "not mounted", fix="unified_cgroup_hierarchy")
    doctor.put("/proc/self/mountinfo", CGROUP_MOUNT)
    doctor.put("/sys/fs/cgroup/cgroup.controllers", "cpu pids\n")
    doctor.says("cgroup", "warning", "without the controllers io, memory")
    doctor.put("/sys/fs/cgroup/cgroup.controllers", CONTROLLERS + "\n")
    doctor.says("cgroup", "ok", "at /sys/fs/cgroup, with")
    doctor.put("/proc/self/mountinfo", CGROUP_MOUNT.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified "))
    doctor.says("cgroup", "warning", "at /sys/fs/cgroup/unified without")


@pytest.mark.parametrize("sysctl,bad,good", [("kernel/unprivileged_userns_clone", "0", "1"), ("user/max_user_namespaces", "0", "9"),
                                             ("kernel/apparmor_restrict_unprivileged_userns", "1", "0")])
def test_user_namespaces(doctor, sysctl, bad, good):
    doctor.put("/proc/sys/" + sysctl, good + "\n")
    doctor.says("user-namespaces", "ok", "may make")
    doctor.put("/proc/sys/" + sysctl, bad + "\n")
    doctor.says("user-namespaces", "warning", "may not make", fix="sysctl -w " + sysctl.replace("/", "."))
    doctor.says("user-namespaces", "warning", "may not make", doctor.config("user"))
    doctor.says("user-namespaces", "note", "may not make", doctor.config("bridge"))


def test_security_modules(doctor):
    doctor.put("/sys/module/apparmor/parameters/enabled", "N\n")
    doctor.says("security-modules", "ok", "Neither")
    doctor.put("/sys/module/apparmor/parameters/enabled", "Y\n")
    doctor.put("/sys/kernel/security/apparmor/profiles", "/usr/bin/man (enforce)\nqemu-system (complain)\n")
    doctor.says("security-modules", "ok", "confines no program")
    doctor.put("/sys/kernel/security/apparmor/profiles", "/usr/bin/man (enforce)\n/usr/bin/passt (enforce)\n")
    assert doctor.says("security-modules", "note", "confines programs", fix="journalctl")["detail"] == ["/usr/bin/passt (enforce)"]
    doctor.put("/sys/fs/selinux/enforce", "1")
    doctor.says("security-modules", "note", "SELinux", fix="ausearch")


def test_qemu(doctor):
    doctor.says("qemu", "ok", "QEMU ")
    doctor.put("/proc/none")
    doctor.says("qemu", "error", "not installed", fix="apt-get install qemu-system")
    name = f"qemu-system-{os.uname().machine}"
    doctor.program(name, "QEMU emulator version 7.0.0 (Debian)")
    doctor.says("qemu", "error", "too old")
    doctor.program(name, "something else")
    doctor.says("qemu", "error", "does not look like")
    doctor.put(f"/usr/bin/{name}", "#!/bin/sh\nexit 3\n", 0o755)
    doctor.says("qemu", "error", "does not tell its version")
    doctor.program(name, "QEMU emulator version 9.1.0")
    doctor.says("qemu", "ok", "QEMU 9.1.0")


def test_qemu_microvm(doctor):
    doctor.put("/proc/none")
    doctor.says("qemu-microvm", "ok", "Not installed")
    doctor.program("qemu-system-x86_64-microvm", "")
    doctor.says("qemu-microvm", "ok", "half the time")
    doctor.put("/usr/bin/qemu-system-x86_64-microvm", "#!/bin/sh\n[ $1 != -sandbox ]\n", 0o755)
    doctor.says("qemu-microvm", "ok", "without the sandbox")


def test_other_hypervisors(doctor):
    doctor.put("/proc/none")
    doctor.says("other-hypervisors", "ok", "No other")
    doctor.program("firecracker", "Firecracker v1.7.0")
    doctor.says("other-hypervisors", "note", "Firecracker v1.7.0")


def test_passt(doctor):
    doctor.put("/proc/none")
    doctor.says("passt", "warning", "not installed", fix="apt-get install passt")
    doctor.says("passt", "note", "not installed", doctor.config("bridge"))
    doctor.says("passt", "warning", "not installed", doctor.config("user"))
    doctor.program("passt", "passt 0.0~git20230309")
    doctor.says("passt", "ok", "passt 0.0~git20230309")


def test_programs(doctor):
    doctor.says("programs", "ok", "are there")
    for name in ("qemu-img", "mkfs.ext4", "mksquashfs", "depmod", "apt-get"):
        doctor.program(name, "")
    doctor.says("programs", "warning", "mmdebstrap, for the image debian", fix="apt-get install mmdebstrap")
    (doctor.root / "usr/bin/qemu-img").unlink()
    doctor.says("programs", "error", "qemu-img, for writable disks", fix="apt-get install qemu-utils mmdebstrap")


def test_helpers(doctor, tmp_path):
    doctor.says("helpers", "ok", "are there")
    version = doctor.check("helpers")["summary"].split()[-1]
    doctor.env["SLICER_LIBEXECDIR"] = str(tmp_path / "libexec")
    result = doctor.says("helpers", "error", "libexec/slicer-agent is missing", fix="Install slicer again")
    assert len(result["detail"]) == 4
    (tmp_path / "libexec").mkdir()
    for name, says in (("slicer-agent", version), ("slicer-image", version), ("slicer-netns", version), ("slicer-monitor", "0.0.9")):
        path = tmp_path / "libexec" / name
        path.write_text(f"#!/bin/sh\necho {name} {says}\n")
        path.chmod(0o755)
    result = doctor.says("helpers", "error", f"is \"slicer-monitor 0.0.9\", not \"slicer-monitor {version}\"")
    assert len(result["detail"]) == 1


def test_tun(doctor):
    doctor.says("tun", "ok", "can be used")
    doctor.put("/dev/none")
    doctor.says("tun", "warning", "There is no /dev/net/tun", fix="modprobe tun")
    doctor.says("tun", "error", "There is no", doctor.config("bridge"))
    doctor.says("tun", "note", "There is no", doctor.config("user"))
    doctor.link("/dev/net/tun", "/dev/null")
    doctor.says("tun", "warning", "not the TUN/TAP driver's", fix="mknod")


def inside(script):
    """Words before the command: mounts and network of its own, made by a script."""
    return ["unshare", "-nm", "sh", "-ec", script + '\nexec "$@"', "sh"]


def test_tun_of_others(doctor):
    doctor.put("/dev/net/tun", mode=0)
    assert doctor.says("tun", "note", "Only root can see", prefix=NOBODY)["needs_root"]


def test_cni(doctor):
    doctor.says("cni", "ok", "are there, and iptables")
    by_plugins = doctor.dir / "cni.yaml"
    by_plugins.write_text("config:\n  host_groups:\n  - name: vm\n    count: 1\n    ram_mb: 256\n")
    no_plugins = inside("mount -t tmpfs t /usr/lib/cni; [ ! -d /opt/cni/bin ] || mount -t tmpfs t /opt/cni/bin")
    fix = "apt-get install containernetworking-plugins"
    doctor.says("cni", "error", "Missing: bridge, firewall, host-local;", by_plugins, prefix=no_plugins, fix=fix)
    doctor.says("cni", "warning", "Missing: bridge, firewall, host-local;", prefix=no_plugins, fix=fix)
    doctor.says("cni", "note", "other network modes do without", doctor.config("user"), prefix=no_plugins)
    lacking = inside("mount --bind /dev/null /usr/sbin/iptables")
    doctor.says("cni", "error", "Missing: iptables;", by_plugins, prefix=lacking, fix="apt-get install iptables")


def test_nft(doctor):
    doctor.says("nft", "ok", "the kernel takes the rules")
    lacking = inside("mount --bind /dev/null /usr/sbin/nft")
    doctor.says("nft", "warning", "not installed", prefix=lacking, fix="apt-get install nftables")
    doctor.says("nft", "error", "not installed", doctor.config("bridge"), prefix=lacking)
    doctor.says("nft", "note", "not installed", doctor.config("user"), prefix=lacking)
    doctor.put("/usr/sbin/nft", "#!/bin/sh\necho 'Error: Could not process rule: Not supported' >&2\nexit 1\n", 0o755)
    doctor.says("nft", "warning", "Could not process rule: Not supported", fix="modprobe")
    assert doctor.says("nft", "note", "Only root", prefix=NOBODY)["needs_root"]


def test_nft_is_tried_elsewhere(doctor):
    """What the trial makes is in no namespace that anybody sees."""
    look = "sh", "-c", f"{SLICER} doctor --only nft >/dev/null && nft list ruleset"
    done = subprocess.run([*inside("nft add table ip mine"), *look], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "table ip mine {\n}\n", done


def test_forwarding(doctor):
    on, off = "echo 1 > /proc/sys/net/ipv4/ip_forward", "echo 0 > /proc/sys/net/ipv4/ip_forward"
    doctor.says("forwarding", "ok", "is on", prefix=inside(on))
    doctor.says("forwarding", "ok", "switches it on", prefix=inside(off))
    conf, readonly = "/proc/sys/net/ipv4/conf/default", "; mount --bind -o ro /proc/sys /proc/sys"
    doctor.says("forwarding", "warning", "on, but /proc/sys cannot be written", prefix=inside(on + readonly), fix="privileged")
    right = f"; echo 1 > {conf}/rp_filter; echo 1 > {conf}/forwarding; echo 1 > {conf.replace('ipv4', 'ipv6')}/disable_ipv6"
    doctor.says("forwarding", "ok", "is on", prefix=inside(on + right + readonly))
    forbidden = inside(off + readonly)
    doctor.says("forwarding", "warning", "cannot be written", prefix=forbidden, fix="privileged")
    doctor.says("forwarding", "error", "cannot be written", doctor.config("bridge"), prefix=forbidden)
    doctor.says("forwarding", "note", "cannot be written", doctor.config("user"), prefix=forbidden)


def firewall(rules):
    return inside(f"nft -f - <<'X'\n{rules}\nX")


FORWARD = "table %s { chain %s { type filter hook forward priority 0; policy drop; }; }"


def test_firewall(doctor):
    doctor.says("firewall", "ok", "No firewall", prefix=firewall(""))
    doctor.says("firewall", "ok", "in the chain FORWARD", prefix=firewall(FORWARD % ("ip filter", "FORWARD")))
    docker = "table ip filter { chain DOCKER-USER { return; }; }\n" + FORWARD % ("ip filter", "FORWARD")
    doctor.says("firewall", "ok", "Docker drops", prefix=firewall(docker))
    other = firewall(FORWARD % ("inet mine", "gate"))
    doctor.says("firewall", "warning", "A firewall drops", prefix=other, fix="nft insert rule inet mine gate iifname brvm0 accept")
    doctor.says("firewall", "note", "A firewall drops", doctor.config("user"), prefix=other)
    path = doctor.config("bridge")
    path.write_text(path.read_text().replace("brvm0", "brweb0"))
    doctor.says("firewall", "warning", "A firewall drops", path, prefix=other, fix="iifname brweb0 accept")
    doctor.says("firewall", "warning", "A firewall drops", prefix=firewall("table inet firewalld { chain x { }; }"), fix="firewall-cmd")
    for network, words in (("slots", ["iifname br-slot1 accept", "oifname br-web accept"]),
                           ("isolated", ["ip saddr 169.254.60.0/22 accept", "ip daddr 169.254.60.0/22 accept"])):
        result = doctor.says("firewall", "warning", "A firewall drops", doctor.config(network), prefix=other, fix=words[0])
        assert words[1] in str(result["fix"]) and "brvm0" not in str(result["fix"])
    doctor.says("firewall", "note", "Without nft", prefix=inside("mount --bind /dev/null /usr/sbin/nft"))
    assert doctor.says("firewall", "note", "Only root", prefix=NOBODY)["needs_root"]


def test_a_firewall_that_its_user_has_mended(doctor):
    gate = "table inet mine { chain gate { type filter hook forward priority 0; policy drop; %s accept; %s accept; }; }"
    doctor.says("firewall", "ok", "lets VMs pass", doctor.config("bridge"), prefix=firewall(gate % ("iifname brvm0", "oifname brvm0")))
    ranged = firewall(gate % ("ip saddr 169.254.60.0/22", "ip daddr 169.254.60.0/22"))
    doctor.says("firewall", "ok", "lets VMs pass", doctor.config("isolated"), prefix=ranged)
    doctor.says("firewall", "warning", "A firewall drops", doctor.config("bridge"), prefix=ranged, fix="iifname brvm0")


def test_rp_filter(doctor):
    for value, severity in (0, "ok"), (1, "ok"), (2, "warning"):
        doctor.says("rp-filter", severity, f"rp_filter={value}",
                    prefix=inside(f"echo {value} > /proc/sys/net/ipv4/conf/all/rp_filter"))
    loose = inside("echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter")
    doctor.says("rp-filter", "warning", "loose", doctor.config("bridge"), prefix=loose, fix="rp_filter=0")
    doctor.says("rp-filter", "note", "loose", doctor.config("user"), prefix=loose)


def shown(result, path):
    """The text of a file as the result says that it should be."""
    lines = result["fix"][result["fix"].index(f"Write {path}:") + 1:]
    text = [line[4:] for line in lines[:next((i for i, line in enumerate(lines) if line[:4].strip()), len(lines))]]
    return "\n".join(text) + "\n"


def test_networkd(doctor):
    doctor.put("/proc/1/comm", "systemd\n")
    doctor.says("networkd", "ok", "does not run")
    doctor.put("/proc/77/comm", "systemd-network\n")
    result = doctor.says("networkd", "warning", "removes routes", fix="systemctl restart systemd-networkd")
    assert shown(result, "/etc/systemd/networkd.conf") == SEEDS["/etc/systemd/networkd.conf"] and not result["detail"]
    # What systemd ships for containers is what takes them.
    doctor.put("/usr/lib/systemd/network/80-container-ve.network", "[Match]\nName=ve-*\nDriver=veth\n[Network]\nDHCPServer=yes\n")
    doctor.put("/etc/netplan/50-cloud.yaml")
    result = doctor.says("networkd", "warning", "80-container-ve.network takes interfaces like ve-")
    assert "netplan" in result["summary"]
    for path, text in SEEDS.items():
        assert shown(result, path) == text
    doctor.says("networkd", "note", "takes", doctor.config("user"))
    doctor.says("networkd", "warning", "takes", doctor.config("isolated"))
    for path, text in SEEDS.items():
        doctor.put(path, text)
    doctor.says("networkd", "ok", "leaves interfaces and routes of VMs alone")


def test_networkd_reads_as_systemd_does(doctor):
    doctor.put("/proc/77/comm", "systemd-network\n")
    # Any word for no, in any directory; the last file by name has the last word.
    def routes(path, word):
        doctor.put(path, f"[Network]\nManageForeignRoutes={word}\n")
    routes("/etc/systemd/networkd.conf", "False")
    doctor.says("networkd", "ok", "leaves")
    routes("/etc/systemd/networkd.conf.d/20-b.conf", "on")
    doctor.says("networkd", "warning", "removes routes")
    routes("/usr/lib/systemd/networkd.conf.d/30-c.conf", "0")
    doctor.says("networkd", "ok", "leaves")
    doctor.put("/run/systemd/networkd.conf.d/30-c.conf")  # hides that
    doctor.says("networkd", "warning", "removes routes")
    routes("/etc/systemd/networkd.conf.d/40-d.conf", "off")
    doctor.put("/etc/systemd/network/20-all.network", "[Match]\nName=*\n[Link]\nUnmanaged=true\n")
    doctor.says("networkd", "ok", "leaves")
    doctor.put("/etc/systemd/network/20-all.network", "[Match]\nName=*\n[Link]\nUnmanaged=true\nUnmanaged=no\n")
    doctor.says("networkd", "warning", "20-all.network takes")


@pytest.mark.parametrize("match,takes", [
    ("Name=*", ["vt-0123456789", "mv-0123456789", "brvm0", "vmtap1"]),
    ("Name=en* eth*", []),
    ("Name=!br* eth*", ["vt-0123456789", "mv-0123456789", "vmtap1"]),
    ("Type=ether", ["vt-0123456789", "mv-0123456789", "vmtap1"]),
    ("Type=ether\nName=vm*", ["vmtap1"]),
    ("Kind=bridge", ["brvm0"]),
    ("MACAddress=02:00:00:00:00:01", []),
    ("Name=br*\nMACAddress=02:00:00:00:00:01", []),
    ("# Name=*", []),
])
def test_networkd_matches(doctor, match, takes):
    doctor.put("/proc/77/comm", "systemd-network\n")
    for path, text in SEEDS.items():
        doctor.put(path, text)
    doctor.put("/etc/systemd/network/20-all.network", f"[Match]\n{match}\n[Network]\nDHCP=yes\n")
    result = doctor.check("networkd")
    assert [line.split()[-1] for line in result["detail"]] == takes and (result["severity"] == "ok") == (not takes)
    if takes:
        assert "Name=vt-* vb-* mv-* brvm* vmtap*\n\n[Link]\nUnmanaged=yes\n" in shown(result, IGNORE_FILE)
        assert doctor.run("--fix", "--only", "networkd").returncode == 0
        assert doctor.check("networkd")["severity"] == "ok"


def test_networkd_knows_the_names_of_a_configuration(doctor):
    doctor.put("/proc/77/comm", "systemd-network\n")
    for path, text in SEEDS.items():
        doctor.put(path, text)
    doctor.put("/usr/lib/systemd/network/80-vm-vt.network", "[Match]\nName=vt-*\nDriver=tun\n[Network]\nDHCPServer=yes\n")
    doctor.put("/etc/systemd/network/20-all.network", "[Match]\nName=*\n")
    path = doctor.config("bridge")
    path.write_text(path.read_text().replace("brvm0", "brweb0").replace("vmtap", "webtap"))
    result = doctor.says("networkd", "warning", "20-all.network takes interfaces like brweb0", path)
    assert "Name=vt-* vb-* mv-* brweb0 webtap*" in shown(result, IGNORE_FILE)
    assert doctor.run("--fix", "--only", "networkd", path).returncode == 0
    doctor.says("networkd", "ok", "leaves", path)
    # The file is slicer's own, and follows what is asked.
    assert doctor.run("--fix", "--only", "networkd").returncode == 0
    doctor.says("networkd", "ok", "leaves")


def test_networkd_knows_the_bridges_of_slots(doctor):
    doctor.put("/proc/77/comm", "systemd-network\n")
    for path, text in SEEDS.items():
        doctor.put(path, text)
    doctor.put("/etc/systemd/network/20-bridges.network", "[Match]\nName=br*\n")
    path = doctor.config("slots")
    result = doctor.says("networkd", "warning", "takes interfaces like br-slot1", path)
    assert [line.split()[-1] for line in result["detail"]] == ["br-slot1", "br-web"]
    assert "Name=vt-* vb-* mv-* br-slot1 br-web\n" in shown(result, IGNORE_FILE)
    assert doctor.run("--fix", "--only", "networkd", path).returncode == 0
    doctor.says("networkd", "ok", "leaves", path)


def test_networkd_files_hide_each_other(doctor):
    doctor.put("/proc/77/comm", "systemd-network\n")
    doctor.put("/etc/systemd/networkd.conf.d/50.conf", "[Network]\nManageForeignRoutes = no\n")
    doctor.put("/usr/lib/systemd/network/80-all.network", "[Match]\nName=*\n")
    assert doctor.check("networkd")["severity"] == "warning"
    doctor.put("/etc/systemd/network/80-all.network", "")
    assert doctor.check("networkd")["severity"] == "ok"


def test_networkd_fix(doctor):
    doctor.put("/proc/77/comm", "systemd-network\n")
    doctor.put("/usr/lib/systemd/network/80-container-ve.network", "[Match]\nName=ve-*\nDriver=veth\n")
    foreign = doctor.put("/etc/systemd/networkd.conf", "[Network]\nSpeedMeter=yes\n")
    done = doctor.run("--fix", "--only", "networkd")
    assert done.returncode == 1 and foreign.read_text() == "[Network]\nSpeedMeter=yes\n"
    written, theirs = SEEDS
    for path, text in SEEDS.items():  # it shows what it writes, and what it would
        assert f"Write {path}:\n" + "".join(f"    {line}\n" for line in text.splitlines()) in done.stdout
    assert f"{written} is written" in done.stdout and f"{theirs} is there already" in done.stdout
    assert (doctor.root / written[1:]).read_text() == SEEDS[written]
    assert (doctor.root / written[1:]).stat().st_mode & 0o777 == 0o644
    done = doctor.run("--fix", "--force", "--only", "networkd")
    assert done.returncode == 0, done.stdout
    assert foreign.read_text() == SEEDS[theirs]
    assert foreign.with_name("networkd.conf.before-slicer").read_text() == "[Network]\nSpeedMeter=yes\n"
    assert "Write" not in doctor.run("--fix", "--only", "networkd").stdout
    # Nothing is written where it does not run.
    (doctor.root / "proc/77/comm").unlink()
    (doctor.root / written[1:]).unlink()
    assert doctor.run("--fix", "--only", "networkd").returncode == 0 and not (doctor.root / written[1:]).exists()


def test_network_manager(doctor):
    doctor.put("/proc/1/comm", "systemd\n")
    doctor.says("networkmanager", "ok", "does not run")
    doctor.put("/proc/88/comm", "NetworkManager\n")
    result = doctor.says("networkmanager", "note", "interfaces like brvm0", fix="systemctl reload NetworkManager")
    wanted = shown(result, NM_FILE)
    assert "unmanaged-devices+=interface-name:ve-*;interface-name:vt-*;" in wanted
    assert doctor.run("--fix", "--only", "networkmanager").returncode == 0
    assert (doctor.root / NM_FILE[1:]).read_text() == wanted
    doctor.says("networkmanager", "ok", "leaves interfaces of VMs alone")
    # An own file follows the configuration, somebody else's does not.
    path = doctor.config("bridge")
    path.write_text(path.read_text().replace("brvm0", "brweb0").replace("vmtap", "webtap"))
    assert len(doctor.says("networkmanager", "note", "interfaces like brweb0", path)["detail"]) == 2
    assert doctor.run("--fix", "--only", "networkmanager", path).returncode == 0
    doctor.says("networkmanager", "ok", "leaves interfaces", path)
    doctor.put(NM_FILE, "[keyfile]\nunmanaged-devices=interface-name:wlan0\n")
    done = doctor.run("--fix", "--only", "networkmanager")
    assert "is there already" in done.stdout and "wlan0" in (doctor.root / NM_FILE[1:]).read_text()
    doctor.put("/etc/NetworkManager/NetworkManager.conf", "[keyfile]\nunmanaged-devices=interface-name:v*,interface-name:br*,interface-name:mv-*\n")
    doctor.says("networkmanager", "ok", "leaves interfaces of VMs alone")


def test_network_manager_knows_the_bridges_of_slots(doctor):
    doctor.put("/proc/88/comm", "NetworkManager\n")
    doctor.put("/etc/NetworkManager/NetworkManager.conf", "[keyfile]\nunmanaged-devices=interface-name:v*,interface-name:mv-*\n")
    path = doctor.config("slots")
    result = doctor.says("networkmanager", "note", "interfaces like br-slot1", path)
    assert len(result["detail"]) == 2 and ";interface-name:br-slot1;interface-name:br-web\n" in shown(result, NM_FILE)
    assert doctor.run("--fix", "--only", "networkmanager", path).returncode == 0
    doctor.says("networkmanager", "ok", "leaves interfaces", path)


def test_fix_needs_root(doctor):
    doctor.put("/proc/88/comm", "NetworkManager\n")
    done = doctor.run("--fix", "--only", "networkmanager", prefix=NOBODY)
    assert "Permission denied" in done.stdout and not (doctor.root / NM_FILE[1:]).exists()


def test_disk_space(doctor, tmp_path):
    doctor.env["SLICER_STORE"] = str(tmp_path / "store")
    (tmp_path / "store").mkdir()
    large = inside("mount -t tmpfs -o size=8g t /var/log; mount -t tmpfs -o size=8g t .; cd .")
    result = doctor.says("disk-space", "ok", "There is room", prefix=large)
    assert [line.split(",")[0] for line in result["detail"]] == ["Images", "Disks and records", "Logs"]
    doctor.says("disk-space", "warning", "Little disk space", prefix=inside(f"mount -t tmpfs -o size=1g t {tmp_path}/store"), fix="df -h")
    doctor.says("disk-space", "error", "Hardly any", prefix=inside(f"mount -t tmpfs -o size=8m t {tmp_path}/store"))
    doctor.says("disk-space", "warning", "hardly any inodes",
                prefix=inside(f"mount -t tmpfs -o size=8g,nr_inodes=900 t {tmp_path}/store"))


def test_reflink(doctor, tmp_path):
    doctor.says("reflink", "note", "does not copy by reference", prefix=inside("mount -t tmpfs t .; cd ."), fix="btrfs")
    assert doctor.says("reflink", "note", "cannot be tried", prefix=[*inside("chmod 755 ."), *NOBODY])["needs_root"]
    image = tmp_path / "btrfs"
    with open(image, "wb") as f:
        f.truncate(128 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)
    doctor.says("reflink", "ok", "copies by reference", prefix=inside(f"mount -o loop {image} {tmp_path}; cd {tmp_path}"))


def group_file(tmp_path, line):
    path = tmp_path / "group"
    lines = [one for one in pathlib.Path("/etc/group").read_text().splitlines() if not one.startswith("slicer:")]
    path.write_text("\n".join([*lines, *line, ""]))
    return inside(f"mount --bind {path} /etc/group")


def test_group(doctor, tmp_path):
    doctor.says("group", "note", "There is no group slicer", prefix=group_file(tmp_path, []), fix="groupadd --system slicer")
    there = group_file(tmp_path, ["slicer:x:4711:alice,bob"])
    doctor.says("group", "ok", "alice, bob", prefix=there)
    doctor.says("group", "warning", "not a member", prefix=[*there, *NOBODY], fix="usermod -aG slicer")
    doctor.says("group", "ok", "You are a member", prefix=[*there, "setpriv", "--reuid=65534", "--regid=65534", "--groups=4711"])


def test_token(doctor, tmp_path):
    doctor.put("/proc/none")
    (tmp_path / "alone").mkdir()
    grouped, alone = group_file(tmp_path, ["slicer:x:4711:"]), group_file(tmp_path / "alone", [])
    doctor.says("token", "ok", "makes one")
    path = doctor.put("/var/lib/slicer/auth/token", "t0ken\n", 0o640)
    doctor.says("token", "ok", "for root and its group only")
    for mode in (0o644, 0o660, 0o602):
        path.chmod(mode)
        doctor.says("token", "error", "others than root", fix="root:slicer", prefix=grouped)
        doctor.says("token", "error", "others than root", fix="root:root", prefix=alone)
    path.chmod(0o640)
    os.chown(path, 65534, 0)
    doctor.says("token", "error", "others than root")
    os.chown(path, 0, 0)
    doctor.says("token", "warning", "cannot be read by you", prefix=[*grouped, *NOBODY], fix="usermod")
    doctor.says("token", "warning", "cannot be read by you", prefix=[*alone, *NOBODY], fix="with sudo")
    path.parent.chmod(0o700)
    assert doctor.says("token", "note", "Only root", prefix=NOBODY)["needs_root"]
    path.write_text("\n")
    doctor.says("token", "error", "is empty", fix="rm /var/lib/slicer/auth/token")


def api_config(doctor, line):
    path = doctor.config()
    path.write_text(path.read_text() + f"  api:\n    {line}\n")
    return path


def test_api(doctor, tmp_path):
    with FakeApi() as api:
        version = doctor.check("helpers")["summary"].split()[-1]
        doctor.says("api", "note", "No daemon answers at http://127.0.0.1:1", "--url", "http://127.0.0.1:1", fix="slicer up FILE")
        api.routes["GET", "/info"] = (200, {"version": version})
        doctor.says("api", "ok", f"A daemon of version {version}", "--url", api.url)
        api.routes["GET", "/info"] = (200, {"version": "9.9.9"})
        doctor.says("api", "note", "A daemon of version 9.9.9", "--url", api.url, fix="Restart it")
        api.routes["GET", "/info"] = (401, {"error": "no"})
        doctor.says("api", "warning", "does not serve you", "--url", api.url, fix="--token-file")
        api.routes["GET", "/info"] = lambda handler, request: handler.reply(
            200 if request.headers.get("authorization") == "Bearer s3cret" else 401, {"version": version})
        own = api_config(doctor, f"port: {api.url.split(':')[2]}\n    auth: {{token: s3cret}}")
        doctor.says("api", "ok", "A daemon of version", own)
        doctor.says("api", "warning", "does not serve you", "--url", api.url, own, fix="--token-file")
        doctor.says("api", "note", f"No daemon answers at {tmp_path}/api.sock", api_config(doctor, f"socket: {tmp_path}/api.sock"))
        doctor.says("api", "note", "No daemon answers at http://127.0.0.1:2", api_config(doctor, "port: 2"))
        doctor.says("api", "warning", "does not serve you", api_config(doctor, "port: 2"), "--url", api.url)
        doctor.says("api", "note", "No daemon answers at http://127.0.0.3:2", api_config(doctor, "{port: 2, bind_address: 127.0.0.3}"))
        doctor.says("api", "note", "No daemon answers at http://127.0.0.1:2", api_config(doctor, "{port: 2, bind_address: 0.0.0.0}"))
        doctor.says("api", "ok", "has no API", api_config(doctor, "enabled: false"))
        doctor.says("api", "warning", "cannot be asked", "--url", "ftp://x", fix="slicer(1)")
