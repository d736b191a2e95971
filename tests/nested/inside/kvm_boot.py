# SPDX-License-Identifier: MIT
"""Runs inside the outer guest: see ../test_nested.py. limits.py has a VM with `accel: kvm`."""
import os

from slicertest import Daemon, boot_id, run, until


def test_this_host_has_what_it_is_for():
    assert open("/proc/1/comm").read().strip() == "systemd"
    assert os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    assert os.path.exists("/sys/module/kvm_amd") and os.path.exists("/dev/kvm")


def test_auto_takes_kvm(store, tmp_path):
    with Daemon(tmp_path / "d", hypervisor="qemu", slicer="/usr/local/bin/slicer", config={"accel": "auto"},
                env={"SLICER_ACCEL": "auto"}) as d:
        assert "kvm" in d.log_text()
        vm = d.client.create(d.group, timeout="240s")["hostname"]
        with open(f"/proc/{d.vmm_pid(vm)}/cmdline", encoding="utf-8") as f:
            assert "kvm" in f.read().replace("\0", " ")
        fds = os.listdir(f"/proc/{d.vmm_pid(vm)}/fd")
        links = [os.readlink(f"/proc/{d.vmm_pid(vm)}/fd/{fd}") for fd in fds]
        assert any("kvm-vm" in link for link in links), "the VM is KVM's"
        done = run(d.client, vm, "sh", "-c", "uname -r; grep -o 'hypervisor' /proc/cpuinfo | head -1; id -un")
        assert done.exit_code == 0 and b"cloud" in done.stdout and b"hypervisor\nubuntu\n" in done.stdout
        assert run(d.client, vm, "cat", body=b"x" * 1000000, stdio="base64").stdout == b"x" * 1000000
        first = boot_id(d.client, vm)
        run(d.client, vm, "sh", "-c", "(sleep 0.3; sudo reboot) > /dev/null 2>&1 &")
        until(lambda: boot_id(d.client, vm) not in (None, first), 240, "it came back from a reboot")
        d.client.remove(vm)
