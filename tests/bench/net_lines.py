# SPDX-License-Identifier: MIT
"""What networks cost: packets of a VM, by mode and by the length of its lists, and the making and removing of its network.
The guest is a network namespace behind the VM's tap (slicertest/netspace.py): real packets, without a kernel in emulation."""
import contextlib
import os
import statistics
import subprocess

from measure import PAIRS
from slicertest import BUILD
from slicertest.netspace import ENV, INTERNET, MIB, World

TRAFFIC = BUILD / "tests/bench/traffic"
STREAM, EXCHANGES = 256 * MIB, 300  # few: each new flow holds one of the host's source ports to the other end for a while
ENTRIES = (0, 100, 10000)
DAEMON, HUNDRED, SEVERAL, MANY, ENDS = "bench-1", "isolated, 100 entries", 3, 500, 20
GROUPS = {
    "bridge": {"bridge": "brvm0", "tap_prefix": "vmtap", "gateway": "192.168.137.1/24"},
    "isolated": {"mode": "isolated", "range": "10.200.0.0/21"},
    "macvtap": {"mode": "macvtap", "gateway": "10.99.0.1/24"},
    "user": {"mode": "user"},
}
FLAT = 1.3  # what the length of lists may add to a packet's cost, and 500 VMs to that of the next one


def kind(entries):
    return f"isolated, {entries:,} entries"


def lists(directory, count):
    """The environment in which netrun gives a VM so many entries, none of which is for whom we talk to: they all are looked
    through. Half of them are of networks, of which no two are neighbours, that could become one; half are of ports."""
    path = directory / f"entries-{count}"
    networks = [f"drop 172.{16 + n // 128}.{n % 128 * 2}.0/24" for n in range(count // 2)]
    ports = [f"allow 198.51.{n // 250}.{1 + n % 250}:443" for n in range(count // 2)]
    path.write_text("".join(f"{line}\n" for line in ["allow 0.0.0.0/0", *networks, *ports][:count]))
    return {**ENV, "NETRUN_LISTS": str(path)}


@contextlib.contextmanager
def one_core():
    """For all that is started from here on: a round trip is then the work in it. On several cores it is six times as long
    whenever the scheduler wakes somebody on a core that sleeps, in whatever mode that happens to be."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def place(directory, name):
    """Groups of all modes, up, and the configuration that they are of."""
    directory = directory / name
    directory.mkdir()
    with contextlib.ExitStack() as stack:
        world = World(stack, directory)
        config = world.config("bench", *({"name": mode, "count": 0, "network": network} for mode, network in GROUPS.items()))
        for mode in GROUPS:
            world.netrun(config, DAEMON, "up", mode)
        yield world, config
        # Guests end with the stack, and with them the namespaces that the rest is in.


def guests(world, config):
    made = {mode: world.guest(config, DAEMON, mode, 1) for mode in ("bridge", "macvtap", "user")}
    for number, entries in enumerate(ENTRIES, 1):
        made[kind(entries)] = world.guest(config, DAEMON, "isolated", number, env=lists(world.dir, entries))
    return made


def rounds(things, measure):
    """{thing: its PAIRS results}: all of them in turn, so that whatever the machine does hits all."""
    results = {thing: [] for thing in things}
    for number in range(PAIRS + 1):
        for thing in things:
            result = measure(thing)
            if number:  # the first one warms
                results[thing].append(result)
    return results


def column(results, ours, theirs, index):
    return [(a[index], b[index]) for a, b in zip(results[ours], results[theirs])]


def at_most(bound):
    return f"ratio at most {bound}", lambda _, __, ratio: ratio <= bound


def traffic(vm):
    return [float(word) for word in vm.space.run(TRAFFIC, INTERNET, STREAM, EXCHANGES).stdout.split()]


def packets(report, directory):
    with one_core(), place(directory, "net") as (world, config):
        made = guests(world, config)
        with subprocess.Popen(world.lan.argv(TRAFFIC, INTERNET), stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout.readline() == "ready\n"
                results = rounds(made, lambda name: traffic(made[name]))
            finally:
                server.kill()
    few, most = kind(ENTRIES[0]), kind(ENTRIES[-1])
    for ours, theirs in [*((name, "bridge") for name in made if name != "bridge"), (most, few)]:
        flat = at_most(FLAT) if theirs == few else None
        report.add(f"{ours} : {theirs}, TCP stream", column(results, ours, theirs, 0), "MiB/s", 1 / MIB,
                   flat and (f"ratio at least 1/{FLAT}", lambda _, __, ratio: ratio >= 1 / FLAT))
        report.add(f"{ours} : {theirs}, UDP round trip", column(results, ours, theirs, 1), "µs", 1e6, flat)
        report.add(f"{ours} : {theirs}, UDP round trip of a flow's first packet", column(results, ours, theirs, 2), "µs", 1e6, flat)


def make(world, config, mode, count, env):
    """[(seconds to make a VM's network, seconds to remove it)]"""
    done = world.host.run(str(BUILD / "tests/netrun/netrun"), config, DAEMON, "many", mode, count, env=env, timeout=300)
    return [tuple(int(word) / 1e6 for word in line.split()) for line in done.stdout.splitlines()]


def making(report, directory):
    with place(directory, "netmake") as (world, config):
        kinds = {"bridge": ("bridge", ENV), **{kind(n): ("isolated", lists(world.dir, n)) for n in ENTRIES}}

        def measure(name):
            mode, env = kinds[name]
            return [statistics.median(times) for times in zip(*make(world, config, mode, SEVERAL, env))]
        results = rounds(kinds, measure)
        long = make(world, config, "isolated", MANY, kinds[HUNDRED][1])
    for name in list(kinds)[1:]:
        listed = int(name.split()[1].replace(",", "")) <= 100
        report.add(f"{name} : bridge, making a VM's network", column(results, name, "bridge", 0),
                   goal=("under 10 ms", lambda ours, _, __: ours < 0.010) if listed else None)
        report.add(f"{name} : bridge, removing it", column(results, name, "bridge", 1),
                   goal=("under 25 ms", lambda ours, _, __: ours < 0.025) if listed else None)
    for index, what in enumerate(("making", "removing")):
        report.add(f"{HUNDRED}, {what} the last {ENDS} of {MANY} : the first {ENDS}",
                   [(a[index], b[index]) for a, b in zip(long[-ENDS:], long[:ENDS])], goal=at_most(FLAT))


LINES = {"net": packets, "netmake": making}
