# SPDX-License-Identifier: MIT
"""Guests in isolated networks, in a network namespace of the test's own whose one neighbour is LAN and "Internet" at once."""
import contextlib
import json
import os
import subprocess

import pytest
from slicertest import Daemon, frames, matrix, run, until
from slicertest.hostspace import OUTSIDE, host_space, ip, outside_of_host, surroundings
from slicertest.matrix import guest_matrix

REFUSED, ELSEWHERE = "203.0.113.9", "198.51.100.2"  # RFC 5737


@pytest.fixture(autouse=True)
def nothing_left_by_test():
    """Not here: the daemon and the VM that a test starts anew are the module's, at whose end is looked."""


@pytest.fixture(scope="module")
def host(store):
    with host_space() as name:
        for link, address in (("wire", f"{REFUSED}/24"), ("lo", f"{ELSEWHERE}/32")):
            ip("-n", outside_of_host(), "addr", "add", address, "dev", link)
        yield name


@pytest.fixture(scope="module")
def daemon(host, tmp_path_factory):
    # The helper that makes the VMs' namespaces and this test's share /run/netns.
    network = {"mode": "isolated", "drop": [REFUSED]}
    with Daemon(tmp_path_factory.mktemp("isolated"), hypervisor="qemu", group={"network": network, "count": 2},
                prefix=("nsenter", f"--net=/run/netns/{host}")) as d:
        yield d


@pytest.fixture(scope="module")
def vms(daemon):
    names = [f"{daemon.group}-{n}" for n in (1, 2)]
    for name in names:
        until(lambda: daemon.client.get(f"/vm/{name}/health").status == 200, 120, f"{name} answers")
    return names


def reaches(daemon, vm, address, reached=True):
    return matrix.reaches(daemon.client, vm, address, reached)


def test_who_reaches_whom(daemon, vms, host):
    address = {n["hostname"]: n["ip"] for n in daemon.client.nodes()}
    gateway = address[vms[0]].rpartition(".")[0] + "." + str(int(address[vms[0]].rpartition(".")[2]) - 1)
    assert reaches(daemon, vms[0], OUTSIDE) and reaches(daemon, vms[0], ELSEWHERE), "out, by NAT"
    assert not reaches(daemon, vms[0], REFUSED, reached=False), "what drop names"
    assert not reaches(daemon, vms[0], address[vms[1]], reached=False), "another VM"
    assert not reaches(daemon, vms[0], gateway, reached=False) and not reaches(daemon, vms[0], "203.0.113.2", reached=False), "the host"
    knock = ["ip", "netns", "exec", host, "ping", "-c", "1", "-W", "2", address[vms[0]]]
    assert subprocess.run(knock, capture_output=True).returncode != 0, "the host begins nothing"


@pytest.mark.full
def test_what_the_page_promises(daemon, vms, host):
    address = {n["hostname"]: n["ip"] for n in daemon.client.nodes()}
    gateway = address[vms[0]].rpartition(".")[0] + "." + str(int(address[vms[0]].rpartition(".")[2]) - 1)
    with contextlib.ExitStack() as stack:
        guest_matrix(surroundings(stack, host), daemon.client, vms[0], "isolated", own=address[vms[0]], host=[gateway, "203.0.113.2"],
                     via="203.0.113.2", peer=address[vms[1]])


def test_root_in_the_guest_changes_nothing(daemon, vms):
    peer = next(n["ip"] for n in daemon.client.nodes() if n["hostname"] == vms[1])
    script = (f"ip route replace {peer} dev eth0; ip addr add 198.51.100.77/32 dev lo; "
              f"ping -c 1 -W 2 {peer} || ping -c 1 -W 2 -I 198.51.100.77 {OUTSIDE}")
    assert run(daemon.client, vms[0], "sh", "-c", script, uid=0, gid=0).exit_code != 0
    assert reaches(daemon, vms[0], OUTSIDE)


def test_what_is_not_the_guests_own_comes_nowhere(daemon, vms, host, tmp_path):
    """Not even what passes on a bridge: it has a network of two addresses. Its own packet comes to the outside: the test can fail."""
    frames.take_sender(daemon, vms[0], tmp_path)
    nodes = {n["hostname"]: n for n in daemon.client.nodes()}
    head, _, last = nodes[vms[0]]["ip"].rpartition(".")
    heard = frames.told(daemon, vms[0], [("ip", "netns", "exec", ns) for ns in (host, outside_of_host(), vms[1])],
                        f"{head}.{int(last) - 1}", (nodes[vms[1]]["mac"], nodes[vms[1]]["ip"]), OUTSIDE, {"its own": {"uplink", "wire"}})
    assert {"uplink", "wire"} <= heard.pop("its own")
    assert not any(heard.values()), heard


def test_a_relaunch_and_a_new_daemon(daemon, vms):
    daemon.kill()
    daemon.start()
    assert reaches(daemon, vms[0], OUTSIDE) and not reaches(daemon, vms[0], REFUSED, reached=False)
    assert daemon.client.request("POST", f"/vm/{vms[1]}/shutdown", timeout=90).status == 200
    assert not os.path.exists(f"/run/netns/{vms[1]}")
    assert daemon.client.request("POST", f"/vm/{vms[1]}/relaunch", timeout=90).status == 200
    until(lambda: daemon.client.get(f"/vm/{vms[1]}/health").status == 200, 120)
    assert reaches(daemon, vms[1], OUTSIDE) and not reaches(daemon, vms[1], REFUSED, reached=False)
    shown = json.loads(ip("-n", vms[1], "-j", "link"))
    assert {link["ifname"] for link in shown} == {"lo", "tap", "uplink"}
