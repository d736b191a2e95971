# SPDX-License-Identifier: MIT
"""Networks of many VMs, where the host's interfaces or somebody else's plugins set the price: nothing is left of them."""
import concurrent.futures
import contextlib
import json
import os
import time

import pytest
from slicertest import Daemon
from slicertest.cni import PTP_LIST, state_directories
from slicertest.daemon import LOG
from slicertest.netspace import World

MANY = [20, pytest.param(500, marks=pytest.mark.full)]
BIG = {"type": "host-local", "subnet": "10.92.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}


@pytest.fixture
def cni_world(tmp_path):
    with contextlib.ExitStack() as stack:
        yield World(stack, tmp_path, ("/run", *stack.enter_context(state_directories())))


def median(values):
    return sorted(values)[len(values) // 2]


def make(world, config, count, capsys):
    """Makes and removes them, and prints what the first ones and the last ones took."""
    lines = world.netrun(config, "a-1", "many", "vm", count, timeout=550).stdout.splitlines()
    times = [tuple(int(word) / 1000 for word in line.split()) for line in lines]
    assert len(times) == count

    with capsys.disabled():
        for what, column in (("create", 0), ("delete", 1)):
            first, last = (median([t[column] for t in part]) for part in (times[:10], times[-10:]))
            print(f"\n{what} of {count}: first ten {first:.1f} ms, last ten {last:.1f} ms")


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


def test_slots_go_together(world):
    """By a few runs of nft, which takes as long as the removal of a bridge; the one that is in use stays, and is told."""
    config, log = world.config("a", {"name": "vm", "slots": {f"slot{n}": {} for n in range(1, 21)}}), world.dir / "log"
    world.netrun(config, "a-1", "up", "vm")
    vm = world.guest(config, "a-1", "vm", 0, "slot7")

    def down(**more):
        done = world.netrun(config, "a-1", "down", "vm", prefix=["strace", "-f", "-qq", "-e", "trace=execve", "-o", log], **more)
        assert sum('/nft"' in line and line.endswith("= 0") for line in log.read_text().splitlines()) <= 4
        return done
    refused = down(check=False)
    assert refused.returncode == 1 and "bridge br-slot7 is in use by the VM whose interface is" in refused.stderr
    assert world.netrun(config, "a-1", "list").stdout.splitlines()[0] == "bridge br-slot7 a-1 slot7"
    assert vm.space.ask("10.7.0.1")
    vm.end()
    down()
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


# ---- with a daemon, the real agent behind a fake hypervisor, by the API ----

NETWORKS = {
    "bridge": {"bridge": "brvm0", "gateway": "10.50.0.1/16"},
    "isolated": {"mode": "isolated", "range": "10.200.0.0/21"},
    "slots": None,
    "macvtap": {"mode": "macvtap"},
    "user": {"mode": "user"},
    "CNI": None,
}
AT_ONCE, TOGETHER = 4, 100  # agents that a machine of two cores holds well


def many_daemon(world, mode, count):
    d = Daemon(world.dir / "d", prefix=(*world.host.argv(), "env", "-C", str(world.dir / "d")), group={"network": NETWORKS[mode]})
    del d.env["SLICER_CHECK_KEPT"]  # which compares all with all
    group = d.config["host_groups"][0]
    if mode == "slots":
        d.stop_s = 500  # a bridge of each is removed
        d.config["host_groups"] = [{"name": d.group, "slots": {f"slot{n}": {} for n in range(1, count + 1) if n != 99}}]
    elif mode == "CNI":
        plugins = [{**PTP_LIST["plugins"][0], "ipam": BIG}]
        world.host.run("sh", "-c", "cat > /etc/cni/net.d/ptp.conflist", input=json.dumps({**PTP_LIST, "plugins": plugins}))
        d.config["network_name"] = "ptp"
        del group["network"]
    return d


def at_once(what, things):
    """Does it with several at a time; what each took, in order."""
    def timed(thing):
        start = time.monotonic()
        result = what(thing)
        return result, time.monotonic() - start
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(timed, things))
    return [result for result, _ in done], [seconds for _, seconds in done]


def come_and_go(world, d, mode, count):
    """So many, some of them together; what each took."""
    good, made, removed = world.host.state(), [], []
    for first in range(0, count, TOGETHER):
        together = min(TOGETHER, count - first)
        nodes, seconds = at_once(lambda _: d.client.create(d.group), range(together))
        made += seconds
        names = {node["hostname"] for node in nodes}
        assert len(names) == together and {n["hostname"]: n["status"] for n in d.client.nodes()} == dict.fromkeys(names, "Running")
        if mode not in ("user", "macvtap"):  # in which it is everybody's, or the LAN's to give
            assert len({node["ip"] for node in d.client.nodes()}) == together
        removed += at_once(d.client.remove, sorted(names))[1]
        assert d.client.nodes() == [] and world.host.state() == good
        assert os.listdir(d.state_dir / "vms") == [] and os.listdir(d.run_dir) == []
    return made, removed


@pytest.mark.parametrize("count", [8, pytest.param(500, marks=pytest.mark.full)])
@pytest.mark.parametrize("mode", [pytest.param(m, marks=[pytest.mark.full] * (m not in ("bridge", "isolated"))) for m in NETWORKS])
def test_with_a_daemon(store, tmp_path, capsys, mode, count):
    """Nothing is left on the host of many VMs, and of as many that follow them."""
    with contextlib.ExitStack() as stack:
        world = World(stack, tmp_path, stack.enter_context(state_directories()))
        with many_daemon(world, mode, min(count, 250)) as d:
            if mode == "slots":  # there are 255, and they are what the configuration says
                assert len(d.client.nodes()) == len(d.config["host_groups"][0]["slots"])
                assert len(world.host.run("ip", "-br", "link", "show", "type", "bridge").stdout.splitlines()) == len(d.client.nodes())
            else:
                d.client.remove(d.client.create(d.group)["hostname"])  # iptables and CNI's plugins have the chains that stay
                good = world.host.state()
                made, removed = come_and_go(world, d, mode, count)
                with capsys.disabled():
                    for what, times in (("create", made), ("delete", removed)):
                        print(f"\n{mode}: {what} of {count}, {AT_ONCE} at a time: first ten {1000 * median(times[:10]):.0f} ms, "
                              f"last ten {1000 * median(times[-10:]):.0f} ms")
        for log in LOG.glob("slot*.txt"):  # which a slot's name is enough for, and stays
            log.unlink()
        if mode == "CNI":
            assert world.host.state() == good and kept(world.host) == ([], [])
        else:
            assert world.host.state() == world.before
