# SPDX-License-Identifier: MIT
"""Networks of each mode, interrupted: by a kill or a failure at each of their calls, by somebody who flushes rules, on hosts that lack
what they need. Nothing is left of them, and no VM is there without the rules that hold for it, not for a moment."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from slicertest import until
from slicertest.cni import PTP_LIST, state_directories
from slicertest.netspace import ENV, INTERNET, NETRUN, World

GROUPS = {
    "bridge": {"count": 2, "network": {"bridge": "brvm0", "tap_prefix": "vmtap", "gateway": "192.168.137.1/24"}},
    "slots": {"slots": {"slot1": {}, "slot2": {}}},
    "isolated": {"count": 0, "network": {"mode": "isolated"}},
    "macvtap": {"count": 0, "network": {"mode": "macvtap"}},
}
RULED = ["bridge", "slots", "isolated"]  # those with a part in the host's rules
DAEMON = "a-1"


def configure(world, mode):
    return world.config(mode, {"name": "vm", **GROUPS[mode]})


def vm_words(mode):
    """The arguments that make a VM's network, and end at once when there is no input."""
    return ("vm", "vm", 1, "", "slot1") if mode == "slots" else ("vm", "vm", 1)


def attempt(world, mode, config, **kwargs):
    return world.netrun(config, DAEMON, *vm_words(mode), check=False, stdin=subprocess.DEVNULL, **kwargs)


@pytest.fixture(params=RULED)
def mode(request):
    return request.param


def faulted(world, call, when, fault, *args, **kwargs):
    """Runs netrun with a fault in the nth such call; gives what came of it, or None when there is no nth call."""
    log = world.dir / "strace"
    done = world.netrun(*args, check=False, **kwargs, prefix=[
        "strace", "-qqq", "-o", log, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}"])
    return done if done.returncode < 0 or done.returncode == 137 or "INJECTED" in log.read_text() else None


# Of all modes but the plainest in the full tier.
KILLS = [(mode, call) for mode in RULED for call in ("sendto", "openat", "write", "wait4")]


@pytest.mark.parametrize("mode, call", [pytest.param(*kill, marks=[pytest.mark.full] * (kill[0] != "bridge"))
                                        for kill in KILLS])
def test_killed_in_the_middle(world, mode, call):
    """At each request to the kernel, file opened or written, end of a program: the next attempt succeeds."""
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    good = world.host.state()
    world.netrun(config, DAEMON, "down", "vm")
    when = 1
    while faulted(world, call, when, "signal=KILL", config, DAEMON, "up", "vm"):
        world.netrun(config, DAEMON, "up", "vm")
        assert world.host.state() == good, when
        world.netrun(config, DAEMON, "down", "vm")
        assert world.host.state() == world.before, when
        # Or nobody tries again. (What wakes a thread is a write, too: there is not the same number of them each time.)
        faulted(world, call, when, "signal=KILL", config, DAEMON, "up", "vm")
        world.netrun(config, DAEMON, "down", "vm")
        assert world.host.state() == world.before, when
        when += 1
    assert when > (3 if call == "sendto" else 1)


def test_failing_in_the_middle_leaves_nothing(world, mode):
    config = configure(world, mode)
    when = 1
    while done := faulted(world, "sendto", when, "error=ENOMEM", config, DAEMON, "up", "vm"):
        assert done.returncode == 1 and "Cannot allocate memory" in done.stderr, done.stderr
        assert world.host.state() == world.before, when
        when += 1
    assert when > (3 if mode == "isolated" else 10)
    world.netrun(config, DAEMON, "down", "vm")
    assert world.host.state() == world.before


@pytest.mark.parametrize("program", ["fails", "is killed"])
def test_nft_failing_in_the_middle_leaves_nothing(world, mode, program):
    """Each time that nft is run by `up`."""
    config = configure(world, mode)
    counter = world.dir / "count"
    fake = world.dir / "nft"
    fake.write_text(f"#!/bin/sh\necho x >> {counter}\n"
                    f"[ $(wc -l < {counter}) = $(cat {world.dir}/when) ] && {'exit 1' if program == 'fails' else 'kill -9 $$'}\n"
                    f"exec {world.dir}/real \"$@\"\n")
    fake.chmod(0o755)
    (world.dir / "real").write_bytes(pathlib.Path("/usr/sbin/nft").read_bytes())
    (world.dir / "real").chmod(0o755)
    when = 0
    world.host.run("mount", "--bind", fake, "/usr/sbin/nft")
    try:
        while True:
            when += 1
            (world.dir / "when").write_text(str(when))
            counter.write_text("")
            done = world.netrun(config, DAEMON, "up", "vm", check=False)
            (world.dir / "when").write_text("0")
            if done.returncode == 0:
                break
            assert world.host.state() == world.before, (when, done.stderr)
    finally:
        world.host.run("umount", "/usr/sbin/nft")
    assert when > 2
    world.netrun(config, DAEMON, "down", "vm")
    assert world.host.state() == world.before


@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOMEM"])
@pytest.mark.parametrize("mode, call", [("bridge", "sendto"), ("macvtap", "sendto"), *(pytest.param(*more, marks=pytest.mark.full) for more in (
    ("slots", "sendto"), ("macvtap", "openat"), ("macvtap", "mknodat,mknod"), ("macvtap", "ioctl"), ("bridge", "ioctl")))])
def test_a_vm_killed_or_failing_in_the_middle(world, mode, call, fault):
    """Isolated ones: test_net_isolated.py."""
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    nodes = set(pathlib.Path("/dev").glob(".slicer-*"))
    before = world.host.state()
    done = attempt(world, mode, config)
    assert done.returncode == 0, done.stderr
    plan = done.stdout.splitlines()[0]
    when = 1
    while done := faulted(world, call, when, fault, config, DAEMON, *vm_words(mode), stdin=subprocess.DEVNULL):
        if when % 2 and fault == "signal=KILL":  # what is left is the next attempt's
            again = attempt(world, mode, config)
            assert again.returncode == 0, (when, again.stderr)
        elif done.stdout or done.returncode != 1:  # it was up, or it could not clean up
            world.netrun(config, DAEMON, "vmdown", input=plan)
        assert world.host.state() == before, when
        when += 1
    assert when > (8 if call == "sendto" else 1)
    assert attempt(world, mode, config).returncode == 0
    assert set(pathlib.Path("/dev").glob(".slicer-*")) == nodes


# Before `attach` does its work, or after; `create` and `down` are the real one's.
NETNS = """#!/bin/sh
[ $1 = attach ] || exec REAL "$@"
BEFORE REAL "$@" || exit
END
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("end", ["exit 1", "kill -9 $$"])
def test_cni_attach_fails_after_add(tmp_path, when, end):
    """What plugins made goes again, by DEL."""
    with contextlib.ExitStack() as stack:
        world = World(stack, tmp_path, ("/run", *stack.enter_context(state_directories())))
        world.host.run("sh", "-c", "cat > /etc/cni/net.d/ptp.conflist", input=json.dumps(PTP_LIST))
        config = world.config("a", {"name": "vm", "count": 0}, network_name="ptp")
        world.netrun(config, DAEMON, "up", "vm")
        assert attempt(world, "CNI", config).returncode == 0  # iptables and the plugins have the chains that stay
        before = world.host.state()
        libexec = tmp_path / "libexec"
        libexec.mkdir()
        real = ENV["SLICER_LIBEXECDIR"] + "/slicer-netns"
        (libexec / "slicer-netns").write_text(NETNS.replace("REAL", real).replace("BEFORE", end + ";" if when == "before" else "").replace("END", end))
        (libexec / "slicer-netns").chmod(0o755)
        done = world.host.run("env", f"SLICER_LIBEXECDIR={libexec}", NETRUN, config, DAEMON, *vm_words("CNI"), check=False,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and "slicer-netns" in done.stderr, done.stderr
        assert world.host.state() == before
        kept = world.host.run("find", "/var/lib/cni", "-type", "f").stdout.split()
        assert [f for f in kept if f.rpartition("/")[2] not in ("lock", "last_reserved_ip.0")] == []
        assert not [line for line in world.host.run("iptables-save").stdout.splitlines() if "10.92" in line]
        assert attempt(world, "CNI", config).returncode == 0


# ---- no VM without its rules ----

@contextlib.contextmanager
def stopped_at(world, when, mode, config):
    """netrun, stopped at its nth request to the kernel; None when there is no nth one."""
    log = world.dir / "strace"
    log.write_text("")
    argv = world.host.argv("strace", "-qq", "-o", log, "-e", "trace=sendto", "-e", f"inject=sendto:signal=STOP:when={when}",
                           NETRUN, config, DAEMON, *vm_words(mode))
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV) as process:
        while "stopped by SIGSTOP" not in log.read_text() and process.poll() is None:
            time.sleep(0.002)
        tracee = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            yield process.poll() is None or None
        finally:
            for pid in tracee.read_text().split() if process.poll() is None else ():
                subprocess.run(["kill", "-KILL", pid], check=True)


def elements(world, family, name):
    found = json.loads(world.host.run("nft", "-j", "list", "set", family, f"slicer_{DAEMON}", name).stdout)["nftables"]
    return {element for item in found for element in item.get("set", {}).get("elem", ())}


def connected(world, mode):
    """Interfaces of VMs through which packets may come."""
    links = json.loads(world.host.run("ip", "-j", "link").stdout)
    return {link["ifname"] for link in links if ("UP" in link["flags"] and link["ifname"].startswith("ve-") if mode == "isolated"
                                                 else link.get("master", "").startswith("br"))}


@pytest.mark.parametrize("mode", ["bridge", *(pytest.param(m, marks=pytest.mark.full) for m in ("slots", "isolated"))])
def test_what_is_connected_is_guarded(world, mode):
    """Whatever the moment is at which one looks."""
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    before = world.host.state()
    plan = attempt(world, mode, config).stdout.splitlines()[0]
    family, name = ("ip", "isolated") if mode == "isolated" else ("bridge", "ports")
    when, seen, more = 1, 0, True
    while more:
        with stopped_at(world, when, mode, config) as more:
            links = connected(world, mode)
            assert links <= elements(world, family, name), when
            seen += len(links)
        world.netrun(config, DAEMON, "vmdown", input=plan)
        assert world.host.state() == before, when
        when += 1
    assert seen and when > 10


@contextlib.contextmanager
def mend_stopped_at(world, when, config, plan):
    """netrun, stopped behind its nth request to the kernel, which goes on to its end afterwards; False when there is no nth one."""
    log = world.dir / "strace"
    log.write_text("")
    argv = world.host.argv("strace", "-qq", "-o", log, "-e", "trace=sendto", "-e", f"inject=sendto:signal=STOP:when={when}",
                           NETRUN, config, DAEMON, "mend")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENV) as process:
        process.stdin.write(plan.encode())
        process.stdin.close()
        until(lambda: "stopped by SIGSTOP" in log.read_text() or process.poll() is not None)
        running = process.poll() is None
        pids = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split() if running else []
        try:
            yield running
        finally:
            for pid in pids:
                os.kill(int(pid), signal.SIGCONT)


def test_a_vm_that_ends_while_it_is_mended(world, mode):
    """The VMM is killed and the network taken down after each step of a look that has found both there: nothing is left."""
    config, when, more = configure(world, mode), 1, True
    world.netrun(config, DAEMON, "up", "vm")
    before = world.host.state()
    while more:
        with subprocess.Popen(world.host.argv(NETRUN, config, DAEMON, *vm_words(mode)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env=ENV) as vm:
            plan = vm.stdout.readline()
            with mend_stopped_at(world, when, config, plan) as more:
                vm.kill()
                vm.wait()
                world.netrun(config, DAEMON, "vmdown", input=plan)
        assert world.host.state() == before, when
        when += 1
    assert when > 5


FLUSHES = [("bridge", "ruleset"), *(("bridge", f"table {family} slicer_a-1") for family in ("bridge", "ip")),
           *(("bridge", f"chain bridge slicer_a-1 {chain}") for chain in ("prerouting", "guard", "guard_arp")),
           ("slots", "ruleset"), ("slots", "table bridge slicer_a-1"), ("slots", "chain ip slicer_a-1 forward"),
           ("isolated", "ruleset"), ("isolated", "table ip slicer_a-1"),
           *(("isolated", f"chain ip slicer_a-1 {chain}") for chain in ("forward", "input", "from_isolated", "postrouting"))]


@pytest.mark.parametrize("mode, what", FLUSHES)
def test_no_vm_without_the_hosts_rules(world, mode, what):
    """A flush of chains keeps the sets: a VM can become an element of them, and nobody would look at it."""
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    good = world.host.state()
    plan = attempt(world, mode, config).stdout.splitlines()[0]
    world.host.run("nft", "flush", *what.split())
    before = world.host.state()
    done = attempt(world, mode, config)
    assert done.returncode == 1 and "something else has removed what slicer needs: the nftables rules of chain" in done.stderr, done.stderr
    assert done.stdout == "" and world.host.state() == before
    world.netrun(config, DAEMON, "up", "vm")
    assert world.host.state() == good
    assert attempt(world, mode, config).returncode == 0
    world.netrun(config, DAEMON, "vmdown", input=plan)
    world.netrun(config, DAEMON, "down", "vm")
    assert world.host.state() == world.before


def test_a_vm_that_runs_gets_its_rules_back(world, mode):
    """It is told that they are gone, so that whoever mends makes them anew."""
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    vm = world.guest(config, DAEMON, "vm", 1, hostname="slot1" if mode == "slots" else None)
    good = world.host.state()
    world.host.run("nft", "flush", "table", "ip" if mode == "isolated" else "bridge", f"slicer_{DAEMON}")
    told = world.netrun(config, DAEMON, "mend", input=vm.text, check=False)
    assert told.returncode == 1 and "something else has removed what slicer needs" in told.stderr
    world.netrun(config, DAEMON, "up", "vm")
    world.netrun(config, DAEMON, "mend", input=vm.text)
    assert world.host.state() == good and vm.space.ask(INTERNET) == "10.99.0.2"


# ---- hosts that lack something ----

def test_forwarding_forbidden(world, mode):
    config = configure(world, mode)
    world.host.run("mount", "--bind", "-o", "ro", "/proc/sys", "/proc/sys")
    done = world.netrun(config, DAEMON, "up", "vm", check=False)
    assert done.returncode == 1 and "Read-only" in done.stderr and "/proc/sys must be writable" in done.stderr
    assert world.host.state() == world.before


def test_forwarding_forbidden_since(world, mode):
    """At a launch; what a bridge's VM needs was made with the bridge, and IPv6 is off by then where it has none."""
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    before = world.host.state()
    world.host.run("mount", "--bind", "-o", "ro", "/proc/sys", "/proc/sys")
    done = attempt(world, mode, config)
    assert done.returncode == 1 and "Read-only" in done.stderr, done.stderr
    assert world.host.state() == before


@contextlib.contextmanager
def without_nft(world):
    world.host.run("mount", "--bind", "/dev/null", "/usr/sbin/nft")
    try:
        yield
    finally:
        world.host.run("umount", "/usr/sbin/nft")


def test_without_nft(world, mode):
    config = configure(world, mode)
    with without_nft(world):
        done = world.netrun(config, DAEMON, "up", "vm", check=False)
    assert done.returncode == 1 and "nft is not installed" in done.stderr and "apt-get install nftables" in done.stderr
    assert world.host.state() == world.before


@pytest.mark.parametrize("mode", ["bridge", "isolated"])
def test_a_daemon_without_nft(space, daemon, mode):
    """It says what to do, once of its start and once of what it cannot look for at its end."""
    space.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "upstream")
    before = space.links()
    hidden = ("unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /usr/sbin/nft && exec "$@"', "sh")
    one = daemon(start=False, group=GROUPS[mode], prefix=(*space.prefix, *hidden))
    code, said = one.fails()
    lines = [line for line in said.splitlines() if "apt-get install nftables" in line]
    assert code == 1 and len(lines) == 2 and max(line.count("host group") for line in lines) == 1, said
    assert space.links() == before and not one.run_dir.exists()


def test_without_nft_since(world, mode):
    """A bridge's VM needs none; an isolated one is not without its rules."""
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    before = world.host.state()
    with without_nft(world):
        done = attempt(world, mode, config)
    if mode == "isolated":
        assert done.returncode == 1 and "nft is not installed" in done.stderr and "apt-get install nftables" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
    assert world.host.state() == before


# ---- the uplink's MTU ----

@pytest.mark.parametrize("mtu", [1400, 1280])
def test_mtu(world, mode, mtu):
    """A VPN's or a cloud's: what VMs send fits, without a fragment, and the host's interfaces are like it."""
    for space in (world.host, world.lan):
        space.ip(f"link set eth0 mtu {mtu}")
    config = configure(world, mode)
    world.netrun(config, DAEMON, "up", "vm")
    vm = world.guest(config, DAEMON, "vm", 1, hostname="slot1" if mode == "slots" else None)
    assert vm.plan["guest"]["mtu"] == mtu
    inside = ["ip", "netns", "exec", "vm-1"] if mode == "isolated" else []
    links = {link["ifname"]: link["mtu"] for command in ([], inside) for link in
             json.loads(world.host.run(*command, "ip", "-j", "link").stdout) if link["ifname"] != "lo"}
    ours = {name: value for name, value in links.items() if name not in ("eth0", "lo")}
    assert len(ours) == (3 if mode in ("isolated", "slots") else 2) and set(ours.values()) == {mtu}, links
    assert vm.space.ask(INTERNET, size=4 * 1024 * 1024), "data arrives"
    # One of that length is one packet, one more byte would be two: and the guest's kernel knows.
    for length, passes in ((mtu, True), (mtu + 1, False)):
        ping = vm.space.run("ping", "-c", "1", "-W", "20" if passes else "2", "-M", "do", "-s", length - 28, INTERNET, check=False)
        assert (ping.returncode == 0) == passes, ping.stdout
