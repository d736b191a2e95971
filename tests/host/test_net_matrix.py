# SPDX-License-Identifier: MIT
"""Who reaches whom, in every mode, by real packets (slicertest/netspace.py): what is found is the table in docs/networks.md,
and what that page promises. SLICER_GOLDEN_UPDATE=1 writes the table anew."""
import contextlib
import json
import os
import re
import subprocess
import sys

import pytest
from slicertest import SOURCE, frames, matrix
from slicertest.cni import state_directories
from slicertest.matrix import PROMISED
from slicertest.netspace import INTERNET, World, arrived

PAGE = SOURCE / "docs/networks.md"
METADATA, LAN = "169.254.169.254", "10.99.0.1"
HOST, LOOPBACK_PORT = "10.99.0.2", 17
SPOOFED = "198.51.100.1"

GROUPS = {
    "bridge": {"bridge": "brvm0", "tap_prefix": "vmtap", "gateway": "192.168.137.1/24"},
    "isolated": {"mode": "isolated"},
    "slots": None,
    "macvtap": {"mode": "macvtap", "gateway": f"{LAN}/24"},
    "user": {"mode": "user"},
    "CNI": None,  # the network that `up` writes where there is none
}
# What keeps two daemons apart where they must not have the same.
OTHERS = {
    "bridge": {"bridge": "brweb0", "tap_prefix": "webtap", "gateway": "172.20.0.1/24"},
    "macvtap": {"addresses": ["10.99.0.210"]},
}

# A service on the host's loopback; prints who came.
LOOPBACK = """
import socket
s = socket.create_server(("127.0.0.1", 17))
print("ready", flush=True)
while True:
    c, peer = s.accept()
    c.sendall(b"loopback")
    c.close()
"""

KNOCK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as s:
    assert s.recv(20) == b"loopback"
"""

# A frame to everybody and to the gateway: IPv6 with UDP, or IPv4 from another MAC address.
SEND = """
import socket, struct, sys
kind, mac, gateway_mac, ip, target, magic = sys.argv[1:]
payload = bytes.fromhex(magic)
if kind == "ipv6":
    body = struct.pack("!IHBB16s16s", 6 << 28, 8 + len(payload), 17, 9, socket.inet_pton(10, "fe80::1"), socket.inet_pton(10, "ff02::1"))
    body += struct.pack("!HHHH", 9, 9, 8 + len(payload), 0) + payload
    frames = [(mac, 0x86dd, body)]
else:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 9, 17, 0, socket.inet_aton(ip), socket.inet_aton(target))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:]
    frames = [("020000000099", 0x0800, head + struct.pack("!HHHH", 9, 9, 8 + len(payload), 0) + payload)]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for source, protocol, body in frames:
    for to in ("ffffffffffff", gateway_mac):
        s.send(bytes.fromhex(to) + bytes.fromhex(source) + protocol.to_bytes(2, "big") + body)
"""


class Case:
    """Two VMs of a group of a mode, a VM of another daemon, and what is around them."""

    def __init__(self, stack, directory, mode):
        cni = stack.enter_context(state_directories()) if mode == "CNI" else ()
        self.mode, self.world = mode, World(stack, directory, ("/run", *cni))
        world = self.world
        # The host does nothing against foreign source addresses by itself, whatever distribution the test runs on.
        world.host.run("sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done")
        world.lan.ip(f"addr add {METADATA}/32 dev lo")  # as a cloud has it: where the default route leads
        slots = mode == "slots"
        self.config = world.config("a", self.group("vm", 2, ["slot1", "slot2"], {}))
        other = world.config("b", self.group("web", 1, ["slot3"], OTHERS.get(mode, {})))
        for config, daemon, group in ((self.config, "a-1", "vm"), (other, "b-2", "web")):
            world.netrun(config, daemon, "up", group)
        self.vm, self.peer = (world.guest(self.config, "a-1", "vm", n, f"slot{n}" if slots else None) for n in (1, 2))
        self.other = world.guest(other, "b-2", "web", 1, "slot3" if slots else None)
        service = subprocess.Popen(world.host.argv(sys.executable, "-c", LOOPBACK), stdout=subprocess.PIPE, text=True)
        stack.callback(lambda: (service.kill(), service.wait(), service.stdout.close()))
        assert service.stdout.readline() == "ready\n"
        self.gateway = self.vm.plan["guest"]["gateway"]
        self.vm.space.ask(self.gateway)  # whose MAC address is known from here on
        lladdr = re.search(rf"^{re.escape(self.gateway)} .*lladdr (\S+)", self.vm.space.run("ip", "neigh").stdout, re.M)
        self.gateway_mac = lladdr[1].replace(":", "") if lladdr else "ffffffffffff"

    def group(self, name, count, slots, more):
        network = GROUPS[self.mode]
        if self.mode == "slots":
            return {"name": name, "slots": {slot: {} for slot in slots}}
        return {"name": name, "count": count, **({"network": {**network, **more}} if network else {})}

    def should(self, row):
        """For whom it is worth to wait as long as a busy machine may need."""
        return row in PROMISED[self.mode]

    def asks(self, space, address, row):
        return space.ask(address, reached=self.should(row)) is not None

    def knocks(self, address):
        seconds = 20 if self.should(matrix.LOOPBACK) else 0.8
        return self.vm.space.run(sys.executable, "-c", KNOCK, address, LOOPBACK_PORT, seconds, check=False).returncode == 0

    def seen(self, kind):
        """Whether such a frame of the VM arrives in any namespace but its own."""
        mac = self.vm.plan["guest"]["mac"].replace(":", "")
        places = [self.world.lan, self.peer.space, self.other.space]
        # On a bridge the host's end of the VM's own port hears all that the guest says; what counts is how far it comes.
        places += [self.world.host] if self.mode not in ("bridge", "slots", "CNI") else []
        should = self.should(matrix.SPOOFED_MAC if kind == "mac" else matrix.IPV6)
        with contextlib.ExitStack() as stack:
            ears = frames.Ears(stack, [place.argv() for place in places])
            self.vm.space.run(sys.executable, "-c", SEND, kind, mac, self.gateway_mac, self.vm.ip, INTERNET, frames.MAGIC.hex() + "00")
            return bool(ears.end(lambda heard: heard or not should))

    def spoofs(self):
        self.vm.space.ip(f"addr add {SPOOFED}/32 dev lo")
        return SPOOFED in arrived(self.world.lan, self.vm, INTERNET, [SPOOFED, self.vm.ip], wanted=2 if self.should(matrix.SPOOFED_IP) else 1)

    def found(self):
        host, lan, vm = self.world.host, self.world.lan, self.vm.space
        same = self.vm.ip == self.peer.ip  # in mode user: they have nothing but the number in common
        on_lan = self.mode == "macvtap"
        if not on_lan:
            lan.ip(f"route add {self.vm.ip}/32 via {HOST}")
        host_addresses = {HOST} if on_lan else {HOST, self.gateway}
        return {
            matrix.PEER: not same and self.asks(vm, self.peer.ip, matrix.PEER),
            matrix.OTHER: not same and self.asks(vm, self.other.ip, matrix.OTHER),
            matrix.HOST: any(self.asks(vm, a, matrix.HOST) for a in host_addresses),
            matrix.LOOPBACK: any(self.knocks(a) for a in (self.gateway, HOST, "127.0.0.1")),
            matrix.LAN: self.asks(vm, LAN, matrix.LAN),
            matrix.NET: self.asks(vm, INTERNET, matrix.NET),
            matrix.META: self.asks(vm, METADATA, matrix.META),
            matrix.SPOOFED_IP: self.spoofs(),
            matrix.SPOOFED_MAC: self.seen("mac"),
            matrix.IPV6: self.seen("ipv6"),
            matrix.BY_HOST: self.asks(host, self.vm.ip, matrix.BY_HOST),
            matrix.BY_LAN: self.asks(lan, self.vm.ip, matrix.BY_LAN),
        }


def table(results):
    modes = list(results)
    lines = ["| a VM reaches | " + " | ".join(m if m == "CNI" else f"`{m}`" for m in modes) + " |", "|---|" + "---|" * len(modes)]
    for row in results[modes[0]]:
        lines.append(f"| {row} | " + " | ".join("yes" if results[m][row] else "–" for m in modes) + " |")
    return "\n".join(lines)


def in_page():
    return re.search(r"(?<=<!-- who reaches whom: tests/host/test_net_matrix.py -->\n)(?:\|.*\n)*", PAGE.read_text())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    found = {}
    for mode in GROUPS:
        with contextlib.ExitStack() as stack:
            found[mode] = Case(stack, tmp_path_factory.mktemp(mode), mode).found()
    return found


@pytest.mark.parametrize("mode", GROUPS)
def test_what_is_promised(results, mode):
    assert {row for row, yes in results[mode].items() if yes} == PROMISED[mode], json.dumps(results[mode], indent=1)


def test_the_page_says_what_was_found(results):
    text, now = PAGE.read_text(), table(results) + "\n"
    place = in_page()
    if os.environ.get("SLICER_GOLDEN_UPDATE"):
        PAGE.write_text(text[:place.start()] + now + text[place.end():])
    assert in_page()[0] == now
