# SPDX-License-Identifier: MIT
"""Slots with guests in them: who reaches whom, and one more slot while the others run."""
import contextlib
import signal

import pytest
from slicertest import Daemon, run, until
from slicertest.daemon import LOG
from slicertest.hostspace import OUTSIDE, host_space, inside, ip, outside_of_host, surroundings
from slicertest.matrix import guest_matrix

pytestmark = pytest.mark.full
NAMES = ("slot1", "slot2", "slot6")


@pytest.fixture
def host(store):
    with host_space() as name:
        yield name


@pytest.fixture
def daemon(host, tmp_path):
    d = Daemon(tmp_path / "d", hypervisor="qemu", prefix=("nsenter", f"--net=/run/netns/{host}"))
    group = d.config["host_groups"][0]
    for key in ("count", "network"):
        group.pop(key)
    group["slots"] = {name: {} for name in NAMES[:2]}
    try:
        with d:
            yield d
    finally:
        for name in NAMES:  # a slot's log has its name only
            for log in LOG.glob(f"{name}.txt*"):
                log.unlink()


def answers(d, name):
    until(lambda: d.client.get(f"/vm/{name}/health").status == 200, 180, f"{name} answers")
    return name


def reaches(d, vm, address):
    return run(d.client, vm, "ping", "-c", "1", "-W", "3", address, uid=0, gid=0).exit_code == 0


def check_who_reaches_whom(daemon, host, one, two):
    assert reaches(daemon, one, "10.1.0.1") and reaches(daemon, two, "10.2.0.1"), "the host"
    assert reaches(daemon, one, OUTSIDE) and reaches(daemon, two, OUTSIDE), "the Internet, by NAT"
    assert not reaches(daemon, one, "10.2.0.2") and not reaches(daemon, two, "10.1.0.2"), "never each other"
    for address in ("10.1.0.2", "10.2.0.2"):
        assert inside(host, "ping", "-c", "1", "-W", "3", address).returncode == 0, "from the host"
    with contextlib.ExitStack() as stack:
        guest_matrix(surroundings(stack, host), daemon.client, one, "slots", own="10.1.0.2", host=["10.1.0.1", "203.0.113.2"],
                     via="203.0.113.2", peer="10.2.0.2")
    neighbour = outside_of_host()
    ip("-n", neighbour, "route", "add", "10.1.0.0/24", "via", "203.0.113.2")
    assert inside(neighbour, "ping", "-c", "1", "-W", "3", "10.1.0.2").returncode == 0, "from a routed network"


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
    assert reaches(daemon, "slot6", OUTSIDE) and not reaches(daemon, "slot6", "10.1.0.2")
    assert [daemon.vmm_pid(name) for name in slots] == pids
