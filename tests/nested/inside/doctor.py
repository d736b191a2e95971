# SPDX-License-Identifier: MIT
"""Runs inside the outer guest: see ../test_nested.py. slicer doctor on a host with KVM, systemd and its networkd."""
import json
import subprocess

from slicertest import until

SLICER = "/usr/local/bin/slicer"
FILES = ("/etc/systemd/network/00-veth-ignore.network", "/etc/systemd/network/00-slicer-ignore.network",
         "/etc/systemd/networkd.conf")


def run(*args, check=True):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, (args, done)
    return done.stdout


def doctor(*checks):
    out = run(SLICER, "doctor", "--json", "--only", ",".join(checks), check=False)
    return {r["id"]: r for r in json.loads(out)}


def setup_of(link):
    """What networkd makes of a link: "unmanaged", "configured", …"""
    links = json.loads(run("networkctl", "--json=short", "list"))["Interfaces"]
    return next(one["AdministrativeState"] for one in links if one["Name"] == link)


def test_a_good_host():
    found = doctor("system", "kvm", "cgroup", "tun", "nft", "qemu", "leftovers")
    assert {r["severity"] for r in found.values()} == {"ok"}, found
    assert "by kvm_amd" in found["kvm"]["summary"] and "This host is a VM itself" in str(found["kvm"]["detail"])
    assert "at /sys/fs/cgroup, with" in found["cgroup"]["summary"]


LINKS = ("ve-0123456789", "vt-0123456789")


def wait_for_setup(*states):
    for link in LINKS:
        until(lambda: setup_of(link) in states, 120, f"{link} is {states}")


def test_networkd_leaves_interfaces_alone_after_the_fix():
    """With what systemd ships for containers and VMs it takes what networks of slicer are made of."""
    run("systemctl", "start", "systemd-networkd")
    before = doctor("networkd")["networkd"]
    assert before["severity"] == "warning"
    assert {line.split()[-1] for line in before["detail"]} == set(LINKS)
    try:
        run("ip", "link", "add", LINKS[0], "type", "veth", "peer", "name", "vx-1")
        run("ip", "tuntap", "add", LINKS[1], "mode", "tap")
        for link in (*LINKS, "vx-1"):
            run("ip", "link", "set", link, "up")
        wait_for_setup("configuring", "configured")
        said = run(SLICER, "doctor", "--fix", "--force", "--only", "networkd")
        assert all(f"{path} is written" in said for path in FILES), said
        run("systemctl", "restart", "systemd-networkd")
        wait_for_setup("unmanaged")
        assert doctor("networkd")["networkd"]["severity"] == "ok"
        # What slicer gives it stays.
        run("ip", "addr", "add", "169.254.100.1/30", "dev", LINKS[0])
        run("systemctl", "restart", "systemd-networkd")
        wait_for_setup("unmanaged")
        assert "169.254.100.1/30" in run("ip", "-4", "addr", "show", LINKS[0])
    finally:
        run("systemctl", "stop", "systemd-networkd.socket", "systemd-networkd")
        for link in LINKS:
            run("ip", "link", "del", link, check=False)
