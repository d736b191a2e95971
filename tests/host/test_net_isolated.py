# SPDX-License-Identifier: MIT
"""Isolated networks with real packets (slicertest/netspace.py). Who reaches whom is test_net_matrix.py's."""
import contextlib
import fcntl
import json
import re
import socket
import subprocess

import pytest

from slicertest import BUILD, SOURCE, until
from slicertest.cni import state_directories
from slicertest.netspace import ENV, INTERNET, NETRUN, World, arrived, heard

LAN, SECOND = "10.99.0.1", "203.0.113.8"
STEPS = re.findall(r'\{\.name = "(\w+)"', (SOURCE / "src/net/netns_up.c").read_text())


def isolated(name="sandbox", **network):
    return {"name": name, "count": 0, "network": {"mode": "isolated", **network}}


@pytest.fixture
def up(world):
    """Makes a daemon's only group, with these lists."""
    def make(name="sandbox", daemon="a-1", **network):
        config = world.config(name, isolated(name, **network))
        world.netrun(config, daemon, "up", name)
        return config
    world.lan.ip(f"addr add {SECOND}/32 dev lo")
    return make


def test_open_without_lists(world, up):
    config = up()
    vm = world.guest(config, "a-1", "sandbox", 1)
    assert vm.ip == "169.254.144.2" and vm.plan["guest"]["gateway"] == "169.254.144.1"
    for address in (INTERNET, SECOND, LAN):
        assert vm.space.ask(address) == "10.99.0.2", "translated"
    assert world.host.run("ip", "netns").stdout.split()[0] == "sandbox-1"
    assert f"inet 169.254.144.1 peer {vm.ip}/32" in world.host.run("ip", "addr", "show", vm.tap).stdout
    vm.end()
    world.netrun(config, "a-1", "down", "sandbox")
    assert world.host.state() == world.before


LISTS = [
    ({"drop": ["LAN"]}, {INTERNET, SECOND}),
    ({"drop": ["203.0.113.0/24"]}, {LAN}),
    ({"drop": [f"{INTERNET}:7"]}, {LAN, SECOND}),
    ({"drop": [f"{INTERNET}:8"]}, {LAN, INTERNET, SECOND}),
    ({"allow": [SECOND]}, {SECOND}),
    ({"allow": ["LAN"]}, {LAN}),
    ({"allow": [f"{SECOND}:7"]}, {SECOND}),
    ({"allow": [f"{SECOND}:8"]}, set()),
    ({"allow": ["0.0.0.0/0"], "drop": ["LAN"]}, {INTERNET, SECOND}),
    ({"allow": [f"{LAN}:7"], "drop": ["LAN", "203.0.113.0/24"]}, {LAN}),
    ({"allow": [SECOND], "drop": [f"{SECOND}:7"]}, {LAN, INTERNET}),
    ({"allow": [SECOND], "drop": [SECOND]}, {LAN, INTERNET}),
    ({"allow": [INTERNET], "drop": ["203.0.113.0/24"]}, {LAN, INTERNET}),
    ({"allow": [], "drop": []}, {LAN, INTERNET, SECOND}),
]


def test_lists(world, up):
    for number, (lists, reached) in enumerate(LISTS):
        name = f"g{number}"
        config = up(name, daemon=name, **lists)
        vm = world.guest(config, name, name, 1)
        assert {a for a in (LAN, INTERNET, SECOND) if vm.space.ask(a, reached=a in reached)} == reached, lists
        vm.end()
        world.netrun(config, name, "down", name)
    assert world.host.state() == world.before


def test_udp_by_port(world, up):
    config = up(allow=[f"{INTERNET}:9", f"{SECOND}:10"])
    vm = world.guest(config, "a-1", "sandbox", 1)
    assert arrived(world.lan, vm, INTERNET, [vm.ip], wanted=1) == {"10.99.0.2"}
    assert arrived(world.lan, vm, SECOND, [vm.ip], wanted=0) == set()


def test_nobody_speaks_for_another(world, up):
    vm = world.guest(up(), "a-1", "sandbox", 1)
    mac, gateway = vm.plan["guest"]["mac"], vm.plan["guest"]["gateway"]
    assert vm.space.ask(INTERNET)
    vm.space.ip("addr add 198.51.100.1/32 dev lo", "addr add 169.254.144.6/32 dev lo", "addr add 10.99.0.77/32 dev lo")
    sources = ("198.51.100.1", "169.254.144.6", "10.99.0.77", vm.ip)
    assert arrived(world.lan, vm, INTERNET, sources, wanted=1) == {"10.99.0.2"}
    # On its way there is nobody who would hear a broadcast, or another protocol: the host's end hears only what it passes on.
    claim = bytes.fromhex("0001080006040002") + bytes.fromhex(mac.replace(":", "")) + socket.inet_aton(gateway) + bytes(10)
    for protocol, payload in ((0x0806, claim), (0x86dd, b"\x60" + bytes(45)), (0x88cc, bytes(46))):
        assert heard(world.host, vm.tap, vm, protocol, [payload], wanted=0) == set()
    assert "inet6" not in world.host.run("ip", "addr", "show", vm.tap).stdout
    inside = ["ip", "netns", "exec", "sandbox-1"]
    assert "inet6" not in world.host.run(*inside, "ip", "addr").stdout
    # Whatever the guest claims, its neighbours are settled.
    neighbours = world.host.run(*inside, "ip", "neigh").stdout
    lladdr = re.search(r"\S+ lladdr (\S+)", vm.space.run("ip", "neigh").stdout)
    vm.space.ip("link set eth0 address 02:00:00:00:00:99")
    vm.space.ip(f"neigh replace {gateway} lladdr {lladdr[1]} dev eth0 nud permanent")
    assert arrived(world.lan, vm, INTERNET, [vm.ip], wanted=0) == set()
    vm.space.ip(f"link set eth0 address {mac}", f"neigh replace {gateway} lladdr {lladdr[1]} dev eth0 nud permanent")
    assert arrived(world.lan, vm, INTERNET, [vm.ip], wanted=1) == {"10.99.0.2"}
    assert world.host.run(*inside, "ip", "neigh").stdout == neighbours


def test_several_daemons_and_what_the_host_has(world, up):
    """Groups whose names lead to the same range share it, whichever daemon they are of; addresses of the host are left."""
    world.host.ip("addr add 169.254.144.2/32 dev eth0", "link add dummy0 type veth peer name dummy1",
                  "addr add 169.254.144.9/30 dev dummy0", "route add 169.254.144.16/29 via 10.99.0.1")
    before = world.host.state()
    a, b = up("sandbox", "a-1"), up("other", "b-2", range="169.254.144.0/22")
    vms = [world.guest(a, "a-1", "sandbox", 1), world.guest(b, "b-2", "other", 1), world.guest(a, "a-1", "sandbox", 2)]
    assert [vm.ip for vm in vms] == ["169.254.144.6", "169.254.144.14", "169.254.144.26"]
    for vm in vms:
        assert vm.space.ask(INTERNET) == "10.99.0.2"
        for other in vms:
            assert other is vm or vm.space.ask(other.ip, reached=False) is None
    # The end of one daemon is none of the other's.
    vms[0].end(), vms[2].end()
    world.netrun(a, "a-1", "down", "sandbox")
    assert vms[1].space.ask(INTERNET) == "10.99.0.2"
    vms[1].end()
    world.netrun(b, "b-2", "down", "other")
    assert world.host.state() == before


def test_routes_of_other_tables(world, up):
    """A VPN's routes are often in a table of their own, which the host's rules name."""
    world.host.ip("link add wg0 type veth peer name wg1", "link set wg1 up", "link set wg0 up",
                  "route add 169.254.144.0/29 dev wg0 table 100", "rule add priority 100 lookup 100")
    before = world.host.state()
    config = up()
    vm = world.guest(config, "a-1", "sandbox", 1)
    assert vm.ip == "169.254.144.10"
    assert vm.space.ask(INTERNET) == "10.99.0.2"
    vm.end()
    world.netrun(config, "a-1", "down", "sandbox")
    full = up(range="169.254.144.0/29")
    assert "are in use, some of them by a route of wg0: delete a VM, or" in attempt(world, full).stderr
    world.netrun(full, "a-1", "down", "sandbox")
    assert world.host.state() == before


def test_again_and_after_a_flush(world, up):
    config = up(drop=["203.0.113.0/24"])
    vm = world.guest(config, "a-1", "sandbox", 1)
    good = world.host.state()
    inside = ("ip", "netns", "exec", "sandbox-1")

    def within():
        return [world.host.run(*inside, *words).stdout for words in (("nft", "list", "ruleset"), ("ip", "route"), ("ip", "neigh"))]

    rules = within()
    assert world.host.run(*inside, "cat", "/proc/sys/net/ipv4/neigh/tap/proxy_delay").stdout == "0\n", "the gateway is answered for at once"
    for _ in range(2):
        world.netrun(config, "a-1", "up", "sandbox")
        world.netrun(config, "a-1", "mend", input=vm.text)
    assert world.host.state() == good and within() == rules
    world.host.run("nft", "flush", "ruleset")
    world.host.ip(f"addr flush dev {vm.tap}", f"link set {vm.tap} down group 0")
    world.host.run(*inside, "nft", "flush", "ruleset")
    world.host.run(*inside, "ip", "link", "set", "uplink", "down")
    world.host.run("sh", "-c", f"cd /proc/sys/net/ipv4/conf/{vm.tap}; echo 0 | tee forwarding rp_filter")
    world.host.run(*inside, "sh", "-c", "cd /proc/sys/net/ipv4/conf; echo 0 | tee tap/forwarding uplink/forwarding")
    assert vm.space.ask(LAN, reached=False) is None
    world.netrun(config, "a-1", "up", "sandbox")
    world.netrun(config, "a-1", "mend", input=vm.text)
    assert world.host.state() == good and within() == rules
    assert world.host.run("sh", "-c", f"cd /proc/sys/net/ipv4/conf/{vm.tap}; cat forwarding rp_filter").stdout == "1\n1\n"
    assert vm.space.ask(LAN) == "10.99.0.2" and vm.space.ask(INTERNET, reached=False) is None
    # LAN, and what is this host's, are what they are now.
    world.host.ip("addr add 203.0.113.99/32 dev eth0")
    world.netrun(config, "a-1", "mend", input=vm.text)
    assert "203.0.113.99" in within()[0]
    refused = world.netrun(config, "a-1", "down", "sandbox", check=False)
    assert refused.returncode == 1 and "addresses of 169.254.144.0/22 are in use by VMs" in refused.stderr
    vm.end()
    for _ in range(2):
        world.netrun(config, "a-1", "vmdown", input=vm.text)
    gone = world.netrun(config, "a-1", "mend", input=vm.text, check=False)
    assert f"its interface {vm.tap} is gone: the VM has no network until it is started anew" in gone.stderr
    world.host.ip("addr del 203.0.113.99/32 dev eth0")
    for _ in range(2):
        world.netrun(config, "a-1", "down", "sandbox")
    assert world.host.state() == world.before


def test_a_namespace_that_lost_its_name(world, up):
    """It is told, its VM keeps its network, and goes as any other."""
    config = up()
    before = world.host.state()
    vm = world.guest(config, "a-1", "sandbox", 1)
    world.host.ip("netns del sandbox-1")
    told = world.netrun(config, "a-1", "mend", input=vm.text, check=False)
    assert told.returncode == 1 and "its network namespace /run/netns/sandbox-1 is gone" in told.stderr
    assert vm.space.ask(INTERNET) == "10.99.0.2"
    vm.end()
    assert world.host.state() == before


def attempt(world, config, **kwargs):
    return world.netrun(config, "a-1", "vm", "sandbox", 1, check=False, stdin=subprocess.DEVNULL, **kwargs)


def test_what_is_somebody_elses(world, up):
    config = up()
    vm = world.guest(config, "a-1", "sandbox", 1)
    vm.end()
    world.host.ip("netns add sandbox-1")
    before = world.host.state()
    done = attempt(world, config)
    assert done.returncode == 1 and "/run/netns/sandbox-1 already, and it is not this VM's. Give the host group another name" in done.stderr
    world.netrun(config, "a-1", "vmdown", input=vm.text)
    assert world.host.state() == before, "left alone"
    world.host.ip("netns del sandbox-1")
    # Another daemon's VM of that name is named.
    other = world.config("b", isolated())
    world.netrun(other, "b-2", "up", "sandbox")
    theirs = world.guest(other, "b-2", "sandbox", 1)
    done = attempt(world, config)
    assert done.returncode == 1 and "it belongs to slicer:b-2:sandbox-1. Give the host group another name" in done.stderr
    assert "delete" not in done.stderr, "that would be the other VM's network"
    assert theirs.space.ask(INTERNET)
    theirs.end()
    # An interface of the name of ours.
    for command, words in ((f"link add {vm.tap} type bridge", "and it is not VM"), (f"link add {vm.tap} type veth peer name x", None)):
        world.host.ip(command)
        done = attempt(world, config)
        if words:
            assert done.returncode == 1 and words in done.stderr
            world.host.ip(f"link del {vm.tap}")
        else:
            assert done.returncode == 0, "without an alias it is what a killed launch has left"
    world.netrun(other, "b-2", "down", "sandbox")
    world.netrun(config, "a-1", "down", "sandbox")
    assert world.host.state() == world.before


def test_a_block_that_somebody_takes_meanwhile(world, up):
    """Between the choice of a block and its use, which wait for each other by the lock of the network namespace."""
    config = up()
    before = world.host.state()
    with open(world.host.path) as space:
        fcntl.flock(space, fcntl.LOCK_EX)
        launch = subprocess.Popen(world.host.argv(NETRUN, config, "a-1", "vm", "sandbox", 1), env=ENV, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until(lambda: "slicer-a-1-sandbox-1" in world.host.run("ip", "link").stdout)
        world.host.ip("addr add 169.254.144.3/32 dev eth0")
    assert "169.254.144.2/30 has become that of eth0; launch the VM again" in launch.communicate(timeout=120)[1]
    assert launch.returncode == 1
    world.host.ip("addr del 169.254.144.3/32 dev eth0")
    assert world.host.state() == before


def test_refused_ranges(world, up):
    config = world.config("a", isolated(range="10.99.0.64/26"))
    done = world.netrun(config, "a-1", "up", "sandbox", check=False)
    assert done.returncode == 1 and "network.range 10.99.0.64/26 is in the network of eth0 (10.99.0.2/24)" in done.stderr
    small = up("sandbox", range="169.254.100.0/30")
    vm = world.guest(small, "a-1", "sandbox", 1)
    done = world.netrun(small, "a-1", "vm", "sandbox", 2, check=False, stdin=subprocess.DEVNULL)
    assert "all 1 blocks of four addresses in 169.254.100.0/30 of host group \"sandbox\" are in use" in done.stderr
    vm.end()
    world.netrun(small, "a-1", "down", "sandbox")
    assert world.host.state() == world.before


@pytest.mark.parametrize("how", ["fail", "kill"])
@pytest.mark.parametrize("step", STEPS)
def test_faults(world, up, step, how):
    """Each step of set-up fails, or ends the program, once: nothing is left, and the next attempt succeeds."""
    config = up()
    before = world.host.state()
    done = world.host.run("env", f"SLICER_FAULT=netns.{step}:{how}", f"SLICER_LIBEXECDIR={ENV['SLICER_LIBEXECDIR']}",
                          BUILD / "tests/netrun/netrun", config, "a-1", "vm", "sandbox", 1, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and (how == "kill" or f"fault injected at netns.{step}" in done.stderr), done.stderr
    assert how == "fail" or "slicer-netns" in done.stderr
    assert world.host.state() == before
    assert attempt(world, config).returncode == 0
    assert world.host.state() == before


def test_rules_are_first(world, up):
    """The program that makes the namespace is killed after each step, and nobody tidies: an interface that is up has its
    rules. What is left is replaced by the next launch, or removed."""
    config = up(drop=["203.0.113.0/24"])
    vm = world.guest(config, "a-1", "sandbox", 1)
    vm.end()
    before = world.host.state()
    text = json.dumps(vm.plan)
    ups = 0
    for step in STEPS[1:-1]:  # before the second the namespace has no name and is gone; the last needs who asked
        killed = world.host.run("env", f"SLICER_FAULT=netns.{step}:kill", BUILD / "src/net/slicer-netns", "up", input=text, check=False)
        assert killed.returncode == -9
        inside = ("ip", "netns", "exec", "sandbox-1")
        links = [link for link in json.loads(world.host.run(*inside, "ip", "-j", "link").stdout) if "UP" in link["flags"]]
        rules = world.host.run(*inside, "nft", "list", "ruleset").stdout
        assert not links or ("policy drop" in rules and "@never drop" in rules)
        ups += len(links)
        if step == "routes":
            assert attempt(world, config).returncode == 0
        else:
            world.netrun(config, "a-1", "vmdown", input=vm.text)
        assert world.host.state() == before, step
    assert ups, "the test has seen interfaces that are up"


@pytest.mark.full
@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOMEM"])
@pytest.mark.parametrize("call", ["sendto", "mount", "ioctl", "unshare", "wait4"])
def test_each_system_call(world, up, call, fault):
    config = up()
    before = world.host.state()
    vm = world.guest(config, "a-1", "sandbox", 1)
    vm.end()
    log, when = world.dir / "strace", 1
    while True:
        done = attempt(world, config, prefix=["strace", "-f", "-qqq", "-o", log, "-e", f"trace={call}", "-e",
                                              f"inject={call}:{fault}:when={when}"])
        if "INJECTED" not in log.read_text() and "SIGKILL" not in log.read_text():
            break
        if done.returncode != 1:  # netrun itself was killed, or it was up and could not clean up
            world.netrun(config, "a-1", "vmdown", input=vm.text)
        world.netrun(config, "a-1", "vmdown", input=vm.text)
        assert world.host.state() == before, when
        when += 1
    assert when > (10 if call == "sendto" else 1)


def test_programs_of_a_launch(world, up):
    """nft once, whatever is in the lists, in the program that enters the namespace; none other."""
    config = up(drop=[f"172.16.{n}.0/24" for n in range(100)])
    log = world.dir / "log"
    done = attempt(world, config, prefix=["strace", "-f", "-qq", "-e", "trace=execve", "-o", log])
    assert done.returncode == 0, done.stderr
    programs = [line.split('execve("')[1].split('"')[0].rpartition("/")[2] for line in log.read_text().splitlines() if 'execve("' in line]
    assert programs == ["netrun", "slicer-netns", "nft", "slicer-netns"]  # the last one removes it


def test_programs_of_a_start(world, up):
    """What a killed daemon has left is tidied by nft, which a start without any does not run."""
    config, log = world.config("sandbox", isolated()), world.dir / "log"

    def programs():
        world.netrun(config, "a-1", "renew", prefix=["strace", "-f", "-qq", "-e", "trace=execve", "-o", log])
        return {line.split('execve("')[1].split('"')[0].rpartition("/")[2] for line in log.read_text().splitlines() if 'execve("' in line}
    assert programs() == {"netrun"}
    up()
    assert programs() == {"netrun", "nft"} and world.host.state() == world.before
    up()
    world.host.run("nft", "flush table ip slicer_a-1")
    assert programs() == {"netrun", "nft"} and world.host.state() == world.before


def test_a_former_range_of_a_daemon_with_other_groups(world):
    """It goes at the start that finds no VM in it any more, with what lets it pass another firewall."""
    world.host.run("iptables", "-P", "FORWARD", "DROP")
    before = world.host.state()
    bridge = {"name": "vm", "count": 0, "network": {"mode": "bridge", "bridge": "brvm0", "gateway": "10.50.0.1/24"}}
    former, now, within = (world.config(name, bridge, isolated(range=text)) for name, text in
                           (("former", "10.78.0.0/22"), ("now", "10.79.0.0/24"), ("within", "10.78.0.0/24")))

    def renewed(config):
        world.netrun(config, "a-1", "renew")
        return world.host.run("nft", "list", "ruleset").stdout
    for group in ("vm", "sandbox"):
        world.netrun(former, "a-1", "up", group)
    good = world.host.state()
    assert renewed(former).count("10.78.0.0/22") == 5 and world.host.state() == good
    vm = world.guest(former, "a-1", "sandbox", 1)
    assert renewed(now).count("10.78.0.0/22") == 5 and vm.space.ask(INTERNET)
    refused = world.netrun(within, "a-1", "up", "sandbox", check=False)
    assert "VMs still run in the range 10.78.0.0/22 of before, which overlaps the new one" in refused.stderr
    vm.end()
    text = renewed(within)
    assert "10.78.0.0" not in text and text.count("10.50.0.0/24") == 2
    for config in (within, now):
        world.netrun(config, "a-1", "up", "sandbox")
    assert "10.78.0.0" not in renewed(now)
    for group in ("sandbox", "vm"):
        world.netrun(now, "a-1", "down", group)
    assert world.host.state() == before


def many(world, config, group, n):
    lines = world.netrun(config, "a-1", "many", group, n, timeout=550).stdout.splitlines()
    return [tuple(int(word) / 1000 for word in line.split()) for line in lines]


def median(values):
    return sorted(values)[len(values) // 2]


@pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.full)])
def test_many(world, count, capsys):
    """Nothing is left of many, and what one costs is printed: it does not depend on how many there are, or on the lists."""
    lists = {"drop": [f"172.16.{n}.0/24" for n in range(50)], "allow": [f"198.51.100.{n}:443" for n in range(50)]}
    config = world.config("a", isolated(range="10.200.0.0/21", **lists))
    world.netrun(config, "a-1", "up", "sandbox")
    good = world.host.state()
    times = many(world, config, "sandbox", count)
    assert len(times) == count and world.host.state() == good
    world.netrun(config, "a-1", "down", "sandbox")
    assert world.host.state() == world.before
    with capsys.disabled():
        for what, column in (("create", 0), ("delete", 1)):
            first, last = (median([t[column] for t in part]) for part in (times[:20], times[-20:]))
            print(f"\nisolated {what} of {count}, 100 entries: first 20 {first:.1f} ms, last 20 {last:.1f} ms "
                  f"({last / first:.2f}), least {min(t[column] for t in times):.1f} ms")


def test_a_firewall_in_the_way(world, up):
    """As Docker and ufw leave it: FORWARD of iptables drops."""
    world.host.run("iptables", "-P", "FORWARD", "DROP")
    world.host.run("iptables", "-L", "FORWARD")
    before = world.host.state()
    config = up()
    vm = world.guest(config, "a-1", "sandbox", 1)
    assert vm.space.ask(INTERNET) == "10.99.0.2"
    shown = world.host.run("iptables", "-S", "FORWARD").stdout
    assert "-s 169.254.144.0/22" in shown and "-d 169.254.144.0/22" in shown, "iptables can show what was added"
    vm.end()
    world.netrun(config, "a-1", "down", "sandbox")
    assert world.host.state() == before


def test_a_firewall_that_only_the_user_can_mend(world, up):
    world.host.run("nft", "add table inet mine; add chain inet mine gate { type filter hook forward priority 0; policy drop; }")
    config = world.config("sandbox", isolated())
    note = world.netrun(config, "a-1", "up", "sandbox").stdout
    vm = world.guest(config, "a-1", "sandbox", 1)
    assert vm.space.ask(INTERNET, reached=False) is None
    for command in [part.strip() for part in note.split("Allow them: ")[1].split(";")[:2]]:  # what the note says helps
        world.host.run(*command.split())
    assert vm.space.ask(INTERNET) == "10.99.0.2"
    assert world.netrun(config, "a-1", "up", "sandbox").stdout == ""


def test_helper_says_what_it_is_for():
    done = subprocess.run([BUILD / "src/net/slicer-netns"], env=ENV, capture_output=True, text=True)
    assert done.returncode == 66 and "run by slicer" in done.stderr
    done = subprocess.run([BUILD / "src/net/slicer-netns", "up"], input="{}", env=ENV, capture_output=True, text=True)
    assert done.returncode == 66


BRIDGE = {"type": "bridge", "bridge": "cnitest0", "isGateway": True, "ipMasq": True,
          "ipam": {"type": "host-local", "subnet": "10.91.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}
PTP = {"type": "ptp", "ipMasq": True, "ipam": {"type": "host-local", "subnet": "10.91.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}


@pytest.mark.parametrize("plugin", [BRIDGE, pytest.param(PTP, marks=pytest.mark.full)], ids=["bridge", "ptp"])
def test_vms_of_cni_networks_are_other_vms(tmp_path, plugin):
    """Which isolated ones do not reach, whichever daemon they are of; all the rest goes on."""
    with contextlib.ExitStack() as stack:
        world = World(stack, tmp_path, ("/run", *stack.enter_context(state_directories())))
        world.host.run("sh", "-c", "mkdir -p /etc/cni/net.d; cat > /etc/cni/net.d/1.conflist",
                       input=json.dumps({"cniVersion": "1.0.0", "name": "test", "plugins": [plugin]}))
        config = world.config("a", isolated())
        world.netrun(config, "a-1", "up", "sandbox")
        other = world.config("b", {"name": "vm", "count": 1}, network_name="test")
        world.netrun(other, "b-2", "up", "vm")
        vm, cni = world.guest(config, "a-1", "sandbox", 1), world.guest(other, "b-2", "vm", 1)
        assert vm.space.ask(cni.ip, reached=False) is None and cni.space.ask(vm.ip, reached=False) is None
        assert vm.space.ask(LAN) and cni.space.ask(LAN) and world.host.ask(cni.ip)
