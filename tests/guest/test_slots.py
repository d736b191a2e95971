# SPDX-License-Identifier: MIT
"""Slots with guests in them: who reaches whom, and one more slot while the others run."""
import contextlib
import signal
import subprocess

import pytest
from slicertest import SLICER, Daemon, matrix, until
from slicertest.daemon import LOG
from slicertest.hostspace import OUTSIDE, host_space, inside, ip, outside_of_host, pings, surroundings
from slicertest.matrix import guest_matrix

pytestmark = pytest.mark.full
NAMES = ("slot1", "slot2", "slot6")


@pytest.fixture
def host(store):
    with host_space() as name:
        yield name


@contextlib.contextmanager
def daemon_with(host, directory, slots, **more):
    d = Daemon(directory, hypervisor="qemu", prefix=("nsenter", f"--net=/run/netns/{host}"), **more)
    group = d.config["host_groups"][0]
    for key in ("count", "network"):
        group.pop(key)
    group["slots"] = {name: {} for name in slots}
    try:
        with d:
            yield d
    finally:
        for name in NAMES:  # a slot's log has its name only
            for log in LOG.glob(f"{name}.txt*"):
                log.unlink()


@pytest.fixture
def daemon(host, tmp_path):
    with daemon_with(host, tmp_path / "d", NAMES[:2]) as d:
        yield d


def answers(d, name):
    until(lambda: d.client.get(f"/vm/{name}/health").status == 200, 180, f"{name} answers")
    return name


def reaches(d, vm, address, reached=True):
    return matrix.reaches(d.client, vm, address, reached)


def check_who_reaches_whom(daemon, host, one, two):
    assert reaches(daemon, one, "10.1.0.1") and reaches(daemon, two, "10.2.0.1"), "the host"
    assert reaches(daemon, one, OUTSIDE) and reaches(daemon, two, OUTSIDE), "the Internet, by NAT"
    assert not reaches(daemon, one, "10.2.0.2", reached=False) and not reaches(daemon, two, "10.1.0.2", reached=False), "never each other"
    for address in ("10.1.0.2", "10.2.0.2"):
        assert pings(host, address), "from the host"
    with contextlib.ExitStack() as stack:
        guest_matrix(surroundings(stack, host), daemon.client, one, "slots", own="10.1.0.2", host=["10.1.0.1", "203.0.113.2"],
                     via="203.0.113.2", peer="10.2.0.2")
    neighbour = outside_of_host()
    ip("-n", neighbour, "route", "add", "10.1.0.0/24", "via", "203.0.113.2")
    assert pings(neighbour, "10.1.0.2"), "from a routed network"


def test_slots(daemon, host):
    slots = [answers(daemon, name) for name in NAMES[:2]]
    check_who_reaches_whom(daemon, host, *slots)
    # One more while the others run.
    pids = [daemon.vmm_pid(name) for name in slots]
    daemon.config["host_groups"][0]["slots"] = {name: {} for name in NAMES}
    daemon.write_config()
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: any(n["hostname"] == "slot6" for n in daemon.client.nodes()), 30)
    answers(daemon, "slot6")
    assert reaches(daemon, "slot6", OUTSIDE) and not reaches(daemon, "slot6", "10.1.0.2", reached=False)
    assert [daemon.vmm_pid(name) for name in slots] == pids


SSH = ("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10")


def test_ssh_from_the_host_and_from_a_routed_network(host, debian_build, tmp_path):
    """As simple-microvm-infra has it: `ssh root@10.1.0.2` on the host, and on a machine that has the routes that slicer prints. Each
    with the configuration's keys, and nobody without."""
    key, outside = tmp_path / "id", outside_of_host()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    keys = {"ssh_keys": [key.with_suffix(".pub").read_text().strip()]}
    with daemon_with(host, tmp_path / "d", NAMES[:1], group={"image": "debian", "ram_mb": 512}, config=keys) as d:
        answers(d, "slot1")
        until(lambda: inside(host, "busybox", "nc", "-w", "2", "10.1.0.2", "22").returncode == 0, 180, "sshd answers", pause=1)
        for space in (host, outside):
            if space == outside:
                assert inside(outside, "busybox", "nc", "-w", "2", "10.1.0.2", "22").returncode != 0, "no route yet"
                printed = subprocess.run([*d.prefix, SLICER, "vm", "route", "--os", "linux", d.file], check=True, capture_output=True,
                                         text=True).stdout
                add = next(line.split()[1:] for line in printed.splitlines() if "route add" in line)
                assert inside(outside, *add).returncode == 0, add
            for user in ("root", "ubuntu"):
                done = inside(space, *SSH, "-i", str(key), f"{user}@10.1.0.2", "hostname; id -un")
                assert done.stdout.split() == ["slot1", user], (space, user, done.stderr)
            assert inside(space, *SSH, "-o", "IdentityFile=none", "root@10.1.0.2", "true").returncode == 255
