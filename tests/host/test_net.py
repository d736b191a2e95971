# SPDX-License-Identifier: MIT
"""Bridge networks with real packets: a "host" in a network namespace of its own, a LAN machine that is its router to
an "Internet", and VMs whose tap is carried into a namespace each, which stands for the guest."""
import contextlib
import hashlib
import json
import os
import random
import socket
import subprocess
import sys

import pytest

from slicertest import BUILD

NETRUN = BUILD / "tests/netrun/netrun"
INTERNET = "203.0.113.7"
MIB = 1024 * 1024

GROUP = """  - name: {name}
    count: 2
    network:
      bridge: {bridge}
      tap_prefix: {name}tap
      gateway: {gateway}
"""

# Answers "who" with the address it sees, and anything else with its SHA-256.
SERVER = """
import hashlib, socket, sys, threading
def serve(c, peer):
    first = c.recv(65536)
    if first == b"who\\n":
        c.sendall(peer[0].encode())
    else:
        h = hashlib.sha256()
        while first:
            h.update(first)
            first = c.recv(65536)
        c.sendall(h.hexdigest().encode())
    c.close()
s = socket.create_server((sys.argv[1], 7))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=s.accept(), daemon=True).start()
"""

CLIENT = """
import random, socket, sys
host, source, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.create_connection((host, 7), timeout=0.8, source_address=(source, 0) if source else None) as s:
    s.settimeout(60)
    s.sendall(random.Random(4711).randbytes(n) if n else b"who\\n")
    s.shutdown(socket.SHUT_WR)
    print(s.recv(100).decode())
"""

# Prints the payloads of broadcasts from one MAC address, until none comes for a while.
EAR = """
import socket, sys
protocol = int(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
s.bind((sys.argv[1], protocol))
s.settimeout(0.4)
print("ready", flush=True)
try:
    while True:
        f = s.recv(2000)
        if f[:6] == b"\\xff" * 6 and f[6:12].hex() == sys.argv[3]:
            print(f[14:42 if protocol == 0x806 else None].hex())
except TimeoutError:
    pass
"""

MOUTH = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for payload in sys.argv[3:]:
    s.send(b"\\xff" * 6 + bytes.fromhex(sys.argv[2]) + int(sys.argv[1]).to_bytes(2, "big") + bytes.fromhex(payload))
"""

# Prints from whom datagrams come, until none comes for a while.
UDP_EAR = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 9))
s.settimeout(0.4)
print("ready", flush=True)
try:
    while True:
        print(s.recvfrom(100)[1][0])
except TimeoutError:
    pass
"""

UDP_MOUTH = """
import socket, sys
for source in sys.argv[2:]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.sendto(b"x", (sys.argv[1], 9))
"""


class Space:
    """A network namespace, by a process that lives in it. The first has mounts of its own as well, and a /run."""

    def __init__(self, stack, outer=None):
        inside = [] if outer is None else ["nsenter", "-t", str(outer.pid), "-m"]
        mounts = ["-m", "--propagation", "private"] if outer is None else []
        script = "mount -t tmpfs none /run; " if outer is None else ""
        self.process = subprocess.Popen(
            [*inside, "unshare", "-n", *mounts, "sh", "-c", f"{script}ip link set lo up; echo ready; exec sleep 1000"],
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

    def run(self, *args, check=True, **kwargs):
        done = subprocess.run(self.argv(*args), capture_output=True, text=True, timeout=60, **kwargs)
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

    def ask(self, address, source="", size=0):
        """What the server at that address says; None when it is not reached."""
        done = self.run(sys.executable, "-c", CLIENT, address, source, size, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def state(self):
        """All that slicer could leave behind, but for the forwarding of uplinks."""
        links = sorted(line.split()[0] for line in self.run("ip", "-br", "link").stdout.splitlines())
        return links, self.run("nft", "list", "ruleset").stdout, self.run("ip", "route").stdout.replace(" linkdown", "")


class Guest:
    def __init__(self, host, config, daemon, group, number, stack):
        self.host = host
        self.space = Space(stack, outer=host)
        self.process = subprocess.Popen(
            host.argv(NETRUN, config, daemon, "vm", group, number, self.space.path),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stack.callback(self.end)
        self.text = self.process.stdout.readline()
        assert self.text, self.process.stderr.read()
        self.plan = json.loads(self.text)
        guest = self.plan["guest"]
        self.tap = self.plan["links"][0]["name"]
        self.ip = guest["address"].partition("/")[0]
        self.space.ip(f"link set eth0 address {guest['mac']} mtu {guest['mtu']}", f"addr add {guest['address']} dev eth0",
                      "link set eth0 up", f"route add default via {guest['gateway']}")
        self.space.serve(stack)

    def end(self):
        """Takes the network down; gives the length of the longest frame."""
        if self.process.poll() is None:
            out, err = self.process.communicate(timeout=30)
            assert self.process.returncode == 0, err
            self.longest = int(out)
        return self.longest


def heard(space, link, sender, protocol, payloads):
    """Which of these broadcasts of a guest arrive at an interface, in hexadecimal."""
    mac = sender.plan["guest"]["mac"].replace(":", "")
    with subprocess.Popen(space.argv(sys.executable, "-c", EAR, link, protocol, mac), stdout=subprocess.PIPE,
                          text=True) as ear:
        assert ear.stdout.readline() == "ready\n"
        sender.space.run(sys.executable, "-c", MOUTH, protocol, mac, *(p.hex() for p in payloads))
        return set(ear.stdout.read().split())


def arrived(space, sender, target, sources):
    """Which of a guest's datagrams arrive, by the address that they come from."""
    with subprocess.Popen(space.argv(sys.executable, "-c", UDP_EAR), stdout=subprocess.PIPE, text=True) as ear:
        assert ear.stdout.readline() == "ready\n"
        sender.space.run(sys.executable, "-c", UDP_MOUTH, target, *sources)
        return set(ear.stdout.read().split())


class World:
    def __init__(self, stack, directory):
        self.stack, self.dir = stack, directory
        self.host = Space(stack)
        self.lan = Space(stack, outer=self.host)
        self.host.ip(f"link add eth0 type veth peer name eth0 netns {self.lan.pid}", "addr add 10.99.0.2/24 dev eth0",
                     "link set eth0 up", "route add default via 10.99.0.1")
        self.lan.ip("addr add 10.99.0.1/24 dev eth0", "link set eth0 up", f"addr add {INTERNET}/32 dev lo")
        self.host.serve(stack)
        self.lan.serve(stack)
        self.before = self.host.state()

    def config(self, name, *groups):
        path = self.dir / f"{name}.yaml"
        path.write_text("config:\n  host_groups:\n" + "".join(
            GROUP.format(name=g, bridge=b, gateway=gw) for g, b, gw in groups))
        return path

    def netrun(self, *args, check=True, prefix=(), **kwargs):
        return self.host.run(*prefix, NETRUN, *args, check=check, **kwargs)

    def guest(self, config, daemon, group, number):
        return Guest(self.host, config, daemon, group, number, self.stack)


@pytest.fixture
def world(tmp_path):
    with contextlib.ExitStack() as stack:
        yield World(stack, tmp_path)


@pytest.fixture
def one(world):
    """The configuration of one daemon with one group, up."""
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    world.netrun(config, "a-1", "up", "vm")
    return config


def test_who_reaches_whom(world, one):
    other = world.config("b", ("web", "brweb0", "172.20.0.254/24"))
    world.netrun(other, "b-2", "up", "web")
    a1, a2 = world.guest(one, "a-1", "vm", 1), world.guest(one, "a-1", "vm", 2)
    b1 = world.guest(other, "b-2", "web", 1)
    assert (a1.ip, a2.ip, b1.ip) == ("192.168.137.2", "192.168.137.3", "172.20.0.1")
    for vm, peer in ((a1, a2), (a2, a1)):
        assert vm.space.ask(peer.ip) == vm.ip
    assert a1.space.ask("192.168.137.1") == a1.ip
    assert world.host.ask(a1.ip) == "192.168.137.1"
    # Out by translation: the LAN knows no route to the VMs.
    for vm in (a1, b1):
        assert vm.space.ask(INTERNET) == "10.99.0.2"
        assert vm.space.ask("10.99.0.1") == "10.99.0.2"
    assert world.lan.ask(a1.ip) is None
    # A machine that adds the route reaches VMs, which see its own address; one daemon's VMs reach another's.
    world.lan.ip("route add 192.168.137.0/24 via 10.99.0.2")
    assert world.lan.ask(a1.ip) == "10.99.0.1"
    assert a1.space.ask(b1.ip) == "172.20.0.254"
    # The end of one daemon's network is none of the other's.
    a1.end(), a2.end()
    assert b1.space.ask(a1.ip) is None
    world.netrun(one, "a-1", "down", "vm")
    assert b1.space.ask(INTERNET) == "10.99.0.2"
    assert world.lan.ask(a1.ip) is None
    assert world.netrun(one, "", "list").stdout == "bridge brweb0 b-2 web\ntap webtap1 b-2 web-1\n"
    b1.end()
    world.netrun(other, "b-2", "down", "web")
    assert world.host.state() == world.before


def test_bytes_arrive_exactly_and_in_large_frames(world, one):
    a1, a2 = world.guest(one, "a-1", "vm", 1), world.guest(one, "a-1", "vm", 2)
    expected = hashlib.sha256(random.Random(4711).randbytes(64 * MIB)).hexdigest()
    for target in (a2.ip, "192.168.137.1", INTERNET):
        assert a1.space.ask(target, size=64 * MIB) == expected
    assert world.host.ask(a1.ip, size=64 * MIB) == expected
    assert a1.end() > 1514 and a2.end() > 1514


def test_nobody_speaks_for_another(world, one):
    a1, a2 = world.guest(one, "a-1", "vm", 1), world.guest(one, "a-1", "vm", 2)
    for target in ("192.168.137.1", a2.ip):  # whose MAC address is known from here on
        assert a1.space.ask(target) == a1.ip
    a1.space.ip(f"addr add {a2.ip}/32 dev lo", "addr add 198.51.100.1/32 dev lo", "addr add 192.168.137.77/32 dev lo")
    sources = (a2.ip, "192.168.137.77", "198.51.100.1", a1.ip)
    assert arrived(world.host, a1, "192.168.137.1", sources) == {a1.ip}
    assert arrived(world.lan, a1, INTERNET, sources) == {"10.99.0.2"}
    a1.space.ip(f"addr del {a2.ip}/32 dev lo")
    assert arrived(a2.space, a1, a2.ip, sources[1:]) == {a1.ip, "198.51.100.1"}  # whose rp_filter is off
    # Claims of the gateway's and of another VM's address by ARP are heard by nobody, those of its own are.
    mac = a1.plan["guest"]["mac"]
    claims = [bytes.fromhex("0001080006040002") + bytes.fromhex(mac.replace(":", "")) + socket.inet_aton(ip)
              + bytes(6) + socket.inet_aton(ip) for ip in ("192.168.137.1", a2.ip, a1.ip)]
    foreign = claims[2].replace(bytes.fromhex(mac.replace(":", "")), b"\2\0\0\0\0\x99")
    assert heard(world.host, "brvm0", a1, 0x0806, [*claims, foreign]) == {claims[2].hex()}
    assert heard(a2.space, "eth0", a1, 0x0806, [*claims, foreign]) == {claims[2].hex()}
    # IPv6 and whatever else does not pass, to the host or to another.
    for space, link in ((world.host, "brvm0"), (a2.space, "eth0")):
        for protocol in (0x86dd, 0x88cc):
            assert heard(space, link, a1, protocol, [b"\x60" + bytes(45)]) == set()
    assert "inet6" not in world.host.run("ip", "addr", "show", "brvm0").stdout
    assert "inet6" not in world.host.run("ip", "addr", "show", a1.tap).stdout
    # A foreign MAC address does not pass, not even with the right IP address and without ARP.
    lladdr = json.loads(world.host.run("ip", "-j", "link", "show", "brvm0").stdout)[0]["address"]
    for mac, sources in ((mac, {a1.ip}), ("02:00:00:00:00:99", set())):
        a1.space.ip(f"link set eth0 address {mac}", f"neigh replace 192.168.137.1 lladdr {lladdr} dev eth0 nud permanent")
        assert arrived(world.host, a1, "192.168.137.1", [a1.ip]) == sources
    assert a2.space.ask("192.168.137.1") == a2.ip


def test_a_network_behind_a_vm(world, one):
    """nested-virtualization.md: workstation, server, VM, and VMs in that VM."""
    a1 = world.guest(one, "a-1", "vm", 1)
    a1.space.ip("addr add 192.168.200.2/32 dev lo")
    assert a1.space.ask("192.168.137.1", source="192.168.200.2") is None
    world.host.ip(f"route add 192.168.200.0/24 via {a1.ip}")
    world.lan.ip("route add 192.168.200.0/24 via 10.99.0.2")
    assert world.host.ask("192.168.200.2") == "192.168.137.1"
    assert world.lan.ask("192.168.200.2") == "10.99.0.1"
    assert a1.space.ask("192.168.137.1", source="192.168.200.2") == "192.168.200.2"


def test_again_and_after_a_flush(world, one):
    a1 = world.guest(one, "a-1", "vm", 1)
    good = world.host.state()
    for _ in range(3):
        world.netrun(one, "a-1", "up", "vm")
        world.netrun(one, "a-1", "mend", input=a1.text)
    assert world.host.state() == good
    world.host.run("nft", "flush", "ruleset")
    world.host.ip(f"link set {a1.tap} nomaster", "addr flush dev brvm0", "link set brvm0 down")
    assert a1.space.ask(INTERNET) is None
    world.netrun(one, "a-1", "up", "vm")
    world.netrun(one, "a-1", "mend", input=a1.text)
    assert a1.space.ask(INTERNET) == "10.99.0.2"
    assert world.host.state() == good
    # Not while VMs are there.
    refused = world.netrun(one, "a-1", "down", "vm", check=False)
    assert refused.returncode == 1 and "in use by the VM whose interface is vmtap1" in refused.stderr
    a1.end()
    for _ in range(2):
        world.netrun(one, "a-1", "vmdown", input=a1.text)
    gone = world.netrun(one, "a-1", "mend", input=a1.text, check=False)
    assert "its interface vmtap1 is gone" in gone.stderr
    for _ in range(2):
        world.netrun(one, "a-1", "down", "vm")
    assert world.host.state() == world.before


def test_two_groups_of_one_daemon(world):
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"), ("db", "brdb0", "192.168.138.1/28"))
    world.netrun(config, "a-1", "up", "vm")
    only_vm = world.host.state()
    world.netrun(config, "a-1", "up", "db")
    vm, db = world.guest(config, "a-1", "vm", 1), world.guest(config, "a-1", "db", 1)
    assert vm.space.ask(db.ip) == vm.ip  # routed, and not translated
    assert db.space.ask(INTERNET) == "10.99.0.2"
    db.end()
    world.netrun(config, "a-1", "down", "db")
    assert vm.space.ask(INTERNET) == "10.99.0.2"
    vm.end()
    assert world.host.state() == only_vm
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == world.before


def test_a_changed_gateway(world, one):
    changed = world.config("changed", ("vm", "brvm0", "192.168.140.1/24"))
    a1 = world.guest(one, "a-1", "vm", 1)
    world.netrun(changed, "a-1", "up", "vm")
    assert a1.space.ask(INTERNET) == "10.99.0.2"  # a survivor keeps what it has
    a1.end()
    world.netrun(changed, "a-1", "up", "vm")
    assert "192.168.137.1" not in world.host.run("ip", "addr", "show", "brvm0").stdout
    world.netrun(changed, "a-1", "down", "vm")
    assert world.host.state() == world.before


REFUSED = {
    "bridge": (["link add brvm0 type bridge"], "brvm0, a bridge that slicer did not make. Set network.bridge"),
    "device": (["link add brvm0 type veth peer name x"], "brvm0, a veth that slicer did not make"),
    "address": (["addr add 192.168.137.9/32 dev eth0"], "overlaps the address 192.168.137.9/32 of eth0"),
    "wider": (["addr add 192.168.0.9/16 dev eth0"], "overlaps the address 192.168.0.9/16 of eth0, a veth that"),
    "route": (["route add 192.168.137.128/25 via 10.99.0.1"], "overlaps the route 192.168.137.128/25 of eth0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_somebody_elses(world, case):
    commands, words = REFUSED[case]
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    world.host.ip(*commands)
    before = world.host.state()
    done = world.netrun(config, "a-1", "up", "vm", check=False)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == before


def test_what_is_another_daemons(world, one):
    before = world.host.state()
    done = world.netrun(one, "b-2", "up", "vm", check=False)
    assert "brvm0, which belongs to vm of the slicer daemon a-1" in done.stderr
    other = world.config("b", ("web", "brweb0", "192.168.137.129/25"))
    done = world.netrun(other, "b-2", "up", "web", check=False)
    assert "overlaps the address 192.168.137.1/24 of brvm0, which belongs to vm of the slicer daemon a-1" in done.stderr
    world.netrun(one, "b-2", "down", "vm")
    assert world.host.state() == before


def test_a_vm_whose_interface_is_somebody_elses(world, one):
    world.host.ip("tuntap add vmtap1 mode tap")
    before = world.host.state()
    done = world.netrun(one, "a-1", "vm", "vm", 1, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "there is an interface vmtap1 already, and it is not VM \"vm-1\"'s" in done.stderr
    assert world.host.state() == before


@pytest.mark.parametrize("docker", [False, True], ids=["ufw", "docker"])
def test_a_firewall_that_drops_what_it_does_not_know(world, docker):
    rules = "table ip filter {\n chain FORWARD { type filter hook forward priority 0; policy drop; %s\n }\n}\n"
    if docker:
        rules = "table ip filter {\n chain DOCKER-USER { return; }\n}\n" + rules % "jump DOCKER-USER"
    world.host.run("nft", "-f", "-", input=rules % () if docker else rules % "")
    before = world.host.state()
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    for _ in range(3):
        assert world.netrun(config, "a-1", "up", "vm").stdout == ""
    chain = "DOCKER-USER" if docker else "FORWARD"
    assert world.host.run("nft", "list", "chain", "ip", "filter", chain).stdout.count("slicer_a-1:brvm0") == 2
    a1 = world.guest(config, "a-1", "vm", 1)
    assert a1.space.ask(INTERNET) == "10.99.0.2"
    a1.end()
    world.netrun(config, "a-1", "down", "vm")
    assert world.host.state() == before


def test_a_firewall_that_only_the_user_can_mend(world):
    world.host.run("nft", "add table inet mine; add chain inet mine gate "
                   "{ type filter hook forward priority 0; policy drop; }")
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    note = world.netrun(config, "a-1", "up", "vm").stdout
    a1 = world.guest(config, "a-1", "vm", 1)
    assert a1.space.ask(INTERNET) is None
    commands = [part.strip() for part in note.split("Allow them: ")[1].split(";")[:2]]
    for command in commands:  # what the note says helps
        world.host.run(*command.split())
    assert a1.space.ask(INTERNET) == "10.99.0.2"
    assert world.netrun(config, "a-1", "up", "vm").stdout == ""


def faulted(world, call, when, fault, *args, **kwargs):
    """Runs netrun with a fault in the nth such call; gives what came of it, or None when there is no nth call."""
    log = world.dir / "strace"
    done = world.netrun(*args, check=False, **kwargs, prefix=[
        "strace", "-qqq", "-o", log, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}"])
    return done if done.returncode < 0 or done.returncode == 137 or "INJECTED" in log.read_text() else None


@pytest.mark.parametrize("call", ["sendto", "openat", "write", "wait4"])
def test_killed_in_the_middle(world, call):
    """At each request to the kernel, file opened or written, end of a program: the next attempt succeeds."""
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    world.netrun(config, "a-1", "up", "vm")
    good = world.host.state()
    world.netrun(config, "a-1", "down", "vm")
    when = 1
    while faulted(world, call, when, "signal=KILL", config, "a-1", "up", "vm"):
        world.netrun(config, "a-1", "up", "vm")
        assert world.host.state() == good, when
        world.netrun(config, "a-1", "down", "vm")
        assert world.host.state() == world.before, when
        # Or nobody tries again.
        assert faulted(world, call, when, "signal=KILL", config, "a-1", "up", "vm")
        world.netrun(config, "a-1", "down", "vm")
        assert world.host.state() == world.before, when
        when += 1
    assert when > (10 if call == "sendto" else 2)


def test_failing_in_the_middle_leaves_nothing(world):
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    when = 1
    while done := faulted(world, "sendto", when, "error=ENOMEM", config, "a-1", "up", "vm"):
        assert done.returncode == 1 and "Cannot allocate memory" in done.stderr, done.stderr
        assert world.host.state() == world.before, when
        when += 1
    assert when > 10
    world.netrun(config, "a-1", "down", "vm")


@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOMEM"])
def test_a_vm_killed_or_failing_in_the_middle(world, one, fault):
    before = world.host.state()
    a1 = world.guest(one, "a-1", "vm", 1)
    a1.end()
    when = 1
    while done := faulted(world, "sendto", when, fault, one, "a-1", "vm", "vm", 1, stdin=subprocess.DEVNULL):
        if done.stdout or done.returncode != 1:  # it was up, or it could not clean up
            world.netrun(one, "a-1", "vmdown", input=a1.text)
        assert world.host.state() == before, when
        when += 1
    assert when > 10


def test_forwarding_forbidden(world):
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    world.host.run("mount", "--bind", "-o", "ro", "/proc/sys", "/proc/sys")
    done = world.netrun(config, "a-1", "up", "vm", check=False)
    assert done.returncode == 1 and "Read-only" in done.stderr and "/proc/sys must be writable" in done.stderr
    assert world.host.state() == world.before


def test_without_nft(world, tmp_path):
    config = world.config("a", ("vm", "brvm0", "192.168.137.1/24"))
    world.host.run("mount", "--bind", "/dev/null", "/usr/sbin/nft")
    done = world.netrun(config, "a-1", "up", "vm", check=False)
    world.host.run("umount", "/usr/sbin/nft")
    assert done.returncode == 1 and "nft is not installed" in done.stderr and "apt-get install nftables" in done.stderr
    assert world.host.state() == world.before


def test_a_launch_runs_no_program(world, one):
    log = world.dir / "log"
    world.netrun(one, "a-1", "vm", "vm", 1, stdin=subprocess.DEVNULL, prefix=["strace", "-f", "-qq", "-e", "trace=execve", "-o", log])
    assert log.read_text().count("execve(") == 1  # its own
