# SPDX-License-Identifier: MIT
"""On a disk that is slow, a VM's state is shown while its record is still being written. What is asked for then waits for the
record instead of being refused as too early."""
import concurrent.futures
import contextlib
import os
import signal

import pytest
from slicertest import BUILD, FAKE_VMM, Daemon, proc, until
from slicertest.daemon import LOG


def slow_daemon(directory, ms=0):
    """Beside its directory may be a file `hold`: as long as it is there, no record of a VM that runs gets onto the disk."""
    return Daemon(directory / "d", env={"LD_PRELOAD": str(BUILD / "tests/fakevmm/slowsync.so"), "SLOW_SYNC_MS": str(ms),
                                        "SLOW_SYNC_HOLD": str(directory / "hold")})


@pytest.fixture
def slow(store, tmp_path):
    with slow_daemon(tmp_path, 300) as d:
        yield d


def is_shown(d, vm, status):
    return any(n["hostname"] == vm and n["status"] == status for n in d.client.nodes())


def test_what_is_asked_for_while_a_record_is_written(slow):
    d = slow
    vm = f"{d.group}-1"

    def ask(what):
        answer = d.client.request("POST", f"/vm/{vm}/{what}", timeout=60)
        assert answer.status == 200, f"{what}: {answer.text}"

    with concurrent.futures.ThreadPoolExecutor() as pool:
        pool.submit(d.client.create, d.group, persistent=True)
        until(lambda: is_shown(d, vm, "Running"), 30)
        ask("shutdown")
        assert is_shown(d, vm, "Stopped")
        ask("relaunch")
        for what, status in (("pause", "Paused"), ("resume", "Running")):
            before = d.client.get(f"/vm/{vm}/tags").json["tags"]
            tags = pool.submit(d.client.request, "PATCH", f"/vm/{vm}/tags", json={"add": [what]}, timeout=60)
            until(lambda: d.client.get(f"/vm/{vm}/tags").json["tags"] != before, 30)
            ask(what)
            assert is_shown(d, vm, status) and tags.result().status == 200
    assert d.record(vm)["tags"] == ["pause", "resume"]


def ask_twice(pool, d, path):
    """Two at once, of which the one that comes second is refused; gives the other, which is waited for."""
    done, waiting = concurrent.futures.wait([pool.submit(d.client.post, path) for _ in range(2)], 60, "FIRST_COMPLETED")
    (refused,), (asked,) = done, waiting
    assert "just being" in refused.result().error
    return asked


def test_tags_that_change_while_a_vm_is_being_paused(slow):
    """The hypervisor answers while their record is written: what it did is shown, and both are kept."""
    d = slow
    vm = d.client.create(d.group)["hostname"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for what, status in (("pause", "Paused"), ("resume", "Running")):
            os.kill(d.vmm_pid(vm), signal.SIGSTOP)
            asked = ask_twice(pool, d, f"/vm/{vm}/{what}")
            tags = pool.submit(d.client.request, "PATCH", f"/vm/{vm}/tags", json={"add": [what]}, timeout=60)
            until(lambda w=what: w in (d.client.get(f"/vm/{vm}/tags").json["tags"] or []), 10)
            os.kill(d.vmm_pid(vm), signal.SIGCONT)
            assert asked.result().status == 200 and tags.result().status == 200
            assert is_shown(d, vm, status)
            assert d.record(vm)["state"] == status and what in d.record(vm)["tags"]


def test_a_hypervisor_that_pauses_late_while_a_record_is_written(slow):
    """The request has failed, and yet it is done: that is shown, and kept."""
    d = slow
    vm = d.client.create(d.group)["hostname"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        os.kill(d.vmm_pid(vm), signal.SIGSTOP)
        asked = ask_twice(pool, d, f"/vm/{vm}/pause")
        tags = pool.submit(d.client.request, "PATCH", f"/vm/{vm}/tags", json={"add": ["late"]}, timeout=60)
        assert asked.result().status == 500
        os.kill(d.vmm_pid(vm), signal.SIGCONT)
        assert tags.result().status == 200
        until(lambda: is_shown(d, vm, "Paused") and d.record(vm)["state"] == "Paused", 10)


def test_a_guest_that_powers_off(store, tmp_path):
    """Its end is known long before the record says so; that its hypervisor is gone is no error then."""
    with slow_daemon(tmp_path, 700) as d:
        vm = d.client.create(d.group, persistent=True)["hostname"]
        supervisor, = (p for p in d.agent_pids(vm) if proc.name_of(p) != "slicer-server")
        os.kill(supervisor, signal.SIGUSR2)
        until(lambda: is_shown(d, vm, "Stopped"), 30)
        assert "last_error" not in d.client.node(vm) and "error:" not in d.log_text()


def test_a_vmm_that_ends_while_the_record_of_its_launch_is_written(store, tmp_path):
    """Why it ended is told as at any other time."""
    hold = tmp_path / "hold"
    hold.touch()
    with slow_daemon(tmp_path) as d, concurrent.futures.ThreadPoolExecutor() as pool:
        vm = f"{d.group}-1"
        made = pool.submit(d.client.post, f"/hostgroup/{d.group}/nodes", json={"persistent": True})
        until(lambda: is_shown(d, vm, "Running"), 30)
        mine = [p for p in proc.pids() if proc.cmdline(p)[:1] == [str(FAKE_VMM)] and f"name={vm}" in proc.cmdline(p)]
        vmm, = (p for p in mine if proc.parents().get(p) not in mine)
        os.kill(vmm, signal.SIGKILL)
        until(lambda: f"[{vm}] its VMM was killed" in d.log_text(), what="its monitor tells")
        hold.unlink()
        answer = made.result()
        until(lambda: is_shown(d, vm, "Stopped"), 30)
        assert answer.status == 500 and "killed by SIGKILL" in answer.error
        assert "killed by SIGKILL" in d.client.node(vm)["last_error"]


def test_a_panic_while_a_record_is_written(store, tmp_path):
    """It is looked into when that is done."""
    with slow_daemon(tmp_path, 700) as d, concurrent.futures.ThreadPoolExecutor() as pool:
        vm = d.client.create(d.group, persistent=True)["hostname"]
        pids = d.agent_pids(vm)
        tags = pool.submit(d.client.request, "PATCH", f"/vm/{vm}/tags", json={"add": ["late"]}, timeout=60)
        until(lambda: d.client.get(f"/vm/{vm}/tags").json["tags"], 10)
        with open(LOG / f"{vm}.txt", "a") as log:
            log.write("Kernel panic - not syncing: now\n")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: is_shown(d, vm, "Stopped"), 30)
        assert "panic - not syncing: now" in d.client.node(vm)["last_error"] and tags.result().status == 200
