# SPDX-License-Identifier: MIT
"""What root in a guest may put on the wire: frames of all kinds that are not its own, and where they are heard."""
import contextlib
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading

from .execs import run
from .wait import until

MAGIC = b"slicer frame"
EVERYBODY, NOBODY = "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:99"
ELSEWHERE = "198.51.100.78"  # RFC 5737
SENDER = pathlib.Path(__file__).parents[2] / "guest/frame_send.c"

# Prints the numbers behind the magic bytes in what passes an interface, with these, until its input has ended and none comes.
EAR = """
import select, socket, sys
magic, heard = bytes.fromhex(sys.argv[1]), set()
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.settimeout(1)
print("ready", flush=True)
while True:
    try:
        frame, (link, *_) = s.recvfrom(2000)
        at = frame.find(magic)
        if at >= 0 and (what := (frame[at + len(magic)], link)) not in heard:
            heard.add(what)
            print(*what, flush=True)
    except TimeoutError:
        if select.select([sys.stdin], [], [], 0)[0]:
            break
"""


class Ears:
    """Listeners for frames with the magic bytes, in network namespaces: of each, words before a command."""

    def __init__(self, stack, spaces):
        self.heard = set()  # (which of the spaces, the number behind the magic bytes, the interface), as they come
        self.ears = [stack.enter_context(subprocess.Popen([*space, sys.executable, "-c", EAR, MAGIC.hex()], text=True,
                                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)) for space in spaces]
        for ear in self.ears:
            assert ear.stdout.readline() == "ready\n"
        self.threads = [threading.Thread(target=self._take, args=one, daemon=True) for one in enumerate(self.ears)]
        for thread in self.threads:
            thread.start()

    def _take(self, which, ear):
        for line in ear.stdout:
            number, link = line.split()
            self.heard.add((which, int(number), link))

    def end(self, enough):
        """Once enough(heard), for which a busy machine is given its time, and nothing comes any more: what was heard."""
        with contextlib.suppress(AssertionError):  # the caller says better what is missing
            until(lambda: enough(set(self.heard)))
        for ear in self.ears:
            ear.stdin.close()
        for thread in self.threads:
            thread.join()
        return self.heard


def _mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ether(source, to, protocol, body):
    return _mac(to) + _mac(source) + protocol.to_bytes(2, "big") + body.ljust(46, b"\0")


def udp(source, to, payload):
    """To the port that discards, from one of each payload's own: to connection tracking they have nothing to do with each other."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 9, 17, 0, socket.inet_aton(source), socket.inet_aton(to))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:]
    return head + struct.pack("!HHHH", 0x9000 + sum(payload[-2:]), 9, 8 + len(payload), 0) + payload


def arp(mac, ip, payload):
    """An answer that nobody has asked for; what is behind its 28 bytes is padding."""
    head = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, _mac(mac), socket.inet_aton(ip), _mac(EVERYBODY), socket.inet_aton(ip))
    return head + payload


def ipv6(payload):
    head = struct.pack("!IHBB16s16s", 6 << 28, 8 + len(payload), 17, 9, socket.inet_pton(10, "fe80::1"), socket.inet_pton(10, "ff02::1"))
    return head + struct.pack("!HHHH", 9, 9, 8 + len(payload), 0) + payload


def lies(mac, own, gateway, victim, target):
    """Frames by name, each as a function of its payload and the MAC address that it goes to; victim: another machine's MAC and IP
    address."""
    victim_mac, victim_ip = victim
    return {
        "its own": lambda p, to: ether(mac, to, 0x800, udp(own, target, p)),
        "a MAC address that nobody has": lambda p, to: ether(NOBODY, to, 0x800, udp(own, target, p)),
        "another's MAC address": lambda p, to: ether(victim_mac, to, 0x800, udp(own, target, p)),
        "another's IP address": lambda p, to: ether(mac, to, 0x800, udp(victim_ip, target, p)),
        "an address of elsewhere": lambda p, to: ether(mac, to, 0x800, udp(ELSEWHERE, target, p)),
        "another's addresses, both": lambda p, to: ether(victim_mac, to, 0x800, udp(victim_ip, target, p)),
        "the gateway's IP address": lambda p, to: ether(mac, to, 0x800, udp(gateway, target, p)),
        "ARP for another": lambda p, to: ether(mac, to, 0x806, arp(mac, victim_ip, p)),
        "ARP for the gateway": lambda p, to: ether(mac, to, 0x806, arp(mac, gateway, p)),
        "ARP of another's MAC address": lambda p, to: ether(mac, to, 0x806, arp(victim_mac, own, p)),
        "IPv6": lambda p, to: ether(mac, to, 0x86dd, ipv6(p)),
        "a VLAN's": lambda p, to: ether(mac, to, 0x8100, struct.pack("!HH", 7, 0x800) + udp(own, target, p)),
        "neither IP nor ARP": lambda p, to: ether(mac, to, 0x88cc, p),
    }


def names():
    return list(lies("", "", "", ("", ""), ""))


def inside(daemon, vm, script):
    return run(daemon.client, vm, "timeout", "60", "sh", "-c", script, uid=0, gid=0, timeout=90)


def take_sender(daemon, vm, directory):
    subprocess.run(["cc", "-static", "-O2", "-o", directory / "frame_send", SENDER], check=True)
    daemon.cli.ok("vm", "cp", directory / "frame_send", f"{vm}:/tmp/frame_send")


def told(daemon, vm, spaces, gateway, victim, target, wanted, own_port=None):
    """Sends all of them to everybody and to the gateway; {name: interfaces that heard it}, of the network namespaces `spaces` (words
    before a command), but for the VM's own port, which its record has unless it is given. wanted: where which of them should be
    heard, in the same form; None: anywhere. The sender is in the guest (take_sender)."""
    node = next(n for n in daemon.client.nodes() if n["hostname"] == vm)
    own_port = own_port or daemon.record(vm)["network"]["links"][0]["name"]
    shown = inside(daemon, vm, f"for i in $(seq 20); do ping -c 1 -W 1 {gateway} >/dev/null; ip neigh show {gateway} | grep lladdr && "
                               "break; done").stdout.decode()
    frames = lies(node["mac"], node["ip"].partition("/")[0], gateway, victim, target)
    to = EVERYBODY, re.search(r"lladdr (\S+)", shown)[1]
    hexes = [make(MAGIC + bytes([n, i * len(frames)]), to[i]).hex() for n, make in enumerate(frames.values()) for i in (0, 1)]

    def by_name(heard):
        found = {name: set() for name in frames}
        for _, number, link in heard:
            list(found.values())[number].update({link} - {own_port})
        return found

    def enough(heard):
        found = by_name(heard)
        return all(found[name] if links is None else links <= found[name] for name, links in wanted.items())
    with contextlib.ExitStack() as stack:
        ears = Ears(stack, spaces)
        done = inside(daemon, vm, f"/tmp/frame_send eth0 {' '.join(hexes)}")
        assert done.exit_code == 0, done
        return by_name(ears.end(enough))
