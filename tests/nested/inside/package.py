# SPDX-License-Identifier: MIT
"""Runs inside the outer guest, a Debian with systemd in which slicer is not installed: see ../test_package.py. One story, in
order: install, use, upgrade, remove, purge."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import time

import pytest
from slicertest import find_processes, until

DEB = "/payload/slicer.deb"
UNIT = "slicer@vm"
ETC, LIB, LOG, RUN = (pathlib.Path(p) for p in ("/etc/slicer", "/var/lib/slicer", "/var/log/slicer", "/run/slicer"))
CNI = pathlib.Path("/etc/cni/net.d/51-slicer.conflist")
ELSEWHERE = pathlib.Path("/root/elsewhere")
PROGRAMS = ("/usr/bin/slicer", "/usr/libexec/slicer/slicer-monitor")
# What changes on any Debian: dpkg's and systemd's own files, logs, caches.
NOISE = re.compile(r"^/(var/(lib/(dpkg|systemd|apt)|log/(journal|dpkg|apt|btmp|wtmp|lastlog)|cache|tmp)|tmp|root/\.|run/(?!slicer)|"
                   r"etc/(group|gshadow|shadow|passwd|sub[ug]id)-?$|etc/\.pwd\.lock|payload|proc|sys|dev)")


def sh(command, check=True, **kwargs):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=180, **kwargs)
    said = f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert not check or done.returncode == 0, said + (sh(f"journalctl -n 40 --no-pager -u {UNIT}", check=False) if check else "")
    return done.stdout + done.stderr


def files():
    found = set()
    for top, directories, names in os.walk("/"):
        directories[:] = [d for d in directories if not NOISE.match(os.path.join(top, d))]
        found.update(path for path in (os.path.join(top, n) for n in [*names, *directories]) if not NOISE.match(path))
    return found


def processes():
    """Pids of what the package's programs are, replaced ones too, and of hypervisors."""
    return {p for name in ("slicer", "slicer-monitor", "qemu-system", "passt") for p in find_processes(name)}


def exe_of(pid):
    return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")


def main_pid():
    return int(sh(f"systemctl show -P MainPID {UNIT}"))


def hypervisor():
    pids = [p for p in processes() if "qemu" in exe_of(p)]
    assert len(pids) == 1, pids
    return pids[0]


def vm_works():
    assert sh("slicer vm exec vm-1 -- 'uname -s; id -un'") == "Linux\nubuntu\n"


@pytest.fixture(scope="module")
def before():
    """The system without slicer: the harness has installed it for other tests."""
    shutil.rmtree("/usr/local/libexec/slicer")
    os.unlink("/usr/local/bin/slicer")
    for directory in (RUN, LIB, LOG):
        shutil.rmtree(directory, ignore_errors=True)
    return files()


def test_install(before):
    sh(f"dpkg -i {DEB}")
    assert sh("slicer version").startswith("slicer")
    assert "slicer:" in sh("getent group slicer")
    for path, mode in ((RUN, 0o700), (LIB, 0o755), (LOG, 0o750)):
        assert path.stat().st_mode & 0o7777 == mode, path
    sh("systemd-analyze verify --man=no slicer@vm.service")
    listed = sh("dpkg -L slicer").split("\n")
    for path in ("/usr/share/man/man1/slicer-vm.1.gz", "/usr/share/man/man5/slicer.yaml.5.gz",
                 "/usr/share/bash-completion/completions/slicer", "/usr/libexec/slicer/slicer-agent"):
        assert path in listed
    words = sh("bash -c '. /usr/share/bash-completion/completions/slicer; COMP_WORDS=(slicer vm ex); COMP_CWORD=2; _slicer;"
               " echo ${COMPREPLY[@]}'")
    assert words == "exec\n"


def test_a_unit_runs_a_vm_on_kvm():
    shutil.copytree(os.environ["SLICER_TEST_STORE"], LIB / "store", symlinks=True)
    ETC.mkdir()
    sh(f"slicer new vm --min --ram 1 --cpu 1 --find-ssh-keys=false > {ETC}/vm.yaml")
    sh(f"SLICER_ACCEL=kvm; systemctl set-environment SLICER_ACCEL=kvm; systemctl start {UNIT}")
    until(lambda: "vm-1" in sh("slicer vm list", check=False), 180, "the daemon answers")
    sh("slicer vm ready vm-1 --timeout 170s")
    vm_works()
    assert any("kvm-vm" in os.readlink(f"/proc/{hypervisor()}/fd/{fd}") for fd in os.listdir(f"/proc/{hypervisor()}/fd"))


def test_members_of_the_group_may_use_the_api():
    sh("useradd -m -G slicer member && useradd -m other")
    for user, may in (("member", True), ("other", False)):
        p = pwd.getpwnam(user)
        done = subprocess.run(["slicer", "vm", "list"], user=p.pw_uid, group=p.pw_gid, capture_output=True, text=True,
                              extra_groups=os.getgrouplist(user, p.pw_gid), env={"PATH": os.environ["PATH"]}, cwd="/")
        assert (done.returncode == 0) == may, (user, done)
    sh("userdel -r member; userdel -r other", check=False)


def test_an_upgrade_leaves_daemon_and_vm_alone():
    daemon, vmm = main_pid(), hypervisor()
    sh(f"dpkg -i {DEB}")
    assert (main_pid(), hypervisor()) == (daemon, vmm)
    vm_works()
    # And the new daemon takes over what the old one has left.
    os.kill(daemon, signal.SIGKILL)
    until(lambda: main_pid() not in (0, daemon), 180, "systemd restarts the daemon")
    until(lambda: "Running" in sh("slicer vm list", check=False), 180, "it has taken the VM over")
    assert hypervisor() == vmm
    vm_works()


def test_vms_without_a_daemon_are_not_removed_blindly():
    sh(f"systemctl stop {UNIT}", check=True)
    until(lambda: not processes(), 120, "the unit's VMs have stopped")
    ELSEWHERE.mkdir()
    sh("slicer new vm --min --ram 1 --cpu 1 --find-ssh-keys=false --persistent > vm.yaml", cwd=ELSEWHERE)
    with subprocess.Popen(["slicer", "up", "vm.yaml"], cwd=ELSEWHERE, stderr=subprocess.DEVNULL) as daemon:
        until(lambda: "Running" in sh("slicer vm list", check=False), 180, "the VM runs")
        daemon.kill()
    said = sh("dpkg -r slicer", check=False)
    monitor = next(p for p in processes() if "monitor" in exe_of(p))
    assert f"monitors of VMs {monitor}" in said and os.path.exists("/usr/bin/slicer"), said
    with subprocess.Popen(["slicer", "up", "vm.yaml"], cwd=ELSEWHERE, stderr=subprocess.DEVNULL) as daemon:
        until(lambda: "Running" in sh("slicer vm list", check=False), 180, "the VM is taken over")
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(120)
    until(lambda: not processes(), 120, "all has stopped")


def test_up_writes_a_cni_network(tmp_path):
    sh("slicer new vm --min --net cni --find-ssh-keys=false > cni.yaml", cwd=tmp_path)
    assert "containernetworking-plugins" in sh("slicer up cni.yaml", cwd=tmp_path, check=False)
    assert CNI.exists()


def test_remove_leaves_the_users_data_only(before):
    sh(f"systemctl start {UNIT}")
    until(lambda: "Running" in sh("slicer vm list", check=False), 180, "the VM runs")
    start = time.monotonic()
    said = sh("dpkg -r slicer")
    assert f"Stopping {UNIT}.service and its VMs" in said
    print(f"removal with a running VM took {time.monotonic() - start:.0f} s")
    assert processes() == set()
    left = files() - before
    kept = [str(p) for p in (ETC, LIB, LOG, ELSEWHERE, CNI.parents[1])]
    assert sorted(p for p in left if not p.startswith(tuple(kept))) == []
    assert CNI.exists() and (LIB / "store").exists() and (ETC / "vm.yaml").exists() and list(ELSEWHERE.glob(".slicer/*/vms/*")), left
    assert before - files() == set()


def test_purge_says_what_stays(before):
    said = sh("dpkg -P slicer")
    assert f"{LIB} stays" in said and f"{ETC} stays" in said and ".slicer" in said
    assert not CNI.parents[1].exists() and not LOG.exists() and not RUN.exists() and not (LIB / "auth").exists()
    assert (LIB / "store").exists() and (ETC / "vm.yaml").exists()
    assert "slicer" not in sh("dpkg -l | grep -w slicer", check=False)
