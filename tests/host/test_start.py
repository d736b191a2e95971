# SPDX-License-Identifier: MIT
"""A daemon that is told to end before it is up."""
import os
import signal

import pytest
from slicertest import until

NETWORK = {"bridge": "brstart0", "tap_prefix": "start", "gateway": "10.78.3.1/24"}


@pytest.fixture
def slow_nft(tmp_path):
    """Directory with an nft that says that it runs and then takes its time."""
    directory, runs = tmp_path / "bin", tmp_path / "runs"
    directory.mkdir()
    (directory / "nft").write_text(f"#!/bin/sh\n: > {runs}\nsleep 0.5\nexec /usr/sbin/nft \"$@\"\n")
    (directory / "nft").chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}, runs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_made_so_far_goes(daemon, slow_nft, number):
    """Its bridge and rules, its users and its announcement; then it ends as such a signal ends a program."""
    env, runs = slow_nft
    d = daemon(start=False, env=env, group={"network": NETWORK})
    d.spawn()
    until(runs.exists, 20, "its network is being made")
    assert os.path.exists(f"{d.run_dir}.json")
    d.process.send_signal(number)
    code, d.process = d.process.wait(30), None
    assert code == -number and "API listening" not in d.log_text()
    assert not d.run_dir.exists() and not os.path.exists(f"{d.run_dir}.json") and not os.path.exists("/sys/class/net/brstart0")


def test_a_hangup_is_heard_once_it_is_up(daemon, slow_nft):
    """By a service manager whose reload comes early."""
    env, runs = slow_nft
    d = daemon(start=False, env=env, group={"network": NETWORK})
    d.spawn()
    until(runs.exists, 20, "its network is being made")
    d.process.send_signal(signal.SIGHUP)
    until(lambda: "API listening" in d.log_text(), 30, "it is up")
    assert d.client.get("/healthz").status == 200 and d.process.poll() is None
