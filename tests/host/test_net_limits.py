# SPDX-License-Identifier: MIT
"""limits.network_…, with real packets: what is limited cannot be faster than the limit however fast the host is, and what is not
is faster than that."""
import json
import re
import subprocess
import sys

import pytest
from slicertest.netspace import INTERNET

KIB = 1024
RATE, BURST, SIZE = 256 * KIB, 64 * KIB, 1024 * KIB
PACKETS, TRAIN, EXCHANGES = 50, 16, 120

GROUPS = {
    "bridge": {"bridge": "brvm0", "tap_prefix": "vmtap", "gateway": "192.168.137.1/24"},
    "isolated": {"mode": "isolated"},
    "slots": None,
}
LIMITS = {"none": {}, "bytes": {"network_bandwidth": "256KiB"}, "packets": {"network_packets": PACKETS}}

# What it takes at least with a limit. The bucket is full at first: a second's bytes and a burst.
BYTES, PACKET_TIME = (SIZE - RATE - BURST) / RATE, (EXCHANGES - TRAIN) / PACKETS - 0.5
LEAST = {"out": BYTES, "in": BYTES, "both": PACKET_TIME}

# "out N" takes N bytes and says when it has them, "in N" sends N, "both N" gives back each of N bytes.
SERVER = """
import socket, sys
s = socket.create_server((sys.argv[1], 8))
print("ready", flush=True)
while True:
    c, _ = s.accept()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with c, c.makefile("rb") as f:
        what, n = f.readline().decode().split()
        if what == "both":
            for _ in range(int(n)):
                c.sendall(f.read(1))
        elif what == "in":
            c.sendall(bytes(int(n)))
        else:
            f.read(int(n))
            c.sendall(b"x")
"""

CLIENT = """
import socket, sys, time
address, what, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.create_connection((address, 8), timeout=60) as s, s.makefile("rb") as f:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = time.monotonic()
    s.sendall(f"{what} {n}\\n".encode())
    if what == "both":
        for i in range(n):
            s.sendall(b"x")
            assert f.read(1) == b"x"
    elif what == "in":
        assert len(f.read(n)) == n
    else:
        s.sendall(bytes(n))
        assert f.read(1) == b"x"
    print(time.monotonic() - start)
"""


@pytest.fixture
def place(world):
    with subprocess.Popen(world.lan.argv(sys.executable, "-c", SERVER, INTERNET), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "ready\n"
        yield world
        server.kill()


def seconds(vm, what, n):
    return float(vm.space.run(sys.executable, "-c", CLIENT, INTERNET, what, n, timeout=120).stdout)


def at_best(vm, what, n, enough):
    """The first of a few tries that took less than `enough`, or the last: a busy machine may hold one up."""
    for _ in range(10):
        took = seconds(vm, what, n)
        if took < enough:
            break
    return took


def rules(world, mode):
    """What holds for the VM, without the rest of what tells how much is left."""
    inside = ["ip", "netns", "exec", "vm-1"] if mode == "isolated" else []
    return re.findall(r"limit.*rate over.*|rate over.*", world.host.run(*inside, "nft", "list", "ruleset").stdout)


def group(mode, limits):
    what = {"slots": {"slot1": {}}} if mode == "slots" else {"count": 1, "network": GROUPS[mode]}
    return {"name": "vm", **what, **({"limits": limits} if limits else {})}


def guest(place, config, mode):
    return place.guest(config, "a-1", "vm", 1, "slot1" if mode == "slots" else None)


@pytest.mark.parametrize("mode", GROUPS)
def test_each_direction_is_limited(place, mode):
    took = {}
    for kind in LIMITS:
        config = place.config(kind, group(mode, LIMITS[kind]))
        place.netrun(config, "a-1", "up", "vm")
        vm = guest(place, config, mode)
        for what, n in (("out", SIZE), ("in", SIZE), ("both", EXCHANGES)):
            if kind == "none":
                took[kind, what] = at_best(vm, what, n, LEAST[what])
            elif (kind == "packets") == (what == "both"):
                took[kind, what] = seconds(vm, what, n)
        vm.end()
        place.netrun(config, "a-1", "down", "vm")
    assert place.host.state() == place.before
    for (kind, what), t in took.items():
        assert t < LEAST[what] if kind == "none" else t > LEAST[what], took


@pytest.mark.parametrize("mode", GROUPS)
def test_mended_and_removed(place, mode):
    config = place.config("a", group(mode, LIMITS["bytes"] | LIMITS["packets"]))
    place.netrun(config, "a-1", "up", "vm")
    vm = guest(place, config, mode)
    before = rules(place, mode)
    assert len(before) == 4 and vm.plan["limits"] == {"bandwidth": RATE, "packets": PACKETS, "connections": 0}
    place.netrun(config, "a-1", "mend", input=vm.text)
    assert rules(place, mode) == before
    inside = ["ip", "netns", "exec", "vm-1"] if mode == "isolated" else []
    place.host.run(*inside, "nft", "flush", "ruleset")
    assert rules(place, mode) == []
    place.netrun(config, "a-1", "up", "vm")  # as the daemon does first
    # What the record says of rules is not believed after a restart.
    place.netrun(config, "a-1", "mend", input=json.dumps({k: v for k, v in vm.plan.items() if k != "rules"}))
    assert rules(place, mode) == before
    assert seconds(vm, "out", SIZE) > LEAST["out"]
    vm.end()
    assert rules(place, "bridge") == []
    place.netrun(config, "a-1", "down", "vm")
    assert place.host.state() == place.before


# Opens as many as it can and prints how many; then the same again without the first two. What is too many is not waited for as long
# as a busy machine may need.
LISTENER = """
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(1)  # until the other end closes
class Server(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size = True, 200
server = Server((sys.argv[1], 9), Handler)
print("ready", flush=True)
server.serve_forever()
"""
OPENER = """
import socket, sys
def open_all(have):
    try:
        while len(have) < 50:
            have.append(socket.create_connection((sys.argv[1], 9), timeout=60 if len(have) < int(sys.argv[2]) else 3.5))
    except TimeoutError:
        pass
    print(len(have))
    return have
have = open_all([])
for one in have[:2]:
    one.close()
open_all(have[2:])
"""


def test_connections_at_once(world):
    """Refused are those that are too many, not those that are there; one that ends makes room for another."""
    def opened(limits, expected):
        config = world.config("a", group("isolated", limits))
        world.netrun(config, "a-1", "up", "vm")
        vm = guest(world, config, "isolated")
        counts = vm.space.run(sys.executable, "-c", OPENER, INTERNET, expected, timeout=300).stdout.split()
        vm.end()
        world.netrun(config, "a-1", "down", "vm")
        return counts
    server = subprocess.Popen(world.lan.argv(sys.executable, "-c", LISTENER, INTERNET), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        assert opened({"network_connections": 12}, 12) == ["12", "12"]
        assert opened({}, 50) == ["50", "50"]
    finally:
        server.kill()
        server.communicate()
    assert world.host.state() == world.before


@pytest.mark.parametrize("network", [{"mode": "user"}, {"mode": "macvtap"}, None])
@pytest.mark.parametrize("key", ["network_bandwidth", "network_packets"])
def test_refused_where_it_cannot_hold(world, network, key):
    refused(world, network, key, 1000000)


@pytest.mark.parametrize("network", [{"mode": "user"}, {"mode": "macvtap"}, {"mode": "bridge"}, None])
def test_connections_are_refused_where_nobody_counts_them(world, network):
    refused(world, network, "network_connections", 100)


def refused(world, network, key, value):
    config = world.config("a", {"name": "vm", "count": 1, "limits": {key: value}} | ({"network": network} if network else {}))
    done = world.netrun(config, "a-1", "up", "vm", check=False)
    assert done.returncode != 0 and f"limits.{key}" in done.stderr
    assert f"no effect in network mode {network['mode'] if network else 'cni'}:" in done.stderr
