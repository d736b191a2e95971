# SPDX-License-Identifier: MIT
"""Networks of many VMs, where the host's interfaces or somebody else's plugins set the price: nothing is left of them."""
import contextlib
import json

import pytest
from slicertest.cni import PTP_LIST, state_directories
from slicertest.netspace import World

MANY = [20, pytest.param(500, marks=pytest.mark.full)]
BIG = {"type": "host-local", "subnet": "10.92.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}


@pytest.fixture
def cni_world(tmp_path):
    with contextlib.ExitStack() as stack:
        yield World(stack, tmp_path, ("/run", *stack.enter_context(state_directories())))


def make(world, config, count, capsys):
    """Makes and removes them, and prints what the first ones and the last ones took."""
    lines = world.netrun(config, "a-1", "many", "vm", count, timeout=550).stdout.splitlines()
    times = [tuple(int(word) / 1000 for word in line.split()) for line in lines]
    assert len(times) == count

    def median(part, column):
        return sorted(t[column] for t in part)[len(part) // 2]
    with capsys.disabled():
        for what, column in (("create", 0), ("delete", 1)):
            print(f"\n{what} of {count}: first ten {median(times[:10], column):.1f} ms, last ten {median(times[-10:], column):.1f} ms")


@pytest.mark.parametrize("count", MANY)
def test_bridge(world, count, capsys):
    config = world.config("a", {"name": "vm", "count": 0, "network": {"mode": "bridge", "bridge": "brvm0", "gateway": "10.50.0.1/16"}})
    world.netrun(config, "a-1", "up", "vm")
    good = world.host.state()
    make(world, config, count, capsys)
    assert world.host.state() == good
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == world.before


@pytest.mark.parametrize("count", [20, pytest.param(250, marks=pytest.mark.full)])  # there are 255
def test_slots(world, count, capsys):
    """A bridge for each, made with the group; 10.99.0.0/24 is the LAN's."""
    numbers = [n for n in range(1, 256) if n != 99][:count]
    config = world.config("a", {"name": "vm", "slots": {f"slot{n}": {} for n in numbers}})
    world.netrun(config, "a-1", "up", "vm", timeout=550)
    good = world.host.state()
    make(world, config, count, capsys)
    assert world.host.state() == good
    world.netrun(config, "a-1", "down", "vm", timeout=550)
    assert world.host.state() == world.before


@pytest.mark.parametrize("count", MANY)
def test_macvtap(world, count, capsys):
    config = world.config("a", {"name": "vm", "count": 0, "network": {"mode": "macvtap"}})
    world.netrun(config, "a-1", "up", "vm")
    make(world, config, count, capsys)
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == world.before


def kept(host):
    """Files of attachments and of addresses that are taken, and iptables rules with an address of theirs."""
    files = host.run("find", "/var/lib/cni", "-type", "f").stdout.split()
    rules = [line for line in host.run("iptables-save").stdout.splitlines() if "10.92" in line or "slicer" in line]
    return [f for f in files if f.rpartition("/")[2] not in ("lock", "last_reserved_ip.0")], rules


@pytest.mark.parametrize("count", MANY)
def test_cni(cni_world, count, capsys):
    host = cni_world.host
    plugins = [{**PTP_LIST["plugins"][0], "ipam": BIG}]
    host.run("sh", "-c", "cat > /etc/cni/net.d/ptp.conflist", input=json.dumps({**PTP_LIST, "plugins": plugins}))
    config = cni_world.config("a", {"name": "vm", "count": 0}, network_name="ptp")
    cni_world.netrun(config, "a-1", "up", "vm")
    make(cni_world, config, 1, capsys)  # iptables and the plugins have the chains that stay
    before = host.state()
    make(cni_world, config, count, capsys)
    assert host.state() == before and kept(host) == ([], [])
