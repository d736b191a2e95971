# SPDX-License-Identifier: MIT
"""Image debian in a real guest: what systemd, the agent beside it and the host make of each other."""
import json
import os
import re
import shutil
import subprocess

import pytest
from slicertest import SLICER, Daemon, until

USERDATA = r"""#!/bin/bash
exec >> /root/userdata.log
echo "user=$TARGET_USER id=$(id -u)"
ip -4 -o addr show eth0
systemctl is-active network.target
"""


DNS = ["9.9.9.9", "1.1.1.1"]  # in this order, and nothing else


class Guest:
    """A running VM of image debian; commands run as root unless said otherwise."""

    def __init__(self, daemon, name):
        self.daemon, self.name = daemon, name

    def run(self, script, uid=0, timeout=180):
        done = self.daemon.cli("vm", "exec", self.name, "--uid", uid, "--", "bash", "-c", script, timeout=timeout)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def ok(self, script, **kwargs):
        code, out, errors = self.run(script, **kwargs)
        assert code == 0, (script, code, out[-2000:], errors[-2000:])
        return out

    def wait_for_systemd(self, seconds=400):
        """The state in which it ends its start, with the units that failed."""
        self.ok("until [ -S /run/dbus/system_bus_socket ]; do sleep 0.2; done", timeout=seconds)
        _, state, _ = self.run("systemctl is-system-running --wait; systemctl --failed --no-legend --plain",
                               timeout=seconds)
        return state.strip()

    def boot_id(self):
        try:
            code, out, _ = self.run("cat /proc/sys/kernel/random/boot_id", timeout=60)
        except subprocess.TimeoutExpired:
            return None  # it went down meanwhile
        return out.strip() if code == 0 else None

    def status(self):
        return self.daemon.client.node(self.name)["status"]

    def exit_record(self):
        return json.loads((self.daemon.state_dir / "vms" / self.name / "exit.json").read_text())


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tester", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def daemon(store, debian_build, key, tmp_path_factory):
    config = {"ssh_keys": [key.with_suffix(".pub").read_text().strip()]}
    with Daemon(tmp_path_factory.mktemp("debian"), hypervisor="qemu", config=config,
                group={"image": "debian", "ram_mb": 512, "userdata": USERDATA, "dns_servers": DNS}) as one:
        yield one


def assert_clean_end(guest):
    record = guest.exit_record()
    assert record["exit_code"] == 0 and "Power down" in record["console_tail"], record


@pytest.fixture(scope="module")
def guest(daemon):
    """One VM for most tests; its end is a test as well: a shutdown by systemd."""
    one = Guest(daemon, daemon.client.create(daemon.group, persistent=True, timeout="120s")["hostname"])
    one.state = one.wait_for_systemd()
    yield one
    daemon.cli.ok("vm", "shutdown", one.name)
    until(lambda: one.status() == "Stopped", 180, "the VM is stopped", pause=0.5)
    assert_clean_end(one)


def test_systemd_runs_and_the_agent_was_there_before(guest):
    """By the guest's own clock: the agent answers while systemd has hardly begun."""
    ready = re.search(rb"slicer-agent: ready after ([0-9.]+) s", guest.daemon.console(guest.name))
    began = int(guest.ok("systemctl show --value -p ActiveEnterTimestampMonotonic dbus.socket"))
    assert 0 < float(ready[1]) < began / 1e6
    assert guest.state == "running"
    assert guest.ok("ps -o comm= -p 1") == "systemd\n"


def test_login_prompt(guest):
    until(lambda: b"login: " in guest.daemon.console(guest.name), 180, "the login prompt is on the console")
    console = guest.daemon.console(guest.name)
    assert console.index(b"slicer-agent: ready after") < console.index(b"login: ")
    assert f"{guest.name} login: ".encode() in console


def test_identity(guest):
    assert guest.ok("hostname; cat /etc/hostname; hostnamectl --static").split() == [guest.name] * 3
    assert guest.ok(f"getent hosts {guest.name} localhost").splitlines()[0].split() == ["127.0.1.1", guest.name]
    assert re.fullmatch(r"[0-9a-f]{32}\n", guest.ok("cat /etc/machine-id"))
    assert guest.ok("stat -c %F /etc/resolv.conf") == "regular file\n"
    assert guest.ok("cat /etc/resolv.conf").splitlines() == [f"nameserver {one}" for one in DNS]
    assert guest.ok("locale | head -n 1", uid=1000) == "LANG=C.UTF-8\n"


def test_sudo_and_users(guest):
    assert guest.ok("id -un; sudo -n id -u; groups", uid=1000).split() == ["ubuntu", "0", "ubuntu", "adm", "sudo",
                                                                          "systemd-journal"]
    assert guest.ok("id -u slicer; su slicer -c 'sudo -n id -u; cd; pwd'").split() == ["1000", "0", "/home/ubuntu"]


def test_ssh_with_the_keys_of_the_configuration(guest, key):
    guest.daemon.client.write(guest.name, "/root/id", key.read_bytes(), uid=0, gid=0, permissions="0600")
    options = "-i /root/id -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
    for user in ("ubuntu", "slicer", "root"):
        assert guest.ok(f"ssh {options} {user}@127.0.0.1 id -u") == ("0\n" if user == "root" else "1000\n")
    assert guest.run("ssh -o BatchMode=yes -o StrictHostKeyChecking=no ubuntu@127.0.0.1 true")[0] == 255
    assert guest.ok("ls /etc/ssh/ | grep _key").split() == ["ssh_host_ecdsa_key", "ssh_host_ecdsa_key.pub",
                                                            "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]


def test_userdata_ran_after_the_network(guest):
    log = guest.ok("cat /root/userdata.log").splitlines()
    assert log[0] == "user=ubuntu id=0" and "10.0.2.15/24" in log[1] and log[2] == "active" and len(log) == 3
    assert guest.ok("cat /etc/slicer/userdata-ran; systemctl is-active slicer-userdata").split() == ["0", "active"]


def test_modprobe_and_ping(guest):
    guest.ok("modprobe dummy && grep -q ^dummy /proc/modules && rmmod dummy")
    guest.ok("ping -c 1 127.0.0.1", uid=1000)


def test_the_root_and_the_volumes(guest):
    kinds = dict(line.split() for line in guest.ok("findmnt -rno TARGET,FSTYPE").splitlines())
    assert kinds["/"] == "overlay"
    assert {kinds[f"/var/lib/{name}"] for name in ("docker", "containerd", "rancher", "kubelet")} == {"ext4"}
    size, used = map(int, guest.ok("df --output=size,used -B1M / | tail -n 1").split())
    assert size > 14000 and used < 200
    assert "falling back" not in guest.ok("dmesg | grep overlayfs || true")


def test_network_managers_of_the_image_keep_their_hands_off(guest):
    before = guest.ok("ip -4 -o addr show eth0; ip route")
    guest.ok("""
        printf '[Match]\\nName=e*\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/50-dhcp.network
        systemctl start systemd-networkd && networkctl --no-legend list eth0 | grep -q unmanaged
        sleep 2; systemctl stop systemd-networkd systemd-networkd.socket; rm /etc/systemd/network/50-dhcp.network""")
    assert guest.ok("ip -4 -o addr show eth0; ip route") == before


@pytest.mark.full
def test_reboot_inside(guest):
    """With an fstab that would end in emergency mode."""
    before = guest.boot_id()
    guest.ok("echo 'LABEL=UEFI /boot/efi vfat defaults 0 1' >> /etc/fstab; echo kept > /root/kept; sync")
    guest.run("systemctl reboot")
    until(lambda: guest.boot_id() not in (None, before), 240, "the guest is there again", pause=0.5)
    assert guest.wait_for_systemd() == "running"
    assert guest.ok("cat /root/kept; wc -l < /root/userdata.log").split() == ["kept", "3"]
    assert guest.ok("journalctl --list-boots | tail -n +2 | wc -l") == "2\n"
    assert guest.status() == "Running"


CONTAINER = r"""
set -e
systemctl is-active docker
docker info --format '{{.Driver}}'
tar -C /root/box -c . | docker import - box
docker run --rm --network none box /busybox sh -c 'echo in $(/busybox id -u); echo x > /file; /busybox cat /file'
docker run --rm box /busybox ip -4 addr show eth0 | grep -c 172.17.
"""


@pytest.fixture
def other(daemon):
    """A VM of the test's own."""
    one = Guest(daemon, daemon.client.create(daemon.group, persistent=True, timeout="120s")["hostname"])
    assert one.wait_for_systemd() == "running"
    yield one
    daemon.client.delete(f"/hostgroup/{daemon.group}/nodes/{one.name}")


@pytest.mark.full
@pytest.mark.parametrize("how", ["poweroff", "halt"])
def test_poweroff_inside_and_relaunch(other, how):
    """A guest that halts would be a VM that runs and cannot be reached."""
    other.ok("echo kept > /root/kept; sync")
    other.run(f"systemctl {how}")
    until(lambda: other.status() == "Stopped", 180, "the VM is stopped", pause=0.5)
    assert_clean_end(other)
    assert f"[{other.name}] the guest powers off" in other.daemon.log_text()
    other.daemon.cli.ok("vm", "relaunch", other.name, timeout=120)
    assert other.wait_for_systemd() == "running"
    assert other.ok("cat /root/kept; wc -l < /root/userdata.log").split() == ["kept", "3"]


@pytest.mark.full
def test_docker(store, tmp_path):
    """In an image with Debian's docker.io, as docs/images.md has it made."""
    subprocess.run([SLICER, "image", "build", "debian", "--include", "docker.io,iptables,apparmor", "--name", "debian-docker"],
                   env={**os.environ, "SLICER_STORE": str(store)}, check=True, stdout=subprocess.DEVNULL, timeout=3000)
    box = tmp_path / "box"
    box.mkdir()
    shutil.copy("/bin/busybox", box)
    with Daemon(tmp_path / "d", hypervisor="qemu", group={"image": "debian-docker", "ram_mb": 768}) as daemon:
        guest = Guest(daemon, daemon.client.create(daemon.group, timeout="120s")["hostname"])
        assert guest.wait_for_systemd() == "running"
        daemon.cli.ok("vm", "cp", "--recursive", "--uid", "0", box, f"{guest.name}:/root/", timeout=120)
        answers = guest.ok(CONTAINER, timeout=240).split("\n")
    assert answers[:2] == ["active", "overlay2"]
    assert answers[3:6] == ["in 0", "x", "1"]
