# SPDX-License-Identifier: MIT
"""Who reaches whom: what docs/networks.md promises, and a look from inside a real guest."""
import contextlib
import subprocess
import sys

from .execs import run

HOST, LOOPBACK, LAN, NET, META = ("the host, at its addresses", "services on the host's loopback", "the LAN", "the Internet",
                                  "a cloud's metadata, 169.254.169.254")
PEER, OTHER, SPOOFED_IP, SPOOFED_MAC, IPV6 = ("another VM of the group", "a VM of another daemon", "anybody, with a foreign IP address",
                                              "anybody, with a foreign MAC address", "anybody, by IPv6")
BY_HOST, BY_LAN = "**is reached** by the host", "**is reached** from the LAN, with a route"

# What the page says in words: the rows that are not "no".
PROMISED = {
    "bridge": {PEER, OTHER, HOST, LAN, NET, META, BY_HOST, BY_LAN},
    "isolated": {LAN, NET},
    "slots": {HOST, LAN, NET, META, BY_HOST, BY_LAN},
    "macvtap": {PEER, OTHER, LAN, NET, META, SPOOFED_IP, SPOOFED_MAC, IPV6, BY_LAN},
    "user": {HOST, LAN, NET, META},
    "CNI": {PEER, OTHER, HOST, LAN, NET, META, SPOOFED_IP, SPOOFED_MAC, IPV6, BY_HOST, BY_LAN},
}

ELSEWHERE, METADATA, FOREIGN = "198.51.100.1", "169.254.169.254", "198.51.100.77"
LOOPBACK_PORT, OPEN_PORT = 17, 18
PING_SIZE = 167

SERVICES = """
import socket, sys, threading
def serve(s):
    while True:
        s.accept()[0].close()
one, other = (socket.create_server((a, p)) for a, p in (("127.0.0.1", int(sys.argv[1])), ("0.0.0.0", int(sys.argv[2]))))
print("ready", flush=True)
threading.Thread(target=serve, args=[one], daemon=True).start()
serve(other)
"""

# Prints from whom a ping of a length of its own comes by, whatever addresses it has by then; or "nobody", a while after the end of its
# input. (busybox fills the code of its message with a pattern, too, and passt then does not send it on.)
WATCH = """
import select, socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
print("ready", flush=True)
from_whom, inputs, end = "nobody", [sys.stdin], None
while from_whom == "nobody" and (not end or time.monotonic() < end):
    ready = select.select([s, *inputs], [], [], 0.5)[0]
    if s in ready:
        frame = s.recv(2000)
        if (frame[16:18], frame[23:24], frame[34:35]) == ((28 + int(sys.argv[1])).to_bytes(2, "big"), b"\\x01", b"\\x08"):
            from_whom = socket.inet_ntoa(frame[26:30])
    elif ready:
        inputs, end = [], time.monotonic() + int(sys.argv[2])
print(from_whom)
"""

# How often what should be reached is tried: on a busy machine an answer may come too late. What should not is tried once.
TRIES = 5


def ping(address, reached=True, seconds=3):
    """A shell's command that pings, once or until there is an answer."""
    return f"for i in $(seq {TRIES if reached else 1}); do ping -c 1 -W {seconds} {address} && exit 0; done; exit 1"


def reaches(client, vm, address, reached=True):
    """Whether root in a guest reaches that address; reached: whether it should."""
    return run(client, vm, "sh", "-c", ping(address, reached), uid=0, gid=0).exit_code == 0


class Surroundings:
    """Of a VM's host: `host` and `outside` are words before a command that is to be run in their network. Outside is `lan` by its
    address on the wire, and the Internet and a cloud's metadata as well."""

    def __init__(self, stack, host, outside, lan):
        self.host, self.outside, self.lan = list(host), list(outside), lan
        for address in (ELSEWHERE, METADATA):
            self.run(outside, "ip", "addr", "replace", f"{address}/32", "dev", "lo")
        # The host does nothing against foreign source addresses by itself, whatever distribution the test runs on; on a bridge of
        # ours it is slicer that has it do so.
        self.run(host, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter")
        self.start(stack, host, SERVICES, LOOPBACK_PORT, OPEN_PORT)

    @staticmethod
    def run(prefix, *words):
        return subprocess.run([*prefix, *map(str, words)], capture_output=True, text=True, timeout=60)

    @staticmethod
    def start(stack, prefix, script, *words):
        process = subprocess.Popen([*prefix, sys.executable, "-c", script, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        stack.callback(lambda: (process.kill(), process.wait(), process.stdin.close(), process.stdout.close()))
        assert process.stdout.readline() == "ready\n"
        return process

    def pings(self, prefix, address, reached=True):
        return self.run(prefix, "busybox", "sh", "-c", ping(address, reached)).returncode == 0


def guest_matrix(around, client, vm, mode, own, host, via=None, peer=None, promised=None):
    """What a guest's root finds is what is promised. own: its address; host: those of the host that it could reach; via: by which
    of them the LAN's route to the VM leads (None: it is in the LAN); peer: the address of another VM of its group; promised: rows,
    instead of the mode's."""
    promised = PROMISED[mode] if promised is None else promised

    def guest(script):
        return run(client, vm, "timeout", "60", "sh", "-c", script, uid=0, gid=0, timeout=90)

    def pings(address, row):
        return guest(ping(address, row in promised, 2)).exit_code == 0

    def knocks(port, row):
        seconds = 20 if row in promised else 2
        return any([guest(f"nc -w {seconds} {address} {port} </dev/null").exit_code == 0 for address in host])

    def arrives(source, row):
        with contextlib.ExitStack() as stack:
            ear = around.start(stack, around.outside, WATCH, PING_SIZE, 20 if row in promised else 3)
            guest(f"ip addr add {FOREIGN}/32 dev lo; ping -c 2 -W 1 -s {PING_SIZE} -I {source} {around.lan}; ip addr del {FOREIGN}/32 dev lo")
            seen = ear.communicate("", timeout=60)[0].strip()
        # In mode user it comes from an address of the host, whatever the guest had it come from.
        return seen == source if mode == "user" and source != own else seen != "nobody"

    def from_lan():
        if via:
            around.run(around.outside, "ip", "route", "replace", f"{own}/32", "via", via)
        return around.pings(around.outside, own, BY_LAN in promised)

    found = {HOST: knocks(OPEN_PORT, HOST), LOOPBACK: knocks(LOOPBACK_PORT, LOOPBACK), LAN: pings(around.lan, LAN),
             NET: pings(ELSEWHERE, NET), META: pings(METADATA, META), SPOOFED_IP: arrives(FOREIGN, SPOOFED_IP),
             BY_HOST: around.pings(around.host, own, BY_HOST in promised), BY_LAN: from_lan()}
    if peer:
        found[PEER] = pings(peer, PEER)
    assert {row for row, yes in found.items() if yes} == promised & found.keys(), found
    assert arrives(own, NET) == (NET in promised), "what is looked for is seen"
    # The guest itself speaks IPv6 only where it is a machine of the LAN.
    addresses = guest("ip -6 -o addr; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6 /proc/sys/net/ipv6/conf/default/disable_ipv6")
    assert addresses.stdout.decode().split()[-2:] == (["0", "0"] if mode == "macvtap" else ["1", "1"])
    assert (b"inet6" in addresses.stdout) == (mode == "macvtap")
