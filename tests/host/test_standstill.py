# SPDX-License-Identifier: MIT
"""The daemon stands still, alone or with all that it talks to: stopped, its control group frozen, its machine paused. Who did not
answer in a time in which nobody could look is not judged by it."""
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import time

import pytest
from slicertest import FAKE_VMM, Daemon, descendants, exec_stream, until

STILL_S = 12  # longer than the daemon gives monitors, hypervisors and handshakes


@pytest.fixture
def own(store, tmp_path):
    with Daemon(tmp_path / "d") as d:
        yield d, d.client.create(d.group)["hostname"]


@contextlib.contextmanager
def stopped(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def is_asked(d, vm, name):
    """Whether something waits in a socket of that VM to be read."""
    lines = subprocess.run(["ss", "-xnH"], capture_output=True, text=True, check=True).stdout.splitlines()
    return any(line.split()[4] == str(d.run_dir / vm / name) and int(line.split()[2]) > 0 for line in lines)


def test_hypervisor_that_stood_still_as_well(own):
    """It answers a moment after the daemon goes on."""
    d, vm = own
    with concurrent.futures.ThreadPoolExecutor() as pool, stopped(d.vmm_pid(vm)):
        asked = pool.submit(d.client.post, f"/vm/{vm}/pause", timeout=120)
        until(lambda: is_asked(d, vm, "qmp.sock"))
        with stopped(d.pid):
            time.sleep(STILL_S)
        time.sleep(0.5)
        os.kill(d.vmm_pid(vm), signal.SIGCONT)
        answer = asked.result()
    assert answer.status == 200, answer.text
    assert d.client.node(vm)["status"] == "Paused"
    assert d.client.post(f"/vm/{vm}/resume").status == 200


def test_all_that_is_under_way_goes_on(own):
    d, vm = own
    frames = exec_stream(d.client, vm, "sh", "-c", "while :; do echo tick; sleep 0.2; done")
    with d.cli.popen("vm", "exec", vm, "--", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        cat.stdin.write(b"before ")
        cat.stdin.flush()
        assert os.read(cat.stdout.fileno(), 1) == b"b"
        everybody = [d.pid, d.monitor_pid(vm), *descendants(d.monitor_pid(vm))]
        with stopped(*everybody):
            time.sleep(STILL_S)
        out, _ = cat.communicate(b"and after", timeout=60)
        assert out == b"efore and after" and cat.returncode == 0
    seen = [next(frames) for _ in range(200)]
    assert "exit" not in {f["type"] for f in seen}
    assert d.client.get(f"/vm/{vm}/health").status == 200
    assert "agent lost" not in d.log_text() and "no sign of life" not in d.log_text()


def test_hypervisor_that_takes_long_to_start(store, tmp_path):
    """As on a machine with no time for it: it has not ended, so that it is still to come."""
    slow = tmp_path / "slow-vmm"
    slow.write_text(f'#!/bin/sh\nsleep 20\nexec {FAKE_VMM} "$@"\n')
    slow.chmod(0o755)
    with Daemon(tmp_path / "d", env={"SLICER_FAKE_VMM": str(slow)}) as d:
        assert d.client.node(d.client.create(d.group)["hostname"])["status"] == "Running"
