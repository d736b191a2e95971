# SPDX-License-Identifier: MIT
"""VMs of several daemons side by side on one host, each in a mode of its own: who reaches whom across them, and how far root in a
guest comes with what is not its own. Mode user as well, which needs such a host for the page's table (matrix.py)."""
import contextlib
import subprocess

import pytest
from slicertest import Daemon, frames, run, until
from slicertest.daemon import LOG
from slicertest.hostspace import OUTSIDE, host_space, inside, outside_of_host, pings, surroundings, without_passt
from slicertest.matrix import guest_matrix, ping

pytestmark = pytest.mark.full
GROUPS = {
    "bridge": {"network": {"bridge": "brone0", "tap_prefix": "onetap", "gateway": "192.168.137.1/24"}, "count": 1},
    "another bridge": {"network": {"bridge": "brtwo0", "tap_prefix": "twotap", "gateway": "172.20.0.1/24"}, "count": 1},
    "isolated": {"network": {"mode": "isolated"}, "count": 1},
    "another isolated": {"network": {"mode": "isolated"}, "count": 1},
    "slot": {"slots": {"slot8": {}}},
    "another's slot": {"slots": {"slot9": {}}},
    "user": {"network": {"mode": "user"}, "count": 1},
}
BRIDGES = {"bridge", "another bridge"}
SLOTS = {"slot", "another's slot"}
# Isolated VMs neither reach nor are reached. Slots do not reach slots. In mode user a VM reaches what the host does, and is nowhere.
REACHES = {"bridge": BRIDGES | SLOTS, "another bridge": BRIDGES | SLOTS, "isolated": set(), "another isolated": set(),
           "slot": BRIDGES, "another's slot": BRIDGES, "user": BRIDGES | SLOTS}


@pytest.fixture(scope="module")
def host(store):
    with host_space() as name:
        # Whose programs may ping, as systemd has it for all: passt does.
        inside(name, "sh", "-c", "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range")
        yield name


class Neighbour:
    def __init__(self, daemon, what):
        self.daemon, self.vm = daemon, next(iter(GROUPS[what].get("slots", [f"{daemon.group}-1"])))

    @property
    def node(self):
        return self.daemon.client.node(self.vm)

    @property
    def address(self):
        return self.node["ip"].partition("/")[0]

    @property
    def gateway(self):
        head, _, last = self.address.rpartition(".")
        return f"{head}.{int(last) - 1}"

    def inside(self, script):
        return frames.inside(self.daemon, self.vm, script)


@pytest.fixture(scope="module")
def neighbours(host, tmp_path_factory):
    all_of_them = {}
    try:
        with contextlib.ExitStack() as stack:
            for what, group in GROUPS.items():
                d = Daemon(tmp_path_factory.mktemp("n"), hypervisor="qemu", group=group, prefix=("nsenter", f"--net=/run/netns/{host}"))
                if "slots" in group:
                    for key in ("count", "network"):
                        d.config["host_groups"][0].pop(key)
                all_of_them[what] = Neighbour(stack.enter_context(d), what)
            for one in all_of_them.values():
                until(lambda: one.daemon.client.get(f"/vm/{one.vm}/health").status == 200, 180, f"{one.vm} answers")
            yield all_of_them
    finally:
        for log in LOG.glob("slot[89].txt*"):  # a slot's log has its name only
            log.unlink()


@pytest.mark.parametrize("what", GROUPS)
def test_who_reaches_whom(neighbours, what):
    others = {name: n.address for name, n in neighbours.items() if name not in (what, "user")}
    tries = " & ".join(f"({ping(address, name in REACHES[what])}) >/dev/null && echo {address}" for name, address in others.items())
    reached = neighbours[what].inside(f"{tries} & wait").stdout.decode().split()
    assert {name for name, address in others.items() if address in reached} == REACHES[what] - {what}


@pytest.mark.parametrize("what, bridge", [("bridge", "brone0"), ("isolated", None), ("slot", "br-slot8")])
def test_nobody_passes_for_a_vm_of_another_daemon(neighbours, host, tmp_path, what, bridge):
    """On its own bridge it may say what the subnets of its daemon have nothing to do with, and there it ends."""
    one, victim = neighbours[what], neighbours["another bridge"].node
    frames.take_sender(one.daemon, one.vm, tmp_path)
    on_bridge = {"another's IP address", "an address of elsewhere", "ARP for another"} if bridge else set()
    wanted = {"its own": {"uplink", "wire"}} | {name: {bridge} for name in on_bridge}
    heard = frames.told(one.daemon, one.vm, [("ip", "netns", "exec", ns) for ns in (host, outside_of_host())], one.gateway,
                        (victim["mac"], victim["ip"]), OUTSIDE, wanted)
    assert wanted["its own"] <= heard.pop("its own")
    assert heard == {name: wanted.get(name, set()) for name in heard}
    assert pings(host, victim["ip"]), "the host goes by none of that"


@pytest.mark.parametrize("what", ["isolated", "slot"])
def test_a_guest_that_changes_what_it_is_has_no_network(neighbours, what):
    one = neighbours[what]
    mac, own = one.node["mac"], one.address
    length = 30 if what == "isolated" else 24
    other = f"{own.rpartition('.')[0]}.{int(own.rpartition('.')[2]) + 1}"
    for change, back in ((f"ip link set eth0 address {frames.NOBODY}", f"ip link set eth0 address {mac}"),
                         (f"ip addr add {other}/{length} dev eth0; ip addr del {own}/{length} dev eth0",
                          f"ip addr add {own}/{length} dev eth0; ip addr del {other}/{length} dev eth0")):
        done = one.inside(f"{change}; ip route replace default via {one.gateway}; ping -c 1 -W 2 {OUTSIDE}; x=$?; {back}; "
                          f"ip route replace default via {one.gateway}; exit $x")
        assert done.exit_code == 1 and done.stdout.count(b"PING") == 1, (done.stdout, done.stderr)
        assert one.inside(ping(OUTSIDE)).exit_code == 0, "and is itself again"


PORT = 7000
KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"


def test_mode_user_is_what_the_page_promises(neighbours, host):
    one = neighbours["user"]
    with contextlib.ExitStack() as stack:
        around = surroundings(stack, host)
        guest_matrix(around, one.daemon.client, one.vm, "user", own="10.0.2.15", host=["10.0.2.2", "203.0.113.2"], via="203.0.113.2")
        serve = f"setsid nc -ll -p {PORT} -e cat >/dev/null 2>&1 </dev/null & until nc 127.0.0.1 {PORT} </dev/null; do sleep 0.1; done"
        assert one.inside(serve).exit_code == 0
        for space in (around.host, around.outside):
            for address in ("127.0.0.1", "203.0.113.2", "10.0.2.15"):
                knock = subprocess.run([*space, "python3", "-c", KNOCK, address, str(PORT)], capture_output=True)
                assert knock.returncode != 0, (space, address)


def test_mode_user_without_passt_reaches_nothing(host, tmp_path):
    with Daemon(tmp_path, hypervisor="qemu", group={"count": 1}, prefix=("nsenter", f"--net=/run/netns/{host}", *without_passt())) as d, \
            contextlib.ExitStack() as stack:
        vm = f"{d.group}-1"
        until(lambda: d.client.get(f"/vm/{vm}/health").status == 200, 120, f"{vm} answers")
        guest_matrix(surroundings(stack, host), d.client, vm, "user", own="10.0.2.15", host=["10.0.2.2", "203.0.113.2"],
                     via="203.0.113.2", promised=set())
        assert run(d.client, vm, "true").exit_code == 0
