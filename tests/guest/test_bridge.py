# SPDX-License-Identifier: MIT
"""Guests on a bridge, in a network namespace of the test's own that has one neighbour, the "Internet"."""
import contextlib
import pathlib
import subprocess
import sys

import pytest
from slicertest import Daemon, frames, matrix, run, until
from slicertest.hostspace import OUTSIDE, host_space, inside, ip, outside_of_host, pings, surroundings
from slicertest.matrix import guest_matrix
from slicertest.netspace import SERVER

# Prints the length of the longest frame that a machine of this MAC address has sent through an interface, when its input ends.
LONGEST = """
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 3))
mac, longest = bytes.fromhex(sys.argv[2].replace(":", "")), 0
print("ready", flush=True)
while True:
    ready = select.select([s, sys.stdin], [], [])[0]
    if s in ready:
        n, _, _, _ = s.recvmsg_into([frame := bytearray(14)], 0, socket.MSG_TRUNC)
        if frame[6:12] == mac:
            longest = max(longest, n)
    elif ready:
        break
print(longest)
"""


@contextlib.contextmanager
def program(ns, script, *args):
    """A Python script in a namespace, once it says that it is ready."""
    with subprocess.Popen(["ip", "netns", "exec", ns, sys.executable, "-c", script, *args], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def host(store):
    with host_space() as name:
        yield name


@pytest.fixture(scope="module")
def daemon(host, tmp_path_factory):
    network = {"bridge": "brtest0", "tap_prefix": "brtap", "gateway": "192.168.137.1/24"}
    with Daemon(tmp_path_factory.mktemp("bridge"), hypervisor="qemu", group={"network": network, "count": 2},
                prefix=("nsenter", f"--net=/run/netns/{host}")) as d:
        yield d


@pytest.fixture(scope="module")
def vms(daemon):
    names = [f"{daemon.group}-{n}" for n in (1, 2)]
    for name in names:
        until(lambda: daemon.client.get(f"/vm/{name}/health").status == 200, 120, f"{name} answers")
    return names


def reaches(daemon, vm, address, reached=True):
    return matrix.reaches(daemon.client, vm, address, reached)


def test_addresses_follow_the_numbers(daemon, vms):
    nodes = {n["hostname"]: n["ip"] for n in daemon.client.nodes()}
    assert nodes == {vms[0]: "192.168.137.2", vms[1]: "192.168.137.3"}
    shown = run(daemon.client, vms[0], "ip", "-4", "addr", "show", "eth0").stdout.decode()
    assert "192.168.137.2/24" in shown


def test_who_reaches_whom(daemon, vms, host):
    assert reaches(daemon, vms[0], "192.168.137.3"), "VM to VM"
    assert reaches(daemon, vms[0], "192.168.137.1"), "VM to host"
    assert reaches(daemon, vms[0], OUTSIDE), "VM to the Internet, by NAT"
    assert pings(host, "192.168.137.2"), "host to VM"
    assert not reaches(daemon, vms[0], "192.168.137.77", reached=False), "nobody is there: the test can fail"


@pytest.mark.full
def test_what_the_page_promises(daemon, vms, host):
    with contextlib.ExitStack() as stack:
        guest_matrix(surroundings(stack, host), daemon.client, vms[0], "bridge", own="192.168.137.2",
                     host=["192.168.137.1", "203.0.113.2"], via="203.0.113.2", peer="192.168.137.3")


def test_what_is_not_the_guests_own_comes_nowhere(daemon, vms, host, tmp_path):
    """Whatever root in it sends. Its own packet comes through the host to the outside: the test can fail."""
    frames.take_sender(daemon, vms[0], tmp_path)
    peer = next(n for n in daemon.client.nodes() if n["hostname"] == vms[1])
    # An address of elsewhere is as from a network behind it: the group's bridge carries it, and the host, which has no route there,
    # drops it.
    wanted = {"its own": {"brtest0", "brtap2", "uplink", "wire"}, "an address of elsewhere": {"brtest0", "brtap2"}}
    heard = frames.told(daemon, vms[0], [("ip", "netns", "exec", ns) for ns in (host, outside_of_host())], "192.168.137.1",
                        (peer["mac"], peer["ip"]), OUTSIDE, wanted)
    assert wanted["its own"] <= heard.pop("its own")
    assert heard.pop("an address of elsewhere") == wanted["an address of elsewhere"]
    assert not any(heard.values()), heard
    # It cannot be somebody else, and is itself again.
    mac = next(n["mac"] for n in daemon.client.nodes() if n["hostname"] == vms[0])
    for change, back in ((f"ip link set eth0 address {frames.NOBODY}", f"ip link set eth0 address {mac}"),
                         ("ip addr add 192.168.137.77/24 dev eth0; ip addr del 192.168.137.2/24 dev eth0",
                          "ip addr add 192.168.137.2/24 dev eth0; ip addr del 192.168.137.77/24 dev eth0")):
        pings = "ping -c 1 -W 1 192.168.137.1 || ping -c 1 -W 1 192.168.137.3; x=$?"
        done = frames.inside(daemon, vms[0], f"{change}; {pings}; {back}; ip route replace default via 192.168.137.1; exit $x")
        assert done.exit_code == 1 and done.stdout.count(b"PING") == 2, (done.stdout, done.stderr)
    assert reaches(daemon, vms[0], OUTSIDE)


MUCH, TELL = "for i in $(seq 64); do cat /tmp/mib; done", f"printf %12d {64 << 20}; "


@pytest.mark.full
def test_64_mib_arrive_as_they_are_with_offloads(daemon, vms, host, tmp_path):
    """To a VM, to the host, and through NAT. Guests leave segments and checksums to the host: frames are longer than the MTU."""
    def inside_vm(vm, script):
        done = run(daemon.client, vm, "timeout", "100", "sh", "-c", script, uid=0, gid=0)
        assert done.exit_code == 0, done.stderr
        return done.stdout.decode().split()
    subprocess.run(["cc", "-static", "-O2", "-o", tmp_path / "tcp_send", pathlib.Path(__file__).parent / "tcp_send.c"], check=True)
    daemon.cli.ok("vm", "cp", tmp_path / "tcp_send", f"{vms[0]}:/tmp/tcp_send")
    digest = inside_vm(vms[0], f"head -c 1048576 /dev/urandom > /tmp/mib; ({MUCH}) | sha256sum")[0]
    inside_vm(vms[1], "setsid nc -l -p 7 -e sha256sum >/dev/null 2>&1 </dev/null &")
    mac = next(n["mac"] for n in daemon.client.nodes() if n["hostname"] == vms[0])
    with program(host, SERVER, "0.0.0.0"), program(outside_of_host(), SERVER, "0.0.0.0"), program(host, LONGEST, "brtap1", mac) as tap:
        # The server of the tests is told first how much comes; what answers in the VM takes all there is.
        for address, head in (("192.168.137.3", ""), ("192.168.137.1", TELL), (OUTSIDE, TELL)):
            assert inside_vm(vms[0], f"({head}{MUCH}) | /tmp/tcp_send {address} 7")[0] == digest, address
        longest = int(tap.communicate("", timeout=30)[0])
    assert longest > 1514, "offloads are off"


def test_a_new_vm_gets_the_next_address_and_gives_it_back(daemon, vms, host):
    made = daemon.client.create(daemon.group, timeout="120s")
    assert made["ip"] == "192.168.137.4/24"
    assert "brtap3" in ip("-n", host, "-br", "link")
    assert daemon.client.delete(f"/hostgroup/{daemon.group}/nodes/{made['hostname']}").status == 200
    assert "brtap3" not in ip("-n", host, "-br", "link")


def test_an_address_asked_for(daemon, vms):
    made = daemon.client.create(daemon.group, ip="192.168.137.50", timeout="120s")
    assert made["ip"] == "192.168.137.50/24" and reaches(daemon, vms[0], "192.168.137.50")
    refused = daemon.client.post(f"/hostgroup/{daemon.group}/nodes", json={"ip": "192.168.137.50"})
    assert refused.status == 409 and "192.168.137.50" in refused.json["error"]
    refused = daemon.client.post(f"/hostgroup/{daemon.group}/nodes", json={"ip": "10.9.9.9"})
    assert refused.status == 400
    assert daemon.client.delete(f"/hostgroup/{daemon.group}/nodes/{made['hostname']}").status == 200


def test_the_network_outlives_the_daemon_and_goes_with_it(daemon, vms, host):
    daemon.kill()
    assert pings(host, "192.168.137.2")
    inside(host, "nft", "flush", "ruleset")  # somebody else's firewall was reloaded meanwhile
    daemon.start()
    until(lambda: daemon.client.get(f"/vm/{vms[1]}/health").status == 200, 30)
    assert reaches(daemon, vms[1], OUTSIDE) and reaches(daemon, vms[1], "192.168.137.2")
    rules = inside(host, "nft", "list", "ruleset").stdout
    assert '"brtap1" . 192.168.137.2' in rules and '"brtap2" . 192.168.137.3' in rules, "anti-spoofing is back"
    daemon.clean()
    links = ip("-n", host, "-br", "link")
    assert "brt" not in links and "uplink" in links
    assert inside(host, "nft", "list", "ruleset").stdout.strip() == ""
