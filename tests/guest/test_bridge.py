# SPDX-License-Identifier: MIT
"""Guests on a bridge, in a network namespace of the test's own that has one neighbour, the "Internet"."""
import contextlib
import os
import subprocess

import pytest
from slicertest import Daemon, run, until

OUTSIDE = "203.0.113.1"  # RFC 5737


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True).stdout


def inside(ns, *words):
    return subprocess.run(["ip", "netns", "exec", ns, *words], capture_output=True, text=True, timeout=30)


@contextlib.contextmanager
def two_namespaces():
    host, outside = f"slt-host-{os.getpid()}", f"slt-out-{os.getpid()}"
    try:
        for name in (host, outside):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", host, "link", "add", "uplink", "type", "veth", "peer", "name", "wire", "netns", outside)
        for name, link, address in ((host, "uplink", "203.0.113.2/24"), (outside, "wire", f"{OUTSIDE}/24")):
            ip("-n", name, "addr", "add", address, "dev", link)
            ip("-n", name, "link", "set", link, "up")
        ip("-n", host, "route", "add", "default", "via", OUTSIDE)
        yield host
    finally:
        for name in (host, outside):
            ip("netns", "del", name, check=False)


@pytest.fixture(scope="module")
def host(store):
    with two_namespaces() as name:
        yield name


@pytest.fixture(scope="module")
def daemon(host, tmp_path_factory):
    network = {"bridge": "brtest0", "tap_prefix": "brtap", "gateway": "192.168.137.1/24"}
    with Daemon(tmp_path_factory.mktemp("bridge"), hypervisor="qemu", group={"network": network, "count": 2},
                prefix=("nsenter", f"--net=/run/netns/{host}")) as d:
        yield d


@pytest.fixture(scope="module")
def vms(daemon):
    names = [f"{daemon.group}-{n}" for n in (1, 2)]
    for name in names:
        until(lambda: daemon.client.get(f"/vm/{name}/health").status == 200, 120, f"{name} answers")
    return names


def reaches(daemon, vm, address):
    return run(daemon.client, vm, "ping", "-c", "1", "-W", "3", address, uid=0, gid=0).exit_code == 0


def test_addresses_follow_the_numbers(daemon, vms):
    nodes = {n["hostname"]: n["ip"] for n in daemon.client.nodes()}
    assert nodes == {vms[0]: "192.168.137.2", vms[1]: "192.168.137.3"}
    shown = run(daemon.client, vms[0], "ip", "-4", "addr", "show", "eth0").stdout.decode()
    assert "192.168.137.2/24" in shown


def test_who_reaches_whom(daemon, vms, host):
    assert reaches(daemon, vms[0], "192.168.137.3"), "VM to VM"
    assert reaches(daemon, vms[0], "192.168.137.1"), "VM to host"
    assert reaches(daemon, vms[0], OUTSIDE), "VM to the Internet, by NAT"
    assert inside(host, "ping", "-c", "1", "-W", "3", "192.168.137.2").returncode == 0, "host to VM"
    assert not reaches(daemon, vms[0], "192.168.137.77"), "nobody is there: the test can fail"


def test_a_new_vm_gets_the_next_address_and_gives_it_back(daemon, vms, host):
    made = daemon.client.create(daemon.group, timeout="120s")
    assert made["ip"] == "192.168.137.4/24"
    assert "brtap3" in ip("-n", host, "-br", "link")
    assert daemon.client.delete(f"/hostgroup/{daemon.group}/nodes/{made['hostname']}").status == 200
    assert "brtap3" not in ip("-n", host, "-br", "link")


def test_an_address_asked_for(daemon, vms):
    made = daemon.client.create(daemon.group, ip="192.168.137.50", timeout="120s")
    assert made["ip"] == "192.168.137.50/24" and reaches(daemon, vms[0], "192.168.137.50")
    refused = daemon.client.post(f"/hostgroup/{daemon.group}/nodes", json={"ip": "192.168.137.50"})
    assert refused.status == 409 and "192.168.137.50" in refused.json["error"]
    refused = daemon.client.post(f"/hostgroup/{daemon.group}/nodes", json={"ip": "10.9.9.9"})
    assert refused.status == 400
    assert daemon.client.delete(f"/hostgroup/{daemon.group}/nodes/{made['hostname']}").status == 200


def test_the_network_outlives_the_daemon_and_goes_with_it(daemon, vms, host):
    daemon.kill()
    assert inside(host, "ping", "-c", "1", "-W", "3", "192.168.137.2").returncode == 0
    inside(host, "nft", "flush", "ruleset")  # somebody else's firewall was reloaded meanwhile
    daemon.start()
    until(lambda: daemon.client.get(f"/vm/{vms[1]}/health").status == 200, 30)
    assert reaches(daemon, vms[1], OUTSIDE) and reaches(daemon, vms[1], "192.168.137.2")
    rules = inside(host, "nft", "list", "ruleset").stdout
    assert '"brtap1" . 192.168.137.2' in rules and '"brtap2" . 192.168.137.3' in rules, "anti-spoofing is back"
    daemon.clean()
    links = ip("-n", host, "-br", "link")
    assert "brt" not in links and "uplink" in links
    assert inside(host, "nft", "list", "ruleset").stdout.strip() == ""
