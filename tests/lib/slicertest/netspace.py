# SPDX-License-Identifier: MIT
"""Real packets without a VM: a "host" in a network namespace of its own, a LAN machine that is its router to an "Internet",
and guests: a namespace each, into which tests/netrun carries what the VM's tap says."""
import contextlib
import json
import os
import subprocess
import sys
import time

from .paths import BUILD
from .wait import PATIENCE

NETRUN = BUILD / "tests/netrun/netrun"


LIBEXEC = BUILD / "tests/netrun/libexec"
ENV = dict(os.environ, SLICER_LIBEXECDIR=str(LIBEXEC))
INTERNET = "203.0.113.7"
MIB = 1024 * 1024



def fill_libexec():
    """The helper programs, as an installation has them in one place."""
    LIBEXEC.mkdir(exist_ok=True)
    for program in (BUILD / "src/net/slicer-netns", BUILD / "src/vmm/slicer-monitor"):
        with contextlib.suppress(FileExistsError):
            (LIBEXEC / program.name).symlink_to(program)


# Takes a length and as many bytes; answers with their SHA-256 and the address that it sees.
SERVER = """
import hashlib, socket, sys, threading
def serve(c, peer):
    left = int(c.recv(12, socket.MSG_WAITALL) or 0)
    h = hashlib.sha256()
    while left and (some := c.recv(min(left, 65536))):
        h.update(some)
        left -= len(some)
    c.sendall(f"{h.hexdigest()} {peer[0]}\\n".encode())
    c.close()
s = socket.create_server((sys.argv[1], 7))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=s.accept(), daemon=True).start()
"""

# The server is told how much comes: passt (of 2023) has said things twice on a connection that was closed in one direction.
CLIENT = """
import random, socket, sys
host, source, n, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
with socket.create_connection((host, 7), timeout=seconds, source_address=(source, 0) if source else None) as s:
    s.settimeout(60)
    s.sendall(b"%12d" % n + random.Random(4711).randbytes(n))
    digest, peer = s.makefile().readline().split()
    print(digest if n else peer)
"""

# When an ear has heard enough: its input has ended, and as much came as is to come, or nothing does for a while; on a busy machine
# that takes its time.
ENOUGH = """
import select, sys, time
def enough(heard, wanted, patience=[None]):
    if not select.select([sys.stdin], [], [], 0)[0]:
        return False
    patience[0] = patience[0] or time.monotonic() + 20
    return heard >= wanted or time.monotonic() > patience[0]
"""

# Prints the payloads of broadcasts from one MAC address, until it is enough.
EAR = ENOUGH + """
import socket
protocol, heard = int(sys.argv[2]), 0
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
s.bind((sys.argv[1], protocol))
s.settimeout(0.4)
print("ready", flush=True)
while True:
    try:
        f = s.recv(2000)
        if f[:6] == b"\\xff" * 6 and f[6:12].hex() == sys.argv[3]:
            print(f[14:42 if protocol == 0x806 else None].hex())
            heard += 1
    except TimeoutError:
        if enough(heard, int(sys.argv[4])):
            break
"""

MOUTH = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for payload in sys.argv[3:]:
    s.send(b"\\xff" * 6 + bytes.fromhex(sys.argv[2]) + int(sys.argv[1]).to_bytes(2, "big") + bytes.fromhex(payload))
"""

# Prints from whom datagrams come, until it is enough.
UDP_EAR = ENOUGH + """
import socket
heard, s = 0, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 9))
s.settimeout(0.4)
print("ready", flush=True)
while True:
    try:
        print(s.recvfrom(100)[1][0])
        heard += 1
    except TimeoutError:
        if enough(heard, int(sys.argv[1])):
            break
"""

UDP_MOUTH = """
import socket, sys
for source in sys.argv[2:]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.sendto(b"x", (sys.argv[1], 9))
"""


class Space:
    """A network namespace, by a process that lives in it. The first has mounts of its own as well: empty directories, and the
    sysfs of its network."""

    def __init__(self, stack, outer=None, empty=("/run",)):
        inside = [] if outer is None else ["nsenter", "-t", str(outer.pid), "-m"]
        mounts = ["-m", "--propagation", "private"] if outer is None else []
        script = "".join(f"mount -t tmpfs none {d}; " for d in empty) + "mount -t sysfs none /sys; " if outer is None else ""
        self.process = subprocess.Popen(
            [*inside, "unshare", "-n", *mounts, "sh", "-c", f"{script}ip link set lo up; echo ready; exec sleep 10000"],
            stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        stack.callback(self.end)
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @property
    def path(self):
        return f"/proc/{self.pid}/ns/net"

    def argv(self, *args):
        return ["nsenter", "-t", str(self.pid), "-n", "-m", *map(str, args)]

    def run(self, *args, check=True, timeout=60, **kwargs):
        done = subprocess.run(self.argv(*args), capture_output=True, text=True, timeout=timeout, **kwargs)
        assert not check or done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done

    def ip(self, *args):
        for line in args:
            self.run("ip", *line.split())

    def serve(self, stack, address="0.0.0.0"):
        server = subprocess.Popen(self.argv(sys.executable, "-c", SERVER, address), stdout=subprocess.PIPE, text=True)

        def end():
            server.kill()
            server.wait()
            server.stdout.close()
        stack.callback(end)
        assert server.stdout.readline() == "ready\n"

    def ask(self, address, source="", size=0, reached=True):
        """What the server at that address says; None when it is not reached. reached: whether it should be: what should not is
        not waited for as long as a busy machine may need."""
        done = self.run(sys.executable, "-c", CLIENT, address, source, size, 20 if reached else 0.8, check=False, timeout=120)
        return done.stdout.strip() if done.returncode == 0 else None

    def state(self):
        """All that slicer could leave behind, but for the forwarding of uplinks. The host's end of an isolated VM, once it is down,
        has its time to go with its namespace: the kernel does that when it gets to it."""
        def links_now():
            found = [line.split() for line in self.run("ip", "-br", "link").stdout.splitlines()]
            return sorted(words[0] for words in found), any(w[0].startswith("ve-") and w[1] != "UP" for w in found)
        deadline = time.monotonic() + PATIENCE
        while (now := links_now())[1] and time.monotonic() < deadline:
            time.sleep(0.02)
        links = now[0]
        spaces = self.run("sh", "-c", "ls /run/netns 2>/dev/null || true").stdout.split()
        return (links, self.run("nft", "list", "ruleset").stdout, self.run("ip", "route").stdout.replace(" linkdown", ""),
                spaces)


class Guest:
    def __init__(self, host, config, daemon, group, number, stack, hostname=None, env=ENV):
        self.host = host
        self.space = Space(stack, outer=host)
        self.process = subprocess.Popen(
            host.argv(NETRUN, config, daemon, "vm", group, number, self.space.path, *([hostname] if hostname else [])),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        stack.callback(self.end)
        self.text = self.process.stdout.readline()
        assert self.text, self.process.stderr.read()
        self.plan = json.loads(self.text)
        guest = self.plan["guest"]
        self.tap = next((link["name"] for link in self.plan["links"]), None)
        self.ip = guest["address"].partition("/")[0]
        self.space.ip(f"link set eth0 address {guest['mac']} mtu {guest['mtu']}", f"addr add {guest['address']} dev eth0",
                      "link set eth0 up", f"route add default via {guest['gateway']} dev eth0 onlink")
        self.space.serve(stack)

    def end(self):
        """Takes the network down; gives the length of the longest frame."""
        if self.process.poll() is None:
            out, err = self.process.communicate(timeout=120)
            assert self.process.returncode == 0, err
            self.longest = int(out)
        return self.longest


def heard(space, link, sender, protocol, payloads, wanted):
    """Which of these broadcasts of a guest arrive at an interface, in hexadecimal. wanted: how many should."""
    mac = sender.plan["guest"]["mac"].replace(":", "")
    with subprocess.Popen(space.argv(sys.executable, "-c", EAR, link, protocol, mac, wanted), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as ear:
        assert ear.stdout.readline() == "ready\n"
        sender.space.run(sys.executable, "-c", MOUTH, protocol, mac, *(p.hex() for p in payloads))
        ear.stdin.close()
        return set(ear.stdout.read().split())


def arrived(space, sender, target, sources, wanted):
    """Which of a guest's datagrams arrive, by the address that they come from. wanted: how many should."""
    with subprocess.Popen(space.argv(sys.executable, "-c", UDP_EAR, wanted), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as ear:
        assert ear.stdout.readline() == "ready\n"
        sender.space.run(sys.executable, "-c", UDP_MOUTH, target, *sources)
        ear.stdin.close()
        return set(ear.stdout.read().split())


class World:
    def __init__(self, stack, directory, empty=("/run",)):
        self.stack, self.dir = stack, directory
        fill_libexec()
        self.host = Space(stack, empty=empty)
        self.lan = Space(stack, outer=self.host)
        self.host.ip(f"link add eth0 type veth peer name eth0 netns {self.lan.pid}", "addr add 10.99.0.2/24 dev eth0",
                     "link set eth0 up", "route add default via 10.99.0.1")
        self.lan.ip("addr add 10.99.0.1/24 dev eth0", "link set eth0 up", f"addr add {INTERNET}/32 dev lo")
        self.host.serve(stack)
        self.lan.serve(stack)
        self.before = self.host.state()

    def config(self, name, *groups, **more):
        """Of one daemon; groups are dictionaries as in the YAML, which JSON is a part of."""
        path = self.dir / f"{name}.yaml"
        path.write_text(json.dumps({"config": {"host_groups": list(groups), **more}}))
        return path

    def netrun(self, *args, check=True, prefix=(), **kwargs):
        return self.host.run(*prefix, NETRUN, *args, check=check, env=ENV, **kwargs)

    def guest(self, config, daemon, group, number, hostname=None, env=ENV):
        """hostname: of a slot, instead of GROUP-NUMBER."""
        return Guest(self.host, config, daemon, group, number, self.stack, hostname, env)
