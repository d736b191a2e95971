# SPDX-License-Identifier: MIT
"""Runs inside the outer guest, whose clock is nobody else's: see ../test_nested.py. The host's clock is set a day back and forth
while a daemon works; its guests share it here (fake hypervisor), so the agent's jumps as well."""
import contextlib
import datetime
import subprocess
import threading
import time

import pytest
from slicertest import Daemon, run, until
from slicertest.truth import wait_for_truth

DAY = 24 * 60 * 60
SLICER = "/usr/local/bin/slicer"


def shift(seconds):
    before = time.time()
    subprocess.run(["date", "-s", f"@{int(before) + seconds}"], check=True, capture_output=True)
    assert abs(time.time() - before - seconds) < 60


@contextlib.contextmanager
def meanwhile(call):
    """Runs it beside the block, from before it; `took` is how long it needed, by a clock that nobody sets."""
    result = {}

    def work():
        begin = time.monotonic()
        result["got"] = call()
        result["took"] = time.monotonic() - begin
    thread = threading.Thread(target=work)
    thread.start()
    yield result
    thread.join(120)
    assert not thread.is_alive(), "it does not end"


@pytest.fixture
def clock():
    """Right again at the end, by what passed meanwhile."""
    wall, begin = time.time(), time.monotonic()
    yield
    subprocess.run(["date", "-s", f"@{wall + time.monotonic() - begin}"], check=True, capture_output=True)


def looks(d):
    """It goes on looking for what is nobody's."""
    stray = d.run_dir / f"{d.group}-999"
    stray.mkdir()
    until(lambda: not stray.exists(), 30, "a look")


def is_well(d, vm):
    assert run(d.client, vm, "echo", "well").stdout == b"well\n"
    assert d.client.get(f"/vm/{vm}/health").status == 200
    looks(d)
    (line,) = [line for line in d.cli.ok("vm", "list").decode().splitlines() if line.startswith(vm + " ")]
    assert "Running" in line
    wait_for_truth(d, 30)


def never_ready(d):
    return d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "userdata", "timeout": "4s"},
                         json={"userdata": "#!/bin/sh\nsleep 1000\n"}, timeout=110)


def is_set_under_way(d, vm, seconds):
    """Under a command and under a wait with a limit, which is kept."""
    with meanwhile(lambda: run(d.client, vm, "sh", "-c", "echo begun; sleep 3; echo over")) as command, \
            meanwhile(lambda: never_ready(d)) as wait:
        time.sleep(1)  # into both of them
        shift(seconds)
    assert command["got"].exit_code == 0 and command["got"].stdout == b"begun\nover\n" and command["took"] < 60
    assert wait["got"].status == 408 and 3.9 < wait["took"] < 60, wait


def test_the_clock_is_set(store, tmp_path, clock):
    with Daemon(tmp_path / "d", slicer=SLICER, env={"SLICER_RECONCILE_MS": "200"}) as d:
        vm = d.client.create(d.group, persistent=True)["hostname"]
        made = d.client.node(vm)["created_at"]
        is_set_under_way(d, vm, -DAY)
        is_well(d, vm)

        # What is made now is dated by the clock as it is, and no deadline waits for tomorrow.
        new = d.client.create(d.group)["hostname"]
        stamp = datetime.datetime.fromisoformat(d.client.node(new)["created_at"][:19] + "+00:00")
        assert abs(stamp.timestamp() - time.time()) < 120 and d.client.node(vm)["created_at"] == made
        is_set_under_way(d, vm, DAY)
        is_well(d, vm)

        # A daemon that comes back takes over what was begun in its future.
        d.kill()
        shift(-DAY)
        d.start()
        until(lambda: {n["status"] for n in d.client.nodes()} == {"Running"}, 30)
        is_well(d, vm)
        assert d.client.post(f"/vm/{vm}/shutdown").status == 200 and d.client.post(f"/vm/{vm}/relaunch").status == 200
        is_well(d, vm)
        assert "reconciliation: " not in d.log_text()
        d.client.remove(new)
