# SPDX-License-Identifier: MIT
"""A guest on a LAN: its address from the router by DHCP, IPv6 by SLAAC, seen by the LAN as a machine of its own."""
import contextlib

import pytest
from slicertest import Daemon, run, until
from slicertest.lan import PREFIX6, ROUTER, SUBNET, lan
from slicertest.matrix import Surroundings, guest_matrix, reaches


@pytest.fixture(scope="module")
def net(store, tmp_path_factory):
    with lan(tmp_path_factory.mktemp("lan")) as one:
        yield one


@pytest.fixture(scope="module")
def daemon(net, tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("macvtap"), hypervisor="qemu", prefix=net.prefix,
                group={"network": {"mode": "macvtap"}, "count": 2}) as d:
        yield d


@pytest.fixture(scope="module")
def vm(daemon):
    name = f"{daemon.group}-1"
    until(lambda: daemon.client.get(f"/vm/{name}/health").status == 200, 120, f"{name} answers")
    return name


def node(daemon, vm):
    return next(n for n in daemon.client.nodes() if n["hostname"] == vm)


def inside(daemon, vm, *words):
    return run(daemon.client, vm, *words, uid=0, gid=0)


RENEW = """for p in /proc/[0-9]*; do
	tr '\\0' ' ' < $p/cmdline | grep -q ^udhcpc && kill -USR1 ${p#/proc/} && exit 0
done; exit 1"""


def renew(daemon, vm):
    """What the client's timer does at half of the lease."""
    assert inside(daemon, vm, "sh", "-c", RENEW).exit_code == 0


def test_the_address_comes_by_dhcp_and_is_shown(net, daemon, vm):
    shown = until(lambda: node(daemon, vm)["ip"], 30)
    mac = node(daemon, vm)["mac"]
    until(lambda: net.lease(mac) == (shown, vm))  # the server writes it down after it has answered
    assert shown.startswith(f"{SUBNET}.")
    assert daemon.client.get(f"/vm/{vm}").json["mac"] == mac
    assert daemon.client.get(f"/vm/{vm}/health").json["ip"] == shown
    assert shown.encode() in daemon.cli.ok("vm", "list")
    assert mac.encode() in daemon.cli.ok("vm", "list", "--json")
    assert net.pings(shown)
    assert reaches(daemon.client, vm, ROUTER)


def test_dns_is_the_routers(daemon, vm):
    assert inside(daemon, vm, "cat", "/etc/resolv.conf").stdout == f"nameserver {ROUTER}\n".encode()
    assert ROUTER in inside(daemon, vm, "nslookup", "lan.test", ROUTER).stdout.decode()


def test_ipv6_comes_from_the_router(net, daemon, vm):
    def address():
        for line in inside(daemon, vm, "ip", "-6", "-o", "addr", "show", "dev", "eth0").stdout.decode().splitlines():
            if PREFIX6 in line and "tentative" not in line:
                return line.split()[3].partition("/")[0]
    assert net.pings(until(address, 30))


@pytest.mark.full
def test_who_reaches_whom(net, daemon, vm):
    peer = f"{daemon.group}-2"
    for one in (vm, peer):
        until(lambda: daemon.client.get(f"/vm/{one}/health").status == 200 and node(daemon, one)["ip"], 120, f"{one} answers")
    with contextlib.ExitStack() as stack:
        around = Surroundings(stack, net.prefix, ("ip", "netns", "exec", net.router), ROUTER)
        guest_matrix(around, daemon.client, vm, "macvtap", own=node(daemon, vm)["ip"], host=[f"{SUBNET}.2"],
                     peer=node(daemon, peer)["ip"])


def test_the_lease_is_renewed(net, daemon, vm):
    before = net.log.read_text().count("DHCPACK")
    renew(daemon, vm)
    until(lambda: net.log.read_text().count("DHCPACK") > before, 15)
    assert net.pings(node(daemon, vm)["ip"])


def test_a_new_address_is_told(net, daemon, vm):
    old, mac = node(daemon, vm)["ip"], node(daemon, vm)["mac"]
    new = f"{SUBNET}.77"
    assert inside(daemon, vm, "sh", "-c", f"ip -4 addr flush dev eth0; ip addr add {new}/24 dev eth0").exit_code == 0
    until(lambda: node(daemon, vm)["ip"] == new, 10)
    renew(daemon, vm)
    until(lambda: old in inside(daemon, vm, "ip", "-4", "addr").stdout.decode(), 15)
    assert node(daemon, vm)["mac"] == mac


def test_the_vm_outlives_the_daemon_and_keeps_its_mac(net, daemon, vm):
    mac, address = node(daemon, vm)["mac"], node(daemon, vm)["ip"]
    daemon.kill()
    assert net.pings(address)
    daemon.start()
    until(lambda: node(daemon, vm)["ip"], 30)
    assert node(daemon, vm)["mac"] == mac
    daemon.clean()
    assert "mv-" not in net.on_host("-br", "link")
